"""Rules for findings about data and training: what to change before the next run.

A rule is a function from facts to findings; most rules give at most one. The rule contains its own threshold.
"""

from collections.abc import Iterator

import numpy as np

from tfl.config import FinetuneConfig
from tfl.evaluation.intervals import difference_interval
from tfl.report.facts import Facts
from tfl.report.finding import Finding
from tfl.report.wording import count, figure, measured_share, percent, points

BALANCES = ("class_weight", "sampling", "logit_adjustment")  # the options that make up for the sizes of classes
FEW_LABELS = 20  # below this number of training examples of a class, one more example usually helps


def _leaks(facts: Facts) -> Iterator[Finding]:
    if facts.leaks:
        yield Finding(
            "problem",
            100,
            f"{facts.count(facts.leaks)} of validation and test {'is' if facts.leaks == 1 else 'are'} also in "
            "another split, byte for byte. The results look better than they are. Remove the copies and train again.",
        )
    if facts.contradictions:
        yield Finding(
            "problem",
            85,
            f"{facts.count(facts.contradictions)} {'has' if facts.contradictions == 1 else 'have'} more than one "
            "label: the same file is in several classes. At least one of its labels is wrong.",
        )


def _few_labels(facts: Facts) -> Iterator[Finding]:
    train = {name: splits["train"] for name, splits in facts.class_counts.items()}
    few = sorted((number, name) for name, number in train.items() if number < FEW_LABELS)
    if few:
        number, name = few[0]
        found = "".join(
            f". Of its test {facts.nouns[1]}, the model finds {measured_share(row.recall, row.support)}"
            for row in facts.evaluation.per_class
            if row.name == name and row.recall is not None and row.support
        )
        others = f". {count(len(few) - 1, 'other class has', 'other classes have')} fewer than {FEW_LABELS}"
        yield Finding(
            "advice",
            75,
            f"“{name}” has {facts.count(number, 'training')}{found}{others if few[1:] else ''}. More labelled "
            f"{facts.nouns[1]} of such classes are the most certain improvement.",
        )
    if train and min(train.values()) and max(train.values()) > 5 * min(train.values()):
        least, most = min(train, key=lambda name: train[name]), max(train, key=lambda name: train[name])
        can_adjust = facts.task.is_cross_entropy and not _balance(facts)
        remedy = " finetune.logit_adjustment=1 lets rare classes be found more often." if can_adjust else ""
        balanced = facts.test.get("balanced_accuracy")
        advice = (
            "" if balanced is None else f" Use the balanced accuracy ({percent(balanced)}) rather than the accuracy."
        )
        yield Finding(
            "advice",
            55,
            f"The classes differ in size: {train[most]:,} training {facts.nouns[1]} of “{most}”, {train[least]:,} of "
            f"“{least}”.{advice}{remedy}",
        )


def _balance(facts: Facts) -> str:
    """Return the option that made up for the sizes of the classes, as it is set; "" if there is none."""
    defaults = FinetuneConfig()
    names = (n for n in BALANCES if getattr(facts.config.finetune, n) != getattr(defaults, n))
    return next((f"finetune.{name}={getattr(facts.config.finetune, name)}" for name in names), "")


def _equal_sizes(facts: Facts) -> Iterator[Finding]:
    balance, several = _balance(facts), facts.task.nouns[1]
    if balance:
        yield Finding(
            "advice",
            40,
            f"The model was trained with {balance}: its probabilities are for {several} of more equal sizes than in "
            f"your data, so that rare {several} are named more often.",
        )


def _left_out(facts: Facts) -> Iterator[Finding]:
    if facts.quarantine:
        first, were = facts.quarantine[0], "was" if len(facts.quarantine) == 1 else "were"
        yield Finding(
            "advice",
            52 if len(facts.quarantine) > 0.01 * len(facts.splits) else 28,
            f"{count(len(facts.quarantine), 'file')} could not be used and {were} left out. The first is "
            f"{first['path']} ({first['reason']}).",
        )
    skipped = int(sum(row.get("skipped_steps", 0) for row in facts.history))
    if skipped:
        yield Finding(
            "problem",
            72,
            f"{count(skipped, 'step')} of training had a non-finite loss or gradient and "
            f"{'was' if skipped == 1 else 'were'} not applied. A smaller finetune.learning_rate avoids such steps.",
        )


def _small_images(facts: Facts) -> Iterator[Finding]:
    size = facts.metadata.image_size
    if facts.has_pictures and 0 < facts.median_side < size / 2:
        yield Finding(
            "advice",
            15,
            f"Half of the {facts.nouns[1]} are at most {facts.median_side:g} pixels high or wide and are enlarged to "
            f"{size}. A smaller data.image_size takes less time. Larger original {facts.nouns[1]} show the model more "
            "details.",
        )


