"""Rules for findings about the test results, and about how reliable they are.

A rule is a function from facts to findings; most rules give at most one. The rule contains its own threshold.
"""

from collections.abc import Iterator

import numpy as np

from tfl.evaluation.headline import SMALL_TEST, needed_text
from tfl.evaluation.intervals import LEVEL, wilson_interval
from tfl.explain import most_confident_errors
from tfl.report.facts import Facts
from tfl.report.finding import Finding
from tfl.report.wording import count, measured_share, percent, points

HIGH_CONFIDENCE = 0.95


def _no_better_than_guessing(facts: Facts) -> Iterator[Finding]:
    support = [row.support for row in facts.evaluation.per_class]
    if not (facts.task.labels.has_one_class and facts.task.headline.is_share) or not sum(support):
        return
    value, noun = facts.test[facts.headline], facts.task.headline.noun
    share, low = max(support) / sum(support), facts.headline_interval[0] if facts.headline_interval else value
    if low <= share:
        name = facts.evaluation.per_class[int(np.argmax(support))].name
        yield Finding(
            "problem",
            95,
            f"The test does not show that the model is better than the constant prediction “{name}”, which is correct "
            f"for {percent(share)} of the {facts.nouns[1]}: the {noun} may be as low as {percent(low)} (measured: "
            f"{percent(value)}).",
        )


def _small_test_set(facts: Facts) -> Iterator[Finding]:
    interval, size = facts.headline_interval, facts.test["num_examples"]
    if not facts.task.headline.is_share or interval is None:
        return
    width = (interval[1] - interval[0]) / 2
    if width > 0.03:
        needed = needed_text(facts.metadata, facts.test)
        between = f"{percent(interval[0])} and {percent(interval[1])}"
        yield Finding(
            "advice",
            70 if width > 0.05 else 50,
            f"With {facts.count(size, 'test')}, the {facts.task.headline.noun} may be anything between {between}. "
            f"A smaller difference between two models may be chance. {needed}".strip(),
        )


def _weak_class(facts: Facts) -> Iterator[Finding]:
    rows = [(row.recall, row) for row in facts.evaluation.per_class if row.recall is not None and row.support]
    if len(rows) < 2:
        return
    mean = float(np.mean([recall for recall, _ in rows]))
    level = 1 - 0.05 / len(rows)  # Bonferroni: the worst of many classes may be low by chance
    weak = [
        (recall, row)
        for recall, row in rows
        if recall < mean - 0.1 and share_interval(recall, row.support, level)[1] < mean
    ]
    if weak:
        recall, worst = min(weak, key=lambda entry: entry[0])
        yield Finding(
            "problem",
            80,
            f"Of the test {facts.nouns[1]} of “{worst.name}”, the model finds only "
            f"{measured_share(recall, worst.support)}. On average it finds {percent(mean)} of a class.",
        )


def share_interval(share: float, number: int, level: float = LEVEL) -> tuple[float, float]:
    """Return the interval of a share of `number` examples; it is wide if there are only a few."""
    return wilson_interval(round(share * number), number, level)


def _confused(facts: Facts) -> Iterator[Finding]:
    matrix = np.array(facts.evaluation.confusion_matrix)
    if not matrix.size:
        return
    wrong = matrix * (1 - np.eye(len(matrix), dtype=int))
    true, predicted = np.unravel_index(int(wrong.argmax()), wrong.shape)
    number, total = int(wrong[true, predicted]), int(matrix[true].sum())
    if number >= 3 and number / total >= 0.1:
        names, examples = facts.metadata.class_names, facts.nouns[1]
        yield Finding(
            "problem",
            60,
            f"{number} of {total} {examples} of “{names[true]}” are predicted as “{names[predicted]}” "
            f"({percent(number / total)}). Add training {examples} that show the difference, or merge the two classes.",
        )


