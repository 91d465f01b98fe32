"""What evaluation.json holds, for every target and on degenerate tables: whole, and JSON without NaN."""

import dataclasses
import json
import warnings

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from tfl.errors import InputError
from tfl.evaluation import ANALYSES, Analysis, Evaluation, Predictions, Slicing, main_figures, summarize
from tfl.tasks import Multiclass

CLASSES = {"multiclass": ("a", "b", "c"), "binary": ("a", "b"), "multilabel": ("a", "b", "c"), "regression": ("value",)}
ALWAYS = {"temperature", "headline", "test", "intervals", "decisions"}
KEYS = {
    "multiclass": {"per_class", "confusion_matrix", "calibration"},
    "binary": {"per_class", "confusion_matrix", "calibration"},
    "multilabel": {"per_class", "calibration"},
    "regression": set(),
}
DECISIONS = {
    "multiclass": {"selective", "precision_thresholds", "conformal"},
    "binary": {"selective", "precision_thresholds", "conformal"},
    "multilabel": {"selective", "precision_thresholds"},
    "regression": {"conformal"},
}


def drawn(target, seed, count):
    rng = np.random.default_rng(seed)
    outputs = 1 if target in ("binary", "regression") else 3
    logits = np.round(rng.normal(size=(count, outputs)), seed % 3)
    labels = {
        "multiclass": rng.integers(0, 3, count),
        "binary": rng.integers(0, 2, count),
        "multilabel": rng.integers(0, 2, (count, 3)),
        "regression": rng.normal(size=count),
    }[target]
    if seed % 3 == 0:
        labels[:] = labels[0]
    return Predictions(np.arange(count), labels, logits, target)


@pytest.mark.parametrize("target", list(CLASSES))
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 30))
def test_whatever_the_labels_are_all_of_it_is_there(target, seed, count):
    test, validation = drawn(target, seed, count), drawn(target, seed + 1, count)
    parts = {"half": Slicing(("left", "right"), np.arange(count) % 2)}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        whole = summarize(test, CLASSES[target], temperature=2.0, validation=validation, slicings=parts)
    assert Evaluation.from_dict(json.loads(json.dumps(whole.to_dict()))) == whole
    summary = whole.to_dict()
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    absent = [row["class"] for row in summary.get("per_class", ()) if row["support"] == 0]
    assert summary.pop("absent_classes", []) == absent
    assert summary.keys() == ALWAYS | KEYS[target] | {"slices"}
    assert summary["test"] == test.metrics()
    assert summary["decisions"].keys() - {"dont_know"} == DECISIONS[target]
    assert len(summary["slices"]["half"]) == min(count, 2)
    alone = summarize(test, CLASSES[target]).to_dict()
    assert "slices" not in alone
    assert alone["decisions"] == {}  # nothing is chosen on test


def test_decisions_are_made_on_the_probabilities_that_are_shipped():
    test, validation = drawn("multiclass", 1, 60), drawn("multiclass", 2, 60)
    plain, cold = (summarize(test, "abc", temperature=t, validation=validation).to_dict() for t in (1.0, 3.0))
    assert plain["test"] == cold["test"]
    assert plain["calibration"]["before"] == plain["calibration"]["after"] == cold["calibration"]["before"]
    assert cold["calibration"]["after"] != cold["calibration"]["before"]
    for name in DECISIONS["multiclass"]:
        first, second = (each["decisions"][name][1]["threshold"] for each in (plain, cold))
        assert first != second


def test_the_lean_figures_are_those_of_the_whole():
    summary = summarize(drawn("multiclass", 1, 60), "abc", temperature=3.0)
    figures, summary = main_figures(summary), summary.to_dict()
    assert figures["intervals"].keys() >= {"accuracy", "macro_f1", "loss"}
    assert figures["intervals"]["accuracy"] == summary["intervals"]["accuracy"]
    assert figures["calibration"] == {
        "temperature": 3.0,
        "ece_before": summary["calibration"]["before"]["ece"],
        "ece_after": summary["calibration"]["after"]["ece"],
        "ece_by_chance": summary["calibration"]["after"]["ece_by_chance"],
    }
    assert main_figures(summarize(drawn("regression", 1, 60), ["value"])).keys() == {"intervals"}


@dataclasses.dataclass(frozen=True)
class Busiest:
    """The class that is predicted most often."""

    label: str


