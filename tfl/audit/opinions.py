"""What others say about the label of each example: the head that was solved without it, and its nearest neighbours.

A wrong label also misleads the head and the neighbours of other examples. So a first head names suspects (confident
learning), and the opinions come from heads and voters without the suspects.
"""

import dataclasses

import numpy as np
from scipy import optimize, special
from sklearn.model_selection import StratifiedGroupKFold

from tfl.audit.duplicates import joined
from tfl.audit.material import FITTED, Material
from tfl.audit.neighbours import find_neighbours
from tfl.features import cross_validate_head, solve_head
from tfl.progress import quiet

FOLDS = 5
REPEATS = 3  # assignments to folds, over which the final opinion of the head is averaged
VOTERS = 10  # neighbours that vote
SEARCHED = 30  # neighbours among which the voters are: those of the test split and near duplicates do not vote


@dataclasses.dataclass(frozen=True)
class Opinions:
    """Two opinions on every example; neither knows its label, and neither learns from the test split or from suspects.

    Attributes:
        head: float64 `(N, K)`, probabilities of the solved head. Outside of the test split the head was solved without
            the example; on the test split it was solved on all other examples.
        votes: float64 `(N, K)`, shares of the nearest neighbours for each class; one more voter votes for all alike.
        belief: float64 `(N, K)`, both together; see `pooled`.
        voters: int64 `(N, 10)`, these neighbours; -1 where there are fewer.
    """

    head: np.ndarray
    votes: np.ndarray
    belief: np.ndarray
    voters: np.ndarray


def form_opinions(material: Material, sets: np.ndarray) -> Opinions | None:
    """Ask the head and the neighbours about every example.

    λ is chosen by cross-validation. The test split takes no part in any choice or fit.

    Args:
        material: examples of one class each.
        sets: int64 `(N,)`, equal for near duplicates, which are never on both sides of a fold and do not vote about
            each other.

    Returns:
        The opinions; None if a class has too few different examples for two folds.

    Reference:
        Northcutt, Jiang and Chuang 2021, Confident learning: estimating uncertainty in dataset labels,
        arXiv:1911.00068 (the suspects, as cleanlab finds them).
    """
    rows, labels = material.fitting, material.index.labels
    groups = joined(sets, material.index.together())
    folds = _folds(material, groups)
    if folds < 2:
        return None
    count = len(material.index.class_names)
    with quiet():
        result = cross_validate_head(
            material.features[rows],
            labels[rows],
            folds=folds,
            target=material.task,
            num_outputs=material.task.num_outputs(count),
            groups=groups[rows],
            seed=material.seed,
        )
    suspects = rows[find_suspects(material.task.scores(result.held_out_logits), labels[rows])]
    is_voter = np.isin(material.index.splits, FITTED)
    is_voter[suspects] = False
    voters = find_voters(material.directions, groups, is_voter)
    head = _solve_without(material, groups, folds, result.chosen.l2, suspects)
    votes = count_votes(voters, labels, count)
    return Opinions(head, votes, pooled(head, votes, labels, rows), voters)


