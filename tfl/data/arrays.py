"""Examples in memory: NumPy arrays from Python, and scikit-learn's embedded digits."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from tfl.data.index import SPLITS, make_index
from tfl.data.source import Source, check_distinct, number_classes
from tfl.errors import InputError

_NO_IMAGES = np.zeros((0, 1, 1, 3), np.uint8)


@dataclasses.dataclass(frozen=True)
class ArraySource(Source):
    """Pixels in memory, uint8 (N, H, W, 3), in index order."""

    images: np.ndarray = dataclasses.field(default_factory=lambda: _NO_IMAGES)

    def examples(self, rows: np.ndarray) -> tf.data.Dataset:
        """Return the pixels of the rows, in their order."""
        with tf.device("CPU"):
            images = tf.convert_to_tensor(self.images)
        columns = {"label": self.index.labels[rows], "id": rows}
        dataset = tf.data.Dataset.from_tensor_slices(columns)
        return dataset.map(lambda row: {"image": images[row["id"]], **row})


def load_arrays(splits: Mapping[str, tuple[np.ndarray, np.ndarray]], class_names: Sequence[str] = ()) -> ArraySource:
    """Take images and labels from memory.

    Args:
        splits: by split name ("" where there is none): images (N, H, W), (N, H, W, 1) or (N, H, W, 3), pixels in
            [0, 255]; labels (N,) class numbers or names, float (N,) regression targets, or float or 0/1
            (N, K) multi-label targets.
        class_names: K names of multi-label targets; "0".."K-1" where none are given.

    Raises:
        InputError: shapes, counts, values or split names do not fit.
    """
    unknown = set(splits) - {"", *SPLITS}
    if unknown or not splits:
        raise InputError(f"`source` must have splits named train, validation and test. Received: {sorted(splits)}.")
    images = [check_images(np.asarray(images), name) for name, (images, _) in splits.items()]
    labels = [np.asarray(labels) for _, labels in splits.values()]
    for name, pixels, values in zip(splits, images, labels, strict=True):
        if len(pixels) != len(values) or not len(pixels):
            raise InputError(
                f"`source` must have one label for each image, and at least one image. Received: "
                f"{len(pixels)} images and {len(values)} labels{f' in {name}' if name else ''}."
            )
        if pixels.shape[1:] != images[0].shape[1:]:
            raise InputError(
                "`source` must have images of one size in all splits. "
                f"Received: {pixels.shape[1:]} and {images[0].shape[1:]}."
            )
    pixels, (numbers, names) = np.concatenate(images), _read_labels(np.concatenate(labels), class_names)
    prefixes = {name: f"{name}/" if name else "" for name in splits}
    ids = [f"{prefixes[name]}{row}" for name, values in zip(splits, labels, strict=True) for row in range(len(values))]
    index, order = make_index(
        ids,
        numbers,
        names,
        splits=np.repeat(list(splits), [len(values) for values in labels]).tolist(),
        sha256=[hashlib.sha256(image.tobytes()).hexdigest() for image in pixels],
        sizes=np.tile((pixels.shape[2], pixels.shape[1]), (len(pixels), 1)),
    )
    return ArraySource(index, images=pixels[order])


def load_digits(selection: str = "") -> ArraySource:
    """Take scikit-learn's 1,797 embedded handwritten digits, 8 x 8 pixels, which need no download.

    Args:
        selection: "" for all ten, "0-4" for a range, "5,6,9" for a list.

    Raises:
        InputError: the selection is not one of at least two digits.
    """
    from sklearn import datasets

    wanted = _parse_digits(selection)
    digits = datasets.load_digits()
    kept = np.flatnonzero(np.isin(digits.target, wanted))
    # The values are 0..16, dark on light in print: scaled to the full range, background 0.
    pixels = np.round(digits.images[kept] * (255 / 16)).astype(np.uint8)
    source = load_arrays({"": (pixels, digits.target[kept])})
    # Ids are positions in the whole set, so that an example keeps its split whatever is selected beside it.
    order = source.index.ids.astype(np.int64)
    return dataclasses.replace(source, index=dataclasses.replace(source.index, ids=kept[order].astype(np.str_)))


def check_images(images: np.ndarray, name: str = "") -> np.ndarray:
    """Bring images to uint8 (N, H, W, 3), and refuse pixels that are not in [0, 255]."""
    where = f" in {name}" if name else ""
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[-1] not in (1, 3):
        raise InputError(
            "`source` must have images of shape (N, H, W), (N, H, W, 1) or (N, H, W, 3). "
            f"Received: {images.shape}{where}."
        )
    if images.dtype != np.uint8:
        if not images.size or not 0 <= images.min() <= images.max() <= 255 or not np.isfinite(images).all():
            raise InputError(f"`source` must have pixels in [0, 255]. Received: other values{where}.")
        if np.issubdtype(images.dtype, np.floating) and images.max() <= 1:
            raise InputError(
                f"`source` must have pixels in [0, 255]. Received: none above {images.max():g}{where}. "
                "Did you mean 255 * images?"
            )
        images = np.round(images).astype(np.uint8)
    return np.repeat(images, 3, axis=-1) if images.shape[-1] == 1 else images


def _read_labels(labels: np.ndarray, class_names: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    if labels.ndim == 2 and labels.shape[1] > 1:
        names = tuple(class_names) or tuple(map(str, range(labels.shape[1])))
        if len(names) != labels.shape[1]:
            raise InputError(
                f"`class_names` must have one name a column of labels. Received: {len(names)}, {labels.shape[1]}."
            )
        return _finite(labels), check_distinct(names, "class_names")
    labels = labels.reshape(-1) if labels.ndim == 2 else labels
    if labels.ndim != 1:
        raise InputError(f"`source` must have labels of shape (N,) or (N, K). Received: {labels.shape}.")
    if np.issubdtype(labels.dtype, np.floating):
        return _finite(labels), ()
    return number_classes(labels, "arrays")


def _finite(labels: np.ndarray) -> np.ndarray:
    labels = labels.astype(np.float32)
    if not np.isfinite(labels).all():
        raise InputError("`source` must have finite labels. Received: NaN or infinity.")
    return labels


def _parse_digits(selection: str) -> list[int]:
    first, dash, last = selection.partition("-")
    try:
        wanted = (
            list(range(int(first), int(last) + 1)) if dash else [int(part) for part in selection.split(",") if part]
        )
    except ValueError:
        wanted = []
    wanted = wanted if selection else list(range(10))
    if len(set(wanted)) < 2 or not set(wanted) <= set(range(10)):
        raise InputError(
            f"`data.source` must select two or more of the digits, as in digits:0-4 or digits:5,6,9. "
            f"Received: digits:{selection}."
        )
    return wanted
