"""Training of a detector from its solved head: what is kept, versions with moved boxes, and what is named."""

import csv
import json
import logging
import os

import keras
import numpy as np
import pytest
import tensorflow as tf
import warm
from doc_blocks import ROOT, blocks_of
from drawn_boxes import COLOURS, SIDE, draw, write_boxes
from option_runs import build_tiny, make_config, tiny_networks
from PIL import Image

import tfl
from tfl.build import load_splits
from tfl.features import Extractor, StoredPhase, View
from tfl.features.cells import rows_of_cells
from tfl.models.classifier import logits_layer, split_at_features
from tfl.models.heads import HeadSpec
from tfl.models.metadata import Metadata
from tfl.tasks import get_task
from tfl.tasks.boxes.matching import match
from tfl.tasks.boxes.precision import figures
from tfl.tasks.boxes.values import Boxes

COUNTS = {"train": 24, "val": 8, "test": 8}
OPTIONS = {
    "task.name": "detection",
    "data.image_size": SIDE,
    "data.augmentation": "light",
    "data.batch_size": 4,
    "finetune.epochs": 8,
    "finetune.unfreeze": "all",
    "finetune.learning_rate": 1e-3,
}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return write_boxes(tmp_path_factory.mktemp("boxes") / "squares", COUNTS)


def config_of(photos, **options):
    return make_config(photos, photos.parent / "store", OPTIONS | {"data.source": f"boxes:{photos}"} | options)


@pytest.fixture(scope="module")
def run(photos):
    with tiny_networks():
        yield tfl.transfer(config_of(photos, **{"finetune.learning_rate": 5e-5}), photos.parent / "run")


def test_training_from_the_solved_head_is_kept_by_its_average_precision(run, photos):
    metrics, phases = run.metrics, run.metrics["phases"]
    assert metrics["kept"] == "finetune"
    for name in ("probe", "finetune"):
        assert metrics["choice"][name] == pytest.approx(1 - phases[name]["validation"]["ap"], abs=1e-12)
    assert metrics["choice"]["finetune"] < metrics["choice"]["probe"]
    errors = [point["validation_error"] for point in phases["finetune"]["line"]]
    assert len(errors) == 2 and min(errors) == pytest.approx(metrics["choice"]["finetune"], abs=1e-12)
    assert metrics["choice"]["low"] <= metrics["choice"]["difference"] <= metrics["choice"]["high"]
    with tiny_networks():
        splits = load_splits(config_of(photos))
    images = np.stack([np.asarray(Image.open(path)) for path in splits.index.paths[splits.validation]])
    found = get_task("detection").scores(run.model(images, training=False))
    truth = [Boxes.of(rows) for rows in splits.source.boxes(splits.validation)]
    expected = figures(match(truth, [Boxes.of(rows) for rows in found], 2), np.ones((1, len(truth))))
    assert metrics["validation"]["ap"] == pytest.approx(expected["ap"][0], abs=1e-4)


def test_a_network_that_training_made_worse_is_not_kept(photos, tmp_path, capsys):
    with tiny_networks():
        result = tfl.transfer(
            config_of(photos, **{"finetune.epochs": 1, "finetune.learning_rate": 1.0}), tmp_path / "w"
        )
    metrics, solved = result.metrics, result.metrics["phases"]["probe"]["validation"]
    assert metrics["kept"] == "probe" and metrics["validation"] == solved
    assert metrics["phases"]["finetune"]["validation"]["ap"] < solved["ap"]
    assert "fine-tuning does not lower the validation error 1 - ap" in capsys.readouterr().err.lower()
    probe = tfl.load_model(tmp_path / "w" / "checkpoints" / "probe.keras")
    for ours, theirs in zip(result.model.get_weights(), probe.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(("unfreeze", "views"), [("1", 0), ("0", 1)])
def test_a_part_is_trained_on_stored_activations_of_versions(unfreeze, views, photos, tmp_path):
    options = {"finetune.unfreeze": unfreeze, "features.views": views, "finetune.epochs": 2}
    with tiny_networks():
        config = config_of(photos, **options, **{"data.augmentation": "light" if views else "none"})
        result = tfl.transfer(config, tmp_path / "run")
    contract = result.metrics["contract"]["finetune"]
    assert contract["frozen_changed"] == 0
    with (result.workdir / "history.csv").open() as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file)]
    assert losses[-1] < losses[0]


