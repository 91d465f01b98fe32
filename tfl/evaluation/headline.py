"""Say how good a model is in one line, and how many test examples would tell two models apart."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import scipy.stats

from tfl.evaluation.intervals import LEVEL, headline_interval
from tfl.models.metadata import Metadata

SMALL_TEST = 100  # with fewer test examples the interval comes first: the value alone would promise too much
DIFFERENCE = 0.05  # of two shares, that a test set should show
POWER = 0.8


def headline_text(
    metadata: Metadata,
    metrics: Mapping[str, Any],
    intervals: Mapping[str, Sequence[float]] | None = None,
    write: Callable[[float], str] | None = None,
) -> str:
    """Return the main metric of a split in one line. On fewer than `SMALL_TEST` examples it begins with the interval.

    Args:
        metadata: the metadata of the model.
        metrics: the metrics of the split, with "num_examples".
        intervals: the 95 % interval of each metric that has one; a share that has none gets Wilson's.
        write: formats a value; None: as a plain number.

    Example:
        >>> metadata = tfl.Metadata("MobileNetV2", 1.0, 224, "multiclass", ("ant", "bee"))
        >>> headline_text(metadata, {"accuracy": 1.0, "num_examples": 8})
        'accuracy between 0.68 and 1.00 (95 % interval; 8 of 8 images right)'
        >>> headline_text(metadata, {"accuracy": 0.9, "num_examples": 1000})
        'accuracy 0.9000 (95 % interval 0.8798 to 0.9171) on 1,000 images'
    """
    headline, nouns = metadata.task.headline, metadata.input.noun
    value, count = metrics[headline.metric], metrics["num_examples"]
    ends = headline_interval(headline, metrics, intervals)
    is_small = bool(ends) and count < SMALL_TEST
    digits = ".2f" if is_small and headline.is_share else headline.digits
    show = write or (lambda number: f"{number:{digits}}")
    of = f"{count:,} {nouns[0] if count == 1 else nouns[1]}"
    if not ends:
        return f"{headline.noun} {show(value)} on {of}"
    if not is_small:
        return f"{headline.noun} {show(value)} (95 % interval {show(ends[0])} to {show(ends[1])}) on {of}"
    right = "right" if metadata.task.labels.has_one_class else "with every label right"
    found = f"{round(value * count):,} of {of} {right}" if headline.is_share else f"{show(value)} on {of}"
    return f"{headline.noun} between {show(ends[0])} and {show(ends[1])} (95 % interval; {found})"


def balanced_text(
    metadata: Metadata, metrics: Mapping[str, Any], intervals: Mapping[str, Sequence[float]] | None = None
) -> str:
    """Return the balanced accuracy if it is surely another number than the accuracy; else "".

    They differ if the classes are of different sizes and the model does not find all of them equally often.

    Args:
        metadata: the metadata of the model.
        metrics: the metrics of the split, with "num_examples".
        intervals: the 95 % interval of each metric that has one.

    Example:
        >>> metadata = tfl.Metadata("MobileNetV2", 1.0, 224, "multiclass", ("ant", "bee"))
        >>> measured = {"accuracy": 0.95, "balanced_accuracy": 0.5, "num_examples": 200}
        >>> balanced_text(metadata, measured, {"balanced_accuracy": (0.49, 0.55)})
        'balanced accuracy 0.5000 (95 % interval 0.4900 to 0.5500): the classes are not found equally often'
    """
    value, ends = metrics.get("balanced_accuracy"), (intervals or {}).get("balanced_accuracy")
    accuracy = headline_interval(metadata.task.headline, metrics, intervals)
    if value is None or metadata.task.headline.metric != "accuracy" or not accuracy:
        return ""
    if accuracy[0] <= value <= accuracy[1]:
        return ""
    between = f" (95 % interval {ends[0]:.4f} to {ends[1]:.4f})" if ends else ""
    return f"balanced accuracy {value:.4f}{between}: the classes are not found equally often"


def needed_text(metadata: Metadata, metrics: Mapping[str, Any]) -> str:
    """Return how many test examples would tell two models apart; "" if the split has as many, or for a task of values.

    Args:
        metadata: the metadata of the model.
        metrics: the metrics of the split, with "num_examples".

    Example:
        >>> metadata = tfl.Metadata("MobileNetV2", 1.0, 224, "multiclass", ("ant", "bee"))
        >>> needed_text(metadata, {"accuracy": 1.0, "num_examples": 8})
        'To tell apart two models whose accuracy differs by 5 points, about 960 test images are needed, 952 more.'
    """
    headline, several = metadata.task.headline, metadata.input.noun[1]
    count = metrics["num_examples"]
    if not headline.is_share:
        return ""
    needed = examples_to_tell_apart(round(metrics[headline.metric] * count), count)
    if needed <= count:
        return ""
    return (
        f"To tell apart two models whose {headline.noun} differs by {100 * DIFFERENCE:.0f} points, about {needed:,} "
        f"test {several} are needed, {needed - count:,} more."
    )


def examples_to_tell_apart(
    successes: int, trials: int, difference: float = DIFFERENCE, power: float = POWER, level: float = LEVEL
) -> int:
    """Return the number of test examples that show a difference of two shares, rounded up to two digits.

    The first share is the middle of Wilson's interval of what was measured: a measured share of 1 alone would say that
    a few examples are enough. The second share is nearer to one half. Each is measured on so many examples of its
    own; on the same examples fewer may be enough.

    Args:
        successes: number of examples that were right.
        trials: number of examples, at least 1.
        difference: of the two shares, above 0 and at most 0.5.
        power: how often the difference is then found, above 0.5 and below 1.
        level: how often equal shares are not told apart, above 0 and below 1.

    Example:
        >>> examples_to_tell_apart(140, 153), examples_to_tell_apart(140, 153, difference=0.02)
        (670, 3700)

    Reference:
        Fleiss, Levin and Paik 2003, Statistical Methods for Rates and Proportions, 3rd edition, section 4.2.
    """
    normal = scipy.stats.norm
    z = float(normal.ppf((1 + level) / 2))
    first = (successes + z**2 / 2) / (trials + z**2)
    second = first - difference if first > 0.5 else first + difference
    mean = (first + second) / 2
    spread = z * math.sqrt(2 * mean * (1 - mean))
    spread += float(normal.ppf(power)) * math.sqrt(first * (1 - first) + second * (1 - second))
    needed = math.ceil((spread / difference) ** 2)
    digits = 10 ** max(0, len(str(needed)) - 2)
    return math.ceil(needed / digits) * digits
