"""Train a small U-Net decoder from random weights on the frozen network of configs/segmentation.py, for comparison.

    python benchmarks/unet_decoder.py --source=masks:seg_camvid_subset --ignore_label=11 --output=unet.json

The file has the entries of `metrics.json` that benchmarks/segmentation.py reads. The epoch with the smallest validation
loss counts, and the logits are adjusted on validation as those of the solved head are.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parents[1]))

import keras
import numpy as np
import tensorflow as tf
from absl import app, flags
from keras import layers

from configs.segmentation import get_config
from tfl.backbones.stages import find_maps
from tfl.build import load_splits
from tfl.data import EpochFeed, Splits, make_dataset
from tfl.evaluation import predict
from tfl.evaluation.intervals import bootstrap_intervals
from tfl.recipe.adjustment import TAUS
from tfl.recipe.transfer import make_backbone, prepared
from tfl.tasks.segmentation import PositionCrossEntropy

CHANNELS = 32  # of each step of the decoder: 41,000 parameters with 11 classes
LEARNING_RATE = 3e-3

_SOURCE = flags.DEFINE_string("source", None, "masks:PATH.", required=True)
_IGNORE = flags.DEFINE_integer("ignore_label", 255, "The value of masks that does not count.")
_SIZE = flags.DEFINE_integer("image_size", 480, "Pixels per side.")
_EPOCHS = flags.DEFINE_integer("epochs", 20, "Epochs of training.")
_SEED = flags.DEFINE_integer("seed", 0, "Of the weights and the order.")
_OUTPUT = flags.DEFINE_string("output", None, "JSON file for the metrics.", required=True)


def main(argv: list[str]) -> None:
    del argv
    config = get_config()
    config.data.source, config.data.image_size, config.seed = _SOURCE.value, _SIZE.value, _SEED.value
    config.segmentation.ignore_label = _IGNORE.value
    config = prepared(config)
    splits, backbone = load_splits(config), make_backbone(config, config.backbone.weights)
    model = decoder_on(backbone, len(splits.class_names))
    train(model, splits)
    Path(_OUTPUT.value).write_text(json.dumps(measure(model, splits)))


def decoder_on(backbone: keras.Model, num_classes: int) -> keras.Model:
    """Return logits at the size of the input: from the deepest map upwards, with the map of each stage beside it."""
    side, last = backbone.input.shape[1], None
    for layer in backbone.layers:
        layer.trainable = False
    for number, point in enumerate(reversed([p for p in find_maps(backbone) if p.tensor.shape[1] * 4 <= side])):
        skip = layers.Conv2D(CHANNELS, 1, name=f"decoder_skip{number}")(point.tensor)
        if last is not None:
            skip = layers.Concatenate(name=f"decoder_join{number}")([resized(last, point.tensor.shape[1]), skip])
        for half in "ab":  # depthwise separable, as in the encoder
            skip = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name=f"decoder_depth{number}{half}")(skip)
            skip = layers.Conv2D(CHANNELS, 1, use_bias=False, name=f"decoder_point{number}{half}")(skip)
            skip = layers.BatchNormalization(momentum=0.9, name=f"decoder_bn{number}{half}")(skip)
            skip = layers.ReLU(name=f"decoder_relu{number}{half}")(skip)
        last = skip
    logits = layers.Conv2D(num_classes, 1, dtype="float32", name="decoder_logits")(last)
    return keras.Model(backbone.input, resized(logits, side), name="unet")


def resized(tensor: keras.KerasTensor, side: int) -> keras.KerasTensor:
    return keras.ops.image.resize(tensor, (side, side), interpolation="bilinear")


def batches(splits: Splits, rows: np.ndarray) -> tf.data.Dataset:
    return make_dataset(splits.source, rows, image_size=_SIZE.value, batch_size=4)


def pairs(dataset: tf.data.Dataset) -> tf.data.Dataset:
    return dataset.map(lambda batch: (batch["input"], batch["label"]))


def train(model: keras.Model, splits: Splits) -> None:
    """Train the decoder by Adam on augmented images; keep the epoch of the least validation loss."""
    feed = EpochFeed(splits.source, splits.train, _SIZE.value, 4, "light", _SEED.value)
    steps = _EPOCHS.value * feed.num_batches
    each = PositionCrossEntropy()
    rate = keras.optimizers.schedules.CosineDecay(0.0, steps, warmup_target=LEARNING_RATE, warmup_steps=steps // 10)
    model.compile(keras.optimizers.Adam(rate), lambda truth, logits: each(truth, logits))
    best, kept = np.inf, model.get_weights()
    for epoch in range(_EPOCHS.value):
        model.fit(pairs(feed(epoch)), verbose=0)
        loss = model.evaluate(pairs(batches(splits, splits.validation)), verbose=0)
        if loss < best:
            best, kept = loss, model.get_weights()
        print(f"epoch {epoch + 1}: validation loss {loss:.4f}", flush=True)
    model.set_weights(kept)


def measure(model: keras.Model, splits: Splits) -> dict[str, Any]:
    """Choose tau of the adjustment on validation, and return the metrics of both splits."""
    bias, start = model.get_layer("decoder_logits").bias, model.get_layer("decoder_logits").bias.numpy()
    offsets, best = log_frequencies(splits), (-1.0, 0.0)
    for tau in TAUS:
        bias.assign(start - tau * offsets)
        found = predict(model, batches(splits, splits.validation), "segmentation").metrics()["mean_iou"]
        best = max(best, (found, -tau))
    bias.assign(start + best[1] * offsets)
    held, test = (predict(model, batches(splits, rows), "segmentation") for rows in (splits.validation, splits.test))
    return {
        "kept": "decoder",
        "parameters": sum(int(np.prod(v.shape)) for v in model.trainable_variables),
        "validation": held.metrics(),
        "test": test.metrics(),
        "intervals": bootstrap_intervals(test),
    }


def log_frequencies(splits: Splits) -> np.ndarray:
    counts = np.zeros(len(splits.class_names))
    for batch in batches(splits, splits.train):
        counts += np.bincount(batch["label"].numpy().ravel(), minlength=256)[: len(counts)]
    return np.log(np.maximum(counts, 1) / counts.sum())


if __name__ == "__main__":
    app.run(main)
