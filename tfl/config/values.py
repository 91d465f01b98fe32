"""Rules of single options that need more than one line: sources, splits, folds, units and strategies."""

import dataclasses
import functools
import math
import os
import re
from collections.abc import Sequence

from tfl.cluster import STRATEGIES, parse_strategy
from tfl.config.option import CHOSEN_NUMBER, Checked, Rule, absolute_path
from tfl.errors import InputError
from tfl.registry import did_you_mean

SOURCES = ("digits", "folder", "masks", "boxes", "csv", "tfrecord", "tfds")
TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")  # suffixes of the files of csv:FILE
SPLIT_RULES = ("class", "content", "time")  # of `data.split_by`, beside the path of a splits.csv
NO_TIMES = (
    "`data.split_by` must be 'class', 'content' or a splits.csv for a source without a column of times. "
    "Received: data.split_by='time'. Did you mean a table csv:FILE with data.columns=time=NAME?"
)
COLUMNS = ("path", "label", "split", "group", "time", "weight")  # what the columns of a table mean
SECOND = "second"  # the second text of a pair
ROLES = (*COLUMNS, "text", SECOND)  # these two are the example itself, where the others name a file
_TFDS_SPLIT = re.compile(r"[\w.-]+(\[[^][]*\])?(\s*\+\s*[\w.-]+(\[[^][]*\])?)*")  # train[:10%]+test
PYTHON_DATA = "python"  # recorded as the source if the data were passed as Python objects


def _validate_sha256(text: str, path: str) -> str:
    if text and not re.fullmatch(r"[0-9a-f]{64}", text.lower()):
        raise InputError(f"`{path}` must be empty, or 64 hexadecimal digits. Received: {text!r}.")
    return text.lower()


SHA256 = Checked("empty, or 64 hexadecimal digits", _validate_sha256)


@dataclasses.dataclass(frozen=True)
class DataSource(Rule):
    """A source string, or one other accepted value."""

    text: str
    or_else: str

    def describe(self) -> str:
        return self.text

    def check(self, value: str, path: str) -> str:
        return value if value == self.or_else else validate_source(value, path)

    def absolute(self, value: str) -> str:
        return ",".join(map(_absolute, split_source(value)))


def _absolute(source: str) -> str:
    kind, colon, name = source.partition(":")
    return (
        kind + colon + absolute_path(name)
        if kind in ("folder", "masks", "boxes", "csv", "tfrecord") and name
        else source
    )


def split_source(source: str) -> list[str]:
    """Return the sources that a source string joins by commas.

    Example:
        >>> split_source("folder:a,b,csv:c.csv"), split_source("digits:5,6,9")
        (['folder:a,b', 'csv:c.csv'], ['digits:5,6,9'])
    """
    return re.split(rf",\s*(?=(?:{'|'.join(SOURCES)}):)", source, flags=re.IGNORECASE)


def source_kinds(source: str) -> set[str]:
    """Return the kinds of the sources that a source string joins, such as "folder"."""
    return {part.partition(":")[0].lower() for part in split_source(source)}


def validate_source(source: str, argument: str) -> str:
    """Check a source string, and return it with its kind in lower case.

    Raises:
        InputError: the kind is unknown, or the name after the colon is missing.

    Example:
        >>> validate_source("Folder:Photos", "data.source")
        'folder:Photos'
    """
    if len(parts := split_source(source)) > 1:
        return ",".join(validate_source(part, argument) for part in parts)
    kind, colon, name = source.partition(":")
    kind = kind.lower()
    if source == PYTHON_DATA:
        raise InputError(
            f"`{argument}` must be a source that tfl can read, or `data` must be given, because this run was trained "
            f"on Python data. Received: {source!r}."
        )
    if kind not in SOURCES:
        is_folder = os.path.isdir(os.path.expanduser(source))  # noqa: PTH111, PTH112
        hint = f" Did you mean 'folder:{source}'?" if is_folder else did_you_mean(kind, SOURCES)
        raise InputError(
            f"`{argument}` must be digits, folder:PATH, masks:PATH, boxes:PATH, csv:FILE, tfrecord:GLOB or tfds:NAME. "
            f"Received: {source!r}.{hint}"
        )
    if kind != "digits" and not name:
        raise InputError(f"`{argument}` must name what to read, as in {kind}:NAME. Received: {source!r}.")
    if kind == "digits":
        parse_digits(name, argument)
    return kind + colon + name


