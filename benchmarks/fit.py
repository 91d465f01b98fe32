"""Compare images per second of `tfl.fit` and `keras.Model.fit`: same model, data, batch size and optimizer.

Both loops take turns in one process, so that a busy machine slows both. Each round is one epoch of each loop. The
first round traces the graphs and is not counted. The important figures are the median ratios of wall-clock time and
of processor time, which depends less on the load of the machine.

    python benchmarks/fit.py --image_size=96 --batch_size=32 --rounds=5
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import statistics
import time
from collections.abc import Callable

import keras
import numpy as np
from absl import app, flags

import tfl

_IMAGE_SIZE = flags.DEFINE_integer("image_size", 96, "Pixels per side.", lower_bound=32)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 32, "Images per step.", lower_bound=1)
_STEPS = flags.DEFINE_integer("steps", 16, "Steps per epoch.", lower_bound=1)
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Epochs of each loop that are counted.", lower_bound=1)
_MODES = ("frozen", "top frozen BatchNorm", "unfrozen")


def build(mode: str, image_size: int) -> keras.Model:
    """Build MobileNetV2 (alpha 0.35) with a linear head; `mode` says which part of the backbone is frozen."""
    keras.utils.set_random_seed(0)
    backbone = keras.applications.MobileNetV2(
        input_shape=(image_size, image_size, 3), alpha=0.35, include_top=False, weights=None, pooling="avg"
    )
    pixels = keras.Input((image_size, image_size, 3), dtype="uint8")
    scaled = keras.layers.Rescaling(1 / 127.5, offset=-1)(pixels)
    logits = keras.layers.Dense(10, name="head_logits")(backbone(scaled))
    model = keras.Model(pixels, logits)
    backbone.trainable = mode != "frozen"
    if mode == "top frozen BatchNorm":
        top = [layer.name for layer in backbone.layers].index("block_13_expand")
        for position, layer in enumerate(backbone.layers):
            layer.trainable = position >= top and not isinstance(layer, keras.layers.BatchNormalization)
    return model


def keras_epoch(mode: str, images: np.ndarray, labels: np.ndarray) -> Callable[[], None]:
    """Return a function that trains one epoch with `keras.Model.fit` (without XLA, which is slower on a CPU)."""
    model = build(mode, images.shape[1])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-4), loss, metrics=["accuracy"], jit_compile=False)
    return lambda: model.fit(images, labels, batch_size=_BATCH_SIZE.value, verbose=0) and None


def tfl_epoch(mode: str, images: np.ndarray, labels: np.ndarray) -> Callable[[], None]:
    """Return a function that trains one epoch with `tfl.fit`."""
    model = build(mode, images.shape[1])
    tfl.compile(model, keras.optimizers.Adam(1e-4), "multiclass")
    return lambda: tfl.fit(model, images, labels, batch_size=_BATCH_SIZE.value, verbose=False) and None


def measure(mode: str, images: np.ndarray, labels: np.ndarray) -> tuple[float, float, float, float]:
    """Return images per second of Keras and of tfl, and the median ratios of wall-clock and processor time."""
    loops = [keras_epoch(mode, images, labels), tfl_epoch(mode, images, labels)]
    seconds: list[list[tuple[float, float]]] = [[], []]
    for round_number in range(_ROUNDS.value + 1):
        for which in (0, 1) if round_number % 2 else (1, 0):
            start = time.perf_counter(), time.process_time()
            loops[which]()
            if round_number:
                seconds[which].append((time.perf_counter() - start[0], time.process_time() - start[1]))
    rates = [len(images) / statistics.median(wall for wall, _ in rounds) for rounds in seconds]
    ratios = [statistics.median(a[kind] / b[kind] for a, b in zip(*seconds, strict=True)) for kind in (0, 1)]
    return rates[0], rates[1], ratios[0], ratios[1]


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}.")
    rng = np.random.default_rng(0)
    count = _BATCH_SIZE.value * _STEPS.value
    images = rng.integers(0, 256, (count, _IMAGE_SIZE.value, _IMAGE_SIZE.value, 3), dtype=np.uint8)
    labels = rng.integers(0, 10, count)
    print(f"MobileNetV2 alpha 0.35, {_IMAGE_SIZE.value} px, batch {_BATCH_SIZE.value}, {_ROUNDS.value} rounds")
    print(f"{'':24}{'keras images/s':>16}{'tfl images/s':>16}{'ratio':>10}{'cpu ratio':>12}")
    for mode in _MODES:
        theirs, mine, wall, processor = measure(mode, images, labels)
        print(f"{mode:24}{theirs:16.0f}{mine:16.0f}{wall:10.2f}{processor:12.2f}", flush=True)


if __name__ == "__main__":
    app.run(main)
