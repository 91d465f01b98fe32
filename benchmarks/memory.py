"""Measure the peak memory of extracting features and of solving a head on them, by the number of images.

    KERAS_HOME=COPY python benchmarks/memory.py --images=20000,200000

COPY is a copy of ../shared/weights/keras_home. Every line is a separate process. `before` is its resident memory after
TensorFlow is imported and the network is built. `above` is the highest resident memory minus `before`; it includes the
index of the images, the keys of the store and the mapped pages of stored files. `extract` runs generated images
through MobileNetV2 (alpha 0.35, 1,280 features) into an empty store on disk; an image is drawn when it is needed.
`probe` finds the features in the store, follows a path of 20 λ and solves the head. 200,000 images take minutes, and
1 GB of disk.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import tensorflow as tf
from absl import app, flags

import tfl
from tfl.models.classifier import split_at_features

_IMAGES = flags.DEFINE_list("images", ["20000", "200000"], "How many; two lines each.")
_IMAGE_SIZE = flags.DEFINE_integer("image_size", 32, "Pixels per side.", lower_bound=32)
_CLASSES = flags.DEFINE_integer("classes", 10, "Of the images.", lower_bound=2)
_STEP = flags.DEFINE_enum("step", "", ["", "extract", "probe"], "Run this step alone, of the first number of images.")
_STORE = flags.DEFINE_string("store", "", "Where the step keeps features.")
DRAWN_TOGETHER = 256


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}.")
    if _STEP.value:
        run_step(int(_IMAGES.value[0]))
        return
    print("| images | step | before | above | seconds |\n|---|---|---|---|---|", flush=True)
    for images in _IMAGES.value:
        with tempfile.TemporaryDirectory() as store:
            for step in ("extract", "probe"):
                options = [f"--images={images}", f"--step={step}", f"--store={store}"]
                options += [f"--{flag.name}={flag.value}" for flag in (_IMAGE_SIZE, _CLASSES)]
                subprocess.run([sys.executable, __file__, *options], check=True)


def run_step(num_images: int) -> None:
    backbone = tfl.build_backbone("MobileNetV2", alpha=0.35, image_size=_IMAGE_SIZE.value)
    lower, _ = split_at_features(tfl.build_classifier(backbone, tfl.HeadSpec(_CLASSES.value)))
    before, start = read_memory("VmRSS"), time.perf_counter()
    Path("/proc/self/clear_refs").write_text("5")  # reset the recorded peak
    splits = tfl.load_data(draw_images(num_images))
    store = tfl.FeatureStore(_STORE.value, 10**12)
    extractor = tfl.Extractor(lower, splits.source, _IMAGE_SIZE.value, store=store)
    if _STEP.value == "extract":
        extractor.fill(np.arange(num_images))
    else:
        tfl.choose_head(extractor(splits.train), extractor(splits.validation))
    above, seconds = read_memory("VmHWM") - before, time.perf_counter() - start
    print(f"| {num_images:,} | {_STEP.value} | {before:.2f} GiB | {above:.2f} GiB | {seconds:.0f} |", flush=True)


def draw_images(count: int) -> tf.data.Dataset:
    """Draw images with one pattern per class and noise; they are the same in every run."""
    size = _IMAGE_SIZE.value
    patterns = np.random.default_rng(0).integers(0, 256, (_CLASSES.value, size, size, 3)).astype(np.float32)

    def draw(numbers: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        labels = numbers % _CLASSES.value
        noise = tf.random.stateless_normal((tf.size(numbers), size, size, 3), (0, numbers[0]), stddev=64.0)
        return tf.saturate_cast(tf.gather(patterns, labels) + noise, tf.uint8), labels

    together = tf.data.Dataset.range(count).batch(DRAWN_TOGETHER).map(draw, num_parallel_calls=2, deterministic=True)
    return together.unbatch().apply(tf.data.experimental.assert_cardinality(count))


def read_memory(field: str) -> float:
    """Return a field of this process' status in /proc, in GiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 2**20


if __name__ == "__main__":
    app.run(main)
