"""The strength of a baseline is chosen by cross-validation, and a run says so where it cannot be."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from tfl.recipe.plain import Described, fit_logistic

STRENGTHS = (1e-4, 1.0, 100.0)


def described(labels):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(len(labels), 3)) + np.eye(3)[labels]
    return Described("numbers", LogisticRegression(), "C", STRENGTHS, values, values[:4])


@pytest.mark.parametrize(
    ("labels", "groups"),
    [([0, 0, 0, 0, 1, 1, 1, 1, 2], None), ([0, 0, 0, 1, 1, 1, 1], [0, 0, 0, 1, 1, 2, 2]), ([0, 1, 0, 1], [0, 0, 0, 0])],
    ids=["a class with one example", "a class with one group", "one group"],
)
def test_without_folds_the_middle_strength_is_taken_and_told(labels, groups, capsys, caplog):
    labels = np.array(labels)
    scores, strength = fit_logistic(described(labels), labels, None if groups is None else np.array(groups), 3)
    assert strength == STRENGTHS[1] and np.allclose(scores.sum(axis=1), 1)
    assert "not chosen" in caplog.text + "".join(capsys.readouterr())


def test_with_folds_a_strength_is_chosen():
    labels = np.arange(60) % 3
    assert fit_logistic(described(labels), labels, np.arange(60) % 6, 3)[1] in STRENGTHS
