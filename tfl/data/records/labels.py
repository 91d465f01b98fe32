"""Turn the values of a record's label into the cells of a table, which then become labels as those of a table do."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from tfl import progress
from tfl.data.label_formats import LabelFormat
from tfl.data.records.examples import Values
from tfl.data.records.files import text_key
from tfl.errors import InputError
from tfl.registry import natural_key

_NAME_FILES = ("labels.txt", "label.labels.txt")  # of TF-Slim and `tfl convert`; of tfds
_NUMBERED = re.compile(r"\d+[:\s]\s*\S.*")  # "0:roses"


def read_names(folder: Path) -> dict[int, str]:
    """Read the names of class numbers from a file beside the records: one in each line, or lines as "0:roses".

    Returns:
        The names by number; empty if there is no such file.
    """
    file = next((folder / name for name in _NAME_FILES if (folder / name).is_file()), None)
    if file is None:
        return {}
    try:
        lines = [line.strip() for line in file.read_text("utf-8-sig").splitlines()]
    except (OSError, UnicodeError) as error:
        raise InputError(f"`data.source` must have names of classes in UTF-8. Received: {file}: {error}.") from error
    while lines and not lines[-1]:
        lines.pop()
    if lines and all(_NUMBERED.fullmatch(line) for line in lines):
        pairs = (re.split(r"[:\s]\s*", line, maxsplit=1) for line in lines)
        return {int(number): name for number, name in pairs}
    return dict(enumerate(lines))


def label_cells(
    records: Sequence[Mapping[str, Values]],
    ids: Sequence[str],
    keys: Sequence[str],
    wanted: LabelFormat | None,
    names: Mapping[int, str],
) -> tuple[tuple[str, ...], list[list[str]], list[str]]:
    """Return the labels of records as a table.

    Args:
        records: the features of each record.
        ids: the name of each record, for messages.
        keys: of the labels.
        wanted: the format of the labels; None: the one that they seem to have.
        names: of class numbers, from `read_names`.

    Returns:
        The names of the columns, the cells of each record, and why a record has no label of this kind, or "".

    Raises:
        InputError: a class number has no name.
    """
    if len(keys) > 1:
        problems = [_problem_of_count(record, keys) for record in records]
        return tuple(keys), [[_text(record.get(key, ())) for key in keys] for record in records], problems
    (key,) = keys
    values: list[Values] = [record.get(key, []) for record in records]
    found = next((row for row in values if row), [])
    if (found and isinstance(found[0], float)) or (wanted is not None and not wanted.has_names):
        return _columns_of_values(key, values, names)
    texts = _named(records, ids, key, values, names)
    is_set = any(len(row) != 1 for row in texts) if wanted is None else not wanted.has_one_class
    if not is_set:
        problems = [
            f"{len(row)} values of {key}, but each example has one class" if len(row) > 1 else "" for row in texts
        ]
        return (key,), [[row[0] if row else ""] for row in texts], problems
    return _columns_of_sets(texts, values, names)


def first_text(features: Mapping[str, Values], key: str) -> str:
    """Return the first value of a key as text; "" if there is none."""
    return _text(features.get(key, ()))


def _columns_of_values(
    key: str, values: Sequence[Values], names: Mapping[int, str]
) -> tuple[tuple[str, ...], list[list[str]], list[str]]:
    """Return a column for each value."""
    width = max(map(len, values), default=1) or 1
    known = [names[number] for number in sorted(names)]
    columns = (
        tuple(known) if len(known) == width else (key,) if width == 1 else tuple(f"{key}_{k}" for k in range(width))
    )
    problems = [
        f"{len(row)} values of {key}, but other records have {width}" * (0 < len(row) < width) for row in values
    ]
    return (
        columns,
        [[_text([value]) for value in row] or [""] * width for row in values],
        [problem or ("" if row else f"no {key}") for problem, row in zip(problems, values, strict=True)],
    )


def _columns_of_sets(
    texts: Sequence[Sequence[str]], values: Sequence[Values], names: Mapping[int, str]
) -> tuple[tuple[str, ...], list[list[str]], list[str]]:
    """Return a column of 0 and 1 for each label, in the order of the file of names if there is one."""
    lengths = {len(row) for row in values}
    if texts and min(lengths) > 1 and len(lengths) == 1 and all(value in (0, 1) for row in values for value in row):
        columns = [names.get(number, str(number)) for number in range(len(values[0]))]
        return tuple(columns), [[str(value) for value in row] for row in values], [""] * len(values)
    present = {text for row in texts for text in row}
    known = list(dict.fromkeys(names[number] for number in sorted(names)))
    columns = known if present <= set(known) else sorted(present, key=natural_key)
    cells = [[str(int(name in row)) for name in columns] for row in map(set, texts)]
    return tuple(columns), cells, [""] * len(texts)


def _named(
    records: Sequence[Mapping[str, Values]],
    ids: Sequence[str],
    key: str,
    values: Sequence[Values],
    names: Mapping[int, str],
) -> list[list[str]]:
    """Return the labels of each record as names: by the texts in the records, or by the file of names."""
    if not any(row and isinstance(row[0], int) for row in values):
        return [[_text([value]) for value in row] for row in values]
    known: dict[int, str] = {}
    beside = text_key(key)
    for record, row, name in zip(records, values, ids, strict=True):
        for number, text in zip(row, record.get(beside, ()), strict=False):
            text = _text([text])
            if text and known.setdefault(int(number), text) != text:
                raise InputError(
                    f"`data.source` must have one name for each number of {key}. Received: {number} with the names "
                    f"{known[int(number)]!r} and {text!r}, the second at {name}."
                )
    known = _distinct(known) or dict(names)
    if not known:
        return [[str(value) for value in row] for row in values]
    for row, name in zip(values, ids, strict=True):
        if missing := [value for value in row if value not in known and value != -1]:
            raise InputError(
                f"`data.source` must have a name for every number of {key}, in {beside or key} or in a labels.txt "
                f"beside the files. Received: {missing[0]} at {name}, and names for {len(known)} other numbers."
            )
    return [[known.get(int(value), "") for value in row] for row in values]


def _distinct(known: Mapping[int, str]) -> dict[int, str]:
    """Add the number to names that two numbers have, as "crane" in ImageNet."""
    count: dict[str, int] = {}
    for name in known.values():
        count[name] = count.get(name, 0) + 1
    twice = sorted(name for name, number in count.items() if number > 1)
    if twice:
        progress.say(f"Warning: {len(twice)} names belong to several numbers, which stay apart, as {twice[0]!r}.")
    return {number: f"{name} ({number})" if count[name] > 1 else name for number, name in known.items()}


def _problem_of_count(record: Mapping[str, Values], keys: Sequence[str]) -> str:
    several = next((key for key in keys if len(record.get(key, ())) > 1), None)
    return f"{len(record[several])} values of {several}" if several else ""


def _text(values: Sequence[object]) -> str:
    """Return the first value as text, "" if there is none; bytes that are not UTF-8 stay recognisable."""
    if not values:
        return ""
    value = values[0]
    return value.decode("utf-8", "surrogateescape").strip() if isinstance(value, bytes) else repr(value)
