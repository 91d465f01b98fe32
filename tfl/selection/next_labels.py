"""Which unlabelled examples to label next, chosen by scikit-activeml from the features of a frozen network."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from tfl.errors import InputError
from tfl.extras import check_extra
from tfl.progress import say
from tfl.registry import resolve

AUTO, TYPICLUST, MARGIN, DROPQUERY = METHODS = ("auto", "typiclust", "margin", "dropquery")
ENOUGH = 10  # labels a class: with fewer the head is too unsure to know what it does not know
MOST_CANDIDATES = 10_000  # the clusters of more take minutes
MOST_LABELLED = 500  # each one is a cluster of TypiClust
Probabilities = Callable[[np.ndarray], np.ndarray]  # from features `(N, D)` to probabilities `(N, C)`


@dataclasses.dataclass(frozen=True)
class NextLabels:
    """Which examples to label next.

    Attributes:
        method: "typiclust", "margin" or "dropquery".
        num_candidates: number of different examples without a label.
        header: names of the columns of `rows`.
        rows: one for each chosen example, the first to label first: its place from 1 and its path; and, if there are
            labels, the class that the head predicts, its probability, and the two most probable classes.

    Example:
        >>> NextLabels("typiclust", 40, ("place", "path"), ((1, "more/7.jpg"), (2, "more/3.jpg"))).paths
        ['more/7.jpg', 'more/3.jpg']
    """

    method: str
    num_candidates: int
    header: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    @property
    def paths(self) -> list[str]:
        """The files of the chosen examples, the first to label first."""
        return [row[1] for row in self.rows]


def check_choice(count: int, method: str, *, has_labels: bool) -> str:
    """Return the official spelling of a method; nothing is imported.

    Raises:
        InputError: the method is not known or needs labels and there are none, there is nothing to choose, or
            scikit-activeml is not installed.

    Example:
        >>> check_choice(20, "Margin", has_labels=True)
        'margin'
    """
    check_extra("unlabelled", "skactiveml", "label")
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise InputError(f"`next_count` must be a whole number from 1. Received: {count!r}.")
    method = resolve(method, METHODS, "next_method")
    if not has_labels and method in (MARGIN, DROPQUERY):
        raise InputError(f"`next_method` must be 'typiclust' if nothing is labelled yet. Received: {method!r}.")
    return method


def resolve_method(method: str, per_class: float) -> str:
    """Return the method that "auto" means; another method stays as it is.

    Args:
        method: from `check_choice`.
        per_class: the number of labels a class, the mean over the classes.

    Example:
        >>> resolve_method("auto", 2), resolve_method("auto", 30), resolve_method("dropquery", 2)
        ('typiclust', 'margin', 'dropquery')
    """
    return method if method != AUTO else MARGIN if per_class >= ENOUGH else TYPICLUST


def choose_next(
    labelled: np.ndarray,
    candidates: np.ndarray,
    count: int,
    probabilities: Probabilities | None = None,
    *,
    method: str,
    seed: int = 0,
) -> np.ndarray:
    """Choose the candidates that should be labelled next.

    "typiclust" needs no label: it clusters all features, and takes the most typical candidate of each of the largest
    clusters that have no labelled example. "margin" takes the candidates whose two most probable classes are closest.
    "dropquery" looks at those whose class changes if features are dropped, and takes one from each of `count`
    clusters of them. Of candidates with equal features one is taken before any is taken twice.

    Args:
        labelled: `(L, D)` features of the labelled examples; L may be 0.
        candidates: `(N, D)` features of the unlabelled examples.
        count: how many to choose; more than N means all.
        probabilities: of the classes, by the head that the labelled examples solve; None: there are no labels.
        method: "typiclust", "margin" or "dropquery".
        seed: of the clusters and of the dropped features.

    Returns:
        int64 different positions in `candidates`, in the order in which to label them.

    Raises:
        InputError: the method needs labels and there are none, or scikit-activeml is not installed.

    Example:
        >>> places = np.repeat([[0.0, 0.0], [9.0, 9.0], [0.0, 9.0]], 5, axis=0)
        >>> candidates = places + np.random.default_rng(0).normal(size=places.shape)
        >>> chosen = choose_next(np.zeros((0, 2)), candidates, 3, method="typiclust")
        >>> sorted((chosen // 5).tolist())
        [0, 1, 2]

    Reference:
        Hacohen, Dekel and Weinshall 2022, Active learning on a budget: opposite strategies suit high and low budgets,
        arXiv:2202.02794 (TypiClust). Gupte et al. 2024, Revisiting active learning in the era of vision foundation
        models, arXiv:2401.14555 (DropQuery). Scheffer, Decomain and Wrobel 2001, Active hidden Markov models for
        information extraction (margin).
    """
    method = check_choice(count, method, has_labels=probabilities is not None)
    rng = np.random.default_rng(seed)
    fresh = _distinct(labelled, candidates)
    if method != MARGIN and len(fresh) > MOST_CANDIDATES:
        say(f"next labels: chosen among {MOST_CANDIDATES:,} of {len(fresh):,} candidates, drawn at random")
        fresh = _at_most(MOST_CANDIDATES, fresh, rng)
    if len(fresh):
        own = np.unique(labelled[_at_most(MOST_LABELLED, np.arange(len(labelled)), rng)], axis=0)
        fresh = fresh[_query(own, candidates[fresh], min(count, len(fresh)), probabilities, method, seed)]
    rest = np.setdiff1d(np.arange(len(candidates)), fresh)
    return np.concatenate([fresh, rng.permutation(rest)])[:count].astype(np.int64)


def _distinct(labelled: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """Return the positions of the first candidate of each row of features that no labelled example has."""
    together = np.concatenate([labelled.reshape(-1, candidates.shape[1]), candidates])
    first = np.unique(together, axis=0, return_index=True)[1]
    return np.sort(first[first >= len(labelled)]) - len(labelled)


def _at_most(most: int, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return rows if len(rows) <= most else np.sort(rng.choice(rows, most, replace=False))


def _query(
    labelled: np.ndarray,
    candidates: np.ndarray,
    count: int,
    probabilities: Probabilities | None,
    method: str,
    seed: int,
) -> np.ndarray:
    """Return the positions of the chosen candidates; all features are different."""
    from skactiveml import pool  # the import takes seconds

    features = np.concatenate([labelled.reshape(-1, candidates.shape[1]), candidates]).astype(np.float64)
    labels = np.concatenate([np.zeros(len(labelled)), np.full(len(candidates), np.nan)])
    if method == TYPICLUST:
        chosen = pool.TypiClust(random_state=seed).query(features, labels, batch_size=count)
    else:
        strategy = (
            pool.UncertaintySampling("margin_sampling", random_state=seed)
            if method == MARGIN
            else pool.DropQuery(cluster_algo_dict={"random_state": seed}, random_state=seed)
        )
        chosen = strategy.query(features, labels, _solved(probabilities), fit_clf=False, batch_size=count)
    return np.asarray(chosen, np.int64) - len(labelled)


def _solved(probabilities: Any) -> Any:
    """Return a solved head as a classifier of scikit-activeml."""
    from skactiveml.base import SkactivemlClassifier

    class Solved(SkactivemlClassifier):
        def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
            return self

        def predict_proba(self, X: Any) -> np.ndarray:
            return probabilities(X)

        def predict(self, X: Any) -> np.ndarray:
            return probabilities(X).argmax(axis=1)

    return Solved()
