"""Folder of photos to trained and evaluated classifier, backbone frozen: tfl against the recipe of the Keras guide.

    KERAS_HOME=COPY python benchmarks/frozen.py --data=../shared/data/hymenoptera --rounds=2

COPY is a copy of ../shared/weights/keras_home. All in one process, taking turns, after one round that is not
counted, so imports and the first start of each library are no part of it. `cold` begins with an empty store,
`warm` finds its features there; the floor is one bare forward pass of the plain network over the same images,
decoded already. The guide trains 20 epochs and evaluates.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import contextlib
import io
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import keras
import keras_guide
import numpy as np
import tensorflow as tf
from absl import app, flags

import tfl

_DATA = flags.DEFINE_string("data", "../shared/data/hymenoptera", "Folder with train and val.")
_ROUNDS = flags.DEFINE_integer("rounds", 2, "Rounds that are counted.", lower_bound=1)
_RUNTIMES = flags.DEFINE_list("runtimes", ["tensorflow", "openvino"], "features.runtime of tfl.")
NETWORK = {"name": "MobileNetV2", "alpha": 0.35}


def main(argv: list[str]) -> None:
    del argv
    flags.FLAGS.train, flags.FLAGS.test = str(Path(_DATA.value, "train")), str(Path(_DATA.value, "val"))
    flags.FLAGS.alpha = NETWORK["alpha"]
    ways: dict[str, Callable[[], float]] = {"floor": make_floor()}
    stores = {runtime: tempfile.mkdtemp() for runtime in _RUNTIMES.value}
    for runtime in _RUNTIMES.value:
        ways[f"tfl cold, {runtime}"] = lambda runtime=runtime: run_tfl(runtime, tempfile.mkdtemp())
        ways[f"tfl warm, {runtime}"] = lambda runtime=runtime: run_tfl(runtime, stores[runtime])
    ways["guide"] = run_guide
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    results: dict[str, float] = {}
    for number in range(_ROUNDS.value + 1):
        for name, way in ways.items():
            start = time.perf_counter()
            results[name] = way()
            if number:
                seconds[name].append(time.perf_counter() - start)
    write_table({name: statistics.median(values) for name, values in seconds.items()}, results)


def run_tfl(runtime: str, store: str) -> float:
    config = tfl.TransferConfig(
        data=tfl.DataConfig(source=f"folder:{_DATA.value}"),
        backbone=tfl.BackboneConfig(**NETWORK),
        features=tfl.FeaturesConfig(store=store, runtime=runtime),
    )
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        return tfl.transfer(config, Path(folder, "run")).metrics["test"]["accuracy"]


def run_guide() -> float:
    keras.utils.set_random_seed(0)
    train, test = keras_guide._datasets(keras)
    model, _ = keras_guide._model(keras, len(train.class_names))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(), loss, metrics=["accuracy"])
    model.fit(train.prefetch(2), epochs=flags.FLAGS.epochs, verbose=0)
    return model.evaluate(test, verbose=0)[1]


def make_floor() -> Callable[[], float]:
    splits = tfl.load_data(f"folder:{_DATA.value}")
    rows = np.arange(len(splits.index))
    dataset = tfl.make_dataset(splits.source, rows, image_size=224, batch_size=64)
    batches = [batch["image"] for batch in dataset]
    backbone = tfl.build_backbone(**NETWORK)
    forward = tf.function(lambda images: tf.reduce_mean(backbone(images, training=False), axis=(1, 2)))

    def run() -> float:
        for images in batches:
            forward(images).numpy()
        return float("nan")

    return run


def write_table(seconds: dict[str, float], results: dict[str, float]) -> None:
    print("| way | seconds | guide / way | way / floor | test accuracy |\n|---|---|---|---|---|")
    for name, value in seconds.items():
        ratios = f"{seconds['guide'] / value:.1f} | {value / seconds['floor']:.2f}"
        print(f"| {name} | {value:.1f} | {ratios} | {results[name]:.4f} |")
    print(json.dumps(seconds))


if __name__ == "__main__":
    app.run(main, argv=[*sys.argv, "--train=of --data", "--test=of --data"])  # the guide's flags are required