class BusiestAnalysis(Analysis[Busiest]):
    name = "busiest"

    def measure(self, examples):
        counts = np.bincount(examples.test.logits.argmax(axis=1))
        return Busiest(examples.class_names[counts.argmax()])

    def from_dict(self, values):
        return Busiest(**values["busiest"]) if "busiest" in values else None


class Short(Multiclass):
    analyses = ("busiest", "conformal")


def test_a_task_gets_the_analyses_that_it_declares_also_its_own(monkeypatch):
    monkeypatch.setitem(ANALYSES, "busiest", BusiestAnalysis())
    logits = np.eye(3)[[2, 2, 1, 2]]
    table = Predictions(np.arange(4), np.array([2, 2, 1, 0]), logits, Short())
    summary = summarize(table, "abc", validation=table)
    assert summary.results.keys() == {"busiest", "conformal"}
    values = summary.to_dict()
    assert values["busiest"] == {"label": "c"} and values["decisions"].keys() == {"conformal"}
    assert Evaluation.from_dict(values) == summary
    monkeypatch.delitem(ANALYSES, "busiest")
    with pytest.raises(InputError, match=r"`analyses` must be a known name\. Received: 'busiest'"):
        summarize(table, "abc")


def test_older_files_lack_entries():
    test = {"accuracy": 0.5, "num_examples": 4}
    oldest = Evaluation.from_dict({"temperature": 1.5, "test": test, "newer": [1]}, "accuracy")
    assert (oldest.temperature, oldest.headline, oldest.test) == (1.5, "accuracy", test)
    assert not oldest.results and not oldest.slices and not oldest.intervals and not oldest.per_class
    assert oldest.calibration is None and oldest.selective.dont_know is None
    ece = {"ece": 0.1, "ece_by_chance": 0.04, "bins": [{"count": 4, "confidence": 0.6, "accuracy": 0.5}]}
    point = {"threshold": 0.5, "coverage": 1.0, "accuracy": 0.5}
    values = {
        "calibration": {"before": ece, "after": {**ece, "ece_by_chance_high": 0.05}},
        "decisions": {"dont_know": point},
        "slices": {"half": [{"slice": "left", "num_examples": 2, "mean_absolute_error": 1.0, "low": None, "high": 3}]},
    }
    old = Evaluation.from_dict({"temperature": 1, "test": test, **values}, "mean_absolute_error")
    assert old.calibration.before.limit_by_chance == pytest.approx(0.06) and old.calibration.before.bins[0].low is None
    assert old.calibration.after.limit_by_chance == 0.05
    assert old.selective.curve == () and old.selective.dont_know.validation_accuracy is None
    assert old.slices["half"][0].value == 1.0


def test_the_matrix_of_very_many_classes_is_left_out():
    rng = np.random.default_rng(0)
    table = Predictions(np.arange(300), rng.integers(0, 250, 300), rng.normal(size=(300, 250)), "multiclass")
    summary = summarize(table, [str(number) for number in range(250)]).to_dict()
    assert "confusion_matrix" not in summary
    assert len(summary["per_class"]) == 250


@pytest.mark.parametrize("count", [1, 8, 60])
@pytest.mark.parametrize("target", list(CLASSES))
def test_no_interval_says_that_a_handful_of_images_is_certain(target, count):
    """All right on 8 images is between 0.68 and 1 (Wilson 1927), and no other metric claims to be known exactly."""
    labels = {"multilabel": np.tile([[1, 0, 1], [0, 1, 0]], (count, 1))[:count], "regression": np.arange(count) * 1.0}
    truth = labels.get(target, np.arange(count) % 2)
    logits = {"multiclass": 9.0 * np.eye(3)[np.arange(count) % 2], "multilabel": 9.0 * (2 * truth - 1)}
    table = Predictions(np.arange(count), truth, logits.get(target, 9.0 * (2 * truth[:, None] - 1)), target)
    summary = summarize(table, CLASSES[target])
    assert all(low < high for low, high in summary.intervals.values())
    if target != "regression":
        expected = wilson(count, count)
        assert summary.test["accuracy"] == 1.0
        assert list(summary.intervals["accuracy"]) == pytest.approx(expected)
        assert main_figures(summary)["intervals"]["accuracy"] == pytest.approx(expected)


def wilson(right, count):
    """Wilson's interval by its closed form."""
    z = scipy.stats.norm.ppf(0.975)
    centre = (right / count + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * np.sqrt(right / count * (1 - right / count) / count + z**2 / (4 * count**2))
    return [centre - half, centre + half]
