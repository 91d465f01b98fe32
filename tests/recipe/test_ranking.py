"""Networks are ranked on what was held out of train and validation, and the test split is never looked at."""

import dataclasses
import json

import keras
import numpy as np
import pytest
from option_runs import make_config, tiny_networks, write_photos

from tfl.backbones import build_backbone
from tfl.backbones.names import expand_backbones, list_at_hand
from tfl.config import BackboneConfig
from tfl.data import make_dataset
from tfl.errors import InputError
from tfl.recipe import ranking, rounds
from tfl.recipe.ranking import rank_backbones
from tfl.workdir import write_json


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
    assert len(lines) == 3 and lines[0].startswith("name,alpha,weights,metric,low,high,loss")
    (only,) = written["rounds"]  # all examples are in the first round
    assert only["order"] == [one.label for one in ranked] and only["examples"] == ranked[0].examples
    assert (folder / "ranks" / "ranking.html").exists()


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


def test_many_examples_are_ranked_on_a_share_of_each_class(folder):
    config = make_config(folder / "photos", folder / "store", {})
    splits = ranking.load_splits(config)
    rows = rounds.subset(splits, 0, 20)
    assert abs(len(rows) - 20) <= 2 and not np.isin(rows, splits.test).any()
    assert np.bincount(splits.index.labels[rows]).tolist() == [10, 10]
    assert np.array_equal(rows, rounds.subset(splits, 0, 20))
    assert np.isin(rows, rounds.subset(splits, 0, 36)).all()  # a larger round has the examples of a smaller one


def test_rounds_grow_until_the_order_is_stable_and_leave_out_what_is_surely_worse(folder, monkeypatch, capsys):
    """A network whose features are noise is left out after the first round; the other two have the same features."""
    config = make_config(folder / "photos", folder / "store", {})
    monkeypatch.setattr(rounds, "FIRST", 16)
    measure = rounds.measure_head

    def spoil(candidate, size, folds):
        done = measure(candidate, size, folds)
        if candidate.config.backbone.alpha == 0.5:
            logits = np.where(np.arange(2) == done.table.labels[:, None], -5.0, 5.0)  # always wrong
            done = dataclasses.replace(done, table=dataclasses.replace(done.table, logits=logits), metric=0.0)
        return done

    monkeypatch.setattr(rounds, "measure_head", spoil)
    ranked = rank_backbones(config, ["MobileNet:0.5", "MobileNet", "VGG16"])
    assert [one.label for one in ranked][2] == "MobileNet:0.5" and ranked[2].examples == 16
    assert ranked[0].examples == ranked[1].examples > 16
    assert "left out: 1" in capsys.readouterr().err


def test_names_patterns_and_weights_at_hand(tmp_path, monkeypatch):
    (tmp_path / "models").mkdir()
    for name in (
        "mobilenet_2_5_224_tf_no_top.h5",
        "mobilenet_1_0_224_tf.h5",  # with its top
        "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_224_no_top.h5",
        "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
        "weights_mobilenet_v3_small_224_0.75_float_no_top_v2.h5",
        "resnet50v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "efficientnetv2-b0_notop.h5",
        "NASNet-large-no-top.h5",
        "something_no_top.h5",
    ):
        (tmp_path / "models" / name).touch()
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    expected = ["EfficientNetV2B0", "MobileNet:0.25", "MobileNetV2", "MobileNetV2:0.35", "MobileNetV3Small:0.75"]
    assert list_at_hand() == [*expected, "NASNetLarge", "ResNet50V2"]
    assert expand_backbones(["at_hand", "vgg*"]) == [*list_at_hand(), "VGG16", "VGG19"]
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "models"))
    for wrong, message in ((["At_Hand"], "has no published weights"), (["VVG*"], "must match the name of a network")):
        with pytest.raises(InputError, match=message):
            expand_backbones(wrong)


def test_weights_files_and_finished_runs_are_entries(folder, tmp_path, capsys):
    config = make_config(folder / "photos", folder / "store", {})
    run = tmp_path / "run"
    run.mkdir()
    network = rank_backbones(config, ["MobileNet:0.5"])[0]
    extractor = ranking._prepare(ranking._config_of(config, "MobileNet:0.5"), {}).extractor
    extractor.model.save(run / "model.keras")
    own = dataclasses.replace(config, backbone=BackboneConfig("MobileNet", 0.5))
    write_json(run / "config.json", dataclasses.asdict(own))
    write_json(run / "metrics.json", {})
    capsys.readouterr()
    ranked = rank_backbones(config, [str(run), f"MobileNet:0.5={run / 'model.keras'}"])
    assert {one.label for one in ranked} == {f"MobileNet:0.5={run}", f"MobileNet:0.5={run / 'model.keras'}"}
    assert {one.name for one in ranked} == {"MobileNet"} and {one.parameters for one in ranked} == {network.parameters}
    assert f"{run} was trained on these examples" in capsys.readouterr().err
    with pytest.raises(InputError, match=r"must name the network of a weights file.*Did you mean MobileNetV2="):
        rank_backbones(config, [str(run / "model.keras")])
    (run / "metrics.json").unlink()
    with pytest.raises(InputError, match="`backbones` must"):
        rank_backbones(config, [str(run)])


def test_leep_is_its_formula_on_the_classifier_of_the_weights_file(folder, tmp_path):
    config = make_config(folder / "photos", folder / "store", {})
    backbone = build_backbone("MobileNet", alpha=0.5, image_size=32, weights="none")
    pooled = keras.layers.GlobalAveragePooling2D()(backbone.output)
    whole = keras.Model(backbone.input, keras.layers.Dense(5, activation="softmax")(pooled))
    whole.save(tmp_path / "whole.h5")
    ranked, without = rank_backbones(config, [f"MobileNet:0.5={tmp_path / 'whole.h5'}", "MobileNet:0.5"], tmp_path)
    if np.isnan(ranked.leep):
        ranked, without = without, ranked
    splits = ranking.load_splits(dataclasses.replace(config, backbone=BackboneConfig("MobileNet")))
    rows, labels = splits.outside_of_test, splits.index.labels[splits.outside_of_test]
    batches = make_dataset(splits.source, rows, image_size=32, batch_size=len(rows))
    source = np.asarray(whole(next(iter(batches))["input"]), np.float64)
    joint = np.array([[source[labels == label, z].sum() for z in range(5)] for label in (0, 1)]) / len(rows)
    expected = np.mean(np.log(np.sum(source * (joint / joint.sum(axis=0))[labels], axis=1)))
    assert ranked.leep == pytest.approx(expected, abs=1e-6) and np.isnan(without.leep)
    written = json.loads((tmp_path / "ranking.json").read_text())
    assert {row["leep"] is None for row in written["backbones"]} == {True, False}  # JSON has no NaN


def test_values_are_ranked_and_written(folder, tmp_path):
    config = make_config(folder / "photos", folder / "store", {"task.name": "regression"})
    table = tmp_path / "labels.csv"
    files = sorted((folder / "photos").rglob("*.png"))
    table.write_text("path,label\n" + "".join(f"{file},{number / 10}\n" for number, file in enumerate(files)))
    config.data.source, config.data.columns = f"csv:{table}", "path=path,label=label"
    (one,) = rank_backbones(config, ["MobileNet"], tmp_path / "ranks")
    written = json.loads((tmp_path / "ranks" / "ranking.json").read_text())
    assert np.isnan(one.neighbours) and written["backbones"][0]["neighbours"] is None


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