def pooled(head: np.ndarray, votes: np.ndarray, labels: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return two opinions as one: probabilities in proportion to the product of both, each to a power of its own.

    The powers are those, at least 0, that make the given labels of some rows most probable. So a sure opinion that is
    often wrong counts less, and the result is calibrated on these rows.

    Args:
        head: float64 `(N, K)`, probabilities; no row may know its own label.
        votes: the same.
        labels: int64 `(N,)`.
        rows: int64 `(R,)`, on which the powers are chosen.

    Returns:
        float64 `(N, K)`, probabilities.

    Reference:
        Genest and Zidek 1986, Combining probability distributions (the logarithmic opinion pool); Heskes 1998,
        Selecting weighting factors in logarithmic opinion pools.

    Example:
        >>> sure = np.array([[0.99, 0.01]] * 10)
        >>> knows_nothing = np.full((10, 2), 0.5)
        >>> pooled(sure, knows_nothing, np.array([0] * 8 + [1] * 2), np.arange(10))[0].round(2).tolist()
        [0.8, 0.2]
    """
    logs = np.log(np.maximum(np.stack([head, votes], axis=-1), np.finfo(np.float64).tiny))
    given = logs[rows, labels[rows]]

    def loss(powers: np.ndarray) -> tuple[float, np.ndarray]:
        scores = logs[rows] @ powers
        expected = np.einsum("nk,nkp->np", special.softmax(scores, axis=1), logs[rows])
        return float(np.mean(special.logsumexp(scores, axis=1) - given @ powers)), (expected - given).mean(axis=0)

    powers = optimize.minimize(loss, np.full(2, 0.5), jac=True, bounds=[(0, None)] * 2).x
    return np.asarray(special.softmax(logs @ powers, axis=1))


def count_votes(voters: np.ndarray, labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Return the share of the votes for each class, float64 `(N, K)`; one more voter votes for all classes alike."""
    votes = tally_votes(voters, labels, num_classes) + 1 / num_classes
    return votes / votes.sum(axis=1, keepdims=True)


def tally_votes(voters: np.ndarray, labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Return the number of the voters of each example that have each class, int64 `(N, K)`."""
    votes = np.zeros((len(voters), num_classes), np.int64)
    rows, places = np.nonzero(voters >= 0)
    np.add.at(votes, (rows, labels[voters[rows, places]]), 1)
    return votes


def find_suspects(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return what cleanlab names, bool `(N,)`, from probabilities `(N, K)` that do not know the labels `(N,)`."""
    from cleanlab.filter import find_label_issues  # imported here: it takes a second, and only the whole audit needs it

    return find_label_issues(labels, scores, n_jobs=1)


def _solve_without(material: Material, groups: np.ndarray, folds: int, l2: float, suspects: np.ndarray) -> np.ndarray:
    """Return the probabilities of heads that were solved without the example itself, and without the suspects."""
    rows, labels, count = material.fitting, material.index.labels, len(material.index.class_names)
    trusted = np.setdiff1d(rows, suspects)

    def ask(fitted: np.ndarray, asked: np.ndarray) -> np.ndarray:
        outputs = material.task.num_outputs(count)
        head = solve_head(material.features[fitted], labels[fitted], l2=l2, target=material.task, num_outputs=outputs)
        return material.task.scores(head.logits(material.features[asked].astype(np.float64)))

    found = ask(trusted, np.arange(len(labels)))
    found[rows] = 0
    for repeat in range(REPEATS):
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=material.seed + repeat)
        for fitted, held_out in splitter.split(rows, labels[rows], groups[rows]):
            found[rows[held_out]] += ask(np.setdiff1d(rows[fitted], suspects), rows[held_out]) / REPEATS
    return found


def _folds(material: Material, groups: np.ndarray) -> int:
    """Return the number of folds that the different examples of the smallest class allow."""
    rows, labels = material.fitting, material.index.labels
    different = [len(np.unique(groups[rows][labels[rows] == label])) for label in np.unique(labels[rows])]
    return min(FOLDS, min(different, default=0)) if len(different) > 1 else 0


def find_voters(directions: np.ndarray, groups: np.ndarray, is_voter: np.ndarray) -> np.ndarray:
    """Return the nearest examples that may vote about the label of each example, int64 `(N, 10)`; -1 for none.

    Args:
        directions: float32 `(N, D)`, rows of length 1.
        groups: `(N,)`; examples of one group do not vote about each other.
        is_voter: bool `(N,)`, whether an example may vote at all.
    """
    near, _ = find_neighbours(directions, SEARCHED)
    may_vote = (groups[near] != groups[:, None]) & is_voter[near]
    order = np.argsort(~may_vote, axis=1, kind="stable")[:, :VOTERS]
    chosen = np.take_along_axis(near, order, axis=1)
    return np.where(np.take_along_axis(may_vote, order, axis=1), chosen, -1)
