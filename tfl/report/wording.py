"""Format numbers in the same way on every page."""

from collections.abc import Callable
from typing import Any

from tfl.evaluation.headline import SMALL_TEST
from tfl.evaluation.intervals import wilson_interval


def percent(value: float | None) -> str:
    """Format a fraction in per cent, with one decimal digit between 0 and 1; "unknown" for None."""
    if value is None:
        return "unknown"
    return f"{100 * value:.1f}\N{NO-BREAK SPACE}%" if 0 < value < 1 else f"{100 * value:.0f}\N{NO-BREAK SPACE}%"


def points(value: float) -> str:
    """Format a difference of fractions in percentage points.

    Example:
        >>> points(0.034)
        '3.4\\xa0points'
    """
    return f"{100 * value:.1f}\N{NO-BREAK SPACE}points"


def measured_share(share: float, number: int) -> str:
    """Format a share of so many examples with its Wilson interval, which comes first if there are few examples.

    Example:
        >>> measured_share(0.5, 10).replace("\\xa0", " "), measured_share(0.9, 1000).replace("\\xa0", " ")
        ('between 23.7 % and 76.3 % (5 of 10)', '90.0 % (95 % interval 88.0 % to 91.7 %)')
    """
    low, high = wilson_interval(round(share * number), number)
    if number < SMALL_TEST:
        return f"between {percent(low)} and {percent(high)} ({round(share * number)} of {number})"
    return f"{percent(share)} (95 % interval {interval(low, high, percent)})"


def count(number: int, one: str, many: str = "") -> str:
    """Format a number with its noun, in the singular or plural.

    Example:
        >>> count(1, "image"), count(2000, "image")
        ('1 image', '2,000 images')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def figure(value: Any) -> str:
    """Format a metric: an integer in full, another number with three decimal places or four significant digits."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.3f}" if 1e-3 <= abs(value) < 100 or value == 0 else f"{value:.4g}"
    return str(value)


def sentence_start(text: str) -> str:
    """Return a text with a capital letter at its start."""
    return text[:1].upper() + text[1:]


def spoken(name: str, examples: str = "images") -> str:
    """Format the name of a metric as words.

    Args:
        name: of the metric.
        examples: the word for examples; the name of a number of examples becomes this word.

    Example:
        >>> spoken("macro_f1"), spoken("mean_absolute_error")
        ('Macro F1', 'Mean absolute error')
    """
    name = examples if name == "num_examples" else name
    words = (
        name.replace("_", " ")
        .replace(" f1", " F1")
        .replace("roc auc", "ROC AUC")
        .replace(" ece", " ECE")
        .replace(" iou", " IoU")
    )
    return sentence_start(words)


def interval(low: float | None, high: float | None, write: Callable[[float], str]) -> str:
    """Format an interval; a dash if it is not known.

    Example:
        >>> interval(0.25, 0.5, figure)
        '0.250 to 0.500'
    """
    return figure(None) if low is None or high is None else f"{write(low)} to {write(high)}"
