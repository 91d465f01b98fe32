"""Each sentence appears where its numbers call for it, names them, and does not appear otherwise."""

import dataclasses

import numpy as np
import pytest

from tfl.config import ProbeConfig
from tfl.evaluation import Predictions
from tfl.evaluation.calibration import error_by_chance
from tfl.report import Facts, find, read_facts
from tfl.report.wording import count, figure, percent, points, spoken


@pytest.fixture
def facts(make_run) -> Facts:
    """A run of which nothing is to be said: many images, all right, calibrated, fine-tuning paid."""
    run = make_run()
    good = read_facts(run.path)
    counts = {"train": 100, "validation": 60, "test": 2000}
    splits = [
        {
            "id": f"{split}{k}",
            "label": name,
            "split": split,
            "sha256": f"{split}{name}{k}",
            "width": "64",
            "height": "64",
        }
        for split, number in counts.items()
        for name in ("ant", "bee", "cat")
        for k in range(number // 3 + 1)
    ]
    test = {"accuracy": 0.98, "balanced_accuracy": 0.98, "num_examples": 2000, "loss": 0.1}
    labels = np.arange(30) % 3
    return dataclasses.replace(
        good,
        splits=splits,
        history=[{"epoch": 0, "loss": 0.6, "val_loss": 0.6}, {"epoch": 1, "loss": 0.5, "val_loss": 0.59}],
        table=Predictions(np.arange(30), labels, 5.0 * np.eye(3)[labels], "multiclass"),
        metrics={**good.metrics, "test": test, "num_examples": counts, "validation": {"accuracy": 0.98, "loss": 0.1}},
        evaluation={
            "temperature": 1.0,
            "test": test,
            "intervals": {"accuracy_wilson": [0.973, 0.985]},
            "per_class": [{"class": name, "recall": 0.98, "support": 667} for name in ("ant", "bee", "cat")],
            "confusion_matrix": [[660, 7, 0], [0, 660, 7], [7, 0, 660]],
            "calibration": {
                when: {"ece": 0.01, "ece_by_chance": CHANCE, "bins": [BIN]} for when in ("before", "after")
            },
            "decisions": {},
            "slices": {"brightness": [SLICE]},
        },
    )


BIN = {"low": 0.9, "high": 1.0, "count": 2000, "confidence": 0.98, "accuracy": 0.98}
CHANCE = 0.0025  # of the one bin
SLICE = {"slice": "dark", "num_examples": 1000, "accuracy": 0.975, "low": 0.96, "high": 0.985}


def texts(facts, kind=None):
    return [finding.text.replace("\xa0", " ") for finding in find(facts) if kind in (None, finding.kind)]


def evaluated(facts, **values):
    return dataclasses.replace(facts, evaluation={**facts.evaluation, **values})


def measured(facts, **values):
    return dataclasses.replace(facts, metrics={**facts.metrics, **values})


def relabelled(facts, split, number, **values):
    rows = [row for row in facts.splits if row["split"] == split]
    changed = {id(row) for row in rows[:number]}
    splits = [{**row, **values} if id(row) in changed else row for row in facts.splits]
    return dataclasses.replace(facts, splits=splits)


def weak(facts):
    rows = [dict(row) for row in facts.evaluation["per_class"]]
    rows[1]["recall"] = 0.6
    return evaluated(facts, per_class=rows)


def uneven(facts):
    kept = [row for row in facts.splits if row["split"] != "train" or row["label"] != "bee" or len(row["id"]) < 7]
    kept = [row for row in kept if row["split"] != "train" or row["label"] != "bee" or int(row["id"][5:]) < 5]
    return dataclasses.replace(facts, splits=kept)


def unpaid(facts):
    phases = {name: {"validation": {"loss": loss}} for name, loss in (("probe", 0.3), ("finetune", 0.4))}
    return measured(facts, phases=phases, kept="probe")


def unsure(facts):
    labels = np.array([0, 1, 2, 1])
    logits = 9.0 * np.eye(3)[[0, 1, 2, 2]]
    return dataclasses.replace(facts, table=Predictions(np.array(["a", "b", "c", "d"]), labels, logits, "multiclass"))


def calibrated(before, after):
    bins = [{**BIN, "count": 2000}]
    errors = {"before": before, "after": after}
    calibration = {when: {"ece": error, "ece_by_chance": CHANCE, "bins": bins} for when, error in errors.items()}
    return lambda facts: evaluated(facts, calibration=calibration)


def optimistic(facts, number):
    facts = measured(facts, validation={"accuracy": 1.0}, test={**facts.metrics["test"], "accuracy": 0.95})
    facts = measured(facts, num_examples={**facts.metrics["num_examples"], "validation": number})
    return evaluated(facts, test=facts.metrics["test"], intervals={"accuracy_wilson": [0.94, 0.97]})


def with_history(losses):
    return lambda facts: dataclasses.replace(
        facts, history=[{"epoch": k, "loss": 0.1, "val_loss": loss} for k, loss in enumerate(losses)]
    )


def selective(facts):
    curve = [
        {"threshold": 0.5, "coverage": 1.0, "accuracy": 0.98},
        {"threshold": 0.8, "coverage": 0.9, "accuracy": 0.991},
        {"threshold": 0.9, "coverage": 0.5, "accuracy": 1.0},
    ]
    return evaluated(facts, decisions={"selective": curve})


CASES = {
    "leak": (lambda f: relabelled(f, "test", 2, sha256="trainant0"), "2 images of validation and test also stand in"),
    "contradiction": (lambda f: relabelled(f, "train", 1, sha256="trainbee1"), "1 image has more than one label"),
    "guessing": (
        lambda f: evaluated(f, per_class=[{"class": "ant", "recall": 1, "support": 99}, {"class": "bee", "support": 1}],
                            intervals={"accuracy_wilson": [0.9, 1.0]}),
        "always saying “ant”, which is right 99.0 % of the time: accuracy is 98.0 %, and may be as low as 90.0 %",
    ),
    "small test set": (
        lambda f: evaluated(f, intervals={"accuracy_wilson": [0.80, 0.90]}),
        "known to ±5.0 points only (80.0 % to 90.0 %)",
    ),
    "few labels": (uneven, "“bee” has 5 training images (98.0 % of 667 test images found)"),
    "uneven": (uneven, "34 training images of “ant”, 5 of “bee”"),
    "weak class": (weak, "“bee” is found 60.0 % of the time (of 667 test images), against 85.3 %"),
    "weak on few images": (  # 4 of 5 are found of what may be found 19 times in 20
        lambda f: evaluated(f, per_class=[*f.evaluation["per_class"], {"class": "dog", "recall": 0.8, "support": 5}]),
        None,
    ),
    "confused": (
        lambda f: evaluated(f, confusion_matrix=[[600, 60, 0], [0, 660, 7], [7, 0, 660]]),
        None,
    ),
    "confused much": (
        lambda f: evaluated(f, confusion_matrix=[[500, 100, 0], [0, 660, 7], [7, 0, 660]]),
        "100 of 600 “ant” are taken for “bee” (16.7 %)",
    ),
    "badly calibrated": (calibrated(0.12, 0.08), "off by 8.0 points on average, where chance would make 0.2 points"),
    "well scaled": (calibrated(0.08, 0.01), "brought the error of the probabilities from 8.0 points to 1.0 points"),
    "unfreezing": (unpaid, "Unfreezing did not pay (validation loss 0.400 fine-tuned, 0.300 frozen)"),
    "frozen only": (
        lambda f: measured(f, phases={"probe": {"validation": {"loss": 0.3}}}, kept="probe"),
        "Nothing was unfrozen.",
    ),
    "overfitting": (with_history([0.5, 0.4, 0.6]), "lowest after epoch 2 of 3 (0.400) and ended at 0.600"),
    "unfinished": (with_history([0.6, 0.5, 0.4]), "better when it ended (validation loss 0.500, then 0.400)"),
    "small validation": (
        lambda f: measured(f, num_examples={**f.metrics["num_examples"], "validation": 20}),
        "were chosen on 20 validation images",
    ),
    "optimistic validation": (
        lambda f: optimistic(f, 600),
        "Validation looks better (100 %) than the test (95.0 %), by more than chance: the test images are of",
    ),
    "validation of few images": (lambda f: optimistic(f, 50), None),  # of which all are right 8 times in 100
    "sure error": (unsure, "1 of 1 error was made with at least 95.0 % certainty, the first: d."),
    "slice": (
        lambda f: evaluated(f, slices={"brightness": [{**SLICE, "accuracy": 0.9, "low": 0.88, "high": 0.92}]}),
        "Weaker where brightness is dark: 90.0 % of 1,000 images are right (at most 92.0 %), against 98.0 % overall",
    ),
    "do not know": (selective, "below 80.0 % certainty hands 10.0 % of the images to a person and raises accuracy"),
    "from scratch": (
        lambda f: measured(f, comparison={"frozen": {"accuracy": 0.9}, "fine_tuned": {"accuracy": 0.95},
                                          "from_scratch": {"accuracy": 0.6}}),
        "Pre-training was worth 35.0 points: test accuracy 95.0 % (fine tuned) against 60.0 % from scratch",
    ),
    "worthless": (
        lambda f: measured(f, comparison={"frozen": {"accuracy": 0.5}, "from_scratch": {"accuracy": 0.6}}),
        "Pre-training was worth nothing here",
    ),
    "left out": (
        lambda f: dataclasses.replace(f, quarantine=[{"path": "a.jpg", "reason": "broken"}] * 3),
        "3 files could not be used and were left out, the first: a.jpg (broken)",
    ),
    "skipped": (
        lambda f: dataclasses.replace(f, history=[{"skipped_steps": 2.0}, {"skipped_steps": 1.0}]),
        "3 steps of training had a non-finite loss or gradient and were not applied",
    ),
    "small images": (
        lambda f: dataclasses.replace(f, metadata=dataclasses.replace(f.metadata, image_size=224)),
        "at most 64 pixels high or wide and are enlarged to 224",
    ),
}  # fmt: skip


def test_of_a_good_run_only_the_good_is_said(facts):
    assert texts(facts) == ["Fine-tuning paid and was kept: validation loss 0.500 fine-tuned, 0.600 frozen."]


@pytest.mark.parametrize("name", CASES)
def test_a_sentence_appears_with_the_numbers_that_make_it(facts, name):
    change, expected = CASES[name]
    said, new = set(texts(facts)), texts(change(facts))
    if expected is None:
        assert set(new) == said
    else:
        assert any(expected in text for text in new), new
        assert not any(expected in text for text in said)


def test_the_gravest_stands_first(facts):
    changed = relabelled(weak(facts), "test", 1, sha256="trainant0")
    found = find(changed)
    assert [finding.weight for finding in found] == sorted((finding.weight for finding in found), reverse=True)
    assert "byte for byte" in found[0].text


def test_folds_and_weights_take_their_advice_away(facts):
    small = CASES["small validation"][0](facts)
    config = dataclasses.replace(small.config, probe=ProbeConfig(folds=5))
    assert not any("were chosen on" in text for text in texts(dataclasses.replace(small, config=config)))
    uneven_run = uneven(facts)
    finetune = dataclasses.replace(uneven_run.config.finetune, class_weight="balanced")
    config = dataclasses.replace(uneven_run.config, finetune=finetune)
    assert not any("class_weight" in text for text in texts(dataclasses.replace(uneven_run, config=config)))


@pytest.mark.parametrize("target", ["multiclass", "binary", "multilabel", "regression"])
@pytest.mark.parametrize("is_measured", [True, False])
def test_rules_take_every_target_and_lack_of_numbers(make_run, target, is_measured):
    run = make_run(target, ("no", "yes") if target == "binary" else ("a", "b", "c"), measured=is_measured)
    for finding in find(read_facts(run.path)):
        assert finding.kind in ("problem", "advice", "good")
        assert finding.text.endswith((".", ". ")) and "None" not in finding.text and "nan" not in finding.text


def test_the_error_of_chance_is_that_of_drawing():
    """A model that is right exactly as often as it says, simulated."""
    rng = np.random.default_rng(0)
    bins = [{"count": n, "confidence": c} for n, c in ((30, 0.95), (80, 0.8), (50, 0.6), (0, 0.5))]
    errors = [
        sum(abs(rng.binomial(row["count"], row["confidence"]) - row["count"] * row["confidence"]) for row in bins) / 160
        for _ in range(4000)
    ]
    confidence = np.repeat([row["confidence"] for row in bins], [row["count"] for row in bins])
    assert error_by_chance(confidence) == pytest.approx(np.mean(errors), rel=0.05)


def test_numbers_read_the_same_everywhere():
    assert percent(0.1234) == "12.3\xa0%" and percent(1.0) == "100\xa0%" and percent(None) == "unknown"
    assert points(0.034) == "3.4\xa0points"
    assert count(1, "image") == "1 image" and count(2000, "class", "classes") == "2,000 classes"
    assert [figure(value) for value in (None, True, 1234, 0.5, 12345.678, 0.00001)] == [
        *("–", "yes", "1,234", "0.500", "1.235e+04", "1e-05")
    ]
    assert spoken("macro_f1") == "Macro F1" and spoken("num_examples") == "Images"
