"""Define an option of the config: its default, its rule and its help, all on one line.

    image_size: int = option(0, Between(0, 4096), "Pixels per side.")

A rule describes in words which values it accepts, and returns an accepted value in its standard spelling.
"""

import dataclasses
import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from tfl.errors import InputError
from tfl.registry import did_you_mean, resolve

T = TypeVar("T")
CHOSEN_NUMBER = -1  # the value of an option whose number tfl chooses
CHOSEN_NAME = "auto"  # the same for names


class Rule:
    """The rule that the values of an option must follow."""

    def describe(self) -> str:
        """Return the text that follows "must be" in messages."""
        raise NotImplementedError

    def check(self, value: Any, path: str) -> Any:
        """Return the value in its standard spelling.

        Args:
            value: a value of the same type as the option's default.
            path: the option's dotted name, for the error text.

        Raises:
            InputError: the value breaks the rule.
        """
        raise NotImplementedError

    def absolute(self, value: Any) -> Any:
        """Return a checked value in a form that means the same in any working directory."""
        return value


@dataclasses.dataclass(frozen=True)
class OneOf(Rule):
    """One of some known names, in upper or lower case; `others` maps further names to known ones."""

    names: Sequence[str]
    others: Mapping[str, str] = dataclasses.field(default_factory=dict, hash=False)

    def describe(self) -> str:
        return _list_words(tuple(self.names))

    def check(self, value: str, path: str) -> str:
        return self.others.get(value.lower()) or resolve(value, self.names, path)


@dataclasses.dataclass(frozen=True)
class Between(Rule):
    """A finite number from `low` to `high`, both included."""

    low: float
    high: float = math.inf

    def describe(self) -> str:
        low, high = (number if isinstance(number, int) else f"{number:g}" for number in (self.low, self.high))
        return f"at least {low}" if self.high == math.inf else f"between {low} and {high}"

    def check(self, value: float, path: str) -> float:
        if not self.low <= value <= min(self.high, sys.float_info.max):
            raise InputError(f"`{path}` must be {self.describe()}. Received: {path}={value!r}.")
        return value


@dataclasses.dataclass(frozen=True)
class OrChosen(Between):
    """A finite number from 0 to `high`, or -1 for a number that tfl chooses from the data."""

    low: float = CHOSEN_NUMBER

    def describe(self) -> str:
        usual = Between(0, self.high).describe()
        return f"{usual}, or {CHOSEN_NUMBER}: tfl chooses"


AT_LEAST_ONE = Between(1)
NOT_NEGATIVE = Between(0)
SHARE = Between(0, 1)


@dataclasses.dataclass(frozen=True)
class Switch(Rule):
    """True or false."""

    def describe(self) -> str:
        return "true or false"

    def check(self, value: bool, path: str) -> bool:
        del path
        return value


@dataclasses.dataclass(frozen=True)
class Text(Rule):
    """Text that is not blank; some words are accepted in upper or lower case."""

    kind: str
    words: tuple[str, ...] = ()

    def describe(self) -> str:
        return _list_words((self.kind, *map(repr, self.words)))

    def check(self, value: str, path: str) -> str:
        if not value.strip():
            raise InputError(f"`{path}` must be {self.describe()}. Received: {path}={value!r}.")
        return value.lower() if value.lower() in self.words else value


class Place(Text):
    """The path of a file or folder, or one of some special words."""

    def absolute(self, value: str) -> str:
        return value if value in self.words else absolute_path(value)


@dataclasses.dataclass(frozen=True)
class Checked(Rule):
    """A rule that a function of value and path checks; the function returns the value in its standard spelling."""

    text: str
    function: Callable[[Any, str], Any]

    def describe(self) -> str:
        return self.text

    def check(self, value: Any, path: str) -> Any:
        return self.function(value, path)


