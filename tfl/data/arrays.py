"""Examples in memory: NumPy arrays from Python, and scikit-learn's embedded digits."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfl.data.index import SPLITS, make_index
from tfl.data.labels import as_labels, read_labels
from tfl.data.source import Source
from tfl.errors import InputError
from tfl.inputs.image.pixels import check_image, check_split


@dataclasses.dataclass(frozen=True)
class ArraySource(Source):
    """Pixels in memory, uint8 RGB, one image after the other in index order; image sizes may differ."""

    pixels: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.uint8))  # of all images, flat
    starts: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.int64))  # of each image in them

    def examples(self, rows: np.ndarray) -> tf.data.Dataset:
        """Return the pixels of the rows, in their order."""
        with tf.device("CPU"):
            pixels = tf.convert_to_tensor(self.pixels)
        shapes = np.stack([self.index.facts["height"], self.index.facts["width"], np.full(len(self.index), 3)], axis=1)
        columns = {"start": self.starts[rows], "shape": shapes[rows], "label": self.index.labels[rows], "id": rows}

        def cut(row: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            image = tf.reshape(tf.slice(pixels, [row["start"]], [tf.reduce_prod(row["shape"])]), row["shape"])
            return {"image": tf.ensure_shape(image, (None, None, 3)), "label": row["label"], "id": row["id"]}

        return tf.data.Dataset.from_tensor_slices(columns).map(cut)


def load_arrays(splits: Mapping[str, tuple[Any, Any]], class_names: Sequence[str] = ()) -> ArraySource:
    """Make a source from images and labels in memory.

    Args:
        splits: by split name ("" if there are no splits): images (N, H, W), (N, H, W, 1) or (N, H, W, 3), or a list
            of images of several sizes, pixels in [0, 255]; labels (N,) class numbers or names, float (N,) regression
            targets, or float or 0/1 (N, K) multi-label targets.
        class_names: K names of multi-label targets; by default "0".."K-1".

    Raises:
        InputError: shapes, counts, values or split names do not fit, or labels are missing.
    """
    unknown = set(splits) - {"", *SPLITS}
    if unknown or not splits:
        raise InputError(f"`source` must have splits named train, validation and test. Received: {sorted(splits)}.")
    images: list[np.ndarray] = []
    labels, ids, owners = [], [], []
    for split, (given, values) in splits.items():
        values = as_labels(values)
        count = len(given) if hasattr(given, "__len__") else 0
        if not count or not values.ndim or count != len(values):
            raise InputError(
                f"`source` must have one label for each image, and at least one image. Received: {count} images "
                f"and {len(values) if values.ndim else 1} labels{f' in {split}' if split else ''}."
            )
        names = [f"{split}/{row}" if split else str(row) for row in range(count)]
        images += read_images(given, names, split)
        labels.append(values)
        ids += names
        owners += [split] * count
    numbers, label_names = read_labels(_joined(labels), class_names, ids)
    index, order = make_index(
        ids,
        numbers,
        label_names,
        splits=owners,
        sha256=[hashlib.sha256(image.tobytes()).hexdigest() for image in images],
        facts={"width": [image.shape[1] for image in images], "height": [image.shape[0] for image in images]},
    )
    sizes = np.array([images[place].size for place in order], np.int64)
    pixels = np.concatenate([images[place].reshape(-1) for place in order])
    return ArraySource(index, pixels=pixels, starts=np.cumsum(sizes) - sizes)


def load_digits(selection: str = "") -> ArraySource:
    """Make a source from the 1,797 handwritten digits, 8 x 8 pixels, that are part of scikit-learn (no download).

    Args:
        selection: "" for all ten digits, "0-4" for a range, "5,6,9" for a list.

    Raises:
        InputError: the selection does not name at least two digits.
    """
    from sklearn import datasets

    wanted = _parse_digits(selection)
    digits = datasets.load_digits()
    kept = np.flatnonzero(np.isin(digits.target, wanted))
    # Values are 0..16, and the background is 0: scale them to 0..255.
    pixels = np.round(digits.images[kept] * (255 / 16)).astype(np.uint8)
    source = load_arrays({"": (pixels, digits.target[kept])})
    # Ids are positions in the whole set, so that an example keeps its split under every selection.
    order = source.index.ids.astype(np.int64)
    return dataclasses.replace(source, index=dataclasses.replace(source.index, ids=kept[order].astype(np.str_)))


def read_images(images: Any, names: Sequence[str], split: str = "") -> list[np.ndarray]:
    """Convert images to uint8 (H, W, 3), and refuse pixels that are not in [0, 255]; see `check_image`.

    Args:
        images: N images, as an array or a list.
        names: of the images, for messages.
        split: name of their split, for messages.
    """
    if not isinstance(images, (list, tuple)):
        images = np.asarray(images)
        if images.dtype != object and (images.ndim not in (3, 4) or images.shape[3:] not in ((), (1,), (3,))):
            raise InputError(
                "`source` must have images of shape (N, H, W), (N, H, W, 1) or (N, H, W, 3). "
                f"Received: shape {images.shape}{f' in {split}' if split else ''}."
            )
    found, peak = [], 0.0
    for image, name in zip(map(np.asarray, images), names, strict=True):
        peak = max(peak, check_image(image, f"image {name}"))
        image = image if image.dtype == np.uint8 else np.round(image).astype(np.uint8)
        image = image[..., None] if image.ndim == 2 else image
        found.append(np.repeat(image, 3, axis=-1) if image.shape[-1] == 1 else image)
    check_split(peak, split)
    return found


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Join the labels of several splits; refuse a mix of class numbers, values and text."""
    names = {"S": "text", "U": "text", "f": "values"}
    kinds = {names.get(part.dtype.kind, "whole numbers") for part in parts if part.dtype != object}
    shapes = {part.shape[1:] for part in parts}
    if len(kinds) > 1 or len(shapes) > 1:
        raise InputError(
            "`source` must have labels of one kind and shape in all splits. "
            f"Received: {', '.join(f'{part.dtype} {part.shape}' for part in parts)}."
        )
    return np.concatenate(parts)


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
