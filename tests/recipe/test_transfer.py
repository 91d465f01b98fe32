"""The whole job from Python: what it writes, that it is exact and repeatable, and how it goes on when stopped."""

import contextlib
import csv
import dataclasses
import json
import re

import numpy as np
import pytest
import tensorflow as tf

import tfl
from tfl.errors import InputError
from tfl.recipe import transfer as recipe

PRETRAINED = tfl.BackboneConfig(name="MobileNetV2", alpha=0.35)


def small_config(**sections):
    config = tfl.TransferConfig(
        data=tfl.DataConfig(source="digits:0-2", image_size=32, train_examples_per_class=20, augmentation="shift"),
        backbone=tfl.BackboneConfig(name="MobileNet", alpha=0.25, weights="none"),
        finetune=tfl.FinetuneConfig(epochs=1, unfreeze="1"),
    )
    return dataclasses.replace(config, **sections)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("run") / "w"
    return tfl.transfer(small_config(), workdir)


def test_the_workdir_holds_what_the_design_says(finished):
    names = {path.name for path in finished.workdir.iterdir() if not path.name.startswith(".")}
    expected = {"config.json", "splits.csv", "quarantine.csv", "metrics.json", "history.csv", "predictions.csv"}
    expected |= {"evaluation.json", "validation_predictions.csv", "report.html", "MODEL_CARD.md", "audit.csv"}
    assert expected | {"model.keras", "tensorboard", "checkpoints"} == names
    metrics = json.loads((finished.workdir / "metrics.json").read_text())
    assert metrics == finished.metrics
    for split in ("test", "validation"):
        assert {"accuracy", "loss", "num_examples"} <= metrics[split].keys()
    assert {"probe", "finetune", "evaluate test", "evaluate validation"} <= metrics["contract"].keys()


def test_the_tables_agree_with_the_metrics(finished):
    with (finished.workdir / "predictions.csv").open() as file:
        predictions = list(csv.DictReader(file))
    with (finished.workdir / "splits.csv").open() as file:
        splits = list(csv.DictReader(file))
    test_ids = {row["id"] for row in splits if row["split"] == "test"}
    assert {row["id"] for row in predictions} == test_ids
    assert len(predictions) == finished.metrics["test"]["num_examples"]
    accuracy = np.mean([row["label"] == row["predicted"] for row in predictions])
    assert accuracy == pytest.approx(finished.metrics["test"]["accuracy"])
    train = [row["label"] for row in splits if row["split"] == "train"]
    assert sorted(set(train)) == ["0", "1", "2"]
    assert len(train) == 60
    with (finished.workdir / "history.csv").open() as file:
        (epoch,) = csv.DictReader(file)
    assert float(epoch["val_loss"]) == pytest.approx(
        finished.metrics["phases"]["finetune"]["validation"]["loss"], rel=1e-4
    )


def test_names_in_any_case_are_the_same_run(finished):
    config = small_config()
    shouted = small_config(
        data=dataclasses.replace(config.data, source="DIGITS:0-2", augmentation="Shift"),
        backbone=dataclasses.replace(config.backbone, name="mobilenet", weights="None"),
        task=tfl.TaskConfig(name="MultiClass"),
        head=tfl.HeadConfig(pooling="AVG"),
        probe=tfl.ProbeConfig(solver="LBFGS"),
        finetune=dataclasses.replace(config.finetune, batch_norm="Frozen", class_weight="None"),
    )
    assert tfl.transfer(shouted, finished.workdir).metrics == finished.metrics  # said to be finished, not another's


