"""Accuracy over the size of one's own pre-training set: a run for each part, and figures from their predictions."""

import json

import numpy as np
import pytest
from option_runs import make_config, tiny_networks, write_photos

import tfl
from tfl.errors import InputError
from tfl.recipe import source_sizes
from tfl.selection.source_sizes import describe, summarize


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("source")
    write_photos(folder / "photos", (24, 24))
    write_photos(folder / "others", (20, 20, 20), seed=1)
    return folder


def config_of(folder, **more):
    options = {"pretrain.source": f"folder:{folder / 'others'}", "pretrain.epochs": 1, **more}
    return make_config(folder / "photos", folder / "store", options)


def test_each_part_is_a_run_of_its_own_and_a_repeated_command_goes_on(folder, monkeypatch):
    asked, real = [], source_sizes.transfer

    def stopping(config, workdir):
        if len(asked) == 4:
            raise KeyboardInterrupt
        asked.append(workdir.name)
        return real(config, workdir)

    monkeypatch.setattr(source_sizes, "transfer", stopping)
    with tiny_networks():
        with pytest.raises(KeyboardInterrupt):
            tfl.measure_source_sizes(config_of(folder), folder / "out", sizes=[3])
        assert not (folder / "out" / "source.json").exists()
        monkeypatch.setattr(source_sizes, "transfer", real)
        found = tfl.measure_source_sizes(config_of(folder), folder / "out", sizes=[3])
    assert asked == ["random", "pretrained_3_0", "task_3_0", "pretrained_3_1"]
    metrics = {
        path.parent.name: json.loads(path.read_text()) for path in sorted((folder / "out").glob("*/metrics.json"))
    }
    trained = metrics["pretrained_3_0"]["num_examples"]["train"]
    assert trained == 9 and [point.examples for point in found.points[:2]] == [0, trained]
    assert found.points[2].examples == metrics["pretrained_all_0"]["num_examples"]["train"] > 9
    for place, names in enumerate((["random"], ["task_3_0", "task_3_1"], ["task_all_0", "task_all_1"])):
        mean = np.mean([metrics[name]["test"]["accuracy"] for name in names])
        assert found.points[place].accuracy == pytest.approx(mean)
    splits = {(folder / "out" / name / "splits.csv").read_text() for name in ("random", "task_3_0", "task_all_1")}
    assert len(splits) == 1  # the task has the same examples every time
    page = (folder / "out" / "source.html").read_text()
    assert "random weights" in page and found.sentences[0] in page


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"pretrain.source": ""}, "pretrain.source"),
        ({"pretrain.method": "barlow_twins"}, "pretrain.method"),
        ({"backbone.weights": "imagenet"}, "backbone.weights"),
        ({"scratch.epochs": 1}, "scratch.epochs"),
    ],
)
def test_what_cannot_be_measured_is_refused(folder, tmp_path, options, name):
    with tiny_networks(), pytest.raises(InputError, match=f"`{name}` must be"):
        tfl.measure_source_sizes(config_of(folder, **options), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_gains_are_paired_and_the_last_step_decides_what_is_said():
    rng = np.random.default_rng(0)
    start = rng.random((1, 1, 400)) < 0.5
    better = start | (rng.random((1, 3, 400)) < 0.4)
    hits = np.concatenate([np.repeat(start, 3, axis=1), better, better])
    points = summarize(hits, [0, 30, 300])
    assert points[1].gain == pytest.approx(better.mean() - start.mean()) and points[1].gain_low > 0
    assert points[2].gain == points[2].gain_low == points[2].gain_high == 0
    assert "that may be chance" in describe(points)[-1]
    assert "more examples may bring more" in describe(summarize(hits[[0, 0, 1]], [0, 30, 300]))[-1]
    assert "Negative transfer" in describe(summarize(hits[[1, 0]], [0, 30]))[1]
