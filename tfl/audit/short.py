"""The short audit at the end of a run: duplicates, leaks and suspicious labels, from features that are there already.

It fits nothing, reads only the pictures of pairs with very near features, and leaves large data sets to `tfl audit`.
"""

import numpy as np

from tfl.audit.duplicates import SHORT, find_duplicates
from tfl.audit.finding import Finding, ordered
from tfl.audit.leaks import report_duplicates
from tfl.audit.material import FITTED, Material
from tfl.audit.neighbours import MOST_EXACT, narrowed
from tfl.audit.opinions import VOTERS, find_voters, tally_votes

FEWEST = 0.8  # share of the voters that must agree on another class
MOST_FOR = 0.1  # share of the voters that may agree with the label


def short_audit(material: Material) -> list[Finding]:
    """Return near duplicates, leaks and suspicious labels, the surest of each kind first; none in a large set."""
    if len(material.index) > MOST_EXACT:
        return []
    duplicates = find_duplicates(material, SHORT)
    found = report_duplicates(material, duplicates)
    leaks = [finding for finding in found if finding.kind == "leak"]
    others = [finding for finding in found if finding.kind != "leak"]
    suspicious = _suspicious(material, duplicates.sets) if material.has_classes else []
    return [*leaks, *material.without_unused(suspicious), *others]


def _suspicious(material: Material, sets: np.ndarray) -> list[Finding]:
    """Return the examples whose neighbours nearly all have one other label."""
    labels, names = material.index.labels, material.index.class_names
    is_voter = np.isin(material.index.splits, FITTED)
    voters = find_voters(narrowed(material.directions, material.seed), sets, is_voter)
    counts = tally_votes(voters, labels, len(names))
    best, asked = counts.argmax(axis=1), (voters >= 0).sum(axis=1)
    own = np.arange(len(labels))
    is_found = (counts[own, best] >= FEWEST * VOTERS) & (counts[own, labels] <= MOST_FOR * VOTERS) & (best != labels)
    return ordered(
        [_finding(material, row, int(best[row]), voters[row], counts[row], int(asked[row]))
         for row in np.flatnonzero(is_found).tolist()]
    )  # fmt: skip


def _finding(material: Material, row: int, best: int, voters: np.ndarray, counts: np.ndarray, asked: int) -> Finding:
    names = material.index.class_names
    against = [other for other in voters.tolist() if other >= 0 and material.index.labels[other] == best]
    return Finding(
        "label error",
        material.name(row),
        float(counts[best] / asked),
        f"The label is {material.label(row)}, but {counts[best]} of the {asked} nearest "
        f"{material.source.kind.noun[1]} outside of the test split are {names[best]}.",
        f"Look whether it is {names[best]}.",
        tuple(material.name(other) for other in against[:3]),
        "relabel",
        names[best],
    )