def _calibration(facts: Facts) -> Iterator[Finding]:
    calibration = facts.evaluation.calibration
    if calibration is None:
        return
    before, after = calibration.before.ece, calibration.after.ece
    chance, highest = calibration.after.ece_by_chance, calibration.after.limit_by_chance
    if after > max(0.03, highest):
        yield Finding(
            "problem",
            65,
            f"The predicted probabilities differ from the observed accuracy by {points(after)} on average "
            f"({points(before)} before temperature scaling). Chance explains only {points(chance)}. Do not base "
            f"decisions on these probabilities. More validation {facts.nouns[1]} give a better temperature.",
        )
    elif after <= highest:
        scaled = f" (T = {facts.temperature:.2f}; {points(before)} before)" if before - after > 0.01 else ""
        yield Finding(
            "good",
            20,
            f"The predicted probabilities agree with the observed accuracy, as far as "
            f"{facts.count(facts.test['num_examples'], 'test')} show: they differ by {points(after)} on "
            f"average{scaled}, and those of a perfect model would differ by {points(chance)} by chance.",
        )
    elif before - after > 0.01:
        yield Finding(
            "good",
            20,
            f"Temperature scaling (T = {facts.temperature:.2f}) reduced the calibration error from {points(before)} to "
            f"{points(after)}.",
        )


def _slices(facts: Facts) -> Iterator[Finding]:
    if not facts.task.headline.is_share:
        return
    overall = facts.test[facts.headline]
    rows = [(name, row) for name, rows in facts.evaluation.slices.items() for row in rows]
    level = 1 - 0.05 / max(1, len(rows))  # Bonferroni: the weakest of many slices may be low by chance
    weak = [
        (row.value, name, row) for name, row in rows if share_interval(row.value, row.num_examples, level)[1] < overall
    ]
    if weak:
        value, name, row = min(weak, key=lambda entry: entry[0])
        yield Finding(
            "problem",
            68,
            f"The model is weaker where {name} is {row.name}: {measured_share(value, row.num_examples)} of these "
            f"{facts.nouns[1]} are correct, and {percent(overall)} of all.",
        )


def _sure_errors(facts: Facts) -> Iterator[Finding]:
    if not len(facts.table) or not (facts.task.labels.has_one_class and facts.task.is_classifier):
        return
    outcomes = facts.task.outcomes(facts.probabilities, facts.table.labels)
    sure = most_confident_errors(outcomes, len(facts.table))
    sure = sure[outcomes.confidence[sure] >= HIGH_CONFIDENCE]
    if len(sure):
        yield Finding(
            "advice",
            58,
            f"{len(sure)} of {count(int((~outcomes.is_correct).sum()), 'error')} "
            f"{'has' if len(sure) == 1 else 'have'} at least {percent(HIGH_CONFIDENCE)} confidence; the first is "
            f"{facts.table.ids[sure[0]]}. Check first whether the label is correct.",
        )


def _dont_know(facts: Facts) -> Iterator[Finding]:
    """Report the effect on test of a threshold that was chosen before the test; nothing if there is none."""
    row, overall = facts.evaluation.selective.dont_know, facts.test.get("accuracy")
    if overall is None or row is None or row.accuracy is None or row.low is None or row.high is None:
        return
    ends, is_small = (percent(row.low), percent(row.high)), facts.test["num_examples"] < SMALL_TEST
    found = f"between {ends[0]} and {ends[1]} are correct ({percent(row.accuracy)} measured)"
    found = found if is_small else f"{percent(row.accuracy)} are correct ({ends[0]} to {ends[1]})"
    shown = "more than chance explains" if row.low > overall else "the difference may be chance"
    yield Finding(
        "good" if row.low > overall else "advice",
        35,
        f"If the model answers “don’t know” below {percent(row.threshold)} confidence (chosen on {facts.held_out}), it "
        f"leaves {percent(1 - row.coverage)} of the test {facts.nouns[1]} to a person. Of the others, "
        f"{found}, and {percent(overall)} of all {facts.nouns[1]}: {shown}.",
    )


RULES = (
    _no_better_than_guessing,
    _small_test_set,
    _weak_class,
    _confused,
    _calibration,
    _slices,
    _sure_errors,
    _dont_know,
)
