"""Shortcuts: is the label predictable from how a file was made, and not from what it shows?

A network that finds such a sign (one class is saved at another JPEG quality, another camera took it) learns the sign.
For each trait a small decision tree predicts the class in cross-validation. A trait such as brightness or file size
also says a little about what a picture shows, so that it beats chance in clean sets, too. Therefore a trait is
reported only if the tree is right about far more than chance.
"""

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
SHARE = 0.3  # least share of the way from chance to certainty, at the lower end of the interval; clean sets reach 0.18


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
        share, low, p_value = measure_trait(values, labels, groups, material.seed)
        if low >= SHARE and p_value <= 1 / (PERMUTATIONS + 1):
            findings.append(_finding(material, name, share, low, len(rows)))
    return ordered(findings)


def sample(material: Material) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rows outside of test, at most 5,000 of classes that are large enough, their labels and their groups."""
    rows = material.fitting
    if len(rows) > MOST:
        rows = np.sort(np.random.default_rng(material.seed).choice(rows, MOST, replace=False))
    labels = material.index.labels[rows]
    rows = rows[np.bincount(labels)[labels] >= LEAST]
    return rows, material.index.labels[rows], material.index.together()[rows]


def measure_trait(
    values: np.ndarray, labels: np.ndarray, groups: np.ndarray, seed: int = 0
) -> tuple[float, float, float]:
    """Measure how well one trait predicts the class.

    Args:
        values: float64 `(N, C)`, the columns of the trait.
        labels: int64 `(N,)`, at least two classes.
        groups: int64 `(N,)`; examples of one group are in one fold.
        seed: of the folds, the bootstrap and the permutations.

    Returns:
        The share of the way from chance (0) to certainty (1) of the balanced accuracy in cross-validation; the lower
        end of its 95 % bootstrap interval; and the p-value of a permutation test against chance. The p-value is 1
        where the interval makes the test needless.
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
    share = _share(labels, predicted)
    rng = np.random.default_rng(seed)
    drawn = [rng.integers(0, len(labels), len(labels)) for _ in range(200)]
    low = float(np.quantile([_share(labels[rows], predicted[rows]) for rows in drawn], 0.025))
    if low < SHARE:
        return share, low, 1.0
    shuffled = (rng.permutation(labels) for _ in range(PERMUTATIONS))
    reached = sum(_share(truth, predict(truth)) >= share for truth in shuffled)
    return share, low, (1 + reached) / (1 + PERMUTATIONS)


def _share(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Return the balanced accuracy, scaled so that chance is 0 and certainty 1."""
    recalls = [float(np.mean(predicted[labels == label] == label)) for label in np.unique(labels)]
    chance = 1 / len(recalls)
    return (float(np.mean(recalls)) - chance) / (1 - chance) if len(recalls) > 1 else 0.0


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
        if "file size" in columns:
            size = columns["file size"][0]
            columns["file size"] = [size, size / np.maximum(np.prod(facts, axis=0), 1)]
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


def _finding(material: Material, name: str, share: float, low: float, count: int) -> Finding:
    one, several = material.source.kind.noun
    return Finding(
        "shortcut",
        name,
        share,
        f"The {name} alone predicts the class: {100 * share:.0f} % of the way from chance to certainty in "
        f"cross-validation on {count} {several} (95 % interval from {100 * low:.0f} %).",
        f"Make the {name} the same in all classes, for example by saving every {one} in one way; else the network may "
        "learn it in place of the class.",
    )
