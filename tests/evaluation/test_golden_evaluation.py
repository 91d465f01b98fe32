"""The content of evaluation.json stays as it was: keys, their order, and numbers, for one small table of every task.

The files in golden/ were written before the results became types. `python tests/evaluation/test_golden_evaluation.py`
writes them again.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from tfl.evaluation import Predictions, Slicing, summarize

GOLDEN = Path(__file__).parent / "golden"
CLASSES = {"multiclass": ("a", "b", "c"), "binary": ("a", "b"), "multilabel": ("a", "b", "c"), "regression": ("value",)}
TARGETS = tuple(CLASSES)


def fixed(target, seed, count):
    """Return predictions that are better than chance, drawn with a fixed seed; no example belongs to class c."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(count, 1 if target in ("binary", "regression") else 3))
    labels = {
        "multiclass": rng.integers(0, 2, count),
        "binary": rng.integers(0, 2, count),
        "multilabel": rng.integers(0, 2, (count, 3)) * np.array([1, 1, 0]),
        "regression": rng.normal(size=count),
    }[target]
    truth = np.eye(3)[labels] if target == "multiclass" else np.reshape(labels, (count, -1))
    logits = 0.5 * noise + truth if target == "regression" else 1.2 * noise + 3.0 * truth - 1.5
    return Predictions(np.arange(count), labels, logits, target)


def summary_of(target):
    test, validation = fixed(target, 1, 60), fixed(target, 2, 50)
    parts = {
        "half": Slicing(("left", "right"), np.arange(60) % 2),
        "third": Slicing(("x", "y", "z"), np.arange(60) % 3),
    }
    return summarize(test, CLASSES[target], temperature=1.5, validation=validation, slicings=parts).to_dict()


def leaves(values, path=""):
    """Yield the path of each number or text, in the order of the file, with its value."""
    if isinstance(values, (dict, list)) and values:
        for key, inner in values.items() if isinstance(values, dict) else enumerate(values):
            yield from leaves(inner, f"{path}/{key}")
    else:
        yield path, values


@pytest.mark.parametrize("target", TARGETS)
def test_the_content_is_that_of_before(target):
    expected = dict(leaves(json.loads((GOLDEN / f"{target}.json").read_text())))
    found = dict(leaves(json.loads(json.dumps(summary_of(target), allow_nan=False))))
    assert list(found) == list(expected)
    assert {path: type(value) for path, value in found.items()} == {k: type(value) for k, value in expected.items()}
    # The last digit of a float differs between processors.
    close = {path: pytest.approx(v, rel=1e-12) if isinstance(v, float) else v for path, v in expected.items()}
    assert found == close


if __name__ == "__main__":
    for name in TARGETS:
        (GOLDEN / f"{name}.json").write_text(json.dumps(summary_of(name), allow_nan=False) + "\n")
