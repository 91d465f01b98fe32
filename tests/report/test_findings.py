"""Each sentence appears where its numbers call for it, names them, and does not appear otherwise."""

import dataclasses

import numpy as np
import pytest

from tfl.config import ProbeConfig
from tfl.evaluation import Evaluation, Predictions
from tfl.evaluation.calibration import errors_by_chance
from tfl.report import Facts, find, read_facts
from tfl.report.head import describe_head
from tfl.report.run_metrics import RunMetrics
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
            "path": "",
            "status": "ok",
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
    choice = {"finetune": 0.5, "probe": 0.6, "difference": -0.1, "low": -0.15, "high": -0.05, "num_examples": 60}
    return dataclasses.replace(
        good,
        splits=splits,
        history=[{"epoch": 0, "loss": 0.6, "val_loss": 0.6}, {"epoch": 1, "loss": 0.5, "val_loss": 0.59}],
        table=Predictions(np.arange(30), labels, 5.0 * np.eye(3)[labels], "multiclass"),
        metrics=measured(
            good, choice=choice, test=test, num_examples=counts, validation={"accuracy": 0.98, "loss": 0.1}
        ).metrics,
        evaluation=Evaluation.from_dict(
            {
                "temperature": 1.0,
                "test": test,
                "intervals": {"accuracy": [0.973, 0.985]},
                "per_class": [{"class": name, "recall": 0.98, "support": 667} for name in ("ant", "bee", "cat")],
                "confusion_matrix": [[660, 7, 0], [0, 660, 7], [7, 0, 660]],
                "calibration": {
                    when: {"ece": 0.01, "ece_by_chance": CHANCE, "bins": [BIN]} for when in ("before", "after")
                },
                "decisions": {},
                "slices": {"brightness": [SLICE]},
            }
        ),
    )


BIN = {"low": 0.9, "high": 1.0, "count": 2000, "confidence": 0.98, "accuracy": 0.98}
CHANCE = 0.0025  # of the one bin
SLICE = {"slice": "dark", "num_examples": 1000, "accuracy": 0.975, "low": 0.96, "high": 0.985}


def texts(facts, kind=None):
    return [finding.text.replace("\xa0", " ") for finding in find(facts) if kind in (None, finding.kind)]


def evaluated(facts, **values):
    return dataclasses.replace(facts, evaluation=Evaluation.from_dict({**facts.evaluation.to_dict(), **values}))


def measured(facts, **values):
    lacking = {"test": {}, "validation": {}, "kept": "", "num_examples": {}, "phases": {}, "contract": {}}
    read = RunMetrics.from_dict({**lacking, **values})
    changed = {name: getattr(read, name) for name in values}
    return dataclasses.replace(facts, metrics=dataclasses.replace(facts.metrics, **changed))


def relabelled(facts, split, number, **values):
    rows = [row for row in facts.splits if row["split"] == split]
    changed = {id(row) for row in rows[:number]}
    splits = [{**row, **values} if id(row) in changed else row for row in facts.splits]
    return dataclasses.replace(facts, splits=splits)


def weak(facts):
    rows = facts.evaluation.to_dict()["per_class"]
    rows[1]["recall"] = 0.6
    return evaluated(facts, per_class=rows)


def uneven(facts):
    kept = [row for row in facts.splits if row["split"] != "train" or row["label"] != "bee" or len(row["id"]) < 7]
    kept = [row for row in kept if row["split"] != "train" or row["label"] != "bee" or int(row["id"][5:]) < 5]
    return dataclasses.replace(facts, splits=kept)


def unpaid(facts):
    phases = {name: {"validation": {"loss": loss}} for name, loss in (("probe", 0.3), ("finetune", 0.4))}
    return measured(facts, phases=phases, kept="probe", choice={})


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
    facts = measured(facts, validation={"accuracy": 1.0}, test={**facts.metrics.test, "accuracy": 0.95})
    facts = measured(facts, num_examples={**facts.metrics.num_examples, "validation": number})
    return evaluated(facts, test=facts.metrics.test, intervals={"accuracy": [0.94, 0.97]})


def with_history(losses):
    return lambda facts: dataclasses.replace(
        facts, history=[{"epoch": k, "loss": 0.1, "val_loss": loss} for k, loss in enumerate(losses)]
    )


def with_threshold(accuracy, low, high):
    row = {"threshold": 0.8, "coverage": 0.9, "accuracy": accuracy, "low": low, "high": high}
    return lambda facts: evaluated(facts, decisions={"dont_know": row})


def with_difference(low, high):
    return lambda facts: measured(facts, choice={**dataclasses.asdict(facts.metrics.choice), "low": low, "high": high})


