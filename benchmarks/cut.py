"""Time an epoch of fine-tuning above a cut, on stored activations, against epochs of the uncut model.

    python benchmarks/cut.py
    python benchmarks/cut.py --cases=ResNet50:1 --image_size=128 --images=128 --rounds=1

All ways train the same random weights on the same batches, and take turns. The first round traces the graphs and is
not counted.

`share`  the share of the forward pass above the cut, in processor time
`all`    the uncut model, with everything trained (BatchNorm layers are frozen in all ways), by `keras.Model.fit`
`same`   the uncut model, with the same trained layers as above the cut, by `keras.Model.fit` and by `tfl.fit`
`cut`    the part above the cut on stored activations, by `tfl.fit`
`bare`   the same number of steps (forward, backward, update) of that part, with activations in memory: `cut` cannot
         be faster

Ratios are medians over the rounds, of wall-clock time and (in brackets) of processor time, which depends less on the
load of the machine.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl import app, flags

import tfl
from tfl.features import StoredPhase
from tfl.features.view import PLAIN
from tfl.models.cuts import Halves, split_frozen
from tfl.training.update.fused_norm import fused_norms

_CASES = flags.DEFINE_list(
    "cases",
    ["MobileNetV2:block_14_expand", "ResNet50:conv4_block6_1_conv", "EfficientNetB0:block6c_expand_conv"],
    "Networks of keras.applications, with what finetune.unfreeze is; by default a quarter of each network's products.",
)
_IMAGE_SIZE = flags.DEFINE_integer("image_size", 128, "Pixels per side.", lower_bound=32)
_IMAGES = flags.DEFINE_integer("images", 256, "Training images.", lower_bound=32)
_ROUNDS = flags.DEFINE_integer("rounds", 3, "Epochs of each way that are counted.", lower_bound=1)
BATCH, RATE = 32, 1e-3


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}.")
    size = _IMAGE_SIZE.value
    images = np.random.default_rng(0).integers(0, 256, (_IMAGES.value, size, size, 3), np.uint8)
    splits = tfl.load_data({"train": (images, np.arange(len(images)) % 2), "test": (images[:4], np.arange(4) % 2)})
    columns = ["backbone", "cut", "share", "all, Keras", "same, Keras", "same, tfl", "cut", "bare"]
    print(f"| {' | '.join([*columns, 'cut / all', 'cut / same, Keras'])} |\n{'|---' * 10}|")
    for case in _CASES.value:
        name, _, unfreeze = case.partition(":")
        with tempfile.TemporaryDirectory() as folder:
            halves, ways = make_ways(name, unfreeze, splits, tfl.FeatureStore(folder, 10**11))
            seconds = run_rounds(ways)
        cells = [name, halves.cut, f"{forward_share(halves, images[:BATCH]):.2f}"]
        cells += [f"{statistics.median(wall):.2f} s" for wall, _ in seconds.values()]
        for way in ("all, Keras", "same, Keras"):
            wall, processor = (ratio(*pair) for pair in zip(seconds["cut"], seconds[way], strict=True))
            cells.append(f"{wall:.2f} ({processor:.2f})")
        print(f"| {' | '.join(cells)} |", flush=True)


def make_ways(
    name: str, unfreeze: str, splits: tfl.Splits, store: tfl.FeatureStore
) -> tuple[Halves, dict[str, Callable[[], Any]]]:
    cut = build(name, unfreeze)
    halves = split_frozen(cut)
    if halves is None:
        raise app.UsageError(f"Nothing is frozen, so there is no cut: {name}:{unfreeze}.")
    extractor = tfl.Extractor(halves.lower, splits.source, _IMAGE_SIZE.value, store=store)
    stored = StoredPhase(extractor, splits.train, PLAIN, BATCH, 0)

    def images(epoch: int) -> tf.data.Dataset:
        size = _IMAGE_SIZE.value
        return tfl.make_dataset(splits.source, splits.train, image_size=size, batch_size=BATCH, seed=0, epoch=epoch)

    return halves, {
        "all, Keras": train_by_keras(build(name, "all"), images),
        "same, Keras": train_by_keras(build(name, unfreeze), images),
        "same, tfl": train_by_tfl(build(name, unfreeze), images),
        "cut": train_by_tfl(halves.upper, stored),
        "bare": run_bare_steps(halves.upper, next(iter(stored(0)))),
    }


def build(name: str, unfreeze: str) -> keras.Model:
    keras.utils.set_random_seed(0)
    backbone = tfl.build_backbone(name, image_size=_IMAGE_SIZE.value, weights="none")
    model = tfl.build_classifier(backbone, tfl.HeadSpec(2))
    tfl.unfreeze(model, unfreeze)
    return model


def train_by_keras(model: keras.Model, feed: Callable[[int], tf.data.Dataset]) -> Callable[[], Any]:
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(RATE), loss, metrics=["accuracy"], jit_compile=False)
    return lambda: model.fit(feed(0).map(lambda batch: (batch["input"], batch["label"])), verbose=0)


def train_by_tfl(model: keras.Model, feed: Callable[[int], tf.data.Dataset]) -> Callable[[], Any]:
    tfl.compile(model, tfl.make_optimizer("sgd", RATE, momentum=0.0), loss="multiclass")
    return lambda: tfl.fit(model, feed, epochs=1, verbose=False)


def run_bare_steps(model: keras.Model, batch: dict[str, tf.Tensor]) -> Callable[[], Any]:
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    variables = [variable.value for variable in model.trainable_variables]

    @tf.function(autograph=False)
    def step(activations: tf.Tensor, labels: tf.Tensor) -> None:
        with fused_norms(model), tf.GradientTape() as tape:
            objective = loss(labels, model(activations, training=True))
        for variable, gradient in zip(variables, tape.gradient(objective, variables), strict=True):
            variable.assign_sub(RATE * gradient)

    def run() -> None:
        for _ in range(-(-_IMAGES.value // BATCH)):
            step(batch["input"], batch["label"])

    return run


def run_rounds(ways: dict[str, Callable[[], Any]]) -> dict[str, tuple[list[float], list[float]]]:
    """Return for each way the wall-clock seconds and the processor seconds of each round."""
    seconds: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in ways}
    for number in range(_ROUNDS.value + 1):
        for name, way in ways.items():
            start = time.perf_counter(), time.process_time()
            way()
            if number:
                seconds[name][0].append(time.perf_counter() - start[0])
                seconds[name][1].append(time.process_time() - start[1])
    return seconds


def ratio(ours: list[float], theirs: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def forward_share(halves: Halves, images: np.ndarray) -> float:
    """Time the two parts one after the other in processor seconds, best of several; return the upper part's share."""

    below, above = [], []
    lower, upper = (tf.function(part, autograph=False) for part in (halves.lower, halves.upper))
    with fused_norms(halves.lower), fused_norms(halves.upper):
        upper(lower(images))  # traces the graphs
    for _ in range(8):
        start = time.process_time()
        activations = lower(images)
        middle = time.process_time()
        upper(activations).numpy()
        below.append(middle - start)
        above.append(time.process_time() - middle)
    return min(above) / (min(above) + min(below))


if __name__ == "__main__":
    app.run(main)
