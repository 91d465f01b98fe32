"""Sources that are read from front to back: `tf.data.Dataset` from Python, and prepared tfds data sets."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from tfl import progress
from tfl.data.index import SPLITS, make_index
from tfl.data.scan import BadImageError, check_bad_fraction, scan_image
from tfl.data.source import Source, check_distinct, number_classes
from tfl.errors import InputError


@dataclasses.dataclass(frozen=True)
class StreamSource(Source):
    """Data sets that give their examples in one fixed order; rows are picked out as they pass by."""

    streams: tuple[tf.data.Dataset, ...] = ()
    starts: tuple[int, ...] = ()  # global position of each stream's first example
    positions: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.int64))  # of each row
    raw_labels: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.int64))  # of each row, as read
    has_random_access = False

    def examples(self, rows: np.ndarray) -> tf.data.Dataset:
        """Return the rows' examples in stream order; a stream that changes its order is caught by its labels."""
        row_at = np.full(int(self.positions.max()) + 1, -1, np.int64)
        row_at[self.positions[rows]] = rows
        ends = (*self.starts[1:], len(row_at))
        datasets = [
            _pick(stream, row_at[start:end], self.raw_labels, self.index.labels)
            for stream, start, end in zip(self.streams, self.starts, ends, strict=True)
            if np.any(row_at[start:end] >= 0)
        ]
        dataset = datasets[0] if datasets else _pick(self.streams[0], row_at[:0], self.raw_labels, self.index.labels)
        for other in datasets[1:]:
            dataset = dataset.concatenate(other)
        return dataset.apply(tf.data.experimental.assert_cardinality(len(rows)))


def load_streams(
    splits: Mapping[str, tf.data.Dataset], names: Sequence[str] = (), max_bad_fraction: float = 0.1
) -> StreamSource:
    """Take data sets of unbatched (image, label) or {"image", "label"}, and pass over them once to index them.

    A data set must give the same examples in the same order every time: shuffling is left to the pipeline.

    Args:
        splits: by split name, "" where there is none. Images are pixels in [0, 255] or the bytes of files.
        names: of the classes that whole-number labels stand for; empty: the numbers themselves.
        max_bad_fraction: more undecodable images than this stop the run.

    Raises:
        InputError: batched data, unknown structure or split, no examples, one class only.
    """
    unknown = set(splits) - {"", *SPLITS}
    if unknown or not splits:
        raise InputError(f"`source` must have splits named train, validation and test. Received: {sorted(splits)}.")
    streams = tuple(_as_pairs(dataset) for dataset in splits.values())
    ids, owners, labels, digests, sizes, positions, starts = [], [], [], [], [], [], []
    quarantine: list[tuple[str, str]] = []
    seen, brightest = 0, 0.0
    for split, stream in zip(splits, streams, strict=True):
        starts.append(seen)
        for number, (image, label) in enumerate(progress.track(stream.as_numpy_iterator(), "Indexing", unit="image")):
            name, seen = f"{split}/{number}" if split else str(number), seen + 1
            try:
                digest, width, height, peak = _describe(image, name)
            except BadImageError as error:
                quarantine.append((name, str(error)))
                continue
            brightest = max(brightest, peak)
            ids.append(name)
            owners.append(split)
            labels.append(label)
            digests.append(digest)
            sizes.append((width, height))
            positions.append(seen - 1)
    if not seen:
        raise InputError("`source` must hold at least one example. Received: an empty data set.")
    check_bad_fraction(quarantine, seen, max_bad_fraction)
    if brightest <= 1:
        raise InputError(
            f"`source` must have pixels in [0, 255]. Received: none above {brightest:g}. Did you mean 255 * image?"
        )
    raw = np.array(labels)
    numbers, class_names = _number_labels(raw, names)
    index, order = make_index(ids, numbers, class_names, splits=owners, sha256=digests, sizes=np.array(sizes))
    return StreamSource(
        index,
        tuple(quarantine),
        streams=streams,
        starts=tuple(starts),
        positions=np.array(positions, np.int64)[order],
        raw_labels=raw[order],
    )


def _pick(stream: tf.data.Dataset, row_at: np.ndarray, raw_labels: np.ndarray, labels: np.ndarray) -> tf.data.Dataset:
    def attach(position: tf.Tensor, pair: tuple[tf.Tensor, tf.Tensor]) -> dict[str, tf.Tensor]:
        image, label = pair
        row = tf.gather(row_at, position)
        check = tf.debugging.Assert(
            tf.reduce_all(tf.equal(label, tf.gather(raw_labels, row))),
            ["this position holds another example than before, is the stream shuffled?:", position],
        )
        with tf.control_dependencies([check]):
            return {"image": image, "label": tf.gather(labels, row), "id": row}

    positions = tf.data.Dataset.range(len(row_at))
    wanted = tf.data.Dataset.zip((positions, stream)).filter(lambda position, _: tf.gather(row_at, position) >= 0)
    return wanted.map(lambda position, pair: attach(position, pair))


def _as_pairs(dataset: tf.data.Dataset) -> tf.data.Dataset:
    spec = dataset.element_spec
    if isinstance(spec, Mapping) and {"image", "label"} <= set(spec):
        dataset = dataset.map(lambda example: (example["image"], example["label"]))
    elif not (isinstance(spec, tuple) and len(spec) == 2):
        raise InputError(f"`source` must give (image, label) or a dict with 'image' and 'label'. Received: {spec}.")
    image, _ = dataset.element_spec
    if image.shape.rank not in ((0,) if image.dtype == tf.string else (2, 3)):
        raise InputError(
            "`source` must give single images (H, W, C), or the bytes of single files, not batches. "
            f"Received: {image.dtype.name} of shape {image.shape}. Did you mean source.unbatch()?"
        )
    return dataset


def _describe(image: np.ndarray | bytes, name: str) -> tuple[str, int, int, float]:
    """Return sha256, width, height and the largest value; 255 stands for files and integers."""
    if isinstance(image, bytes):
        scanned = scan_image(image)
        return scanned.sha256, scanned.width, scanned.height, 255.0
    if image.ndim == 3 and image.shape[-1] not in (1, 3):
        raise InputError(f"`source` must have images with 1 or 3 channels. Received: {image.shape} at {name}.")
    peak = 255.0 if np.issubdtype(image.dtype, np.integer) else float(image.max())
    if not (np.isfinite(peak) and image.min() >= 0 and image.max() <= 255):
        raise InputError(f"`source` must have pixels in [0, 255]. Received: other values at {name}.")
    return hashlib.sha256(image.tobytes()).hexdigest(), image.shape[1], image.shape[0], peak


def _number_labels(raw: np.ndarray, names: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    if raw.ndim > 1:
        names = check_distinct(names or tuple(map(str, range(raw.shape[1]))), "names")
        return raw.astype(np.float32), names
    if np.issubdtype(raw.dtype, np.floating):
        return raw.astype(np.float32), ()
    if raw.dtype.kind in "OS":
        return number_classes([label.decode() for label in raw], "a tf.data.Dataset")
    values = np.array(names)[raw] if names else raw
    return number_classes(values, "a tf.data.Dataset")
