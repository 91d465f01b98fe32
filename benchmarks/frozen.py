"""Time tfl against the recipe of the Keras guide: from a folder of photos to an evaluated classifier, backbone frozen.

    KERAS_HOME=COPY python benchmarks/frozen.py --data=../shared/data/hymenoptera --rounds=2
    KERAS_HOME=COPY python benchmarks/frozen.py --copies=8 --peer_epochs=2 --rounds=1    # how the ratios grow
    KERAS_HOME=COPY python benchmarks/frozen.py --with_keras_hub                         # pip install keras-hub

COPY is a copy of ../shared/weights/keras_home. All ways take turns in one process. The first round is not counted, so
the times do not include imports and the first start of each library. `cold` begins with an empty store, `warm` finds
its features in the store. `floor` is one forward pass of the plain network over the same images, already decoded. The
guide trains 20 epochs and evaluates. KerasHub has no MobileNetV2, so its `ImageClassifier.fit` trains the guide's
network, frozen, for 20 epochs without augmentation.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import contextlib
import functools
import importlib.util
import io
import json
import shutil
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
_COPIES = flags.DEFINE_integer(
    "copies", 1, "Times each photo counts, as files that differ behind the picture; accuracies mean nothing above 1."
)
_PEER_EPOCHS = flags.DEFINE_integer(
    "peer_epochs", 0, "Epochs that the peers run; those up to 20 are taken to last as long as the last. 0: all run."
)
_WITH_KERAS_HUB = flags.DEFINE_boolean("with_keras_hub", False, "Time KerasHub too.")
NETWORK = {"name": "MobileNetV2", "alpha": 0.35}
SKIPPED: list[float] = []  # estimated seconds of the epochs that a way did not run


def main(argv: list[str]) -> None:
    del argv
    if _WITH_KERAS_HUB.value and importlib.util.find_spec("keras_hub") is None:
        raise app.UsageError("--with_keras_hub needs it: pip install keras-hub.")
    with tempfile.TemporaryDirectory() as folder:
        data = copy_photos(Path(_DATA.value), Path(folder)) if _COPIES.value > 1 else Path(_DATA.value)
        flags.FLAGS.train, flags.FLAGS.test = str(data / "train"), str(data / "val")
        flags.FLAGS.alpha = NETWORK["alpha"]
        run_rounds(make_ways(str(data)))


def copy_photos(source: Path, target: Path) -> Path:
    """Copy each photo several times, with extra bytes at the end: they change the digest but not the picture."""
    for path in sorted(source.glob("*/*/*.*")):
        for number in range(_COPIES.value):
            copy = target / path.relative_to(source).with_name(f"{number}-{path.name}")
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes() + number.to_bytes(2, "big"))
    return target


def make_ways(data: str) -> dict[str, Callable[[], float]]:
    ways: dict[str, Callable[[], float]] = {"floor": make_floor(data)}
    for runtime in _RUNTIMES.value:
        ways[f"tfl cold, {runtime}"] = functools.partial(run_cold, data, runtime)
        ways[f"tfl warm, {runtime}"] = functools.partial(run_tfl, data, runtime, tempfile.mkdtemp())
    ways["guide"] = functools.partial(run_peer, keras_guide._model)
    if _WITH_KERAS_HUB.value:
        ways["KerasHub"] = functools.partial(run_peer, make_keras_hub_model)
    return ways


def run_rounds(ways: dict[str, Callable[[], float]]) -> None:
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    results: dict[str, float] = {}
    for number in range(_ROUNDS.value + 1):
        for name, way in ways.items():
            SKIPPED.clear()
            start = time.perf_counter()
            results[name] = way()
            if number:
                seconds[name].append(time.perf_counter() - start + sum(SKIPPED))
    write_table({name: statistics.median(values) for name, values in seconds.items()}, results)


def run_cold(data: str, runtime: str) -> float:
    store = tempfile.mkdtemp()
    result = run_tfl(data, runtime, store)
    shutil.rmtree(store)
    return result


def run_tfl(data: str, runtime: str, store: str) -> float:
    config = tfl.TransferConfig(
        data=tfl.DataConfig(source=f"folder:{data}"),
        backbone=tfl.BackboneConfig(**NETWORK),
        features=tfl.FeaturesConfig(store=store, runtime=runtime),
    )
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        return tfl.transfer(config, Path(folder, "run")).metrics["test"]["accuracy"]


def run_peer(make_model: Callable[..., tuple[keras.Model, keras.Model]]) -> float:
    keras.utils.set_random_seed(0)
    train, test = keras_guide._datasets(keras)
    model, _ = make_model(keras, len(train.class_names))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(), loss, metrics=["accuracy"])
    epochs, starts = _PEER_EPOCHS.value or flags.FLAGS.epochs, []
    note = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: starts.append(time.perf_counter()),
        on_train_end=lambda logs: starts.append(time.perf_counter()),
    )
    model.fit(train.prefetch(2), epochs=epochs, verbose=0, callbacks=[note])
    SKIPPED.append((flags.FLAGS.epochs - epochs) * (starts[-1] - starts[-2]))
    return model.evaluate(test, verbose=0)[1]


def make_keras_hub_model(keras, num_classes: int) -> tuple[keras.Model, keras.Model]:
    keras_hub = importlib.import_module("keras_hub")  # imported only on request, because it is not a dependency
    shape = (flags.FLAGS.image_size, flags.FLAGS.image_size, 3)
    base = keras.applications.MobileNetV2(alpha=NETWORK["alpha"], include_top=False, input_shape=shape)
    inputs = keras.Input(shape)
    backbone = keras.Model(inputs, base(keras.layers.Rescaling(1 / 127.5, offset=-1)(inputs)))
    backbone.trainable = False
    return keras_hub.models.ImageClassifier(backbone, num_classes, dropout=0.2), backbone


def make_floor(data: str) -> Callable[[], float]:
    splits = tfl.load_data(f"folder:{data}")
    rows = np.arange(len(splits.index))
    dataset = tfl.make_dataset(splits.source, rows, image_size=224, batch_size=64)
    batches = [batch["input"] for batch in dataset]
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
    if 0 < _PEER_EPOCHS.value < flags.FLAGS.epochs:
        print(f"\nPeers ran {_PEER_EPOCHS.value} epochs; {flags.FLAGS.epochs} are extrapolated by the last one's time.")
    print(json.dumps(seconds))


if __name__ == "__main__":
    app.run(main, argv=[*sys.argv, "--train=of --data", "--test=of --data"])  # the guide's flags are required
