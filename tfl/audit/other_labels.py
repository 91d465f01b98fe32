"""Label errors where an example has several labels or values: what a head that was solved without it says."""

from collections.abc import Iterator

import numpy as np

from tfl.audit.duplicates import joined
from tfl.audit.finding import Finding, listed, ordered
from tfl.audit.material import Material
from tfl.audit.opinions import FOLDS, find_suspects
from tfl.data.split_names import SPLITS
from tfl.features import cross_validate_head
from tfl.progress import quiet

FENCE = 3.0  # interquartile ranges outside of the quartiles: Tukey's "far out"
LEAST = 30  # examples, fewer have no distribution


def find_doubtful_labels(material: Material, sets: np.ndarray) -> list[Finding]:
    """Return the examples whose set of labels, or whose values, a head that was solved without them does not expect.

    Args:
        material: examples with several labels or with values.
        sets: int64 `(N,)`, equal for near duplicates, which are never on both sides of a fold.

    Returns:
        For sets of labels what confident learning names, label by label; for values the residuals that are far out.
        Nothing if the head cannot be solved, or there are fewer than 30 examples.

    Reference:
        Northcutt, Jiang and Chuang 2021, Confident learning, arXiv:1911.00068; Tukey 1977, Exploratory data analysis.
    """
    if material.task.convex is None or len(material.fitting) < LEAST:
        return []
    expected = _predict_without(material, joined(sets, material.index.together()))
    return ordered(list((_of_sets if material.task.labels.has_names else _of_values)(material, expected)))


def _predict_without(material: Material, groups: np.ndarray) -> np.ndarray:
    """Return the scores of all examples, float64 `(N, K)`, from heads that were solved without them."""
    rows = material.fitting
    with quiet():
        result = cross_validate_head(
            material.features[rows],
            material.index.labels[rows],
            folds=min(FOLDS, len(np.unique(groups[rows]))),
            target=material.task,
            groups=groups[rows],
            seed=material.seed,
        )
    outputs = result.chosen.logits(material.features.astype(np.float64))
    outputs[rows] = result.held_out_logits
    return material.task.scores(outputs)


def _of_sets(material: Material, expected: np.ndarray) -> Iterator[Finding]:
    labels, names = material.index.labels, material.index.class_names
    probabilities = np.stack([1 - expected, expected], axis=-1)
    is_doubtful = np.zeros(labels.shape, bool)
    for part in (material.fitting, material.index.rows("test")):  # labels of test change nothing for the others
        for column in range(labels.shape[1]):
            given = labels[part, column].astype(int)
            if len(np.unique(given)) == 2:
                is_doubtful[part, column] = find_suspects(probabilities[part, column], given)
    for row in np.flatnonzero(is_doubtful.any(axis=1)).tolist():
        places = np.flatnonzero(is_doubtful[row])
        given = labels[row].astype(int)
        changed = material.task.labels.text(np.where(is_doubtful[row], 1 - given, given), names)
        doubts = [f"{names[place]} {100 * expected[row, place]:.0f} % ({_has(given[place])})" for place in places]
        yield Finding(
            "label error",
            material.name(row),
            float(np.max(np.abs(expected[row, places] - given[places]))),
            f"The labels are {material.label(row) or 'none'}. A head that was solved without this example gives it "
            f"{listed(doubts)}.",
            f"Change the labels to {changed}." if changed else "Exclude the example if it shows none of the labels.",
            (),
            "relabel" if changed else "exclude",
            changed,
        )


def _has(given: int) -> str:
    return "it has this label" if given else "it does not have this label"


def _of_values(material: Material, expected: np.ndarray) -> Iterator[Finding]:
    values = material.index.labels.reshape(len(expected), -1)
    residuals = values - expected
    low, high = np.quantile(residuals[material.fitting], (0.25, 0.75), axis=0)
    distance = np.maximum(low - residuals, residuals - high) / np.maximum(high - low, np.finfo(np.float32).tiny)
    far = np.where(np.isin(material.index.splits, SPLITS), distance.max(axis=1), 0)
    for row in np.flatnonzero(far > FENCE).tolist():
        place = int(distance[row].argmax())
        yield Finding(
            "label error",
            material.name(row),
            1 - FENCE / float(far[row]),
            f"A value is {values[row, place]:.6g}. A head that was solved without this example expects "
            f"{expected[row, place]:.6g}. The difference is {far[row]:.1f} interquartile ranges outside of the "
            "quartiles of all differences.",
            "Correct the value in the table, or exclude the example.",
            (),
            "exclude",
        )
