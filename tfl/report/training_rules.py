"""Rules for findings about data and training: what to change before the next run.

A rule is a function from facts to findings; most rules give at most one. The rule contains its own threshold.
"""

from collections.abc import Iterator

import numpy as np

from tfl.evaluation.intervals import difference_interval
from tfl.report.facts import Facts
from tfl.report.finding import Finding
from tfl.report.wording import count, figure, percent, points

FEW_LABELS = 20  # below this number of training examples of a class, one more example usually helps


def _leaks(facts: Facts) -> Iterator[Finding]:
    if facts.leaks:
        yield Finding(
            "problem",
            100,
            f"{count(facts.leaks, 'image')} of validation and test also {'stands' if facts.leaks == 1 else 'stand'} in "
            "another split, byte for byte: the results look too good. Remove the copies and train again.",
        )
    if facts.contradictions:
        yield Finding(
            "problem",
            85,
            f"{count(facts.contradictions, 'image')} {'has' if facts.contradictions == 1 else 'have'} more than one "
            "label: the same file stands in several classes. One of the labels is wrong.",
        )


def _few_labels(facts: Facts) -> Iterator[Finding]:
    train = {name: splits["train"] for name, splits in facts.class_counts.items()}
    tested = {row["class"]: row for row in facts.evaluation.get("per_class", [])}
    few = sorted((number, name) for name, number in train.items() if number < FEW_LABELS)
    if few:
        number, name = few[0]
        recall, support = (tested.get(name, {}).get(what) for what in ("recall", "support"))
        found = f" ({percent(recall)} of {count(support or 0, 'test image')} found)" if recall is not None else ""
        others = (
            f", and {count(len(few) - 1, 'other class', 'other classes')} fewer than {FEW_LABELS}" if few[1:] else ""
        )
        yield Finding(
            "advice",
            75,
            f"“{name}” has {count(number, 'training image')}{found}{others}: more labels there are the surest gain.",
        )
    if train and min(train.values()) and max(train.values()) > 5 * min(train.values()):
        least, most = min(train, key=lambda name: train[name]), max(train, key=lambda name: train[name])
        weighted = facts.config.finetune.class_weight == "balanced"
        remedy = "" if weighted else " finetune.class_weight=balanced gives rare classes their say."
        yield Finding(
            "advice",
            55,
            f"The classes are uneven: {train[most]:,} training images of “{most}”, {train[least]:,} of “{least}”. Look "
            f"at balanced accuracy ({percent(facts.test.get('balanced_accuracy'))}) rather than accuracy.{remedy}",
        )


def _left_out(facts: Facts) -> Iterator[Finding]:
    if facts.quarantine:
        first, were = facts.quarantine[0], "was" if len(facts.quarantine) == 1 else "were"
        yield Finding(
            "advice",
            52 if len(facts.quarantine) > 0.01 * len(facts.splits) else 28,
            f"{count(len(facts.quarantine), 'file')} could not be used and {were} "
            f"left out, the first: {first['path']} ({first['reason']}).",
        )
    skipped = int(sum(row.get("skipped_steps", 0) for row in facts.history))
    if skipped:
        yield Finding(
            "problem",
            72,
            f"{count(skipped, 'step')} of training had a non-finite loss or gradient and "
            f"{'was' if skipped == 1 else 'were'} not applied: a smaller finetune.learning_rate avoids them.",
        )


def _small_images(facts: Facts) -> Iterator[Finding]:
    size = facts.metadata.image_size
    if 0 < facts.median_side < size / 2:
        yield Finding(
            "advice",
            15,
            f"Half of the images are at most {facts.median_side:g} pixels high or wide and are enlarged to {size}: a "
            "smaller data.image_size takes less time, and larger originals tell more.",
        )


def _validation(facts: Facts) -> Iterator[Finding]:
    number, interval = facts.metrics.get("num_examples", {}).get("validation", 0), facts.headline_interval
    if facts.config.probe.folds:
        number = facts.metrics.get("validation", {}).get("num_examples", number)
    elif number < 50:
        yield Finding(
            "advice",
            30,
            f"λ and the phase that was kept were chosen on {count(number, 'validation image')}. probe.folds=5 "
            "chooses on all training images instead.",
        )
    validation = facts.metrics.get("validation", {}).get("accuracy")
    if (
        interval
        and validation is not None
        and facts.task.headline.is_share
        and _is_above_test(validation, number, facts)
    ):
        yield Finding(
            "advice",
            62,
            f"Validation looks better ({percent(validation)}) than the test ({percent(facts.test['accuracy'])}), by "
            "more than chance: the test images are of another kind, or validation was chosen on too often.",
        )


