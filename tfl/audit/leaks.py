"""Near duplicates as findings: in two splits they are leaks."""

import itertools
from collections.abc import Iterator

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
    members = np.intersect1d(duplicates.pairs, material.used)
    members = members[np.argsort(duplicates.sets[members], kind="stable")]
    parts = np.split(members, np.flatnonzero(np.diff(duplicates.sets[members])) + 1)
    best = _best_pairs(duplicates)
    found = [_of_set(material, duplicates, rows, best) for rows in parts if len(rows) > 1]
    return ordered(list(itertools.chain(*found)))


def _best_pairs(duplicates: Duplicates) -> np.ndarray:
    """Return for each row the place of its pair with the highest score, int64 `(N,)`; -1 for rows without a pair."""
    ends, places = duplicates.pairs.ravel(), np.repeat(np.arange(len(duplicates.pairs)), 2)
    order = np.lexsort((places, -duplicates.scores[places], ends))
    rows, firsts = np.unique(ends[order], return_index=True)
    best = np.full(len(duplicates.sets), -1)
    best[rows] = places[order][firsts]
    return best


def _of_set(material: Material, duplicates: Duplicates, rows: np.ndarray, best: np.ndarray) -> Iterator[Finding]:
    """Yield a finding for each example of a set but one, which is kept."""
    splits = material.index.splits[rows].tolist()
    where = {split: splits.count(split) for split in SPLITS if split in splits}
    about = f"The set has {len(rows)} examples: {', '.join(f'{count} in {split}' for split, count in where.items())}."
    labels = {material.label(row) for row in rows.tolist()}
    if len(labels) > 1:
        about += f" Their labels differ: {listed(sorted(labels))}."
    keep = int(rows[np.argmax([SPLITS.index(split) for split in splits])])
    for row in rows.tolist():
        if row == keep:
            continue
        place = int(best[row])
        nearest, score = int(duplicates.pairs[place].sum()) - row, float(duplicates.scores[place])
        others = [other for other in dict.fromkeys((nearest, *rows[:4].tolist())) if other != row]
        yield Finding(
            "leak" if len(where) > 1 else "duplicate",
            material.name(row),
            score,
            f"It {WORDS[duplicates.kinds[place]]} {material.name(nearest)} (correlation {score:.3f}). {about}",
            "Exclude it.",
            tuple(material.name(other) for other in others[:3]),
            "exclude",
        )
