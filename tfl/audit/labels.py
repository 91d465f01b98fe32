"""Label errors: examples whose label neither the solved head nor the nearest neighbours expect."""

import numpy as np

from tfl.audit.finding import Finding, listed, ordered
from tfl.audit.material import Material
from tfl.audit.opinions import Opinions


def find_label_errors(material: Material, opinions: Opinions) -> list[Finding]:
    """Return the examples of one class each whose label is probably wrong."""
    labels, names = material.index.labels, material.index.class_names
    votes = opinions.votes(labels, len(names))
    belief = mixed(opinions.head, votes)
    is_error = doubtful(belief, labels)
    return ordered([_finding(material, opinions, belief, votes, row) for row in np.flatnonzero(is_error).tolist()])


def mixed(head: np.ndarray, votes: np.ndarray) -> np.ndarray:
    """Return the geometric mean of two opinions as probabilities: a class must please both.

    Example:
        >>> mixed(np.array([[0.5, 0.5]]), np.array([[0.8, 0.2]])).round(2).tolist()
        [[0.67, 0.33]]
    """
    belief = np.sqrt(head * votes)
    return belief / np.maximum(belief.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)


def doubtful(belief: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return whether another class than the given one is the most probable, bool `(N,)`."""
    return belief.argmax(axis=1) != labels


def _finding(material: Material, opinions: Opinions, belief: np.ndarray, votes: np.ndarray, row: int) -> Finding:
    names, given = material.index.class_names, int(material.index.labels[row])
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