def test_the_same_config_gives_the_same_run_to_the_bit(finished, tmp_path):
    again = tfl.transfer(small_config(), tmp_path / "w")
    assert again.metrics == finished.metrics
    for ours, theirs in zip(again.model.get_weights(), finished.model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_finished_run_is_not_run_again(finished, monkeypatch):
    monkeypatch.setattr(recipe, "solve_head", None)
    again = tfl.transfer(small_config(), finished.workdir)
    assert again.metrics == finished.metrics


def test_a_run_stopped_after_phase_1_goes_on_from_there(finished, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(recipe, "finetune", lambda run, probe: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            tfl.transfer(small_config(), tmp_path / "w")
    assert not (tmp_path / "w" / "metrics.json").exists()
    monkeypatch.setattr("tfl.recipe.probe.choose_head", None)  # nothing is solved again
    again = tfl.transfer(small_config(), tmp_path / "w")
    assert again.metrics == finished.metrics


def test_fine_tuning_that_is_worse_is_not_kept(tmp_path):
    wild = tfl.FinetuneConfig(epochs=1, unfreeze="all", learning_rate=10.0, optimizer="sgd", schedule="constant")
    result = tfl.transfer(small_config(finetune=wild), tmp_path / "w")
    assert result.metrics["kept"] == "probe"
    assert result.metrics["test"]["num_examples"] == result.metrics["num_examples"]["test"]
    probe = result.metrics["phases"]["probe"]["validation"]
    assert result.metrics["validation"] == probe
    splits = tfl.load_data("digits:0-2", train_examples_per_class=20)
    dataset = tfl.make_dataset(splits.source, splits.validation, image_size=32, batch_size=32)
    assert tfl.evaluate(result.model, dataset)["loss"] == pytest.approx(probe["loss"], rel=1e-4)


def test_only_the_head_by_sgd_as_in_the_tutorials(tmp_path):
    config = small_config(
        probe=tfl.ProbeConfig(solver="none"),
        finetune=tfl.FinetuneConfig(epochs=2, unfreeze="0", optimizer="sgd", learning_rate=1e-2, schedule="step"),
    )
    result = tfl.transfer(config, tmp_path / "w")
    assert result.metrics["kept"] == "finetune"
    assert result.metrics["contract"]["finetune"]["trainable_variables"] == 2


def test_hidden_layers_are_trained_on_stored_features(tmp_path, keras_home):
    config = small_config(backbone=PRETRAINED, head=tfl.HeadConfig(hidden_units=(16,), dropout=0.1))
    config.finetune = tfl.FinetuneConfig()
    result = tfl.transfer(config, tmp_path / "w")
    assert result.metrics["phases"]["probe"]["epochs"] >= 1
    assert result.metrics["test"]["accuracy"] > 0.6  # chance is a third


def arrays(count=60, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count)
    images = rng.integers(0, 120, (count, 32, 32, 3)) + 100 * labels[:, None, None, None]
    return images.astype(np.uint8), labels


@pytest.mark.parametrize("kind", ["arrays", "dataset", "splits"])
def test_data_from_python(tmp_path, keras_home, kind):
    images, labels = arrays()
    data = {
        "arrays": lambda: (images, labels),
        "dataset": lambda: tf.data.Dataset.from_tensor_slices((images, labels)),
        "splits": lambda: {"train": (images[:40], labels[:40]), "test": (images[40:], labels[40:])},
    }[kind]()
    config = small_config(data=tfl.DataConfig(image_size=32), backbone=PRETRAINED, finetune=tfl.FinetuneConfig())
    result = tfl.transfer(config, tmp_path / "w", data=data)
    assert result.metrics["test"]["accuracy"] == 1.0
    if kind == "splits":
        assert result.metrics["test"]["num_examples"] == 20
    assert "from Python data" in (tmp_path / "w" / "MODEL_CARD.md").read_text()
    assert "images from digits" not in (tmp_path / "w" / "report.html").read_text()
    recorded = tfl.TransferConfig.from_dict(json.loads((tmp_path / "w" / "config.json").read_text()))
    with pytest.raises(tfl.InputError, match="because this run was trained on Python data"):
        tfl.transfer(recorded, tmp_path / "again")
    assert tfl.transfer(recorded, tmp_path / "w", data=data).metrics == result.metrics


@pytest.mark.parametrize(
    ("target", "labels", "metric", "at_least"),
    [
        ("binary", lambda y: y, "accuracy", 0.95),
        ("multilabel", lambda y: np.stack([y, 1 - y], axis=1).astype(np.float32), "accuracy", 0.95),
        ("regression", lambda y: (3.0 * y + 1.0).astype(np.float32), "r2", 0.9),
    ],
)
def test_other_targets(tmp_path, keras_home, target, labels, metric, at_least):
    images, classes = arrays()
    config = small_config(
        data=tfl.DataConfig(image_size=32),
        backbone=PRETRAINED,
        task=tfl.TaskConfig(name=target),
        finetune=tfl.FinetuneConfig(epochs=1, unfreeze="0"),
    )
    result = tfl.transfer(config, tmp_path / "w", data=(images, labels(classes)))
    assert result.metrics["test"][metric] >= at_least


def test_values_of_any_unit_are_learned_alike(tmp_path, keras_home):
    """Around 1,000 a hidden head would spend its epochs on the way to the mean."""
    images, classes = arrays()
    results = []
    for name, labels in (("one", 1.0 * classes), ("thousand", 1024.0 + 64.0 * classes)):
        config = small_config(
            data=tfl.DataConfig(image_size=32),
            backbone=PRETRAINED,
            task=tfl.TaskConfig(name="regression"),
            head=tfl.HeadConfig(hidden_units=(16,)),
            finetune=tfl.FinetuneConfig(epochs=1, unfreeze="0", optimizer="sgd", learning_rate=0.01),
        )
        results.append(tfl.transfer(config, tmp_path / name, data=(images, labels.astype(np.float32))).metrics)
    one, thousand = results
    assert thousand["test"]["r2"] > 0.8
    assert thousand["test"]["r2"] == pytest.approx(one["test"]["r2"], abs=0.03)
    for phase in ("probe", "finetune"):
        errors = [metrics["phases"][phase]["validation"]["mean_absolute_error"] for metrics in results]
        assert errors[1] == pytest.approx(64 * errors[0], rel=0.15), phase
    files = (tmp_path / name / "history.csv" for name in ("one", "thousand"))
    shown = [float(row["val_mean_absolute_error"]) for file in files for row in csv.DictReader(file.open())]
    assert shown[1] == pytest.approx(64 * shown[0], rel=0.15)
    assert shown[1] == pytest.approx(errors[1], rel=0.05)  # what is shipped answers in the user's units


def test_the_screen_and_the_history_show_errors_in_the_users_units(tmp_path, capsys):
    images, classes = arrays()
    labels = np.stack([1000.0 + 64 * classes, 3.0 * classes], axis=1).astype(np.float32)
    config = small_config(
        data=tfl.DataConfig(image_size=32),
        backbone=PRETRAINED,
        task=tfl.TaskConfig(name="regression"),
        finetune=tfl.FinetuneConfig(epochs=2, unfreeze="0", learning_rate=1e-9),  # the network stays as it is
    )
    metrics = tfl.transfer(config, tmp_path / "run", data=(images, labels)).metrics
    expected = metrics["phases"]["probe"]["validation"]["mean_absolute_error"]
    rows = list(csv.DictReader((tmp_path / "run" / "history.csv").open()))
    assert [float(row["val_mean_absolute_error"]) for row in rows] == pytest.approx([expected] * 2, rel=1e-3)
    assert f"mean absolute error {expected:.3g}" in capsys.readouterr().err


def test_labels_of_another_kind_are_refused_before_anything_is_written(tmp_path):
    images, labels = arrays()
    cases = {
        "values as float": ("regression", labels),
        "labels.astype(int)": ("multiclass", labels.astype(np.float32)),
        "rows of 0 and 1": ("multilabel", labels),
        "np.argmax(labels, axis=1)": ("multiclass", np.eye(labels.max() + 1)[labels]),
    }
    for remedy, (target, wrong) in cases.items():
        with pytest.raises(InputError, match=r"`task\.name` must fit the labels.*" + re.escape(remedy)):
            tfl.transfer(small_config(task=tfl.TaskConfig(name=target)), tmp_path / "w", data=(images, wrong))
    assert not (tmp_path / "w").exists()


def test_a_typo_costs_nothing_and_leaves_nothing(tmp_path):
    with pytest.raises(InputError, match="Did you mean 'MobileNetV2'"):
        tfl.transfer(small_config(backbone=tfl.BackboneConfig(name="MobilNetV2")), tmp_path / "w")
    assert not (tmp_path / "w").exists()


def test_pretraining_and_the_comparison_live_in_the_workdir(tmp_path):
    config = small_config(
        pretrain=tfl.PretrainConfig(source="digits:3-5", epochs=1), scratch=tfl.ScratchConfig(epochs=1)
    )
    result = tfl.transfer(config, tmp_path / "w")
    assert set(result.metrics["comparison"]) == {"frozen", "fine_tuned", "from_scratch"}
    pretrained = tfl.load_model(tmp_path / "w" / "pretrain")
    assert pretrained.metadata.class_names == ("3", "4", "5")
    (start,) = [w for w in pretrained.weights if w.path == "conv1/kernel"]
    (now,) = [w for w in result.model.weights if w.path == "conv1/kernel"]
    np.testing.assert_array_equal(now, start)  # the transferred stem is the pre-trained one, untouched


@pytest.mark.parametrize("stopped", [False, True])
def test_a_workdir_belongs_to_its_data(tmp_path, monkeypatch, stopped):
    images, labels = arrays()
    config = small_config(data=tfl.DataConfig(image_size=32))
    with monkeypatch.context() as patch:
        if stopped:
            patch.setattr(recipe, "finetune", lambda run, probe: (_ for _ in ()).throw(KeyboardInterrupt))
        with contextlib.suppress(KeyboardInterrupt):
            tfl.transfer(config, tmp_path / "w", data=(images, labels))
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "w").rglob("*")}
    changed, swapped = images.copy(), labels.copy()
    changed[7, 0, 0, 0] ^= 1
    swapped[7] = 1 - swapped[7]
    for data, expected in (
        ((changed, labels), r"1 changed \(first: 7\)"),
        ((images, swapped), r"changed \(first: "),
        ((images[:-1], labels[:-1]), r"1 gone \(first: 59\)"),
        ((np.concatenate([images, images]), np.concatenate([labels, labels])), r"60 new \(first: "),
    ):
        with pytest.raises(InputError, match=f"the folder of a run on the same data. Received: .*{expected}"):
            tfl.transfer(config, tmp_path / "w", data=data)
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "w").rglob("*")}


