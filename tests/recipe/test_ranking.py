"""Networks are ranked on what was held out of train and validation, and the test split is never looked at."""

import json

import numpy as np
import pytest
from option_runs import make_config, tiny_networks, write_photos

from tfl.errors import InputError
from tfl.recipe import ranking
from tfl.recipe.ranking import rank_backbones


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranking")
    write_photos(folder / "photos", (24, 24))
    return folder


@pytest.fixture(autouse=True)
def networks():
    with tiny_networks():
        yield


def test_each_network_is_measured_and_the_best_is_first(folder, capsys):
    config = make_config(folder / "photos", folder / "store", {})
    ranked = rank_backbones(config, ["VGG16", "mobilenet:0.5"], folder / "ranks")
    assert sorted((one.name, one.alpha) for one in ranked) == [("MobileNet", 0.5), ("VGG16", 1.0)]
    assert ranked[0].metric >= ranked[1].metric
    for one in ranked:
        assert 0 <= one.low <= one.metric <= one.high <= 1 and one.loss > 0 and 0 <= one.neighbours <= 1
        assert one.n_leep < 0 <= one.h_score <= 1 + 1e-9 and np.isfinite(one.log_evidence)
    assert ranked[0].parameters != ranked[1].parameters
    written = json.loads((folder / "ranks" / "ranking.json").read_text())
    assert [row["name"] for row in written["backbones"]] == [one.name for one in ranked]
    lines = (folder / "ranks" / "ranking.csv").read_text().splitlines()
    assert len(lines) == 3 and lines[0].startswith("name,alpha,metric,low,high,loss")


def test_the_test_split_changes_nothing(folder, monkeypatch):
    """Labels of the test split that are all wrong give the same ranking to the bit."""
    config = make_config(folder / "photos", folder / "store", {})

    def measured():
        (one,) = rank_backbones(config, ["MobileNet"])
        return [one.metric, one.low, one.high, one.loss, one.neighbours, one.log_evidence, one.h_score, one.n_leep]

    before, load = measured(), ranking.load_splits

    def with_wrong_labels(own):
        splits = load(own)
        splits.index.labels[splits.test] = 1 - splits.index.labels[splits.test]
        return splits

    monkeypatch.setattr(ranking, "load_splits", with_wrong_labels)
    assert measured() == before


def test_many_examples_are_ranked_on_a_share_of_each_class(folder, monkeypatch):
    config = make_config(folder / "photos", folder / "store", {})
    monkeypatch.setattr(ranking, "MOST", 20)
    splits = ranking.load_splits(config)
    rows = ranking._subset(splits, 0)
    assert abs(len(rows) - 20) <= 2 and not np.isin(rows, splits.test).any()
    assert np.bincount(splits.index.labels[rows]).tolist() == [10, 10]
    assert np.array_equal(rows, ranking._subset(splits, 0))


def test_wrong_names_are_answered_before_anything_is_read(folder):
    config = make_config(folder / "nowhere", folder / "store", {})
    for names, message in (
        ([], "must name at least one network"),
        (["MobileNett"], "Did you mean 'MobileNet'"),
        (["MobileNet:wide"], "such as MobileNetV2 or MobileNetV2:0.35"),
    ):
        with pytest.raises(InputError, match=message):
            rank_backbones(config, names)


def test_the_command_prints_the_best_first(folder, run_script):
    options = ["--config.data.image_size=32", "--config.backbone.weights=none"]
    result = run_script(
        "scripts/rank_backbones.py",
        "--config=configs/folder.py",
        f"--config.data.source=folder:{folder / 'photos'}",
        f"--config.features.store={folder / 'store'}",
        "--backbones=MobileNet:0.25,MobileNetV2:0.35",
        f"--output={folder / 'command'}",
        *options,
    )
    assert result.returncode == 0, result.stderr
    head, *rows = result.stdout.splitlines()
    assert head.split()[:4] == ["backbone", "metric", "low", "high"] and len(rows) == 2
    assert {row.split()[0] for row in rows} == {"MobileNet:0.25", "MobileNetV2:0.35"}
    assert float(rows[0].split()[1]) >= float(rows[1].split()[1])
