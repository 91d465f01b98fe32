"""Training on maps from the solved head: what is kept, what resumes, what is named, and the same on two devices."""

import json
import logging
import os

import keras
import numpy as np
import pytest
import tensorflow as tf
import warm
from doc_blocks import ROOT, blocks_of
from masks import VOID, draw, write_masks
from option_runs import build_tiny, make_config, tiny_networks

import tfl
from tfl.data import load_data, make_dataset
from tfl.features import Extractor, StoredPhase, View
from tfl.models.classifier import logits_layer
from tfl.models.heads import HeadSpec
from tfl.models.metadata import Metadata
from tfl.recipe import finetune
from tfl.tasks.regions import iou, mean_of_known

COUNTS = {"train": 16, "val": 8, "test": 4}
OPTIONS = {
    "task.name": "segmentation",
    "segmentation.ignore_label": VOID,
    "data.augmentation": "light",
    "data.batch_size": 4,
    "finetune.epochs": 3,
    "finetune.unfreeze": "all",
    "finetune.learning_rate": 3e-3,
}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return write_masks(tmp_path_factory.mktemp("masks") / "squares", COUNTS)


@pytest.fixture(scope="module")
def config(photos):
    with tiny_networks():
        yield make_config(photos, photos.parent / "store", OPTIONS | {"data.source": f"masks:{photos}"})


@pytest.fixture(scope="module")
def run(config, photos):
    return tfl.transfer(config, photos.parent / "run")


def held_out(model, photos):
    """Return the logits and the masks of the validation images."""
    kind = model.metadata.input
    splits = load_data(f"masks:{photos}", kind=kind, ignore_label=VOID)
    (batch,) = make_dataset(splits.source, splits.validation, image_size=32, batch_size=8)
    return model(batch["input"], training=False).numpy().astype(float), batch["label"].numpy()


def overlap(logits, masks):
    counted, predicted = masks != 255, logits.argmax(axis=-1)
    flat = np.bincount(3 * masks[counted].astype(int) + predicted[counted], minlength=9)
    return float(mean_of_known(iou(flat.reshape(3, 3))))


def test_training_from_the_solved_head_is_kept_by_its_mean_iou(run, photos):
    metrics, phases = run.metrics, run.metrics["phases"]
    assert metrics["kept"] == "finetune"
    for name in ("probe", "finetune"):
        assert metrics["choice"][name] == pytest.approx(1 - phases[name]["validation"]["mean_iou"], abs=1e-12)
    assert metrics["choice"]["finetune"] < metrics["choice"]["probe"]
    assert metrics["choice"]["low"] <= metrics["choice"]["difference"] <= metrics["choice"]["high"]
    logits, masks = held_out(run.model, photos)
    assert metrics["validation"]["mean_iou"] == pytest.approx(overlap(logits, masks), abs=1e-6)
    text = (run.workdir / "report.html").read_text()
    assert "1 - mean IoU" in text


def test_the_adjustment_of_the_trained_model_is_the_best_one(run, photos):
    logits, masks = held_out(run.model, photos)
    splits = load_data(f"masks:{photos}", kind=run.model.metadata.input, ignore_label=VOID)
    (batch,) = make_dataset(splits.source, splits.train, image_size=32, batch_size=16)
    counts = np.bincount(batch["label"].numpy().ravel(), minlength=256)[:3]
    offsets, chosen = np.log(counts / counts.sum()), run.metrics["phases"]["finetune"]["logit_adjustment"]
    scores = {tau: overlap(logits + (chosen - tau) * offsets, masks) for tau in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)}
    assert scores[chosen] == max(scores.values())


def test_a_run_stopped_in_its_second_epoch_goes_on_to_the_same_bits(run, config, photos, monkeypatch):
    epochs: list[int] = []

    class Watched(finetune.StepScalars):
        def on_epoch_begin(self, epoch, logs=None):
            epochs.append(epoch)

        def on_steps(self, rows):
            super().on_steps(rows)
            if len(epochs) == 2:
                raise KeyboardInterrupt

    monkeypatch.setattr(finetune, "StepScalars", Watched)
    with pytest.raises(KeyboardInterrupt):
        tfl.transfer(config, photos.parent / "stopped")
    resumed = tfl.transfer(config, photos.parent / "stopped")
    assert epochs == [0, 1, 1, 2]
    for first, second in zip(resumed.model.get_weights(), run.model.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)
    for name in ("predictions.csv", "validation_predictions.csv", "history.csv"):
        assert (resumed.workdir / name).read_bytes() == (run.workdir / name).read_bytes(), name
    assert resumed.metrics == run.metrics


@pytest.mark.parametrize(("unfreeze", "views"), [("1", 0), ("0", 1)])
def test_a_part_is_trained_on_stored_activations_of_versions(unfreeze, views, photos, tmp_path):
    options = OPTIONS | {"data.source": f"masks:{photos}", "finetune.unfreeze": unfreeze, "features.views": views}
    options |= {"data.augmentation": "light" if views else "none", "finetune.epochs": 2}
    with tiny_networks():
        result = tfl.transfer(make_config(photos, tmp_path / "store", options), tmp_path / "run")
    contract = result.metrics["contract"]["finetune"]
    assert contract["frozen_changed"] == 0 and result.metrics["test"]["mean_iou"] > 0.4
    losses = [point["validation_loss"] for point in result.metrics["phases"]["finetune"]["line"]]
    assert losses[-1] < result.metrics["phases"]["probe"]["validation"]["loss"]


