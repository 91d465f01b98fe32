"""Finished runs without training: the files of a workdir, written from random numbers."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import layers

from tfl.backbones import build_backbone
from tfl.config import DataConfig, FinetuneConfig, TaskConfig, TransferConfig
from tfl.data import Splits, load_data
from tfl.evaluation import Predictions
from tfl.evaluation.slices import slice_by_category
from tfl.evaluation.summary import summarize
from tfl.evaluation.tables import write_predictions
from tfl.models import HeadSpec, Metadata, build_classifier, save_model
from tfl.workdir import Workdir, write_csv, write_json

SIZE = 32
TEMPERATURE = 1.2


@dataclasses.dataclass
class Run:
    """A finished workdir, and what is in it."""

    path: object
    model: keras.Model
    splits: Splits
    config: TransferConfig
    metrics: dict
    evaluation: dict


def tiny_classifier(target, names, hidden=()):
    keras.utils.set_random_seed(0)
    image = keras.Input((SIZE, SIZE, 3))
    maps = layers.Conv2D(8, 5, 4, activation="relu", padding="same")(layers.Rescaling(1 / 255)(image))
    metadata = Metadata("MobileNetV2", 1.0, SIZE, target, tuple(names), TEMPERATURE)
    head = HeadSpec(1 if target == "binary" else len(names), hidden_units=hidden)
    return build_classifier(keras.Model(image, maps), head, metadata)


def labels_of(target, count, num_classes, rng):
    if target == "regression":
        return rng.normal(size=count).astype(np.float32)
    if target == "multilabel":
        return rng.integers(0, 2, (count, num_classes)).astype(np.float32)
    return np.concatenate([np.arange(num_classes), rng.integers(0, num_classes, count - num_classes)])


def logits_of(target, labels, num_classes, rng):
    noise = rng.normal(size=(len(labels), 1 if target in ("binary", "regression") else num_classes))
    if target == "regression":
        return noise * 0.3 + labels[:, None]
    if target == "binary":
        return noise * 2 + 3 * (2 * labels[:, None] - 1)
    truth = labels if target == "multilabel" else np.eye(num_classes)[labels]
    return noise * 2 + 4 * truth - (2 if target == "multilabel" else 0)


@pytest.fixture
def make_run(tmp_path):
    """Return what writes a finished workdir of a target, with as many classes and test images as asked."""

    def make(target="multiclass", names=("ant", "bee", "cat"), num_test=60, *, measured=True, fine_tuned=True):
        rng = np.random.default_rng(0)
        names = ("value",) if target == "regression" else tuple(names)
        sizes = {"train": max(60, 2 * len(names)), "validation": max(30, len(names)), "test": num_test}
        images = rng.integers(0, 256, (sum(sizes.values()), 12, 16, 3)).astype(np.uint8)
        labels = {split: labels_of(target, count, len(names), rng) for split, count in sizes.items()}
        cuts = np.split(images, np.cumsum(list(sizes.values()))[:-1])
        data = {split: (part, labels[split]) for split, part in zip(sizes, cuts, strict=True)}
        splits = load_data(data)
        if target != "regression":
            index = dataclasses.replace(splits.index, class_names=names)
            splits = Splits(splits.source.with_index(index))
        config = TransferConfig(
            data=DataConfig(source="digits", image_size=SIZE),
            task=TaskConfig(name=target),
            finetune=FinetuneConfig(epochs=3 if fine_tuned else 0),
        )
        return write_run(tmp_path / "run", config, splits, tiny_classifier(target, names), measured)

    return make


def write_run(path, config, splits, model, measured):
    rng, target, names = np.random.default_rng(1), config.task.name, model.metadata.class_names
    run = Workdir(path)
    write_json(run / "config.json", config.to_dict())
    save_model(model, run / "model.keras")
    splits.index.write_csv(run / "splits.csv")
    write_csv(run / "quarantine.csv", ["path", "reason"], [])
    tables = {}
    for split in ("validation", "test"):
        rows = getattr(splits, split)
        labels = splits.index.labels[rows]
        tables[split] = Predictions(rows, labels, logits_of(target, labels, len(names), rng), target)
    write_predictions(tables["test"], run / "predictions.csv", splits.index.ids, names)
    evaluation = {}
    if measured:
        halves = slice_by_category([("dark", "bright")[row % 2] for row in range(len(splits.test))])
        evaluation = summarize(
            tables["test"],
            names,
            temperature=TEMPERATURE,
            validation=tables["validation"],
            slicings={"brightness": halves},
        ).to_dict()
        write_json(run / "evaluation.json", evaluation)
    metrics = metrics_of(config, splits, tables)
    if config.finetune.epochs:
        write_history(run, [(0.6, 0.7), (0.4, 0.5), (0.2, 0.6)])
    write_json(run / "metrics.json", metrics)
    return Run(run.path, model, splits, config, metrics, evaluation)


def write_history(run, losses):
    rows = [[epoch, 0.8, loss, 0.0, 0.7, validation] for epoch, (loss, validation) in enumerate(losses, start=1)]
    write_csv(run / "history.csv", ["epoch", "accuracy", "loss", "skipped_steps", "val_accuracy", "val_loss"], rows)


def metrics_of(config, splits, tables):
    test, validation = tables["test"].metrics(), tables["validation"].metrics()
    path = [{"l2": 10.0**-k, "validation_loss": 1 + (k - 2) ** 2, "validation_accuracy": 0.5} for k in range(5)]
    probe = {"l2": 0.01, "objective": 0.1, "path": path, "validation": validation | {"loss": 0.6}}
    tuned = {"unfrozen": "1", "trainable_parameters": 1234, "validation": validation | {"loss": 0.5}}
    contract = {"phase": "probe", "frozen_variables": 10, "frozen_changed": 0, "penalty": 0.1}
    metrics = {
        "test": test,
        "validation": validation,
        "kept": "finetune" if config.finetune.epochs else "probe",
        "num_examples": {name: len(getattr(splits, name)) for name in ("train", "validation", "test")},
        "phases": {"probe": probe} | ({"finetune": tuned} if config.finetune.epochs else {}),
        "contract": {"probe": contract, "evaluate test": {"examples": len(splits.test), "each_once": True}},
    }
    if config.finetune.epochs:
        metrics["contract"]["finetune"] = {**contract, "phase": "finetune", "learning_rate_ratios": {"all": 1.0}}
    return metrics


@pytest.fixture
def family_model():
    """Return what builds a small classifier of a family with random weights."""

    def build(family):
        metadata = Metadata(family, 1.0, 96, "multiclass", ("a", "b"))
        return build_classifier(build_backbone(family, image_size=96, weights="none"), HeadSpec(2), metadata)

    return build