def _validation(facts: Facts) -> Iterator[Finding]:
    metrics = facts.metrics
    number, validation = metrics.num_examples["validation"], metrics.validation.get(facts.headline)
    if facts.config.probe.uses_validation:
        number = metrics.validation.get("num_examples", number)
    elif number < 50 and not facts.has_maps:
        yield Finding(
            "advice",
            30,
            f"λ and the phase that was kept were chosen on {facts.count(number, 'validation')}. probe.folds=5 "
            f"chooses on all training {facts.nouns[1]} instead.",
        )
    if (
        facts.headline_interval
        and validation is not None
        and facts.task.headline.is_share
        and _is_above_test(validation, number, facts)
    ):
        yield Finding(
            "advice",
            62,
            f"The validation {facts.task.headline.noun} ({percent(validation)}) is higher than that of the test "
            f"({percent(facts.test[facts.headline])}), by more than chance explains. The test {facts.nouns[1]} are of "
            "another kind, or too many choices were made on validation.",
        )


def _is_above_test(share: float, number: int, facts: Facts) -> bool:
    """Return whether a share of `number` examples is above that of the test by over 2 points and beyond chance."""
    test, size = facts.test[facts.headline], facts.test["num_examples"]
    return share - test > 0.02 and difference_interval(share, number, test, size)[0] > 0


def _fine_tuning(facts: Facts) -> Iterator[Finding]:
    losses, choice = facts.phase_losses, facts.metrics.choice
    if {"probe", "finetune"} <= losses.keys():
        numbers = f"{facts.decided_by} {figure(losses['finetune'])} fine-tuned, {figure(losses['probe'])} frozen"
        known, is_certain = "", False
        if choice.low is not None and choice.high is not None:
            between, is_certain = f"{choice.low:+.3g} to {choice.high:+.3g}", choice.high < 0
            examples = facts.count(choice.num_examples)
            own = "each at its own temperature, " if facts.task.has_temperature else ""
            known = f"; {own}the difference on {examples} is {between}"
        if facts.metrics.kept == "probe":
            yield Finding(
                "advice",
                45,
                f"Fine-tuning did not improve the model by more than chance ({numbers}{known}), so the frozen backbone "
                "was kept. "
                "finetune.epochs=0 saves the time. A smaller finetune.learning_rate than "
                f"{facts.config.finetune.learning_rate:g} may give a better result.",
            )
        elif is_certain:
            yield Finding("good", 25, f"Fine-tuning improved the model and was kept: {numbers}{known}.")
        else:
            yield Finding(
                "advice",
                32,
                f"Fine-tuning was kept, but its gain may be chance: {numbers}{known or f', on few {facts.nouns[1]}'}.",
            )
    elif "probe" in losses:
        yield Finding(
            "advice",
            10,
            "No layer was fine-tuned. finetune.epochs=8 tries it, and keeps the result only if it is better.",
        )


def _overfitting(facts: Facts) -> Iterator[Finding]:
    losses = facts.epoch_losses
    if len(losses) >= 2 and losses[-1] > 1.1 * min(losses):
        best = int(np.argmin(losses))
        yield Finding(
            "advice",
            40,
            f"Overfitting: the validation loss was lowest after epoch {best + 1} of {len(losses)} "
            f"({figure(min(losses))}) and ended at {figure(losses[-1])}. The best epoch was kept. Fewer epochs, a "
            "smaller learning rate or more augmentation may help.",
        )
    if len(losses) >= 3 and int(np.argmin(losses)) == len(losses) - 1 and losses[-1] < 0.97 * losses[-2]:
        yield Finding(
            "advice",
            40,
            f"The model was still getting better when training ended (validation loss {figure(losses[-2])}, then "
            f"{figure(losses[-1])}). More epochs than {len(losses)} may help.",
        )


def _comparison(facts: Facts) -> Iterator[Finding]:
    compared, headline = facts.metrics.comparison, facts.task.headline
    if not headline.is_share:
        return
    # Compare the phase that was kept, not the best one on test.
    name = {"probe": "frozen", "finetune": "fine_tuned"}.get(facts.metrics.kept, "")
    scratch, kept = (compared.get(each, {}).get(headline.metric) for each in ("from_scratch", name))
    if scratch is None or kept is None:
        return
    size = facts.test["num_examples"]
    low, high = difference_interval(kept, size, scratch, size)
    numbers = f"test {headline.noun} {percent(kept)} ({name.replace('_', ' ')}), and {percent(scratch)} from scratch"
    if low > 0:
        gain = f"{points(kept - scratch)} (95 % interval {points(low)} to {points(high)})"
        yield Finding("good", 48, f"Pre-training improved the model by {gain}: {numbers}.")
    elif kept > scratch:
        yield Finding(
            "advice", 66, f"The gain of pre-training may be chance ({points(low)} to {points(high)}): {numbers}."
        )
    else:
        yield Finding("advice", 66, f"Pre-training did not improve the model: {numbers}.")


RULES = (
    _leaks,
    _few_labels,
    _equal_sizes,
    _left_out,
    _small_images,
    _validation,
    _fine_tuning,
    _overfitting,
    _comparison,
)