def test_stored_versions_come_with_the_boxes_of_their_pixels(photos):
    """In every version the pixels of a square, and no others, are in its box."""
    with tiny_networks():
        splits = load_splits(config_of(photos))
    images = keras.Input((SIDE, SIDE, 3))
    extractor = Extractor(keras.Model(images, keras.layers.Rescaling(1.0)(images)), splits.source, SIDE)
    phase = StoredPhase(extractor, splits.train, [View("light", 0, number) for number in (0, 1)], 4, seed=0)
    moved = 0
    for epoch in (0, 1):
        for example in phase(epoch).unbatch():
            pixels, boxes = example["input"].numpy(), example["label"].numpy()
            (plain,) = splits.source.boxes(np.array([int(example["id"])]))
            for x1, y1, x2, y2, number in boxes[boxes[:, 4] >= 0]:
                is_blue = splits.source.names[int(number)] == "blue"
                strong = (pixels[..., 2] - pixels[..., 0] if is_blue else pixels[..., 0] - pixels[..., 2]) > 60
                left, top, right, bottom = np.round([x1, y1, x2, y2]).astype(int)
                inside, around = np.s_[top + 2 : bottom - 2, left + 2 : right - 2], np.ones(strong.shape, bool)
                around[max(top - 2, 0) : bottom + 2, max(left - 2, 0) : right + 2] = False
                assert strong[around].mean() < 0.02 and (not strong[inside].size or strong[inside].mean() > 0.9)
                moved += np.abs(plain[plain[:, 4] == number][0, :4] - [x1, y1, x2, y2]).max() > 2
    assert moved > 24


def test_the_head_is_solved_on_the_cells_of_all_versions(photos, run):
    with tiny_networks():
        splits = load_splits(config_of(photos))
    views = [None, View("light", 0, 0)]
    extractor = Extractor(split_at_features(run.model)[0], splits.source, SIDE)
    both = rows_of_cells(extractor(splits.train, views), splits.source, run.model, views=views)
    plain = rows_of_cells(extractor(splits.train), splits.source, run.model)
    assert len(both.classes) == 2 * len(plain.classes) == 2 * 24 * 64
    count = len(plain.distances)
    np.testing.assert_array_equal(both.distances.labels[:count], plain.distances.labels)
    np.testing.assert_allclose(both.distances.values[np.arange(count)], plain.distances.values[np.arange(count)])
    assert len(both.distances) > count


def test_an_image_with_a_pixel_that_is_not_finite_is_named_and_changes_nothing(caplog):
    drawn = [draw(np.random.default_rng(number)) for number in range(8)]
    pixels, labels = np.stack([own for own, _ in drawn]).astype(np.float32), np.full((8, 2, 5), -1, np.float32)
    for row, (_, boxes) in zip(labels, drawn, strict=True):
        row[: len(boxes)] = [(*corners, list(COLOURS).index(name)) for name, *corners in boxes]
    pixels[5, 3, 2, 1] = np.nan
    keras.utils.set_random_seed(0)
    backbone = build_tiny(input_tensor=keras.Input((SIDE, SIDE, 3), name="image"))
    head = HeadSpec(7, stands_on="boxes")
    model = tfl.build_classifier(backbone, head, Metadata("MobileNet", 1.0, SIDE, "detection", ("red", "blue")))
    tfl.compile(model, tfl.make_optimizer("sgd", 1e-3), loss="detection")
    before = logits_layer(model).kernel.numpy()
    logging.getLogger("absl").propagate = True
    data = tf.data.Dataset.from_tensor_slices({"input": pixels, "label": labels, "id": np.arange(8)})
    with caplog.at_level("WARNING", logger="absl"):
        history = tfl.fit(model, data.batch(8), epochs=1)
    assert history.history["skipped_steps"] == [1] and "Their examples: 5." in caplog.text
    np.testing.assert_array_equal(logits_layer(model).kernel.numpy(), before)
    history = tfl.fit(model, data.filter(lambda example: example["id"] != 5).batch(7), epochs=8)
    assert history.history["skipped_steps"] == [0] * 8 and history.history["loss"][-1] < history.history["loss"][0]


def test_the_command_of_the_page_trains_on_two_devices_as_on_one(tmp_path):
    """The one in docs/how-to/detection.md, with a network of three layers and fewer epochs."""
    _, block, *_ = (block for block in blocks_of(ROOT / "docs/how-to/detection.md") if block.language == "sh")
    (line,) = block.lines
    write_boxes(tmp_path / "objects", COUNTS)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    results = {}
    for strategy in ("one", "cpu:2"):
        workdir = tmp_path / strategy.replace(":", "")
        options = {"finetune.epochs": 2, "strategy": strategy, "data.image_size": SIDE}
        words = [f"--workdir={workdir}", *(f"--config.{name}={value}" for name, value in options.items())]
        done = warm.run([ROOT / "tests" / "doc_program.py", *line.split(), *words], environment, tmp_path)
        assert done.returncode == 0, done.stderr[-3000:]
        weights = keras.saving.load_model(workdir / "model.keras", compile=False).get_weights()
        results[strategy] = json.loads((workdir / "metrics.json").read_text()), weights
    (one, first), (two, second) = results.values()
    assert one["kept"] == two["kept"]
    assert one["test"]["ap"] == pytest.approx(two["test"]["ap"], abs=0.02)
    for alone, divided in zip(first, second, strict=True):
        np.testing.assert_allclose(alone, divided, atol=2e-4)
