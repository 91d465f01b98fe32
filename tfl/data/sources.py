"""Open the source that a source string or a Python object describes."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from tfl.config import validate_source
from tfl.data.arrays import load_arrays, load_digits
from tfl.data.bit_depth import at_depth
from tfl.data.folder import load_folder, load_known_classes
from tfl.data.source import Source
from tfl.data.stream import load_streams
from tfl.data.tfds import load_tfds
from tfl.errors import InputError


def load_source(
    source: Any, max_bad_fraction: float = 0.1, class_names: Sequence[str] = (), bit_depth: int = 16
) -> Source:
    """Open a source and index it.

    Args:
        source: "digits", "digits:0-4", "digits:5,6,9", "folder:PATH" or "tfds:NAME"; from Python also (images, labels)
            arrays, a `tf.data.Dataset` of unbatched (image, label) or {"image", "label"}, or a dict of either with
            the keys "train", "validation", "test".
        max_bad_fraction: more undecodable files than this fraction stop the run.
        class_names: class names of a trained model that will predict the images: a folder may then hold only one of
            these classes, or class folders without images. Empty: at least two classes, each with images.
        bit_depth: number of bits that 16-bit PNG files really use, 8 to 16.

    Returns:
        The source; its index holds the source's own splits, or "" if it has none.

    Raises:
        InputError: the source cannot be used; the message says why.

    Example:
        >>> load_source("digits:0-4").index.class_names
        ('0', '1', '2', '3', '4')
    """
    return at_depth(_open(source, max_bad_fraction, class_names), bit_depth)


def _open(source: Any, max_bad_fraction: float, class_names: Sequence[str]) -> Source:
    if isinstance(source, str):
        kind, _, name = validate_source(source, "data.source").partition(":")
        if kind == "digits":
            return load_digits(name)
        if kind == "tfds":
            return load_tfds(name, max_bad_fraction)
        known = load_known_classes(name, class_names, max_bad_fraction) if class_names else None
        return load_folder(name, max_bad_fraction) if known is None else known
    splits = source if isinstance(source, Mapping) else {"": source}
    if splits and all(isinstance(part, tf.data.Dataset) for part in splits.values()):
        return load_streams(splits, max_bad_fraction=max_bad_fraction)
    if splits and all(isinstance(part, (tuple, list)) and len(part) == 2 for part in splits.values()):
        return load_arrays(splits)
    raise InputError(
        "`source` must be a source string, (images, labels), a tf.data.Dataset, or a dict from split to one of these. "
        f"Received: {type(source).__name__}."
    )
