"""The parts of a data set that every split has its share of: the classes, or the sets of classes that boxes show."""

import collections

import numpy as np

from tfl.data.index import Index
from tfl.data.label_formats import BoxLabels, label_format_of

FEWEST = 10  # images of a set of classes; rarer sets are one part together


def strata_of(index: Index, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Group rows by class; images with boxes by the set of their classes. Other targets are one group, named "".

    Args:
        index: of the data.
        rows: `(N,)` positions in it.
    """
    if index.is_multiclass:
        return {name: rows[index.labels[rows] == label] for label, name in enumerate(index.class_names)}
    labels = label_format_of(index.labels, index.class_names)
    if not isinstance(labels, BoxLabels):
        return {"": rows}
    groups: dict[str, list[int]] = collections.defaultdict(list)
    for row, text in zip(rows.tolist(), index.labels[rows].tolist(), strict=True):
        groups["|".join(labels.names_in(text))].append(row)
    contents = index.together()
    rare = {name for name, own in groups.items() if len(np.unique(contents[own])) < FEWEST}
    if not rare < groups.keys() or sum(len(groups[name]) for name in rare) < FEWEST:
        rare.add(max(groups, key=lambda name: len(groups[name]), default=""))
    parts = {"": sorted(row for name in rare if name in groups for row in groups[name])}
    parts |= {name: own for name, own in groups.items() if name not in rare}
    return {name: np.array(own, np.int64) for name, own in parts.items() if own}
