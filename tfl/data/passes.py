"""Check that a `tf.data.Dataset` can be read more than once: it must end, and must give the same examples again."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tfl.errors import InputError

_HASH_BUCKETS = 2**62
_COMPARED = 8  # examples that are read twice, before slow work starts
_MOST_REPEATS = 10
_REPEATING = 1000  # examples that are read before a stream of unknown length can count as repeating


def is_endless(dataset: tf.data.Dataset) -> bool:
    """Return whether a data set never ends because it repeats forever, even if a later filter hides its length.

    An endless generator can be recognised only while it is read.
    """
    cardinality = int(dataset.cardinality())
    if cardinality != tf.data.UNKNOWN_CARDINALITY:
        return cardinality == tf.data.INFINITE_CARDINALITY
    inputs = getattr(dataset, "_inputs", tuple)()
    return bool(inputs) and "Take" not in type(dataset).__name__ and all(map(is_endless, inputs))


def check_ends(dataset: Any, name: str) -> None:
    """Refuse a data set that repeats forever, for functions that must read all of it.

    Raises:
        InputError: the data set repeats forever.
    """
    if isinstance(dataset, tf.data.Dataset) and is_endless(dataset):
        raise InputError(
            f"`{name}` must end, because tfl reads all of it. Received: a dataset that repeats for ever. Did you mean "
            "the dataset before .repeat(), or .take(n)?"
        )


def check_not_repeating(seen: int, distinct: int) -> None:
    """Refuse a stream of unknown length that gives the same examples again and again.

    Raises:
        InputError: after at least 1,000 examples, every example came more than ten times, on average.
    """
    if seen >= _REPEATING and seen > _MOST_REPEATS * distinct:
        raise InputError(
            f"`source` must end, and give every example once. Received: {seen} examples so far, of which {distinct} "
            "differ. Did you mean a generator that ends after one pass?"
        )


def fingerprint(image: tf.Tensor) -> tf.Tensor:
    """Return a hash of an image, int64 scalar: of the bytes of a file, or of pixels with their type and shape."""
    content = image if image.dtype == tf.string else tf.io.serialize_tensor(image)
    return tf.strings.to_hash_bucket_fast(content, _HASH_BUCKETS)


def check_same_again(stream: tf.data.Dataset, fingerprints: Sequence[int], split: str) -> None:
    """Read the first examples again and compare them: a stream in random order would mix training and test images.

    Args:
        stream: (image, label).
        fingerprints: of its examples, from the first pass.
        split: its name; "" if there is none.

    Raises:
        InputError: the examples differ.
    """
    again = stream.take(_COMPARED).map(lambda image, label: fingerprint(image)).as_numpy_iterator()
    for place, (then, now) in enumerate(zip(fingerprints, again, strict=False)):
        if then != now:
            raise InputError(
                "`source` must give the same examples in the same order on every pass. Received: another example "
                f"at position {place}{f' of {split}' if split else ''} of the second pass. Did you mean to leave "
                "shuffling and augmentation to tfl, with shuffle=False in image_dataset_from_directory or list_files?"
            )
