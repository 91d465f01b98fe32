"""Pre-training and the comparison from scratch obey the rules of a run, and say what they do not take over."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfl
from tfl.config import OF_TARGET, data_of_pretraining
from tfl.errors import InputError
from tfl.recipe.inner_runs import prepare_pretraining, prepare_scratch
from tfl.tasks import task_of_labels


def config(**sections: dict[str, Any]) -> tfl.TransferConfig:
    """Return a config on digits with a small network, and options by section."""
    made = tfl.TransferConfig()
    made.backbone.weights, made.backbone.alpha, made.data.image_size = "none", 0.35, 32
    made.data.source, made.pretrain.source = "digits:0-1", "digits:3-5"
    for section, options in sections.items():
        setattr(made, section, dataclasses.replace(getattr(made, section), **options))
    return made.validate()


SHARED = {
    "accumulate": 2,
    "max_skipped_steps": 7,
    "clip_norm": 1.0,
    "ema": 0.5,
    "class_weight": "effective",
    "class_weight_beta": 0.5,
    "loss": "focal",
    "focal_gamma": 3.0,
    "gce_q": 0.5,
    "label_smoothing": 0.1,
    "mixup": 0.2,
    "cutmix": 0.3,
}


def test_options_of_training_hold_in_both_inner_runs_and_those_of_tuning_are_named(capsys) -> None:
    tuning = {"optimizer": "sgd", "l2_sp": 0.1, "early_stopping": 3}
    asked = config(finetune=SHARED | tuning, scratch={"epochs": 2}, data={"train_examples_per_class": 9})
    for inner in (prepare_pretraining(asked).config, prepare_scratch(asked)):
        assert {name: getattr(inner.finetune, name) for name in SHARED} == SHARED
        assert inner.finetune.unfreeze == "all" and inner.finetune.batch_norm == "train"
        assert inner.finetune.optimizer == "adam" and inner.probe.solver == "none"
        assert inner == inner.validate()
    shown = capsys.readouterr().err
    for name in ("pretrain", "scratch"):
        (line,) = [
            line for line in shown.splitlines() if line.startswith(f"{name}: options that do not apply to this run: ")
        ]
        for option in tuning:
            assert f"finetune.{option}={tuning[option]}" in line
        assert not any(f"finetune.{option}" in line for option in SHARED)
        assert ("data.train_examples_per_class=9 (this run uses 0)" in line) == (name == "pretrain")
    config(scratch={"epochs": 2}).validate()
    prepare_scratch(config(scratch={"epochs": 2}))
    assert "do not apply" not in capsys.readouterr().err


def test_what_is_only_for_the_target_data_is_left_out_of_pretraining_and_named(capsys) -> None:
    values = {"train_examples_per_class": 9, "split_by": "content", "label_pattern": "([ab])", "group_pattern": "(p)"}
    values |= {"tfds_splits": "train[:9%]", "decisions": "/decisions.csv", "groups": "/groups.csv"}
    values |= {"split": (0.5, 0.25, 0.25)}
    assert values.keys() == set(OF_TARGET)
    asked = config(data=values)
    inner = prepare_pretraining(asked).config
    assert data_of_pretraining(asked) == inner.data and inner.data.source == "digits:3-5"
    shown = capsys.readouterr().err
    for name, value in values.items():
        assert getattr(inner.data, name) == getattr(tfl.DataConfig(), name)
        assert f"data.{name}={value} (this run uses " in shown


def test_every_option_of_fine_tuning_is_taken_over_or_named(capsys) -> None:
    """An option that comes later is not forgotten: it is in one of the two groups."""
    others = {"optimizer": "sgd", "schedule": "step", "batch_norm": "train", "class_weight": "balanced"}
    others |= {"loss": "focal", "sampling": "balanced"}
    replaced = ("epochs", "learning_rate", "unfreeze", "batch_norm")
    for field in dataclasses.fields(tfl.FinetuneConfig):
        value = getattr(tfl.FinetuneConfig(), field.name)
        other = others.get(field.name, not value if isinstance(value, bool) else 0.25 if type(value) is float else 2)
        if field.name in replaced:
            continue
        inner = prepare_scratch(config(finetune={field.name: other}, scratch={"epochs": 1}))
        named = f"finetune.{field.name}={other}" in capsys.readouterr().err
        assert named != (getattr(inner.finetune, field.name) == other), field.name


@pytest.mark.parametrize("target", ["binary", "multilabel", "regression"])
def test_pretraining_learns_what_its_own_labels_are(target: str, capsys) -> None:
    inner = prepare_pretraining(config(task={"name": target}))
    assert inner.config.task.name == "multiclass" and inner.splits.class_names == ("3", "4", "5")
    assert f"task.name={target} (this run uses multiclass)" in capsys.readouterr().err


def test_the_target_of_labels() -> None:
    images = np.zeros((6, 4, 4, 3), np.uint8)
    images[:, 0, 0, 0] = np.arange(6)
    rows = np.eye(3)[np.arange(6) % 3]
    for labels, target in ((np.arange(6) % 2, "multiclass"), (rows, "multilabel"), (np.arange(6) / 2, "regression")):
        splits = tfl.load_data({"train": (images, labels), "test": (images, labels)})
        assert task_of_labels(splits.index.labels).name == target


def test_cross_validation_and_the_comparison_from_scratch_do_not_go_together() -> None:
    with pytest.raises(InputError, match=r"`probe.folds` must be 0 if scratch.epochs is set.*validation"):
        config(probe={"folds": 3}, scratch={"epochs": 2})
    assert prepare_pretraining(config(probe={"folds": 3})).config.probe.folds == 0


def test_views_of_the_main_run_are_no_fault_of_an_inner_one() -> None:
    asked = config(features={"views": 2}, pretrain={"augmentation": "none"})
    assert prepare_pretraining(asked).config.features.views == 0


@pytest.mark.parametrize("source", ["digits:4", "folder:/nowhere"])
def test_a_source_of_pretraining_that_cannot_be_used_claims_no_folder(source: str, tmp_path: Path) -> None:
    asked = config()
    asked.pretrain.source, asked.finetune.epochs = source, 1
    with pytest.raises(InputError, match=r"`pretrain\.source` must"):
        tfl.transfer(asked, tmp_path / "run")
    assert not (tmp_path / "run" / "config.json").exists()
