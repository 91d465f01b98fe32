"""Splits that are not drawn class by class: by content, by time, or as another run recorded them."""

import datetime
import hashlib
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tfl import progress
from tfl.config.values import NO_TIMES
from tfl.data.index import UNUSED, Index, read_splits
from tfl.data.split_names import SPLITS
from tfl.errors import InputError
from tfl.files.existing import existing_splits

_NAMES = np.array([*SPLITS, UNUSED])


def split_by_content(index: Index, split: Sequence[float], seed: int) -> np.ndarray:
    """Give each example the split that a hash of its content falls into.

    The splits of the examples do not depend on each other, so new examples never move old ones. The hash is of the
    group, if the example has one, and otherwise of the content. Only a new example that joins two groups moves one.

    Args:
        index: N examples.
        split: shares of train, validation and test; the splits have them on average.
        seed: of the hash.

    Returns:
        str (N,), the splits.
    """
    own = [sha256 or name for sha256, name in zip(index.sha256.tolist(), index.ids.tolist(), strict=True)]
    if len(index.groups):
        own = [f"group {group}" if group else key for group, key in zip(index.groups.tolist(), own, strict=True)]
    together = index.together().tolist()
    first: dict[int, str] = {}  # the smallest key of all that must stay together
    for number, key in zip(together, own, strict=True):
        first[number] = min(first.get(number, key), key)
    shares = {number: _share(f"{seed}/{key}") for number, key in first.items()}
    places = np.array([shares[number] for number in together])
    return _NAMES[np.searchsorted(np.cumsum(split)[:2], places, side="right")]


def _share(text: str) -> float:
    """Return a number from 0 to below 1 that depends only on the text."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
    return (int.from_bytes(digest[:8]) >> 11) / 2**53


def split_by_time(index: Index, split: Sequence[float], nouns: tuple[str, str]) -> np.ndarray:
    """Give the oldest examples to train, newer ones to validation, and the newest ones to test.

    Examples of the same time are in the same split. If examples that belong together, such as those of one group, fall
    into several splits, the oldest split keeps its own, and the others become "unused".

    Args:
        index: N examples with `times`.
        split: shares of train, validation and test.
        nouns: the name of one example and of several, for messages.

    Returns:
        str (N,), the splits.

    Raises:
        InputError: an example has no time, or there are fewer than three different times.
    """
    times, counts = np.unique(_seconds(index, nouns), return_inverse=True, return_counts=True)[1:]
    if len(counts) < 3:
        raise InputError(
            f"`data.split_by` must be 'class' if the {nouns[1]} have fewer than three different times. "
            f"Received: {len(counts)}."
        )
    ends = np.cumsum(counts)
    wanted = np.cumsum(split)[:2] * len(index)
    first = int(np.argmin(np.abs(ends[:-2] - wanted[0])))
    second = first + 1 + int(np.argmin(np.abs(ends[first + 1 : -1] - wanted[1])))
    number = np.searchsorted([first, second], times.reshape(-1), side="left")
    together = index.together()
    oldest = np.full(together.max() + 1, len(SPLITS))
    np.minimum.at(oldest, together, number)
    late = number > oldest[together]
    if np.any(late):
        progress.say(
            f"Not used, because an earlier split has older {nouns[1]} of the same group or content: {int(late.sum())}, "
            f"the first: {index.ids[late][0]}."
        )
    return _NAMES[np.where(late, len(SPLITS), number)]


def _seconds(index: Index, nouns: tuple[str, str]) -> np.ndarray:
    """Return the times as numbers: the numbers of the table, or seconds since 1970 if they are dates."""
    if not len(index.times):
        raise InputError(NO_TIMES)
    texts = [text.strip() for text in index.times.tolist()]
    kinds = [_read_all(read, texts) for read in (float, _date)]
    whole = next((numbers for numbers in kinds if np.all(np.isfinite(numbers))), None)
    if whole is not None:
        return whole
    row = int(np.argmin(np.isfinite(kinds[int(np.isfinite(kinds[1]).sum() > np.isfinite(kinds[0]).sum())])))
    raise InputError(
        "`data.columns` must name a column of times with a number, or a date as in 2024-05-31 or 2024-05-31T12:30, for "
        f"each of the {nouns[1]}. Received: {texts[row]!r} for {index.ids[row]}."
    )


def _read_all(read: Callable[[str], float], texts: Sequence[str]) -> np.ndarray:
    """Return the number that each text means, float64; NaN where it means none."""

    def number(text: str) -> float:
        try:
            return read(text)
        except (ValueError, OverflowError):
            return math.nan

    return np.array([number(text) for text in texts])


def _date(text: str) -> float:
    """Return seconds since 1970 of a date in ISO form; without a time zone it is UTC."""
    moment = datetime.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return moment.timestamp()


def split_as_recorded(index: Index, file: str, nouns: tuple[str, str]) -> np.ndarray:
    """Give each example the split that the `splits.csv` of another run has for the same id and content.

    Examples that the table does not list, or lists with another content, become "unused". They and the examples that
    the table has and the index lacks are counted, and the first of each is named.

    Args:
        index: N examples.
        file: a `splits.csv`, or the workdir that has it.
        nouns: the name of one example and of several, for messages.

    Returns:
        str (N,), the splits.

    Raises:
        InputError: the file cannot be read, or lists none of the examples.
    """
    recorded = {row["id"]: row for row in read_splits(existing_splits(file))}
    ids, sha256 = index.ids.tolist(), index.sha256.tolist()
    splits = [
        recorded[name]["split"] if name in recorded and recorded[name]["sha256"] == digest else ""
        for name, digest in zip(ids, sha256, strict=True)
    ]
    if not any(split in SPLITS for split in splits):
        raise InputError(
            f"`data.split_by` must be a splits.csv that lists the {nouns[1]} of `data.source`. Received: {file}, which "
            f"lists none of the {len(index)} {nouns[1]} with the same id and content."
        )
    lacking = [name for name, split in zip(ids, splits, strict=True) if not split]
    present = set(ids)
    _say_differences(
        file,
        {
            "new (not used)": [name for name in lacking if name not in recorded],
            "changed (not used)": [name for name in lacking if name in recorded],
            "gone": [name for name in recorded if name not in present],
        },
        nouns,
    )
    return np.array([split or UNUSED for split in splits])


def _say_differences(file: str, differing: Mapping[str, Sequence[str]], nouns: tuple[str, str]) -> None:
    found = [f"{len(names)} {kind}, the first: {names[0]}" for kind, names in differing.items() if names]
    if found:
        progress.say(f"Warning: the {nouns[1]} differ from {file}: {'; '.join(found)}.")
