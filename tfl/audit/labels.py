"""Label errors: examples whose label the solved head and the nearest neighbours do not expect."""

import numpy as np

from tfl.audit.finding import Finding, listed, ordered
from tfl.audit.material import Material
from tfl.audit.opinions import Opinions


def find_label_errors(material: Material, opinions: Opinions) -> list[Finding]:
    """Return the examples for which head and neighbours together find another class more probable than the label.

    The score is the lead of the other class over the given label: 1 is certain, 0.5 is undecided.
    """
    belief, labels = opinions.belief, material.index.labels
    rows = np.flatnonzero(belief[np.arange(len(labels)), labels] < belief.max(axis=1))
    return ordered([_finding(material, opinions, row) for row in rows.tolist()])


def _finding(material: Material, opinions: Opinions, row: int) -> Finding:
    names, belief, given = material.index.class_names, opinions.belief, int(material.index.labels[row])
    best = int(belief[row].argmax())
    voters = [other for other in opinions.voters[row].tolist() if other >= 0]
    against = [other for other in voters if material.index.labels[other] == best]
    several = material.source.kind.noun[1]
    return Finding(
        "label error",
        material.name(row),
        float(belief[row, best] - belief[row, given] + 1) / 2,
        f"The label is {names[given]}. A head that was solved without this example gives it "
        f"{100 * opinions.head[row, given]:.0f} % and {names[best]} {100 * opinions.head[row, best]:.0f} %; "
        f"{len(against)} of the {len(voters)} nearest {several} are {names[best]}"
        + (f" ({listed([material.name(other) for other in against])})." if against else "."),
        f"Change the label to {names[best]}, or exclude the example if it shows neither.",
        tuple(material.name(other) for other in (against or voters)[:3]),
        "relabel",
        names[best],
    )
