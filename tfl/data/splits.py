"""Cut a data set into train, validation and test, so that nothing is chosen on what is reported.

Where an example goes depends on (seed, class, id) alone, through a hash: adding a photo to a folder does not
shuffle the others across the splits.
"""

import dataclasses
import hashlib
from collections.abc import Sequence

import numpy as np

from tfl import progress
from tfl.data.index import SPLITS, UNUSED, Index
from tfl.errors import InputError


def assign_splits(
    index: Index,
    *,
    split: Sequence[float] = (0.7, 0.15, 0.15),
    seed: int = 0,
    train_examples_per_class: int = 0,
) -> Index:
    """Give every example of an index its split.

    A source with three splits of its own keeps them. With two, the second is the test set and validation is
    cut from train: a validation set that also serves as the test set makes every reported number optimistic.
    With none, each class is cut by the fractions, with at least one example in every split.

    Args:
        index: its `splits` hold the source's own names, or "".
        split: fractions train, validation, test.
        seed: of the hash that orders the examples of a class.
        train_examples_per_class: keep only so many in train, the others become "unused"; 0: all.

    Returns:
        The index with new `splits`.

    Raises:
        InputError: a class has too few examples to stand in every split.
    """
    own = [name for name in SPLITS if np.any(index.splits == name)]
    splits = index.splits.astype(f"<U{max(map(len, (*SPLITS, UNUSED)))}")
    if own and "train" not in own:
        raise InputError(f"`data.source` must have a train split. Received: {', '.join(own)}.")
    if len(own) == 2:
        splits[splits == "validation"] = "test"
        wanted = {"validation": split[1] / (split[0] + split[1])}
    elif len(own) < 2:
        splits[:] = "train"
        wanted = {"validation": split[1], "test": split[2]}
    else:
        wanted = {}
    for name, rows in _classes(index, np.flatnonzero(splits == "train")).items():
        ranked = _ranked(index, rows, name, seed)
        counts = _held_out_counts(name, len(rows), wanted)
        start = 0
        for part, count in counts.items():
            splits[ranked[start : start + count]] = part
            start += count
        if train_examples_per_class:
            splits[ranked[start + train_examples_per_class :]] = UNUSED
    result = dataclasses.replace(index, splits=splits)
    _warn_of_leaks(result)
    return result


def count_leaks(index: Index) -> int:
    """Count the examples of validation and test whose very bytes stand in train as well."""
    train = set(index.sha256[index.rows("train")]) - {""}
    held_out = np.concatenate([index.rows("validation"), index.rows("test")])
    return sum(digest in train for digest in index.sha256[held_out])


def _classes(index: Index, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Group rows by class; targets without classes are one group."""
    if not index.is_multiclass:
        return {"": rows}
    return {name: rows[index.labels[rows] == label] for label, name in enumerate(index.class_names)}


def _ranked(index: Index, rows: np.ndarray, class_name: str, seed: int) -> np.ndarray:
    def key(row: int) -> bytes:
        text = f"{seed}/{class_name}/{index.ids[row]}"
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()

    return np.array(sorted(rows, key=key), np.int64)


def _held_out_counts(class_name: str, count: int, fractions: dict[str, float]) -> dict[str, int]:
    """Round the fractions to whole examples, at least one in each split and in train."""
    if count <= len(fractions):
        subject = f"Class '{class_name}' of `data.source`" if class_name else "`data.source`"
        names = ", ".join(("train", *fractions))
        raise InputError(
            f"{subject} must have at least {len(fractions) + 1} usable images, one for each of {names}. "
            f"Received: {count}."
        )
    counts = {part: max(1, round(count * fraction)) for part, fraction in fractions.items()}
    while sum(counts.values()) >= count:
        counts[max(counts, key=lambda part: counts[part])] -= 1
    return counts


def _warn_of_leaks(index: Index) -> None:
    leaks = count_leaks(index)
    if leaks:
        progress.say(
            f"Warning: {leaks} images of validation and test stand in train as well, byte for byte: "
            "results will look too good."
        )
