"""Examples in memory: NumPy arrays from Python, and scikit-learn's embedded digits."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfl.config.values import parse_digits
from tfl.data.index import make_index
from tfl.data.labels import as_labels, read_labels
from tfl.data.source import Source
from tfl.data.split_names import SPLITS
from tfl.errors import InputError
from tfl.inputs import Input


@dataclasses.dataclass(frozen=True)
class ArraySource(Source):
    """Values in memory, one example after the other in index order; the sizes of examples may differ."""

    values: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.uint8))  # of all examples, flat
    starts: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.int64))  # of each example in them
    shapes: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros((0, 0), np.int64))  # of each example

    def examples(self, rows: np.ndarray) -> tf.data.Dataset:
        """Return the values of the rows, in their order."""
        with tf.device("CPU"):
            values = tf.convert_to_tensor(self.values)
        columns = {"start": self.starts[rows], "shape": self.shapes[rows], "label": self.index.labels[rows], "id": rows}
        last = self.shapes[:, -1:]  # channels, which all examples share, or the length of a row
        shape = [*[None] * (self.shapes.shape[1] - 1), *(last[0].tolist() if (last == last[0]).all() else [None])]

        def cut(row: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            example = tf.reshape(tf.slice(values, [row["start"]], [tf.reduce_prod(row["shape"])]), row["shape"])
            return {"input": tf.ensure_shape(example, shape), "label": row["label"], "id": row["id"]}

        return tf.data.Dataset.from_tensor_slices(columns).map(cut)


def load_arrays(splits: Mapping[str, tuple[Any, Any]], kind: Input, class_names: Sequence[str] = ()) -> ArraySource:
    """Make a source from examples and labels in memory.

    Args:
        splits: by split name ("" if there are no splits): images (N, H, W), (N, H, W, 1) or (N, H, W, 3), or a list
            of images of several sizes, pixels in [0, 255]; labels (N,) class numbers or names, float (N,) regression
            targets, or float or 0/1 (N, K) multi-label targets. Examples of another kind: as `kind` takes them.
        kind: what an example is.
        class_names: K names of multi-label targets; by default "0".."K-1".

    Raises:
        InputError: shapes, counts, values or split names do not fit, or labels are missing.
    """
    unknown = set(splits) - {"", *SPLITS}
    if unknown or not splits:
        raise InputError(f"`source` must have splits named train, validation and test. Received: {sorted(splits)}.")
    examples: list[np.ndarray] = []
    labels, ids, owners = [], [], []
    for split, (given, values) in splits.items():
        values = as_labels(values)
        count = len(given) if hasattr(given, "__len__") else 0
        if not count or not values.ndim or count != len(values):
            raise InputError(
                f"`source` must have one label for each {kind.noun[0]}, and at least one {kind.noun[0]}. "
                f"Received: {count} {kind.noun[1]} "
                f"and {len(values) if values.ndim else 1} labels{f' in {split}' if split else ''}."
            )
        names = [f"{split}/{row}" if split else str(row) for row in range(count)]
        examples += kind.read_examples(given, names, split)
        labels.append(values)
        ids += names
        owners += [split] * count
    numbers, label_names = read_labels(_joined(labels), class_names, ids)
    facts = [kind.facts_of(example) for example in examples]
    index, order = make_index(
        ids,
        numbers,
        label_names,
        splits=owners,
        sha256=[hashlib.sha256(example.tobytes()).hexdigest() for example in examples],
        facts={name: [own[name] for own in facts] for name in kind.facts},
    )
    sizes = np.array([examples[place].size for place in order], np.int64)
    values = np.concatenate([examples[place].reshape(-1) for place in order])
    shapes = np.array([examples[place].shape for place in order], np.int64)
    return ArraySource(index, kind, values=values, starts=np.cumsum(sizes) - sizes, shapes=shapes)


def load_digits(selection: str, kind: Input) -> ArraySource:
    """Make a source from the 1,797 handwritten digits, 8 x 8 pixels, that are part of scikit-learn (no download).

    Args:
        selection: "" for all ten digits, "0-4" for a range, "5,6,9" for a list.
        kind: what an example is; only images fit.

    Raises:
        InputError: the selection does not name at least two digits.
    """
    from sklearn import datasets

    wanted = parse_digits(selection)
    digits = datasets.load_digits()
    kept = np.flatnonzero(np.isin(digits.target, wanted))
    # Values are 0..16, and the background is 0: scale them to 0..255.
    pixels = np.round(digits.images[kept] * (255 / 16)).astype(np.uint8)
    source = load_arrays({"": (pixels, digits.target[kept])}, kind)
    # Ids are positions in the whole set, so that an example keeps its split under every selection.
    order = source.index.ids.astype(np.int64)
    return dataclasses.replace(source, index=dataclasses.replace(source.index, ids=kept[order].astype(np.str_)))


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