def by_chance(ece, chance, high):
    def change(facts):
        after = {"ece": ece, "ece_by_chance": chance, "ece_by_chance_high": high, "bins": [BIN]}
        return evaluated(facts, calibration={"before": {**after, "ece": ece + 0.02}, "after": after})

    return change


CASES = {
    "leak": (
        lambda f: relabelled(f, "test", 2, sha256="trainant0"),
        "2 images of validation and test are also in another split, byte for byte",
    ),
    "leak of validation": (
        lambda f: relabelled(f, "test", 1, sha256=next(r["sha256"] for r in f.splits if r["split"] == "validation")),
        "1 image of validation and test is also in another split",
    ),
    "contradiction": (lambda f: relabelled(f, "train", 1, sha256="trainbee1"), "1 image has more than one label"),
    "guessing": (
        lambda f: evaluated(f, per_class=[{"class": "ant", "recall": 1, "support": 99}, {"class": "bee", "support": 1}],
                            intervals={"accuracy": [0.9, 1.0]}),
        "“ant”, which is correct for 99.0 % of the images: the accuracy may be as low as 90.0 % (measured: 98.0 %)",
    ),
    "small test set": (
        lambda f: evaluated(f, intervals={"accuracy": [0.80, 0.90]}),
        "With 2,000 test images, the accuracy may be anything between 80.0 % and 90.0 %. A smaller difference",
    ),
    "few labels": (uneven, "“bee” has 5 training images. Of its test images, the model finds 98.0 % (95 % interval"),
    "uneven": (uneven, "34 training images of “ant”, 5 of “bee”. Use the balanced accuracy (98.0 %) rather than"),
    "weak class": (
        weak,
        "Of the test images of “bee”, the model finds only 60.0 % (95 % interval 56.2 % to 63.6 %). On average it "
        "finds 85.3 %",
    ),
    "weak on few images": (  # 4 of 5 are found of what may be found 19 times in 20
        lambda f: evaluated(f, per_class=[*f.evaluation.to_dict()["per_class"],
                                          {"class": "dog", "recall": 0.8, "support": 5}]),
        None,
    ),
    "confused": (
        lambda f: evaluated(f, confusion_matrix=[[600, 60, 0], [0, 660, 7], [7, 0, 660]]),
        None,
    ),
    "confused much": (
        lambda f: evaluated(f, confusion_matrix=[[500, 100, 0], [0, 660, 7], [7, 0, 660]]),
        "100 of 600 images of “ant” are predicted as “bee” (16.7 %)",
    ),
    "badly calibrated": (
        calibrated(0.12, 0.08),
        "differ from the observed accuracy by 8.0 points on average (12.0 points before temperature scaling). Chance "
        "explains only 0.2 points",
    ),
    "well scaled": (calibrated(0.08, 0.01), "reduced the calibration error from 8.0 points to 1.0 points"),
    "unfreezing": (
        unpaid,
        "Fine-tuning did not improve the model by more than chance (validation loss 0.400 fine-tuned, 0.300 frozen)",
    ),
    "frozen only": (
        lambda f: measured(f, phases={"probe": {"validation": {"loss": 0.3}}}, kept="probe"),
        "No layer was fine-tuned.",
    ),
    "overfitting": (with_history([0.5, 0.4, 0.6]), "lowest after epoch 2 of 3 (0.400) and ended at 0.600"),
    "unfinished": (with_history([0.6, 0.5, 0.4]), "better when training ended (validation loss 0.500, then 0.400)"),
    "small validation": (
        lambda f: measured(f, num_examples={**f.metrics.num_examples, "validation": 20}),
        "were chosen on 20 validation images",
    ),
    "optimistic validation": (
        lambda f: optimistic(f, 600),
        "The validation accuracy (100 %) is higher than that of the test (95.0 %), by more than chance explains.",
    ),
    "validation of few images": (lambda f: optimistic(f, 60), None),  # of which all are right 5 times in 100
    "sure error": (unsure, "1 of 1 error has at least 95.0 % confidence; the first is d."),
    "slice": (
        lambda f: evaluated(f, slices={"brightness": [{**SLICE, "accuracy": 0.9, "low": 0.88, "high": 0.92}]}),
        "where brightness is dark: 90.0 % (95 % interval 88.0 % to 91.7 %) of these images are correct, and 98.0 %",
    ),
    "do not know": (
        with_threshold(0.992, 0.987, 0.995),
        "below 80.0 % confidence (chosen on validation), it leaves 10.0 % of the test images to a person. Of the "
        "others, 99.2 % are correct (98.7 % to 99.5 %), and 98.0 % of all images: more than chance explains",
    ),
    "do not know, perhaps": (
        with_threshold(0.982, 0.974, 0.988),
        "and 98.0 % of all images: the difference may be chance",
    ),
    "no threshold found": (lambda f: evaluated(f, decisions={"selective": [], "precision_thresholds": []}), None),
    "paid by chance": (
        with_difference(-0.2, 0.02),
        "its gain may be chance: validation loss 0.500 fine-tuned, 0.600 frozen; each at its own temperature",
    ),
    "as good as chance lets see": (  # the input of the complaint: 4.8 points, where a perfect model has 5.5
        by_chance(0.048, 0.055, 0.07),
        "show: they differ by 4.8 points on average (T = 1.00; 6.8 points before), and those of a perfect model would",
    ),
    "off by more than chance": (by_chance(0.08, 0.055, 0.07), "differ from the observed accuracy by 8.0 points"),
    "from scratch": (
        lambda f: measured(f, comparison={"frozen": {"accuracy": 0.9}, "fine_tuned": {"accuracy": 0.95},
                                          "from_scratch": {"accuracy": 0.6}}),
        "improved the model by 35.0 points (95 % interval 32.6 points to 37.3 points): test accuracy 95.0 %",
    ),
    "worth by chance": (
        lambda f: measured(f, comparison={"fine_tuned": {"accuracy": 0.61}, "from_scratch": {"accuracy": 0.6}}),
        "The gain of pre-training may be chance (-2.0 points to 4.0 points): test accuracy 61.0 % (fine tuned)",
    ),
    "not the best on test": (  # what was kept is compared, though the other is better on test
        lambda f: measured(f, comparison={"frozen": {"accuracy": 0.9}, "fine_tuned": {"accuracy": 0.8},
                                          "from_scratch": {"accuracy": 0.6}}),
        "Pre-training improved the model by 20.0 points",
    ),
    "worthless": (
        lambda f: measured(f, comparison={"fine_tuned": {"accuracy": 0.5}, "from_scratch": {"accuracy": 0.6}}),
        "Pre-training did not improve the model",
    ),
    "left out": (
        lambda f: dataclasses.replace(f, quarantine=[{"path": "a.jpg", "reason": "broken"}] * 3),
        "3 files could not be used and were left out. The first is a.jpg (broken)",
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
    assert texts(facts) == [
        "Fine-tuning improved the model and was kept: validation loss 0.500 fine-tuned, 0.600 frozen; each at its own "
        "temperature, the difference on 60 images is -0.15 to -0.05."
    ]


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


def test_the_heading_says_that_the_model_had_seen_test_examples(facts):
    assert "that the model had not seen are predicted" in describe_head(facts).heading
    seen = describe_head(relabelled(facts, "test", 1, sha256="trainant0")).heading
    assert "test images, of which the model had seen 1, are predicted correctly" in seen


def test_folds_and_weights_take_their_advice_away(facts):
    small = CASES["small validation"][0](facts)
    config = dataclasses.replace(small.config, probe=ProbeConfig(folds=5))
    assert not any("were chosen on" in text for text in texts(dataclasses.replace(small, config=config)))
    uneven_run = uneven(facts)
    assert any("logit_adjustment" in text for text in texts(uneven_run))
    for options in ({"class_weight": "balanced"}, {"sampling": "balanced"}, {"logit_adjustment": 0.5}):
        finetune = dataclasses.replace(uneven_run.config.finetune, **options)
        config = dataclasses.replace(uneven_run.config, finetune=finetune)
        said = texts(dataclasses.replace(uneven_run, config=config))
        ((name, value),) = options.items()
        assert not any("finetune.logit_adjustment=1 lets rare" in text for text in said)
        assert any(
            f"trained with finetune.{name}={value}: its probabilities are for classes of more" in t for t in said
        )


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
    assert errors_by_chance(confidence).mean() == pytest.approx(np.mean(errors), rel=0.05)


def test_numbers_read_the_same_everywhere():
    assert percent(0.1234) == "12.3\xa0%" and percent(1.0) == "100\xa0%" and percent(None) == "unknown"
    assert points(0.034) == "3.4\xa0points"
    assert count(1, "image") == "1 image" and count(2000, "class", "classes") == "2,000 classes"
    assert [figure(value) for value in (None, True, 1234, 0.5, 12345.678, 0.00001)] == [
        *("–", "yes", "1,234", "0.500", "1.235e+04", "1e-05")
    ]
    assert spoken("macro_f1") == "Macro F1" and spoken("num_examples") == "Images"
