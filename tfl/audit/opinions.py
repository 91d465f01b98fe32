"""What others say about the label of each example: the head that was solved without it, and its nearest neighbours."""

import dataclasses

import numpy as np

from tfl.audit.duplicates import joined
from tfl.audit.material import FITTED, Material
from tfl.audit.neighbours import find_neighbours
from tfl.features import cross_validate_head
from tfl.progress import quiet

FOLDS = 5
VOTERS = 10  # neighbours that vote
SEARCHED = 30  # neighbours among which the voters are: those of the test split and near duplicates do not vote


@dataclasses.dataclass(frozen=True)
class Opinions:
    """Two opinions on every example; neither knows its label, and neither learns from the test split.

    Attributes:
        head: float64 `(N, C)`, scores of the solved head: held-out in cross-validation outside of the test split; on
            the test split of the head that is solved on all other examples.
        voters: int64 `(N, 10)`, the nearest examples that may vote; -1 where there are fewer.
    """

    head: np.ndarray
    voters: np.ndarray

    def votes(self, labels: np.ndarray, num_classes: int) -> np.ndarray:
        """Return the share of the voters for each class, float64 `(N, K)`; one more voter votes for all alike."""
        votes = np.full((len(self.voters), num_classes), 1 / num_classes)
        rows, places = np.nonzero(self.voters >= 0)
        np.add.at(votes, (rows, labels[self.voters[rows, places]]), 1)
        return votes / votes.sum(axis=1, keepdims=True)


def form_opinions(material: Material, sets: np.ndarray) -> Opinions | None:
    """Ask the head and the neighbours about every example.

    λ is chosen by the folds. The test split takes no part in any choice or fit.

    Args:
        material: the data set.
        sets: int64 `(N,)`, equal for near duplicates, which are never on both sides of a fold.

    Returns:
        The opinions; None if there are too few different examples for two folds.
    """
    rows, labels = material.fitting, material.index.labels
    groups = joined(sets, material.index.together())
    folds = _folds(material, groups)
    if folds < 2:
        return None
    names = material.task.labels.output_names(labels, material.index.class_names)
    with quiet():
        result = cross_validate_head(
            material.features[rows],
            labels[rows],
            folds=folds,
            target=material.task,
            num_outputs=material.task.num_outputs(len(names)),
            groups=groups[rows],
            seed=material.seed,
        )
    outputs = np.asarray(result.chosen.logits(material.features.astype(np.float64)))
    outputs[rows] = result.held_out_logits
    return Opinions(material.task.scores(outputs), find_voters(material.directions, groups, material.index.splits))


def _folds(material: Material, groups: np.ndarray) -> int:
    """Return the number of folds that the different examples of the largest class, or all of them, allow."""
    rows, labels = material.fitting, material.index.labels
    if not material.has_classes:
        return min(FOLDS, len(np.unique(groups[rows])))
    different = [len(np.unique(groups[rows][labels[rows] == label])) for label in np.unique(labels[rows])]
    return min(FOLDS, min(different, default=0)) if len(different) > 1 else 0


def find_voters(directions: np.ndarray, groups: np.ndarray, splits: np.ndarray) -> np.ndarray:
    """Return the nearest examples that may vote about the label of each example, int64 `(N, 10)`; -1 for none.

    Args:
        directions: float32 `(N, D)`, rows of length 1.
        groups: `(N,)`; examples of one group do not vote about each other.
        splits: `(N,)`; only examples of train and validation vote.
    """
    near, _ = find_neighbours(directions, SEARCHED)
    may_vote = (groups[near] != groups[:, None]) & np.isin(splits[near], FITTED)
    order = np.argsort(~may_vote, axis=1, kind="stable")[:, :VOTERS]
    chosen = np.take_along_axis(near, order, axis=1)
    return np.where(np.take_along_axis(may_vote, order, axis=1), chosen, -1)
