"""Seconds of an epoch of fine-tuning above a cut, on stored activations, against the same epoch of the uncut model.

    python benchmarks/cut.py --backbone=ResNet50 --image_size=128 --unfreeze=1

Both train the same weights on the same batches, taking turns; the first round, which traces, is not counted.
`share` is the part of the forward pass that lies above the cut: what an epoch should cost at best.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import statistics
import tempfile
import time
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from absl import app, flags

import tfl
from tfl.features import StoredPhase
from tfl.features.extract import PLAIN
from tfl.models.cuts import split_frozen

_BACKBONE = flags.DEFINE_string("backbone", "ResNet50", "A network of keras.applications, with random weights.")
_IMAGE_SIZE = flags.DEFINE_integer("image_size", 128, "Pixels per side.")
_UNFREEZE = flags.DEFINE_string("unfreeze", "1", "As finetune.unfreeze.")
_IMAGES = flags.DEFINE_integer("images", 128, "Training images.", lower_bound=32)
_ROUNDS = flags.DEFINE_integer("rounds", 3, "Epochs of each that are counted.", lower_bound=1)
BATCH = 32


def main(argv: list[str]) -> None:
    del argv
    images = np.random.default_rng(0).integers(0, 256, (_IMAGES.value, *2 * [_IMAGE_SIZE.value], 3), np.uint8)
    splits = tfl.load_data({"train": (images, np.arange(len(images)) % 2), "test": (images[:4], np.arange(4) % 2)})
    whole, cut = build(), build()
    halves = split_frozen(cut)
    if halves is None:
        raise app.UsageError("Nothing is frozen: no cut.")
    extractor = tfl.Extractor(
        halves.lower, splits.source, _IMAGE_SIZE.value, store=tfl.FeatureStore(tempfile.mkdtemp(), 10**10)
    )
    stored = StoredPhase(extractor, splits.train, PLAIN, BATCH, 0)
    ways: dict[str, Callable[[], object]] = {
        "uncut": trainer(whole, lambda epoch: batches(splits, epoch)),
        "cut": trainer(halves.upper, stored),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(_ROUNDS.value + 1):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            if number:
                seconds[name].append(time.perf_counter() - start)
    uncut, above = (statistics.median(seconds[name]) for name in ways)
    share = forward_share(halves, images[:BATCH])
    print("| backbone | cut | forward above the cut | uncut epoch | epoch above the cut | cut / uncut |")
    print("|---|---|---|---|---|---|")
    print(f"| {_BACKBONE.value} | {halves.cut} | {share:.2f} | {uncut:.2f} s | {above:.2f} s | {above / uncut:.2f} |")


def build() -> keras.Model:
    keras.utils.set_random_seed(0)
    backbone = tfl.build_backbone(_BACKBONE.value, image_size=_IMAGE_SIZE.value, weights="none")
    model = tfl.build_classifier(backbone, tfl.HeadSpec(2))
    tfl.unfreeze(model, _UNFREEZE.value)
    return model


def batches(splits: "tfl.data.Splits", epoch: int) -> tf.data.Dataset:
    return tfl.make_dataset(
        splits.source, splits.train, image_size=_IMAGE_SIZE.value, batch_size=BATCH, seed=0, epoch=epoch
    )


def trainer(model: keras.Model, feed: Callable[[int], tf.data.Dataset]) -> Callable[[], object]:
    tfl.compile(model, tfl.make_optimizer("sgd", 1e-3), loss="multiclass")
    return lambda: tfl.fit(model, feed, epochs=1, verbose=False)


def forward_share(halves, images: np.ndarray) -> float:
    """Time the two parts, one after the other, best of several."""
    lower, upper = (tf.function(part, autograph=False) for part in (halves.lower, halves.upper))
    below, above = [], []
    for _ in range(6):
        start = time.perf_counter()
        activations = lower(images)
        middle = time.perf_counter()
        upper(activations)
        below.append(middle - start)
        above.append(time.perf_counter() - middle)
    return min(above) / (min(above) + min(below))


if __name__ == "__main__":
    app.run(main)
