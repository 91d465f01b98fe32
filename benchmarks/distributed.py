"""Measure the cost of checkpoints, and the gain of a second worker on one machine.

    python benchmarks/distributed.py --rounds=3

All ways train MobileNetV2 (alpha 0.35), except BatchNorm, on generated images. The first table compares epochs with a
checkpoint after every few steps and epochs without checkpoints, which take turns; the difference gives the cost of a
checkpoint every 30 seconds. The second table compares one worker with two workers that each have the same batch; each
group runs in separate processes. Both workers share the cores of this machine, so the table shows the cost of the
sums, not the gain of a second machine.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
from absl import app, flags

import tfl
from tfl.distribution.launch import launch_local
from tfl.distribution.strategy import is_chief, make_strategy
from tfl.training import CheckpointOptions

_IMAGE_SIZE = flags.DEFINE_integer("image_size", 96, "Pixels per side.", lower_bound=32)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 32, "Images per step and worker.", lower_bound=1)
_STEPS = flags.DEFINE_integer("steps", 16, "Steps per epoch.", lower_bound=1)
_EVERY = flags.DEFINE_integer("every", 4, "Steps between checkpoints.", lower_bound=1)
_ROUNDS = flags.DEFINE_integer("rounds", 3, "Epochs that are counted.", lower_bound=1)
_TRAIN_BATCH_NORM = flags.DEFINE_bool("train_batch_norm", False, "BatchNorm trains, over all replicas.")
_REPORT = flags.DEFINE_string("report", "", "Of a worker: the file for its images per second.")


def main(argv: list[str]) -> None:
    del argv
    if _REPORT.value:
        work(Path(_REPORT.value))
        return
    checkpoints()
    one, two = (rate_of_group(workers) for workers in (1, 2))
    print("\n| workers | batch each | images/s of the group | against one |\n|---|---|---|---|")
    print(f"| 1 | {_BATCH_SIZE.value} | {one:.0f} | 1.00 |\n| 2 | {_BATCH_SIZE.value} | {two:.0f} | {two / one:.2f} |")


def make_epoch(replicas: int = 1, saved_below: str | None = None) -> Callable[[], object]:
    """Return a function that trains one epoch, with checkpoints in a new folder inside `saved_below` if it is given."""
    keras.utils.set_random_seed(0)
    backbone = tfl.build_backbone("MobileNetV2", image_size=_IMAGE_SIZE.value, alpha=0.35, weights="none")
    model = tfl.build_classifier(backbone, tfl.HeadSpec(10))
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = _TRAIN_BATCH_NORM.value
    tfl.compile(model, "adam", loss="multiclass")
    batch, rng = _BATCH_SIZE.value * replicas, np.random.default_rng(0)
    images = rng.integers(0, 256, (batch * _STEPS.value, _IMAGE_SIZE.value, _IMAGE_SIZE.value, 3), np.uint8)
    labels = np.arange(len(images)) % 10

    def train() -> object:
        saving = None
        if saved_below is not None:
            saving = CheckpointOptions(tempfile.mkdtemp(dir=saved_below), every_seconds=0, every_steps=_EVERY.value)
        return tfl.fit(model, images, labels, batch_size=batch, verbose=False, checkpoint=saving)

    return train


def checkpoints() -> None:
    with tempfile.TemporaryDirectory() as folder:
        ways, seconds = {"without": make_epoch(), "with": make_epoch(saved_below=folder)}, {"without": [], "with": []}
        for number in range(_ROUNDS.value + 1):
            for name, epoch in ways.items():
                start = time.perf_counter()
                epoch()
                if number:
                    seconds[name].append(time.perf_counter() - start)
        newest = max(Path(folder).glob("*/step_*"), key=os.path.getmtime)
        size = sum(file.stat().st_size for file in newest.iterdir())
    without, with_them = (statistics.median(values) for values in seconds.values())
    number = _STEPS.value // _EVERY.value + (_STEPS.value % _EVERY.value > 0)
    cost = (with_them - without) / number
    print("| epoch | with checkpoints | how many | MB each | cost of one | every 30 s |\n|---|---|---|---|---|---|")
    print(
        f"| {without:.2f} s | {with_them:.2f} s | {number} | {size / 1e6:.1f} | {1000 * cost:.0f} ms "
        f"| {100 * cost / 30:.2f} % |",
        flush=True,
    )


def rate_of_group(workers: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report")
        own = [f"--{name}={flags.FLAGS[name].value}" for name in ("image_size", "batch_size", "steps", "rounds")]
        own += ["--train_batch_norm"] * _TRAIN_BATCH_NORM.value
        code = launch_local([__file__, f"--report={report}", *own], workers, max_restarts=0)
        if code:
            sys.exit(code)
        return float(report.read_text())


def work(report: Path) -> None:
    strategy = make_strategy()
    with strategy.scope():
        epoch = make_epoch(strategy.num_replicas_in_sync)
    seconds = []
    for _ in range(_ROUNDS.value + 1):
        start = time.perf_counter()
        epoch()
        seconds.append(time.perf_counter() - start)
    if is_chief(strategy):
        rate = strategy.num_replicas_in_sync * _BATCH_SIZE.value * _STEPS.value / statistics.median(seconds[1:])
        report.write_text(str(rate))


if __name__ == "__main__":
    app.run(main)
