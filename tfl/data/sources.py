"""Open the source that a source string or a Python object describes."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from tfl.config import validate_source
from tfl.data.arrays import load_arrays, load_digits
from tfl.data.folder import load_folder, load_known_classes
from tfl.data.source import Source
from tfl.data.stream import load_streams
from tfl.data.tfds import load_tfds
from tfl.errors import InputError
from tfl.inputs import Input, get_input


def load_source(
    source: Any,
    max_bad_fraction: float = 0.1,
    class_names: Sequence[str] = (),
    bit_depth: int = 16,
    kind: str | Input = "image",
) -> Source:
    """Open a source and index it.

    Args:
        source: "digits", "digits:0-4", "digits:5,6,9", "folder:PATH" or "tfds:NAME"; from Python also
            (examples, labels) arrays, a `tf.data.Dataset` of unbatched (example, label) or {"input", "label"}, or a
            dict of either with the keys "train", "validation", "test".
        max_bad_fraction: more undecodable files than this fraction stop the run.
        class_names: class names of a trained model that will predict the images: a folder may then hold only one of
            these classes, or class folders without images. Empty: at least two classes, each with images.
        bit_depth: number of bits that 16-bit PNG files really use, 8 to 16.
        kind: what an example is.

    Returns:
        The source; its index holds the source's own splits, or "" if it has none.

    Raises:
        InputError: the source cannot be used; the message says why.

    Example:
        >>> load_source("digits:0-4").index.class_names
        ('0', '1', '2', '3', '4')
    """
    return _open(source, get_input(kind), max_bad_fraction, class_names).at_depth(bit_depth)


def _open(source: Any, kind: Input, max_bad_fraction: float, class_names: Sequence[str]) -> Source:
    if isinstance(source, str):
        place, _, name = validate_source(source, "data.source").partition(":")
        if place == "digits":
            return load_digits(name, kind)
        if place == "tfds":
            return load_tfds(name, kind, max_bad_fraction)
        known = load_known_classes(name, kind, class_names, max_bad_fraction) if class_names else None
        return load_folder(name, kind, max_bad_fraction) if known is None else known
    splits = source if isinstance(source, Mapping) else {"": source}
    if splits and all(isinstance(part, tf.data.Dataset) for part in splits.values()):
        return load_streams(splits, kind, max_bad_fraction=max_bad_fraction)
    if splits and all(isinstance(part, (tuple, list)) and len(part) == 2 for part in splits.values()):
        return load_arrays(splits, kind)
    raise InputError(
        f"`source` must be a source string, ({kind.noun[1]}, labels), a tf.data.Dataset, or a dict from split to one "
        f"of these. Received: {type(source).__name__}."
    )
