"""Shortcuts: is the label predictable from how a file was made, and not from what it shows?

A network that finds such a sign (one class is saved at another JPEG quality, another camera took it) learns the sign.
For each trait a small decision tree predicts the class in cross-validation. Brightness and file size also depend on
what a picture shows: a forest has more detail than a lake. So they must tell a class apart far better than a trait
that only depends on how the file was made.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.tree import DecisionTreeClassifier

from tfl.audit.finding import Finding, ordered
from tfl.audit.material import Material

FOLDS = 5
MOST = 5_000  # examples that are used
LEAST = 8  # examples of a class
LEAVES, LEAF = 16, 4
PERMUTATIONS = 99
MADE = 0.3  # least Youden's index at the lower end of the interval, for traits of how a file was made; clean sets: 0.12
SHOWN = 0.6  # the same for traits that also depend on what the file shows; six clean sets reach 0.51
FILE_SIZE = "file size"


def find_shortcuts(material: Material) -> list[Finding]:
    """Return the traits of files from which the class of examples outside of the test split is predictable."""
    rows, labels, groups = sample(material)
    if len(np.unique(labels)) < 2:
        return []
    findings = []
    for name, columns in trait_columns(material).items():
        values = columns[rows]
        if len(np.unique(values, axis=0)) < 2:
            continue
        measured = measure_trait(values, labels, groups, least=_least(material, name), seed=material.seed)
        if measured.is_far_above_chance:
            findings.append(_finding(material, name, measured, len(rows)))
    return ordered(findings)


def _least(material: Material, name: str) -> float:
    measure = material.source.kind.measure
    return SHOWN if name in (FILE_SIZE, measure.name if measure else "") else MADE


def sample(material: Material) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rows outside of test, at most 5,000 of classes that are large enough, their labels and their groups."""
    rows = material.fitting
    if len(rows) > MOST:
        rows = np.sort(np.random.default_rng(material.seed).choice(rows, MOST, replace=False))
    labels = material.index.labels[rows]
    rows = rows[np.bincount(labels)[labels] >= LEAST]
    return rows, material.index.labels[rows], material.index.together()[rows]


@dataclasses.dataclass(frozen=True)
class Measured:
    """How well one trait predicts the class.

    Attributes:
        share: Youden's index in cross-validation, for the class that is told from all others best: 0 is chance, 1 is
            certainty. With two classes it is the balanced accuracy on that scale.
        low: the lower end of its 95 % bootstrap interval.
        p_value: of a permutation test against chance; 1 if `low` is so small that the test is needless.
        label: the number of that class.
    """

    share: float
    low: float
    p_value: float
    label: int

    @property
    def is_far_above_chance(self) -> bool:
        """Whether the interval is above the limit, and no permutation reaches the share."""
        return self.p_value <= 1 / (PERMUTATIONS + 1)


def measure_trait(
    values: np.ndarray, labels: np.ndarray, groups: np.ndarray, *, least: float = MADE, seed: int = 0
) -> Measured:
    """Measure how well one trait predicts the class.

    Args:
        values: float64 `(N, C)`, the columns of the trait.
        labels: int64 `(N,)`, at least two classes.
        groups: int64 `(N,)`; examples of one group are in one fold.
        least: the permutation test is made if the interval is above this number.
        seed: of the folds, the bootstrap and the permutations.

    Reference:
        Youden 1950, Index for rating diagnostic tests.
    """
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    tree = DecisionTreeClassifier(
        max_leaf_nodes=max(LEAVES, 2 * len(np.unique(labels))),
        min_samples_leaf=LEAF,
        class_weight="balanced",
        random_state=seed,
    )

    def predict(truth: np.ndarray) -> np.ndarray:
        return cross_val_predict(tree, values, truth, groups=groups, cv=folds)

    predicted = predict(labels)
    share, label = _told_apart(labels, predicted)
    rng = np.random.default_rng(seed)
    drawn = [rng.integers(0, len(labels), len(labels)) for _ in range(200)]
    low = float(np.quantile([_told_apart(labels[rows], predicted[rows])[0] for rows in drawn], 0.025))
    if low < least:
        return Measured(share, low, 1.0, label)
    shuffled = (rng.permutation(labels) for _ in range(PERMUTATIONS))
    reached = sum(_told_apart(truth, predict(truth))[0] >= share for truth in shuffled)
    return Measured(share, low, (1 + reached) / (1 + PERMUTATIONS), label)


def _told_apart(labels: np.ndarray, predicted: np.ndarray) -> tuple[float, int]:
    """Return how well one class is told from all others, for the class for which it is best, and this class.

    It is Youden's index: the share of the class that is predicted as it, less this share of all other examples. A mean
    over classes would hide that one class of ten has a sign of its own.
    """
    shares = {}
    for label in np.unique(labels).tolist():
        own, named = labels == label, predicted == label
        shares[label] = float(named[own].mean() - named[~own].mean()) if not own.all() else 0.0
    best = max(shares, key=lambda label: shares[label])
    return shares[best], best


def trait_columns(material: Material) -> Mapping[str, np.ndarray]:
    """Return the traits of all examples as numbers, float64 `(N, C)` by name; texts become numbers of categories."""
    index, kind = material.index, material.source.kind
    traits = dict(material.traits)
    if "name" in traits:
        traits["name"] = _without_classes(traits["name"], index.class_names)
    columns = {name: [_numbers(values)] for name, values in traits.items()}
    if index.facts:
        facts = [values.astype(np.float64) for values in index.facts.values()]
        columns["resolution"] = [*facts, np.prod(facts, axis=0), facts[0] / np.maximum(facts[-1], 1)]
        if FILE_SIZE in columns:
            size = columns[FILE_SIZE][0]
            columns[FILE_SIZE] = [size, size / np.maximum(np.prod(facts, axis=0), 1)]
    measure = kind.measure
    if measure is not None and material.pictures is not None:
        columns[measure.name] = [np.asarray(measure.function(material.pictures), np.float64)]
    return {name: np.stack(values, axis=1) for name, values in columns.items()}


def _without_classes(names: np.ndarray, class_names: Sequence[str]) -> np.ndarray:
    """Return names of files without the names of classes: a file "cat.12.jpg" of the class cat is no shortcut."""
    pattern = re.compile(
        "|".join(re.escape(name) for name in sorted(class_names, key=len, reverse=True)), re.IGNORECASE
    )
    return np.array([pattern.sub("", name) for name in names.tolist()])


def _numbers(values: np.ndarray) -> np.ndarray:
    """Return numbers as they are, and texts as the rank of their frequency, so that a tree can cut off the rare."""
    if values.dtype.kind != "U":
        return values.astype(np.float64)
    _, codes, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.argsort(np.argsort(-counts, kind="stable"))[codes].astype(np.float64)


def _finding(material: Material, name: str, measured: Measured, count: int) -> Finding:
    one, several = material.source.kind.noun
    label = material.index.class_names[measured.label]
    return Finding(
        "shortcut",
        name,
        measured.share,
        f"The {name} alone tells {label} from all other classes: Youden's index is {measured.share:.2f} in "
        f"cross-validation on {count} {several} (95 % interval from {measured.low:.2f}; 0 is chance, 1 is certainty).",
        f"Make the {name} the same in all classes, for example by saving every {one} in one way; else the network may "
        "learn it in place of the class.",
    )
