"""Classes: pairs that are confused, pairs that are the same in all but name, classes that are too small, imbalance."""

import itertools
from collections.abc import Iterator

import numpy as np

from tfl.audit.finding import Finding, ordered
from tfl.audit.material import Material
from tfl.evaluation.intervals import wilson_interval

FEW = 20  # examples of a class outside of test; with fewer neither training nor a fold is reliable
UNBALANCED = 10  # times as many examples in the largest class as in the smallest
CONFUSED = 0.2  # lower end of the interval of the share that one class loses to another
SAME = 0.6  # upper end of the interval of the share of a pair that is told apart; chance is 0.5


def find_classes(material: Material, head: np.ndarray | None) -> list[Finding]:
    """Return the findings about classes; only examples outside of the test split count.

    Args:
        material: examples of one class each.
        head: `(N, K)`, held-out probabilities; None leaves out what needs predictions.
    """
    names, rows = material.index.class_names, material.fitting
    labels = material.index.labels[rows]
    counts = np.bincount(labels, minlength=len(names))
    findings = [*_small(material, counts), *_unbalanced(names, counts)]
    if head is not None:
        for pair in itertools.combinations(np.flatnonzero(counts).tolist(), 2):
            findings += _pair(material, pair, labels, head[rows])
    return ordered(findings)


def _small(material: Material, counts: np.ndarray) -> Iterator[Finding]:
    several = material.source.kind.noun[1]
    for name, count in zip(material.index.class_names, counts.tolist(), strict=True):
        if count < FEW:
            yield Finding(
                "small class",
                name,
                1 - count / FEW,
                f"The class has {count} {several} outside of the test split.",
                f"Collect more {several}, or join the class with another one.",
            )


def _unbalanced(names: tuple[str, ...], counts: np.ndarray) -> Iterator[Finding]:
    least, most = int(counts.argmin()), int(counts.argmax())
    if counts[least] and counts[most] >= UNBALANCED * counts[least]:
        yield Finding(
            "imbalance",
            f"{names[most]}, {names[least]}",
            1 - float(counts[least] / counts[most]),
            f"{names[most]} has {counts[most]} examples and {names[least]} {counts[least]}, outside of the test split.",
            "Set --config.finetune.logit_adjustment=1, which lets rare classes be found more often, and read the "
            "results of each class.",
        )


def _pair(material: Material, pair: tuple[int, int], labels: np.ndarray, head: np.ndarray) -> Iterator[Finding]:
    """Compare two classes: does the head, between these two, tell their examples apart?"""
    a, b = pair
    names, own = material.index.class_names, (labels == a) | (labels == b)
    truth, says_a = labels[own] == a, head[own, a] >= head[own, b]
    counts = [int(truth.sum()), int((~truth).sum())]
    rates = [float((says_a[truth]).mean()), float((~says_a[~truth]).mean())]
    if min(counts) >= FEW and wilson_interval(round(np.mean(rates) * sum(counts)), sum(counts))[1] < SAME:
        yield Finding(
            "same classes",
            f"{names[a]}, {names[b]}",
            1 - abs(float(np.mean(rates)) - 0.5) * 2,
            f"The solved head tells them apart in {100 * np.mean(rates):.0f} % of the cases; chance is 50 %.",
            "If both names mean the same, join the classes.",
        )
        return
    predicted = head.argmax(axis=1)
    for own_class, other in (pair, pair[::-1]):
        of_class = labels == own_class
        lost, count = int((predicted[of_class] == other).sum()), int(of_class.sum())
        low, high = wilson_interval(lost, count)
        if low > CONFUSED:
            yield Finding(
                "confused classes",
                f"{names[own_class]}, {names[other]}",
                lost / count,
                f"The solved head takes {100 * lost / count:.0f} % of {names[own_class]} for {names[other]} "
                f"(95 % interval {100 * low:.0f} to {100 * high:.0f} %).",
                "Look at the labels of both classes; if they are right, more examples of this pair help most.",
            )