def parse_digits(selection: str, argument: str = "data.source") -> list[int]:
    """Return the digits that `digits:SELECTION` names; all ten if it names none.

    Raises:
        InputError: the selection does not name two or more digits.

    Example:
        >>> parse_digits("5,6,9"), parse_digits("0-3")
        ([5, 6, 9], [0, 1, 2, 3])
    """
    first, dash, last = selection.partition("-")
    try:
        wanted = (
            list(range(int(first), int(last) + 1)) if dash else [int(part) for part in selection.split(",") if part]
        )
    except ValueError:
        wanted = []
    wanted = wanted if selection else list(range(10))
    if len(set(wanted)) < 2 or not set(wanted) <= set(range(10)):
        raise InputError(
            f"`{argument}` must select two or more of the digits, as in digits:0-4 or digits:5,6,9. "
            f"Received: digits:{selection}."
        )
    return wanted


def parse_columns(text: str) -> dict[str, str]:
    """Return the columns that `data.columns` names, by their meaning.

    Raises:
        InputError: the text is not of the form "path=file,label=red+green".

    Example:
        >>> parse_columns("label=red+green, split=fold")
        {'label': 'red+green', 'split': 'fold'}
    """
    given: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        role, equals, name = (piece.strip() for piece in part.partition("="))
        if role not in ROLES or not equals or not name or role in given:
            hint = did_you_mean(role, ROLES) if role not in ROLES else ""
            raise InputError(
                "`data.columns` must be empty, or name columns as in path=file,label=red+green; known: "
                f"{', '.join(ROLES)}. Received: {part!r}.{hint}"
            )
        given[role] = name
    return given


def has_pairs(columns: str) -> bool:
    """Return whether `data.columns` names the second text of a pair.

    Example:
        >>> has_pairs("text=question,second=answer"), has_pairs("text=question")
        (True, False)
    """
    return SECOND in parse_columns(columns)


def parse_tfds_splits(text: str, path: str = "data.tfds_splits") -> dict[str, str]:
    """Return the splits of tfds by the split that they become; one without a name is all of the data.

    Raises:
        InputError: the text is not of the form "train[:10%]" or "train=train[:80%],test=train[80%:]".

    Example:
        >>> parse_tfds_splits("train=train[:80%],test=train[80%:]+unlabelled")
        {'train': 'train[:80%]', 'test': 'train[80%:]+unlabelled'}
        >>> parse_tfds_splits("train[:10%]")
        {'': 'train[:10%]'}
    """
    given: dict[str, str] = {}
    parts = [part.strip() for part in text.split(",") if part.strip()]
    for part in parts:
        role, equals, split = (piece.strip() for piece in part.rpartition("="))
        is_known = role in ("train", "validation", "test") if equals else len(parts) == 1
        if not is_known or role in given or not _TFDS_SPLIT.fullmatch(split):
            raise InputError(
                f"`{path}` must be {TFDS_SPLITS.text}; known: train, validation, test. Received: {part!r}."
            )
        given[role] = split
    if given and not {"", "train"} & set(given):
        raise InputError(f"`{path}` must be a split for train too, as in train=NAME. Received: {text!r}.")
    return given


def _validate_tfds_splits(text: str, path: str) -> str:
    parse_tfds_splits(text, path)
    return text


def _validate_columns(text: str, path: str) -> str:
    parse_columns(text)
    return text