@pytest.mark.parametrize("damage", ["cut model", "no model", "cut record"])
def test_a_damaged_phase_is_done_again(finished, tmp_path, monkeypatch, damage):
    with monkeypatch.context() as patch:
        patch.setattr(recipe, "finetune", lambda run, probe: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            tfl.transfer(small_config(), tmp_path / "w")
    model, record = (tmp_path / "w" / "checkpoints" / name for name in ("probe.keras", "probe.json"))
    if damage == "cut model":
        model.write_bytes(model.read_bytes()[:2000])
    elif damage == "no model":
        model.unlink()
    else:
        record.write_text(record.read_text()[:40])
    (tmp_path / "w" / ".writing-abc").mkdir()  # of a process that was killed
    again = tfl.transfer(small_config(), tmp_path / "w")
    assert again.metrics == finished.metrics
    assert not (tmp_path / "w" / ".writing-abc").exists()


def test_training_that_diverges_is_one_line_that_names_the_learning_rate(tmp_path):
    wild = tfl.FinetuneConfig(epochs=2, unfreeze="all", learning_rate=1e30)
    with pytest.raises(InputError, match=r"`finetune\.learning_rate` must be small enough .*2 of 4 steps"):
        tfl.transfer(small_config(finetune=wild), tmp_path / "w")


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_wild_learning_rate_is_no_false_alarm(tmp_path, optimizer):
    wild = tfl.FinetuneConfig(epochs=2, unfreeze="all", learning_rate=1.0, optimizer=optimizer)
    assert tfl.transfer(small_config(finetune=wild), tmp_path / "w").metrics["contract"]["finetune"]


def test_labels_between_0_and_1_are_no_multilabel(tmp_path):
    images, labels = arrays()
    soft = np.stack([0.9 * labels, 1.0 - labels], axis=1).astype(np.float32)
    with pytest.raises(InputError, match=r"`labels` must be 0 or 1 for multilabel and 2 outputs"):
        tfl.transfer(small_config(task=tfl.TaskConfig(name="multilabel")), tmp_path / "w", data=(images, soft))


def test_a_stream_that_shuffles_itself_is_one_line(tmp_path):
    images, labels = arrays()
    shuffled = tf.data.Dataset.from_tensor_slices((images, labels)).shuffle(60)
    with pytest.raises(InputError, match=r"must give the same examples in the same order on every pass"):
        tfl.transfer(small_config(data=tfl.DataConfig(image_size=32)), tmp_path / "w", data=shuffled)
