"""The main result of a run as one line, which claims no more than its examples can show."""

from collections.abc import Mapping, Sequence
from typing import Any

from tfl.evaluation.intervals import wilson_interval
from tfl.models.metadata import Metadata

FEW = 100  # below this number of examples the line begins with the interval


def describe_headline(
    metadata: Metadata, metrics: Mapping[str, Any], intervals: Mapping[str, Sequence[float]] | None = None
) -> str:
    """Return the headline metric of a split with its 95 % interval, as one line.

    The interval of a few examples is wide, so a single value would promise too much: the line begins with the interval.

    Args:
        metadata: of the model.
        metrics: of the split, with "num_examples".
        intervals: of the metrics, (low, high) each; a share of the examples needs none, its interval is Wilson's.

    Example:
        >>> metadata = tfl.Metadata("MobileNetV2", 1.0, 224, "multiclass", ("ant", "bee"))
        >>> describe_headline(metadata, {"accuracy": 1.0, "num_examples": 8})
        'accuracy between 0.68 and 1.00 (95 % interval; 8 of 8 images right)'
        >>> describe_headline(metadata, {"accuracy": 0.9216, "num_examples": 153})
        'accuracy 0.9216 (95 % interval 0.8679 to 0.9546) on 153 images'
    """
    headline, (one, several) = metadata.task.headline, metadata.input.noun
    value, count = metrics[headline.metric], metrics["num_examples"]
    interval, nouns = (intervals or {}).get(headline.metric), one if count == 1 else several
    right = round(value * count) if headline.is_share else 0
    if headline.is_share:
        interval = wilson_interval(right, count)
    if interval is None:
        return f"{headline.noun} {value:{headline.digits}} on {count} {nouns}"
    if count >= FEW:
        low, high = (f"{end:{headline.digits}}" for end in interval)
        return f"{headline.noun} {value:{headline.digits}} (95 % interval {low} to {high}) on {count} {nouns}"
    digits = ".2f" if headline.is_share else headline.digits
    found = f"{right} of {count} {nouns} right" if headline.is_share else f"{value:{digits}} on {count} {nouns}"
    return f"{headline.noun} between {interval[0]:{digits}} and {interval[1]:{digits}} (95 % interval; {found})"