def compile_pattern(pattern: str, path: str, name: str) -> re.Pattern[str]:
    r"""Return a regular expression that finds a text in a path.

    Args:
        pattern: must have a group, which is the text.
        path: the option's dotted name, for messages.
        name: of the group, if the pattern names its groups.

    Raises:
        InputError: the pattern is no regular expression, or it has no group.

    Example:
        >>> compile_pattern(r"([a-z]+)_\d+", "data.label_pattern", "label").search("cat_12.jpg")[1]
        'cat'
    """
    rule = rf"`{path}` must be a regular expression with a group, as in (?P<{name}>[a-z]+)_\d+\.jpg."
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise InputError(f"{rule} Received: {pattern!r} ({error}).") from error
    others = [other for other in compiled.groupindex if other != name]
    if not compiled.groups or (others and name not in compiled.groupindex):
        found = f"the group {others[0]!r}" if others else "no group"
        hint = f" Did you mean (?P<{name}>...)?" if others else f" Did you mean '({pattern})'?" if pattern else ""
        raise InputError(f"{rule} Received: {pattern!r} with {found}.{hint}")
    return compiled


def _validate_pattern(pattern: str, path: str, name: str) -> str:
    if pattern:
        compile_pattern(pattern, path, name)
    return pattern


def validate_split(split: Sequence[float], path: str = "data.split") -> tuple[float, ...]:
    """Check that split fractions are three positive numbers that add up to 1, and return them as a tuple.

    Raises:
        InputError: the fractions are not valid.
    """
    numbers = all(isinstance(part, (int, float)) and not isinstance(part, bool) for part in split)
    if not (len(split) == 3 and numbers and all(part > 0 for part in split) and abs(sum(split) - 1) < 1e-6):
        raise InputError(f"`{path}` must be {SPLIT.text}. Received: {path}={tuple(split)!r}.")
    return tuple(split)


def validate_window(window: Sequence[float], path: str = "data.window") -> tuple[float, ...]:
    """Check that a window is empty or two increasing numbers, and return it as a tuple of floats.

    Raises:
        InputError: the window is not valid.

    Example:
        >>> validate_window((900, 2100))
        (900.0, 2100.0)
    """
    is_list = isinstance(window, (tuple, list))
    numbers = is_list and all(isinstance(part, (int, float)) and not isinstance(part, bool) for part in window)
    if not numbers or (window and not (len(window) == 2 and -math.inf < window[0] < window[1] < math.inf)):
        raise InputError(f"`{path}` must be {WINDOW.text}. Received: {path}={window!r}.")
    return tuple(float(part) for part in window)


def _validate_units(units: Sequence[int], path: str) -> tuple[int, ...]:
    if not all(isinstance(number, int) and number > 0 for number in units):
        raise InputError(f"`{path}` must be {UNITS.text}. Received: {units!r}.")
    return tuple(units)


def _validate_folds(folds: int, path: str) -> int:
    if folds not in (0, CHOSEN_NUMBER) and not 2 <= folds <= 100:
        raise InputError(f"`{path}` must be {FOLDS.text}. Received: {path}={folds}.")
    return folds


def _validate_strategy(strategy: str, path: str) -> str:
    kind, count = parse_strategy(strategy, path)
    return f"{kind}:{count}" if count else kind


_KINDS = "digits[:CLASSES], folder:PATH, masks:PATH, boxes:PATH, csv:FILE, tfrecord:GLOB or tfds:NAME"
SOURCE = DataSource(f"{_KINDS}, or several joined by commas", PYTHON_DATA)
SOURCE_OR_NONE = DataSource(f"empty, {_KINDS}", "")
LABEL_PATTERN, GROUP_PATTERN = (
    Checked("empty, or a regular expression with a group", functools.partial(_validate_pattern, name=name))
    for name in ("label", "group")
)
TFDS_SPLITS = Checked(
    "empty, or splits of tfds, as in train[:10%] or train=train[:80%],test=train[80%:]", _validate_tfds_splits
)
TABLE_COLUMNS = Checked("empty, or columns of a table, as in path=file,label=red+green", _validate_columns)
SPLIT = Checked("three positive fractions (train, validation, test) that add up to 1", validate_split)
FOLDS = Checked(f"0, between 2 and 100, or {CHOSEN_NUMBER}: tfl chooses", _validate_folds)
UNITS = Checked("positive integers", _validate_units)
WINDOW = Checked("empty, or two increasing numbers (low, high)", validate_window)
STRATEGY = Checked(f"one of {', '.join(STRATEGIES)} (N at least 2)", _validate_strategy)
