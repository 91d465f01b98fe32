"""A served model says how sure it is exactly as its run calibrated it, or says nothing."""

import json

import numpy as np
import pytest
from conftest import CLASSES
from runs import TEMPERATURE, evaluation_with, row, write_run

import tfl
from tfl.evaluation.conformal import MeasuredCoverage, choose_coverage, describe_conformal
from tfl.evaluation.predictions import Predictions
from tfl.models.classifier import Metadata
from tfl.serving import ServeOptions
from tfl.serving.about import read_about, title_of
from tfl.serving.certainty import Certainty
from tfl.tasks import get_task

METADATA = Metadata("MobileNetV2", 0.35, 32, "multiclass", CLASSES, TEMPERATURE)


def random_table(rng, task, count=200):
    logits = rng.normal(0, 2, (count, 3))
    if task.is_classifier:
        return Predictions(np.arange(count), (logits + rng.gumbel(0, 1, logits.shape)).argmax(axis=1), logits, task)
    return Predictions(np.arange(count), logits + rng.normal(0, 1, logits.shape), logits, task)


@pytest.mark.parametrize("target", ["multiclass", "regression"])
def test_the_recorded_threshold_gives_the_sets_that_were_calibrated(target):
    rng, task = np.random.default_rng(0), get_task(target)
    validation, test = random_table(rng, task), random_table(rng, task)
    metadata = Metadata("MobileNetV2", 1.0, 32, target, CLASSES)
    recorded = [MeasuredCoverage(**json.loads(json.dumps(vars(one)))) for one in describe_conformal(validation, test)]
    for measured in recorded:
        sets = tfl.fit_conformal(validation, measured.coverage)
        answers = [Certainty(measured, metadata, "validation").describe(scores) for scores in test.probabilities]
        if task.is_classifier:
            named = [[CLASSES[k] for k in np.flatnonzero(one)] for one in sets.contains(test)]
            assert [sorted(answer["named"]) for answer in answers] == [sorted(names) for names in named]
        else:
            low, high = np.moveaxis(np.array([answer["intervals"] for answer in answers]), 2, 0)
            covered = ((low <= test.labels) & (test.labels <= high)).all(axis=1)
            np.testing.assert_array_equal(covered, sets.covers(test))
            assert covered.mean() == measured.test_coverage


@pytest.mark.parametrize(
    ("scores", "threshold", "verdict", "named"),
    [
        ([0.7, 0.2, 0.1], 0.3, "ant", ["ant"]),
        ([0.2, 0.7, 0.1], 0.15, "not sure: bee or ant", ["bee", "ant"]),
        ([0.3, 0.3, 0.4], 0.2, "don't know", ["<b>wasp</b>", "ant", "bee"]),
        ([0.3, 0.3, 0.4], 0.45, "don't know", []),
    ],
)
def test_a_set_in_words(scores, threshold, verdict, named):
    certainty = Certainty(MeasuredCoverage(**row(0.9, threshold)), METADATA, "validation")
    answer = certainty.describe(np.float32(scores))
    assert answer == {"verdict": verdict, "named": named, "coverage": 0.9}


def test_many_classes_are_counted_and_not_listed():
    metadata = Metadata("MobileNetV2", 1.0, 32, "multiclass", tuple(map(str, range(40))))
    certainty = Certainty(MeasuredCoverage(**row(0.9, 0.01)), metadata, "validation")
    scores = np.where(np.arange(40) < 8, 0.12, 0.04 / 32)
    assert certainty.describe(scores)["verdict"] == "not sure: one of 8 classes, such as 0, 1, 2"


@pytest.mark.parametrize(
    ("thresholds", "chosen"),
    [
        ({0.8: 0.3, 0.9: 0.2, 0.95: 0.1}, 0.9),
        ({0.8: 0.9, 0.9: 0.8, 0.95: 0.5, 0.99: 0.0}, 0.95),  # at 90 % the set of a class with 0.7 would be empty
        ({0.9: 0.9, 0.95: 0.8, 0.99: 0.0}, 0.95),  # 0: validation is too small for 99 %
        ({0.8: 0.3, 0.9: 0.0}, None),
        ({0.8: 0.3}, None),
        ({}, None),
    ],
)
def test_the_lowest_promise_at_which_a_clear_answer_is_named(thresholds, chosen):
    rows = [MeasuredCoverage(**row(*pair)) for pair in thresholds.items()]
    found = choose_coverage(rows[::-1], METADATA.task)
    assert (found and found.coverage) == chosen


def test_the_promise_in_words():
    certainty = Certainty(MeasuredCoverage(**row(0.9, 0.2)), METADATA, "held-out")
    start = "In 90\xa0% of images like the held-out images, the right class is among those"
    assert certainty.promise.startswith(start)
    assert certainty.result == "Measured on the test images: 90\xa0% (95\xa0% interval 85\xa0% to 90.5\xa0%)."


def test_the_facts_of_a_run(model_file, tmp_path):
    run = write_run(tmp_path / "photos", model_file, evaluation_with([row(0.9, 0.2)]))
    for path in (run, run / "model.keras"):
        facts, certainty = read_about(path, METADATA)
        assert facts["name"] == "photos" == title_of(ServeOptions(str(path)))
        assert facts["network"] == "MobileNetV2 (alpha 0.35)"
        assert facts["date"][:2] == "20" and len(facts["date"]) == 10
        assert (facts["test"]["value"], facts["test"]["interval"]) == (0.9, [0.88, 0.92])  # Wilson's interval
        assert certainty.measured.threshold == 0.2
    assert title_of(ServeOptions(str(run), name="insects")) == "insects"


@pytest.mark.parametrize(("quantize", "is_same"), [("none", True), ("int8", False)])
def test_an_export_has_the_promise_of_its_run_if_its_probabilities_are_those_of_the_run(
    model_file, tmp_path, quantize, is_same
):
    run = write_run(tmp_path / "photos", model_file, evaluation_with([row(0.9, 0.2)]))
    (run / "export").mkdir()
    (run / "export" / "model.tflite").write_bytes(b"")
    entry = {"files": {}, "quantize": quantize}
    (run / "export" / "certificate.json").write_text(json.dumps({"artefacts": {"model.tflite": entry}}))
    path = run / "export" / "model.tflite"
    facts, certainty = read_about(path, METADATA)
    assert title_of(ServeOptions(str(path))) == facts["name"] == "photos"
    assert ("test" in facts, certainty is not None) == (is_same, is_same)


@pytest.mark.parametrize(
    "evaluation",
    [
        None,
        evaluation_with([]),
        evaluation_with([row(0.9, 0.2)], temperature=1.0),  # the thresholds are those of other probabilities
        {"temperature": "hot"},
    ],
)
def test_without_what_the_run_recorded_there_is_no_promise(model_file, tmp_path, evaluation, capsys):
    run = write_run(tmp_path / "photos", model_file, evaluation)
    assert read_about(run, METADATA).certainty is None
    is_damaged = evaluation is not None and evaluation["temperature"] == "hot"
    assert ("Warning: the page shows no test result" in capsys.readouterr().err) == is_damaged


def test_a_file_without_a_run_has_only_its_own_facts(model_file, litert_file):
    facts, certainty = read_about(model_file, METADATA)
    assert (facts["name"], certainty) == ("", None) and facts["date"]
    assert read_about(litert_file, METADATA).facts == {
        "name": "",
        "network": "MobileNetV2 (alpha 0.35)",
        "date": "",
    }
    assert title_of(ServeOptions(str(litert_file))) == "model.tflite"