def test_training_from_random_weights_is_compared(photos, tmp_path):
    options = OPTIONS | {"data.source": f"masks:{photos}", "finetune.epochs": 0, "scratch.epochs": 2}
    with tiny_networks():
        result = tfl.transfer(make_config(photos, tmp_path / "store", options), tmp_path / "run")
    comparison = result.metrics["comparison"]
    assert comparison["frozen"]["mean_iou"] == pytest.approx(result.metrics["test"]["mean_iou"])
    assert 0 < comparison["from_scratch"]["mean_iou"] < 1
    assert "logit_adjustment" in json.loads((tmp_path / "run/scratch/metrics.json").read_text())["phases"]["finetune"]


def test_stored_versions_come_with_the_masks_of_their_pixels(photos):
    kind = tfl.inputs.get_input("image").sized(32)
    splits = load_data(f"masks:{photos}", kind=kind, ignore_label=VOID)
    images = keras.Input((32, 32, 3))
    extractor = Extractor(keras.Model(images, keras.layers.Rescaling(1.0)(images)), splits.source, 32)
    views = [View("light", 0, number) for number in (0, 1)]
    phase = StoredPhase(extractor, splits.train, views, 4, seed=0)
    for epoch in (0, 1):
        found = {int(example["id"]): example for example in phase(epoch).unbatch()}
        for batch in make_dataset(
            splits.source, splits.train, image_size=32, batch_size=4, augmentation="light", epoch=epoch, shuffle=False
        ):
            for row, pixels, mask in zip(batch["id"].numpy(), batch["input"], batch["label"], strict=True):
                np.testing.assert_array_equal(found[row]["input"], tf.cast(pixels, tf.float32))
                np.testing.assert_array_equal(found[row]["label"], mask)


def test_an_image_with_a_pixel_that_is_not_finite_is_named_and_changes_nothing(caplog):
    pixels, masks = map(np.stack, zip(*(draw(np.random.default_rng(number)) for number in range(8)), strict=True))
    pixels = pixels.astype(np.float32)
    pixels[5, 3, 2, 1] = np.nan
    keras.utils.set_random_seed(0)
    backbone = build_tiny(input_tensor=keras.Input((32, 32, 3), name="image"))
    model = tfl.build_classifier(
        backbone, HeadSpec(3, stands_on="map"), Metadata("MobileNet", 1.0, 32, "segmentation", ("a", "b", "c"))
    )
    tfl.compile(model, tfl.make_optimizer("sgd", 0.1), loss="segmentation")
    before = logits_layer(model).kernel.numpy()
    logging.getLogger("absl").propagate = True
    data = tf.data.Dataset.from_tensor_slices(
        {"input": pixels, "label": np.where(masks == VOID, 255, masks).astype(np.uint8), "id": np.arange(8)}
    )
    with caplog.at_level("WARNING", logger="absl"):
        history = tfl.fit(model, data.batch(8), epochs=1)
    assert history.history["skipped_steps"] == [1] and "Their examples: 5." in caplog.text
    np.testing.assert_array_equal(logits_layer(model).kernel.numpy(), before)
    history = tfl.fit(model, data.filter(lambda example: example["id"] != 5).batch(7), epochs=8)
    assert history.history["skipped_steps"] == [0] * 8 and history.history["loss"][-1] < history.history["loss"][0]


def test_the_command_of_the_page_trains_on_two_devices_as_on_one(tmp_path):
    """The one in docs/how-to/segmentation.md, with a network of three layers and fewer epochs."""
    _, block, *_ = (block for block in blocks_of(ROOT / "docs/how-to/segmentation.md") if block.language == "sh")
    (line,) = block.lines
    write_masks(tmp_path / "streets", COUNTS)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    results = {}
    for strategy in ("one", "cpu:2"):
        workdir = tmp_path / strategy.replace(":", "")
        options = {"finetune.epochs": 2, "strategy": strategy, "data.image_size": 32}
        words = [f"--workdir={workdir}", *(f"--config.{name}={value}" for name, value in options.items())]
        done = warm.run([ROOT / "tests" / "doc_program.py", *line.split(), *words], environment, tmp_path)
        assert done.returncode == 0, done.stderr[-3000:]
        weights = keras.saving.load_model(workdir / "model.keras", compile=False).get_weights()
        results[strategy] = json.loads((workdir / "metrics.json").read_text()), weights
    (one, first), (two, second) = results.values()
    assert one["kept"] == two["kept"]
    assert one["test"]["mean_iou"] == pytest.approx(two["test"]["mean_iou"], abs=0.005)
    for alone, divided in zip(first, second, strict=True):
        np.testing.assert_allclose(alone, divided, atol=2e-4)
