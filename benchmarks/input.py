"""Time the input pipeline: decoding large photos, and starting on many small files.

    python benchmarks/input.py --data=../shared/data/hymenoptera
    python benchmarks/input.py --parts=small                       # 50,000 files in a temporary folder, 200 MB
    python benchmarks/input.py --parts=scaled                      # how much scaled decoding changes the pixels

All ways of a table take turns in one process; the first round traces the graphs and is not counted. Ratios are medians
over the rounds with their range, of wall-clock time and (in brackets) of processor time, which depends less on the load
of the machine. All have the batch of 32 and `num_parallel_calls=AUTOTUNE`. `start` is the processor time of a pass over
one image, which every pass pays once: TensorFlow prepares the graph again. `per image` is the ratio without it.

`bare`          `tf.io.decode_jpeg` and `tf.image.resize` in tf.data, with the options that give the pixels of tfl:
                dct_method="INTEGER_ACCURATE", antialias=True
`bare, quick`   the same with TensorFlow's defaults, which give other pixels: a quick transform, no antialiasing
`tfl`           `tfl.make_dataset`: the same, a check that no file has changed, and all formats that the folder has
`tfl, scaled`   with data.scaled_decoding

`large` are the photos whose shorter side is at least three times the network's side, so that scaled decoding acts.
The table of small files compares with `keras.utils.image_dataset_from_directory`, which reads only names. `index` is
the scan, which checks every file; `index again` is the next start, which remembers what the scan found. `order` is the
rank correlation of the places of the files in two epochs: 0 is a new order in each epoch, 1 the same.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import dataclasses
import functools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl import app, flags

import tfl
from tfl.data import load_source
from tfl.data.folder import encode_paths
from tfl.data.source import Source
from tfl.inputs.image.decode import decode_image, resize
from tfl.inputs.image.image_input import ImageInput
from tfl.progress import quiet

_DATA = flags.DEFINE_string("data", "../shared/data/hymenoptera", "Folder of photos in class folders.")
_PARTS = flags.DEFINE_list("parts", ["throughput"], "Of throughput, scaled and small.")
_SIZES = flags.DEFINE_list("sizes", ["224", "128"], "Pixels per side of the network's input.")
_PHOTOS = flags.DEFINE_list("photos", ["all", "large"], "Which photos of the folder.")
_IMAGES = flags.DEFINE_integer("images", 500, "Least images in a pass; fewer are read several times.", lower_bound=2)
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Rounds that are counted.", lower_bound=1)
_FILES = flags.DEFINE_integer("files", 50_000, "Small files.", lower_bound=10)
_SMALL = flags.DEFINE_string("small", "../shared/data/cifar10_jpg_subset/train", "Folder of the small pictures.")
BATCH, TIMES = 32, 3  # `large` photos have at least so many times the network's side
Rounds = list[tuple[float, float]]  # wall-clock and processor time of each round


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}.")
    parts = {"throughput": time_throughput, "scaled": compare_pixels, "small": time_small_files}
    for part in _PARTS.value:
        if part not in parts:
            raise app.UsageError(f"--parts must be of {', '.join(parts)}. Received: {part}.")
        parts[part]()


def time_throughput() -> None:
    source = open_photos(_DATA.value)
    columns = ["photos", "size", "number", "start: bare, tfl", "tfl / bare", "per image", "tfl / bare, quick"]
    columns += ["tfl, scaled / bare", "per image"]
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    shorter = np.asarray(source.kind.sizes(source.index.facts))
    is_jpeg = np.array([Path(path).read_bytes()[:2] == b"\xff\xd8" for path in source.index.paths])
    for size in map(int, _SIZES.value):
        for name in _PHOTOS.value:
            rows = np.flatnonzero(is_jpeg & (shorter >= (TIMES * size if name == "large" else 0)))
            if not len(rows):
                continue
            passes = {len(part): run_rounds(make_ways(source, part, size)) for part in (rows[:1], repeat(rows))}
            starts, seconds = passes.values()
            fixed = {way: statistics.median(processor for _, processor in starts[way]) for way in starts}
            cells = [name, str(size), str(len(rows)), f"{fixed['bare']:.2f} s, {fixed['tfl']:.2f} s"]
            for way, peer in (("tfl", "bare"), ("tfl", "bare, quick"), ("tfl, scaled", "bare")):
                cells.append(rates(seconds[way], seconds[peer]))
                if peer == "bare":
                    cells.append(per_image(seconds[way], seconds[peer], fixed[way], fixed[peer]))
            print(f"| {' | '.join(cells)} |", flush=True)


def repeat(rows: np.ndarray) -> np.ndarray:
    """Return the rows several times, at least as many as --images."""
    return np.tile(rows, -(-_IMAGES.value // len(rows)))


def open_photos(folder: str) -> Source:
    with quiet():
        return load_source(f"folder:{folder}", max_bad_fraction=1.0)


def make_ways(source: Source, rows: np.ndarray, size: int) -> dict[str, Callable[[], Iterable[Any]]]:
    paths = encode_paths(source.index.paths[rows])

    def bare(*, antialias: bool, dct_method: str) -> tf.data.Dataset:
        def read(path: tf.Tensor) -> tf.Tensor:
            image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3, dct_method=dct_method)
            return tf.image.resize(image, (size, size), antialias=antialias)

        dataset = tf.data.Dataset.from_tensor_slices(paths).map(read, num_parallel_calls=tf.data.AUTOTUNE)
        return dataset.batch(BATCH).prefetch(tf.data.AUTOTUNE)

    quick = dataclasses.replace(source, kind=dataclasses.replace(source.kind, scaled_decoding=True))
    return {
        "bare": functools.partial(bare, antialias=True, dct_method="INTEGER_ACCURATE"),
        "bare, quick": functools.partial(bare, antialias=False, dct_method=""),
        "tfl": functools.partial(tfl.make_dataset, source, rows, image_size=size, batch_size=BATCH),
        "tfl, scaled": functools.partial(tfl.make_dataset, quick, rows, image_size=size, batch_size=BATCH),
    }


def run_rounds(ways: dict[str, Callable[[], Iterable[Any]]]) -> dict[str, Rounds]:
    seconds: dict[str, Rounds] = {name: [] for name in ways}
    for number in range(_ROUNDS.value + 1):
        for name, way in ways.items():
            start = time.perf_counter(), time.process_time()
            for _ in way():
                pass
            if number:
                seconds[name].append((time.perf_counter() - start[0], time.process_time() - start[1]))
    return seconds


def rates(ours: Rounds, theirs: Rounds) -> str:
    """Return how many times as many images a second one way reads: by wall-clock time (by processor time)."""
    wall, processor = ([b[clock] / a[clock] for a, b in zip(ours, theirs, strict=True)] for clock in (0, 1))
    return f"{with_range(wall)} ({with_range(processor)})"


def per_image(ours: Rounds, theirs: Rounds, fixed: float, their_fixed: float) -> str:
    """Return the ratio by processor time without the start of the pass."""
    return with_range([(b[1] - their_fixed) / (a[1] - fixed) for a, b in zip(ours, theirs, strict=True)])


def with_range(ratios: list[float]) -> str:
    return f"{statistics.median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}]"


def compare_pixels() -> None:
    """Print how far scaled decoding is from full decoding, in grey levels, at the smallest photo for each ratio."""
    print("| ratio | photos | mean | 95 % of the photos | worst photo |\n|---|---|---|---|---|")
    paths = [path for path in sorted(Path(_DATA.value).rglob("*")) if path.suffix.lower() in (".jpg", ".jpeg")]
    for ratio, times in {2: 3, 4: 6, 8: 16}.items():
        found = []
        for path in paths:
            encoded = tf.io.read_file(str(path))
            size = int(tf.reduce_min(tf.io.extract_jpeg_shape(encoded)[:2])) // times
            if size >= 24:
                scaled = ImageInput(size, scaled_decoding=True).prepare(encoded).numpy()
                found.append(np.abs(scaled.astype(int) - resize(decode_image(encoded), size).numpy()).mean())
        if found:
            figures = " | ".join(f"{value:.2f}" for value in (np.mean(found), np.quantile(found, 0.95), max(found)))
            print(f"| {ratio} | {len(found)} | {figures} |", flush=True)


def time_small_files() -> None:
    ways = {"tfl": start_tfl, "image_dataset_from_directory": start_keras}
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as few:
        os.environ["TFL_CACHE"] = str(Path(folder, "cache"))
        photos = write_small_files(Path(folder, "photos"), _FILES.value)
        for start in ways.values():  # the first use of TensorFlow costs seconds
            next(iter(start(write_small_files(Path(few), 100))[0](0)))
        print("| | index | index again | first batch | epoch | order |\n|---|---|---|---|---|---|")
        for name, start in ways.items():
            (epoch, numbers), index = timed(functools.partial(start, photos))
            _, again = timed(functools.partial(start, photos))
            _, first = timed(lambda epoch=epoch: next(iter(epoch(0))))
            places, seconds = [], ""
            for number in (0, 1):
                batches, seconds = timed(lambda: [numbers(batch) for batch in epoch(number)])  # noqa: B023
                places.append(np.argsort(np.concatenate(batches)))
            table: Any = np.corrcoef(np.stack(places))
            cells = [name, index, again, first, seconds, f"{float(table[0, 1]):.3f}"]
            print(f"| {' | '.join(cells)} |", flush=True)


def timed(act: Callable[[], Any]) -> tuple[Any, str]:
    """Return a result, and the seconds that it took, with the processor seconds in brackets."""
    wall, processor = time.perf_counter(), time.process_time()
    result = act()
    return result, f"{time.perf_counter() - wall:.1f} s ({time.process_time() - processor:.1f} s)"


def write_small_files(folder: Path, count: int) -> str:
    """Write copies of small pictures, each with other bytes at its end, so that no two files are equal."""
    paths = sorted(Path(_SMALL.value).glob("*/*"))
    contents = [path.read_bytes() for path in paths]
    for number in range(count):
        place = number * 7919 % len(paths)  # a prime: neighbours are of several classes
        target = folder / paths[place].parent.name / f"{number:06d}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(contents[place] + number.to_bytes(4, "big"))
    return str(folder)


def start_tfl(folder: str) -> tuple[Callable[[int], Any], Callable[[Any], np.ndarray]]:
    source = open_photos(folder)
    rows = np.arange(len(source.index))

    def read(epoch: int) -> tf.data.Dataset:
        return tfl.make_dataset(source, rows, epoch=epoch, image_size=32, batch_size=BATCH)

    return read, lambda batch: batch["id"].numpy()


def start_keras(folder: str) -> tuple[Callable[[int], Any], Callable[[Any], np.ndarray]]:
    dataset = keras.utils.image_dataset_from_directory(
        folder,
        labels=list(range(len(list(Path(folder).glob("*/*"))))),  # the label is the number of the file
        image_size=(32, 32),
        batch_size=BATCH,
        seed=0,
        verbose=False,
    )
    return lambda epoch: dataset, lambda batch: batch[1].numpy()


if __name__ == "__main__":
    app.run(main)