def _is_above_test(accuracy: float, number: int, facts: Facts) -> bool:
    """Return whether an accuracy on `number` images is above the test accuracy by over 2 points and beyond chance."""
    test, size = facts.test["accuracy"], facts.test["num_examples"]
    return accuracy - test > 0.02 and difference_interval(accuracy, number, test, size)[0] > 0


def _fine_tuning(facts: Facts) -> Iterator[Finding]:
    losses, choice = facts.phase_losses, facts.metrics.get("choice", {})
    if {"probe", "finetune"} <= losses.keys():
        numbers = f"validation loss {figure(losses['finetune'])} fine-tuned, {figure(losses['probe'])} frozen"
        known, number = "", choice.get("num_examples", 0)
        if choice:
            between = f"{choice['low']:+.3g} to {choice['high']:+.3g}"
            known = f"; each at its own temperature, the difference on {count(number, 'image')} is {between}"
        if facts.metrics.get("kept") == "probe":
            yield Finding(
                "advice",
                45,
                f"Unfreezing did not pay ({numbers}{known}): the frozen backbone was kept. finetune.epochs=0 saves the "
                f"time; a smaller finetune.learning_rate than {facts.config.finetune.learning_rate:g} may change it.",
            )
        elif choice.get("high", 0.0) < 0:
            yield Finding("good", 25, f"Fine-tuning paid and was kept: {numbers}{known}.")
        else:
            yield Finding(
                "advice",
                32,
                f"Fine-tuning was kept, but its gain may be chance: {numbers}{known or ', on few images'}.",
            )
    elif "probe" in losses:
        yield Finding(
            "advice", 10, "Nothing was unfrozen. finetune.epochs=8 tries it, and keeps it only where it pays."
        )


def _overfitting(facts: Facts) -> Iterator[Finding]:
    losses = facts.epoch_losses
    if len(losses) >= 2 and losses[-1] > 1.1 * min(losses):
        best = int(np.argmin(losses))
        yield Finding(
            "advice",
            40,
            f"Overfitting: validation loss was lowest after epoch {best + 1} of {len(losses)} ({figure(min(losses))}) "
            f"and ended at {figure(losses[-1])}. The best epoch was kept; fewer epochs, a smaller learning rate or "
            "more augmentation go further.",
        )
    if len(losses) >= 3 and int(np.argmin(losses)) == len(losses) - 1 and losses[-1] < 0.97 * losses[-2]:
        yield Finding(
            "advice",
            40,
            f"Training was still getting better when it ended (validation loss {figure(losses[-2])}, then "
            f"{figure(losses[-1])}): more epochs than {len(losses)} may help.",
        )


def _comparison(facts: Facts) -> Iterator[Finding]:
    compared = facts.metrics.get("comparison", {})
    # Compare the phase that was kept, not the best one on test.
    name = {"probe": "frozen", "finetune": "fine_tuned"}.get(facts.metrics.get("kept", ""), "")
    scratch, kept = (compared.get(each, {}).get("accuracy") for each in ("from_scratch", name))
    if scratch is None or kept is None:
        return
    size = facts.test["num_examples"]
    low, high = difference_interval(kept, size, scratch, size)
    numbers = f"test accuracy {percent(kept)} ({name.replace('_', ' ')}) against {percent(scratch)} from scratch"
    if low > 0:
        worth = f"{points(kept - scratch)} (95 % interval {points(low)} to {points(high)})"
        yield Finding("good", 48, f"Pre-training was worth {worth}: {numbers}.")
    elif kept > scratch:
        yield Finding(
            "advice", 66, f"What pre-training was worth may be chance ({points(low)} to {points(high)}): {numbers}."
        )
    else:
        yield Finding("advice", 66, f"Pre-training was worth nothing here: {numbers}.")


RULES = (
    _leaks,
    _few_labels,
    _left_out,
    _small_images,
    _validation,
    _fine_tuning,
    _overfitting,
    _comparison,
)
