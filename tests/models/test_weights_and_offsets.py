"""Weights and offsets from the sizes of classes, against their formulas and scikit-learn."""

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

import tfl
from tfl.errors import InputError
from tfl.models.balance import effective_class_weight, label_weights, logit_offsets
from tfl.models.class_weights import balanced_class_weight, resolve_class_weight
from tfl.tasks import LossOptions, get_task

LABELS = np.repeat([0, 1, 3], [900, 90, 10])
SETS = (np.random.default_rng(0).random((200, 3)) < [0.5, 0.1, 0.02]).astype(int)


@pytest.mark.parametrize("beta", [0.9, 0.99, 0.999, 0.9999])
def test_effective_numbers_are_those_of_the_paper(beta: float) -> None:
    counts = np.array([900, 90, 10])
    expected = (1 - beta) / (1 - beta**counts)
    weights = effective_class_weight(LABELS, beta)
    assert list(weights) == [0, 1, 3]
    found = np.array(list(weights.values()))
    np.testing.assert_allclose(found / found[0], expected / expected[0], rtol=1e-9)
    assert np.mean([weights[label] for label in LABELS]) == pytest.approx(1)


def test_effective_numbers_lie_between_no_weights_and_balanced_ones() -> None:
    assert effective_class_weight(LABELS, 0.0) == pytest.approx({0: 1.0, 1: 1.0, 3: 1.0})
    assert effective_class_weight(LABELS, 1 - 1e-12) == pytest.approx(balanced_class_weight(LABELS), rel=1e-3)
    with pytest.raises(InputError, match="`beta` must be at least 0 and below 1"):
        effective_class_weight(LABELS, 1.0)


def test_names_of_weights_in_fit_and_the_solver() -> None:
    assert resolve_class_weight("Inverse", 4, labels=LABELS) == balanced_class_weight(LABELS)
    assert resolve_class_weight("effective", 4, labels=LABELS) == effective_class_weight(LABELS)
    with pytest.raises(InputError, match=r"Received: 'effective'. Did you mean tfl.training.effective_class_weight"):
        resolve_class_weight("effective", 4)


def test_labels_are_weighted_as_yes_and_no_of_each() -> None:
    weights = label_weights(SETS)
    for number, column in enumerate(SETS.T):
        np.testing.assert_allclose(
            weights[:, number], compute_class_weight("balanced", classes=np.array([0, 1]), y=column)
        )
        of_one = effective_class_weight(column, 0.99)
        np.testing.assert_allclose(label_weights(SETS, 0.99)[:, number], list(of_one.values()))
    never = label_weights(np.array([[0, 1], [0, 0]]))
    np.testing.assert_allclose(never, [[1, 1], [0, 1]])


def test_offsets_are_log_frequencies() -> None:
    shares = np.array([0.9, 0.09, 0.01])
    classes = np.repeat([0, 1, 2], [900, 90, 10])
    np.testing.assert_allclose(logit_offsets(classes, 3, 0.5), 0.5 * np.log(shares))
    binary = logit_offsets(np.repeat([0, 1], [95, 5]), 1, target="binary")
    np.testing.assert_allclose(binary, [np.log(5 / 95)])
    present = SETS.mean(axis=0)
    np.testing.assert_allclose(logit_offsets(SETS, 3, target="multilabel"), np.log(present / (1 - present)))


def test_a_class_without_examples_has_no_offset() -> None:
    with pytest.raises(InputError, match=r"hold examples of each class\. Received: 0 of 1000 examples have 'bee'"):
        logit_offsets(LABELS, 4, names=("ant", "wasp", "bee", "fly"))
    with pytest.raises(InputError, match=r"label, with it and without it\. Received: 2 of 2 examples have number 1"):
        logit_offsets(np.array([[0, 1], [1, 1]]), 2, target="multilabel")


def test_a_solved_head_with_offsets_predicts_for_equal_classes() -> None:
    """Two normal classes, 20 to 1: the plain head puts the border far from the middle, the adjusted head near it."""
    rng = np.random.default_rng(0)
    counts = (4000, 200)
    x = np.concatenate([rng.normal(mean, 1, (count, 1)) for mean, count in zip((-1, 1), counts, strict=True)])
    y = np.repeat([0, 1], counts)
    adjusted = get_task("multiclass").with_loss(LossOptions(offsets=logit_offsets(y, 2)))
    heads = [tfl.solve_head(x, y, l2=1e-6, target=task) for task in ("multiclass", adjusted)]
    borders = [float(-(h.bias[1] - h.bias[0]) / (h.kernel[0, 1] - h.kernel[0, 0])) for h in heads]
    assert borders[0] == pytest.approx(np.log(20) / 2, abs=0.15)
    assert borders[1] == pytest.approx(0, abs=0.15)
    slopes = [head.kernel[0, 1] - head.kernel[0, 0] for head in heads]
    assert slopes[0] == pytest.approx(slopes[1], rel=1e-3)
