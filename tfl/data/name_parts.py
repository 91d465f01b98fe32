"""Find a part of the names of files that looks like a group: a speaker, a recording, a patient."""

import collections
import re
from collections.abc import Sequence

import numpy as np

from tfl.data.index import Index

_PART, _GAP = "[^_/. -]+", "[_. -]+"
_LEAST = 3  # examples of one value, on the average
_SHARE = 0.9  # of the names that must have the same form


def describe_groups(index: Index, nouns: tuple[str, str]) -> str:
    """Return one line about a part of the names that may be a group, "" if there is none or the data have groups.

    All names must have the same number of parts, with `_`, `-`, `.` or a blank between them. A part may be a group if
    several examples of several classes share its values, it does not follow from the class, and it is not a number at
    the end of the names, as that of a take is.

    Args:
        index: before the split.
        nouns: the name of one example and of several.
    """
    if len(index.groups) or not index.is_multiclass or np.any(index.splits != ""):
        return ""
    stems = [name.rpartition("/")[2].rpartition(".")[0] for name in index.ids.tolist()]
    parts = [re.findall(_PART, stem) for stem in stems]
    number = collections.Counter(map(len, parts)).most_common(1)[0][0] if parts else 0
    rows = [row for row, found in enumerate(parts) if len(found) == number]
    if len(rows) < _SHARE * len(parts):
        return ""
    labels = index.labels[rows].tolist()
    for place in range(number):
        values = [parts[row][place] for row in rows]
        if _is_group(values, labels, is_last=place == number - 1):
            pattern = f"(?:^|/)[_. -]*{(_PART + _GAP) * place}({_PART})[^/]*$"
            return (
                f"The names of the {nouns[1]} have a part that recurs in several classes, such as {values[0]!r} in "
                f"{stems[rows[0]]!r}. If it is a speaker or a recording, a random split flatters the result: "
                f"data.group_pattern='{pattern}' keeps each of the {len(set(values))} in one split."
            )
    return ""


def _is_group(values: Sequence[str], labels: Sequence[int], *, is_last: bool) -> bool:
    counts = collections.Counter(values)
    if not 2 <= len(counts) <= len(values) / _LEAST or (is_last and all(value.isdigit() for value in counts)):
        return False
    classes = collections.defaultdict(set)
    for value, label in zip(values, labels, strict=True):
        classes[value].add(label)
    return sum(len(found) > 1 for found in classes.values()) > len(classes) / 2
