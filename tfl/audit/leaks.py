"""Near duplicates as findings: in two splits they are leaks."""

import numpy as np

from tfl.audit.duplicates import Duplicates
from tfl.audit.finding import Finding, listed, ordered
from tfl.audit.material import Material
from tfl.data.split_names import SPLITS

WORDS = {
    "copy": "is a copy, byte for byte, of",
    "same picture": "shows the same picture as",
    "mirrored": "is a mirrored copy of",
    "crop": "shares a part with",
}


def report_duplicates(material: Material, duplicates: Duplicates) -> list[Finding]:
    """Return one finding for each set of near duplicates: a leak if it is in several splits, else a duplicate.

    The finding names the example that should go: the one in train, because fewer test examples would make the results
    less certain.
    """
    found = []
    members = np.unique(duplicates.pairs)
    members = np.intersect1d(members, material.used)
    for number in np.unique(duplicates.sets[members]).tolist():
        rows = members[duplicates.sets[members] == number]
        found += _of_set(material, duplicates, rows) if len(rows) > 1 else []
    return ordered(found)


def _of_set(material: Material, duplicates: Duplicates, rows: np.ndarray) -> list[Finding]:
    """Return a finding for each example of a set but one, which is kept."""
    splits = material.index.splits[rows]
    used = [name for name in SPLITS if name in splits]
    is_leak = len(used) > 1
    keep = rows[np.argmax([SPLITS.index(split) if split in SPLITS else -1 for split in splits.tolist()])]
    labels = {material.label(row) for row in rows.tolist()}
    return [_finding(material, duplicates, row, rows, is_leak, labels) for row in rows.tolist() if row != keep]


def _finding(
    material: Material, duplicates: Duplicates, row: int, rows: np.ndarray, is_leak: bool, labels: set[str]
) -> Finding:
    touching = np.flatnonzero((duplicates.pairs == row).any(axis=1))
    place = int(touching[np.argmax(duplicates.scores[touching])])
    nearest = int(duplicates.pairs[place].sum() - row)
    others = [nearest, *(other for other in rows.tolist() if other not in (row, nearest))]
    where = {split: int(np.sum(material.index.splits[rows] == split)) for split in SPLITS}
    counted = ", ".join(f"{count} in {split}" for split, count in where.items() if count)
    evidence = (
        f"It {WORDS[duplicates.kinds[place]]} {material.name(nearest)} "
        f"(correlation {duplicates.scores[place]:.3f}). The set has {len(rows)} examples: {counted}."
    )
    if len(labels) > 1:
        evidence += f" Their labels differ: {listed(sorted(labels))}."
    return Finding(
        "leak" if is_leak else "duplicate",
        material.name(row),
        float(duplicates.scores[place]),
        evidence,
        "Exclude it.",
        tuple(material.name(other) for other in others[:3]),
        "exclude",
    )