def option(default: T, rule: Rule, help: str) -> T:
    """Return the dataclass field of one option, for the body of a section.

    Args:
        default: the default value; every value must have the same type.
        rule: the rule that every value must follow.
        help: one sentence for `--help`.
    """
    return dataclasses.field(default=default, metadata={"rule": rule, "help": help})


def is_section(field: dataclasses.Field[Any]) -> bool:
    """Return whether a field of a section is itself a section, not an option."""
    return "rule" not in field.metadata


def check_options(section: T, prefix: str = "") -> T:
    """Check every option of a section, and return a copy in which all values have their standard spelling.

    Args:
        section: a dataclass of options and sections; it is not changed.
        prefix: the text before the names of its options, as in "data.".

    Raises:
        InputError: an option has another type than its default, or breaks its rule; the message names the first one.
    """

    def change(field: dataclasses.Field[Any], value: Any, path: str) -> Any:
        if is_section(field):
            _check_kind(value, field, path)
            return check_options(value, path + ".")
        return field.metadata["rule"].check(_of_type(value, field.default, path), path)

    return _changed(section, change, prefix)


def absolute_paths(section: T) -> T:
    """Return a copy of a checked section with absolute paths, so that it means the same in any working directory."""

    def change(field: dataclasses.Field[Any], value: Any, path: str) -> Any:
        del path
        return absolute_paths(value) if is_section(field) else field.metadata["rule"].absolute(value)

    return _changed(section, change)


def read_options(cls: type[T], values: Any, section: str = "config") -> T:
    """Build a section from nested plain dicts; lists, as JSON has them, become tuples again.

    Args:
        cls: the class of the section.
        values: the values by name; a missing option gets its default.
        section: the name of the section, for the error text.

    Raises:
        InputError: an option does not exist, or the value of a section is not a dict.
    """
    if not isinstance(values, dict):
        raise InputError(f"`{section}` must be a section of options. Received: {section}={values!r}.")
    fields: dict[str, dataclasses.Field[Any]] = {field.name: field for field in dataclasses.fields(cls)}  # pyright: ignore
    arguments = {}
    for name, value in values.items():
        if name not in fields:
            raise InputError(f"`{name}` must be an option of {cls.__name__}.{did_you_mean(name, fields)}")
        if is_section(fields[name]):
            value = read_options(_class_of(fields[name]), value, name)
        is_tuple = isinstance(fields[name].default, tuple) and isinstance(value, list)
        arguments[name] = tuple(value) if is_tuple else value
    return cls(**arguments)


def absolute_path(path: str) -> str:
    """Return an absolute path without resolving links; the address of a remote file does not change."""
    return path if "://" in path else os.path.abspath(os.path.expanduser(path))  # noqa: PTH100, PTH111


def _changed(section: T, change: Callable[[dataclasses.Field[Any], Any, str], Any], prefix: str = "") -> T:
    fields: tuple[dataclasses.Field[Any], ...] = dataclasses.fields(section)  # pyright: ignore[reportArgumentType]
    values = {field.name: change(field, getattr(section, field.name), prefix + field.name) for field in fields}
    return type(section)(**values)


def _class_of(field: dataclasses.Field[Any]) -> Any:
    return field.default_factory


def _check_kind(value: Any, field: dataclasses.Field[Any], path: str) -> None:
    if type(value) is not _class_of(field):
        raise InputError(f"`{path}` must be a {_class_of(field).__name__}. Received: {value!r}.")


def _of_type(value: Any, default: Any, path: str) -> Any:
    """Check the type of a value: Python does not check dataclass fields, so a config may hold anything."""
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return value  # an int such as 1 is accepted for 1.0
    if isinstance(default, tuple) and isinstance(value, (tuple, list)):
        return tuple(value)
    if type(value) is not type(default):
        raise InputError(f"`{path}` must be of type {type(default).__name__}. Received: {path}={value!r}.")
    return value


def _list_words(words: tuple[str, ...]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
