"""Ranges of options that a search draws from, as text: "finetune.learning_rate=1e-5..1e-3:log"."""

import dataclasses
from collections.abc import Sequence

from tfl.config.paths import check_option, value_of, with_options
from tfl.config.transfer import TransferConfig
from tfl.errors import InputError

# Other options change the examples, the task or what the held-out loss means, so trials could not be compared.
SEARCHED = (
    *("backbone.", "head.", "finetune.", "features.views", "probe.l2", "probe.rule"),
    *("data.image_size", "data.augmentation", "data.batch_size"),
)
Value = int | float | str | bool


@dataclasses.dataclass(frozen=True)
class Range:
    """What a search may set an option to.

    Attributes:
        path: the dotted name of the option.
        choices: the values; empty: all from `low` to `high`.
        low: the smallest value.
        high: the largest value.
        is_log: whether the values are drawn evenly in their logarithm.
    """

    path: str
    choices: tuple[Value, ...] = ()
    low: float = 0
    high: float = 0
    is_log: bool = False

    @property
    def extremes(self) -> tuple[Value, ...]:
        """The values that must fit the rule of the option for all to fit it."""
        return self.choices or (self.low, self.high)

    def contains(self, value: Value) -> bool:
        """Return whether a search may draw a value."""
        if self.choices:
            return value in self.choices
        return not isinstance(value, str) and self.low <= value <= self.high


def parse_ranges(texts: Sequence[str]) -> tuple[Range, ...]:
    """Return the ranges that texts name: OPTION=LOW..HIGH, OPTION=LOW..HIGH:log or OPTION=VALUE,VALUE.

    Raises:
        InputError: there is no range, an option cannot be searched or is given twice, or a value is of another type.

    Example:
        >>> parse_ranges(["head.pooling=avg,max"])[0].choices
        ('avg', 'max')
        >>> parse_ranges(["finetune.learning_rate=1e-5..1e-3:log"])[0].high
        0.001
    """
    ranges = tuple(map(_parse, texts))
    paths = [one.path for one in ranges]
    if not paths or len(set(paths)) < len(paths):
        raise InputError(
            "`range` must be given for at least one option, and once for each, as in --range=head.pooling=avg,max. "
            f"Received: {' '.join(texts) or 'none'}."
        )
    return ranges


def check_ranges(config: TransferConfig, ranges: Sequence[Range]) -> None:
    """Refuse ranges with values that break the rule of their option.

    Raises:
        InputError: a value breaks the rule.
    """
    for one in ranges:
        for value in one.extremes:
            with_options(config, {one.path: value}).validate()


def _parse(text: str) -> Range:
    path, equals, values = text.partition("=")
    check_option(path)
    default = value_of(TransferConfig(), path)
    if not path.startswith(SEARCHED) or isinstance(default, tuple):
        raise InputError(
            f"`range` must be of an option that changes the model or its training. Received: {path!r}. "
            "Did you mean finetune.learning_rate or head.pooling?"
        )
    if not equals or not values:
        raise _refusal(text)
    span, _, how = values.partition(":")
    low, dots, high = span.partition("..")
    if not dots:
        choices = tuple(_read(word, default, text) for word in values.split(","))
        if len(set(choices)) < max(len(choices), 2):
            raise _refusal(text)
        return Range(path, choices)
    ends = [value for word in (low, high) if isinstance(value := _read(word, default, text), (int, float))]
    if isinstance(default, (str, bool)) or how not in ("", "log") or not ends[0] < ends[1] or (how and ends[0] <= 0):
        raise _refusal(text)
    return Range(path, (), ends[0], ends[1], is_log=how == "log")


def _read(word: str, default: Value, text: str) -> Value:
    """Return a value with the type of the option."""
    word = word.strip()
    if isinstance(default, bool):
        if word.lower() not in ("true", "false"):
            raise _refusal(text)
        return word.lower() == "true"
    try:
        return type(default)(word)
    except ValueError:
        raise _refusal(text) from None


def _refusal(text: str) -> InputError:
    return InputError(
        "`range` must be OPTION=LOW..HIGH, OPTION=LOW..HIGH:log or OPTION=VALUE,VALUE with different values of the "
        f"option's type. Received: {text!r}."
    )
