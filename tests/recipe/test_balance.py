"""What a run does about unequal classes and wrong labels: both phases, the choices between them, and what it says."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from option_runs import make_config, tiny_networks, write_photos

import tfl
from tfl.config import TransferConfig
from tfl.errors import InputError
from tfl.evaluation import Predictions
from tfl.models.balance import effective_class_weight, logit_offsets
from tfl.models.class_weights import balanced_class_weight
from tfl.recipe.balance import Balance, describe_balance
from tfl.recipe.evaluate import keep_the_better
from tfl.tasks import get_task

COUNTS = (30, 12, 6)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(tmp_path_factory.mktemp("unequal") / "photos", COUNTS)


@pytest.fixture(scope="module")
def splits(photos: Path) -> tfl.Splits:
    return tfl.load_data(f"folder:{photos}")


def balance(splits: tfl.Splits, task: str = "multiclass", **options: Any) -> Balance:
    return Balance.of(tfl.FinetuneConfig(**options), get_task(task), splits)


def test_weights_and_offsets_come_from_the_training_split_alone(splits: tfl.Splits) -> None:
    train = splits.index.labels[splits.train]
    assert len(train) < sum(COUNTS)
    plain = balance(splits)
    assert plain.class_weight is plain.step_weight is None
    assert plain.solved is plain.trained is get_task("multiclass")
    assert balance(splits, class_weight="balanced").step_weight == balanced_class_weight(train)
    effective = balance(splits, class_weight="effective", class_weight_beta=0.9)
    assert effective.class_weight == effective.step_weight == effective_class_weight(train, 0.9)
    sampled = balance(splits, sampling="balanced")
    assert sampled.step_weight is None and sampled.class_weight == balanced_class_weight(train)
    adjusted = balance(splits, logit_adjustment=0.5)
    np.testing.assert_allclose(adjusted.solved.convex.offsets, logit_offsets(train, 3, 0.5))
    assert adjusted.trained.loss().options.form == "cross_entropy"
    focal = balance(splits, loss="focal", focal_gamma=3.0)
    assert focal.solved is get_task("multiclass")
    assert (focal.trained.loss().options.form, focal.trained.loss().options.power) == ("focal", 3.0)


def test_labels_of_several_questions_have_weights_and_offsets_of_each() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (60, 4, 4, 3), np.uint8)
    labels = (rng.random((60, 2)) < [0.5, 0.2]).astype(np.float32)
    sets = tfl.load_data((images, labels))
    train = sets.index.labels[sets.train].astype(np.float64)
    weights = balance(sets, "multilabel", class_weight="balanced").trained.loss().options.label_weights
    present = train.mean(axis=0)
    np.testing.assert_allclose(weights, [0.5 / (1 - present), 0.5 / present])
    offsets = balance(sets, "multilabel", logit_adjustment=1.0).solved.convex.offsets
    np.testing.assert_allclose(offsets, np.log(present / (1 - present)))
    binary = tfl.load_data((images, (labels[:, 1] > 0).astype(int)))
    share = binary.index.labels[binary.train].mean()
    found = balance(binary, "binary", logit_adjustment=1.0).solved.convex.offsets
    np.testing.assert_allclose(found, [np.log(share / (1 - share))])


@pytest.mark.parametrize(
    "options",
    [
        {"class_weight": "balanced", "sampling": "balanced"},
        {"class_weight": "effective", "logit_adjustment": 1.0},
        {"sampling": "balanced", "logit_adjustment": 1.0},
    ],
)
def test_only_one_of_them_makes_up_for_the_sizes(options: dict[str, Any]) -> None:
    config = TransferConfig(finetune=tfl.FinetuneConfig(**options))
    with pytest.raises(InputError, match=f"`finetune.{next(iter(options))}` must be left out if finetune"):
        config.validate()


def test_what_the_data_does_not_allow_is_refused_before_the_folder_is_claimed(photos: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (30, 32, 32, 3), np.uint8)
    labels = np.stack([np.arange(30) % 2, np.ones(30)], axis=1)
    for stream, options, line in (
        (
            False,
            {"task.name": "multilabel", "finetune.logit_adjustment": 1.0},
            "logit_adjustment` must be 0 for",
        ),
        (True, {"finetune.sampling": "balanced"}, "sampling` must be 'uniform' for a source that is read"),
    ):
        data = tf.data.Dataset.from_tensor_slices((images, labels[:, 0].astype(int))) if stream else (images, labels)
        with tiny_networks(), pytest.raises(InputError, match=line):
            tfl.transfer(make_config(photos, tmp_path / "store", options), tmp_path / "run", data)
        assert not (tmp_path / "run" / "config.json").exists()


def test_a_run_says_which_loss_each_phase_has() -> None:
    config = TransferConfig(finetune=tfl.FinetuneConfig(epochs=1))
    assert describe_balance(config) == []
    config.finetune = tfl.FinetuneConfig(epochs=1, loss="focal", logit_adjustment=0.5)
    solved, compared, adjusted = describe_balance(config)
    assert solved == "the head is solved with cross-entropy, because the focal loss is not convex"
    assert "validation compares by cross-entropy" in compared
    assert "probabilities are those for classes of equal size only with tau 1" in adjusted
    config.head.hidden_units = (4,)
    assert not any("is not convex" in line for line in describe_balance(config))
    config.finetune = tfl.FinetuneConfig(sampling="balanced")
    assert "the head is trained with weights by which every class counts the same" in describe_balance(config)[0]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.mark.parametrize(
    "options",
    [
        {"class_weight": "effective"},
        {"sampling": "balanced"},
        {"logit_adjustment": 1.0, "mixup": 0.2},
        {"loss": "focal", "label_smoothing": 0.1},
        {"loss": "generalized_cross_entropy", "class_weight": "inverse"},
    ],
    ids=lambda options: "-".join(options),
)
def test_both_phases_run_and_the_saved_model_has_no_trace(
    options: dict[str, Any], photos: Path, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = {f"finetune.{name}": value for name, value in options.items()} | {"finetune.epochs": 1}
    config = make_config(photos, store, changed)
    with tiny_networks():
        result = tfl.transfer(config, tmp_path / "run")
        loaded = tfl.load_model(tmp_path / "run")
    said = capsys.readouterr().err
    for line in describe_balance(config.validate()):
        assert f"classes: {line}" in said
    images = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3))
    np.testing.assert_allclose(loaded(images), result.model(images), atol=1e-6)
    assert {"probe", "finetune"} == set(result.metrics["phases"])
    assert np.isfinite(result.metrics["test"]["loss"])


def test_the_phases_are_compared_with_the_offsets_of_training(splits: tfl.Splits) -> None:
    """A table that is better with the offsets is kept, although its plain loss is higher."""
    rng = np.random.default_rng(0)
    labels = splits.index.labels[splits.train]
    adjusted = balance(splits, logit_adjustment=1.0)
    fair = np.eye(3)[labels] * 2 + rng.normal(0, 1, (len(labels), 3))
    plain = fair + adjusted.solved.convex.offsets  # as a network without adjustment learns it
    ids = np.arange(len(labels))
    tables = [Predictions(ids, labels, logits, "multiclass") for logits in (fair, plain)]
    assert tables[0].losses().mean() > tables[1].losses().mean()

    class Phase:
        def __init__(self, table: Predictions) -> None:
            self.validation, self.weights = table, []

    class FakeRun:
        balance, task, config = adjusted, get_task("multiclass"), tfl.TransferConfig()
        as_learned = tfl.recipe.run.Run.as_learned

        def example_weights(self, rows: np.ndarray) -> None:
            return None

    phases = [Phase(table) for table in tables]
    kept, choice = keep_the_better(FakeRun(), phases[1], phases[0])
    assert kept is phases[0] and choice["finetune"] < choice["probe"]
    assert dataclasses.replace(tables[0], task=adjusted.solved).losses().mean() < tables[0].losses().mean()
