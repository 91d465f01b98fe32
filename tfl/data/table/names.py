"""Tables whose labels or groups are in the names of the files: a folder, or a table of paths."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from tfl import progress
from tfl.config.values import SECOND, parse_columns
from tfl.data.name_patterns import read_groups, read_names
from tfl.data.reading import Reading
from tfl.data.split_names import find_splits
from tfl.data.table.columns import Columns, find_columns, usual_name
from tfl.data.table.read import Table
from tfl.data.tree import Folder, describe_ignored
from tfl.errors import InputError
from tfl.inputs.text.endings import join_pair

NAMED = {"label": "label in the name", "group": "group in the name"}  # the columns that patterns add


def table_of_folder(root: Folder, pattern: str, source: str, may_be: Callable[[str], bool]) -> tuple[Table, str]:
    """Return all files of a folder as a table, with the labels that a pattern finds in their paths.

    If all folders directly in the root are splits (`train/cat_1.jpg`, `test/cat_2.jpg`), the files keep them.

    Args:
        root: the folder.
        pattern: finds the label; see `read_names`.
        source: for messages.
        may_be: whether files with an ending may be examples; another file is listed only if the pattern matches it.

    Returns:
        The table, and its columns in the form of `data.columns`.

    Raises:
        InputError: the pattern finds nothing.
    """
    if root.ignored:
        progress.say(describe_ignored(root.ignored))
    paths = [Path(file).relative_to(root.path).as_posix() for file in root.all_files()]
    labels = read_names(pattern, "label", paths, source)
    splits = find_splits(folder.name for folder in root.folders)
    has_splits = len(splits) == len(root.folders) > 1 and not root.own_examples
    rows, others = [], []
    for path, label in zip(paths, labels, strict=True):
        if label or may_be(Path(path).suffix):
            rows.append([path, label, splits.get(path.partition("/")[0], "") if has_splits else ""])
        else:
            others.append(path)
    if others:
        progress.say(
            f"Ignored: {len(others)} files that `data.label_pattern` does not match and that have another ending; "
            f"the first is {others[0]}."
        )
    table = Table(source, ("path", NAMED["label"], "split"), rows, [row[0] for row in rows], [])
    return table, f"path=path,label={NAMED['label']}"


def read_meaning(table: Table, reading: Reading, example: str = "path", label: str = "") -> tuple[Table, Columns]:
    """Return a table with all columns that it needs, and what its columns mean.

    Args:
        table: of files, or of examples themselves.
        reading: which column is what, and what is in the names of the files.
        example: what the column of examples is called, see `find_columns`.
        label: the column of labels if none is named; "": that with a usual name.

    Raises:
        InputError: a column does not exist, or a pattern finds nothing.
    """
    given = parse_columns(reading.columns)
    if example != "path":
        for name in ("label_pattern", "group_pattern"):
            if pattern := getattr(reading, name):
                raise InputError(
                    f"`data.{name}` must be empty for a table whose cells are the examples: it finds names in paths. "
                    f"Received: {pattern!r}. Did you mean a column, as in data.columns={name[:5]}=NAME?"
                )
    if example == "path":
        table, given = with_names(table, given, reading.label_pattern, reading.group_pattern)
    else:
        table, given = _with_pairs(*_with_whole_text(table, given, example), example)
    if label:
        given = {"label": label, **given}
    return table, find_columns(table.names, given, table.name, example)


def _with_whole_text(table: Table, given: dict[str, str], role: str) -> tuple[Table, dict[str, str]]:
    """Return a table with one column of texts, if they were given as several columns (`text=title+body`)."""
    name = given.get(role, "")
    parts = [part.strip() for part in name.split("+")]
    if len(parts) < 2 or name in table.names or not set(parts) <= set(table.names):
        return table, given
    places = [table.names.index(part) for part in parts]
    rows = [[*row, " ".join(filter(None, (row[place] for place in places)))] for row in table.rows]
    return dataclasses.replace(table, names=(*table.names, name), rows=rows), given


def _with_pairs(table: Table, given: dict[str, str], example: str) -> tuple[Table, dict[str, str]]:
    """Return a table with one column of pairs, if a column of second texts was given; a pair of one text is empty."""
    if SECOND not in given:
        return table, given
    table, given = _with_whole_text(table, given, SECOND)
    first, second = given.get(example) or usual_name(example, table.names), given[SECOND]
    if first not in table.names or second not in table.names:
        return table, given  # `find_columns` says so
    places, name = [table.names.index(column) for column in (first, second)], f"{first} and {second}"
    rows = [[*row, join_pair(*(row[place] for place in places))] for row in table.rows]
    others = {role: column for role, column in given.items() if role != SECOND}
    return dataclasses.replace(table, names=(*table.names, name), rows=rows), others | {example: name}


def with_names(
    table: Table, given: dict[str, str], label_pattern: str, group_pattern: str
) -> tuple[Table, dict[str, str]]:
    """Return a table with columns of the labels and groups that patterns find in its paths.

    Args:
        table: of paths.
        given: the columns that the user named, from `parse_columns`.
        label_pattern: finds the label in the path of a row; "" adds no column.
        group_pattern: the same for the group.

    Returns:
        The table, and the columns by meaning, with the new ones.

    Raises:
        InputError: a pattern finds nothing, or a column is named for the same purpose.
    """
    path = given.get("path") or usual_name("path", table.names)
    if path not in table.names:
        return table, given  # `find_columns` says so
    paths = [row[table.names.index(path)].replace("\\", "/") for row in table.rows]
    found: dict[str, list[str]] = {}
    for role, pattern in (("label", label_pattern), ("group", group_pattern)):
        if pattern and role in given:
            raise InputError(
                f"`data.{role}_pattern` must be empty if `data.columns` names a column of the {role}. "
                f"Received: data.{role}_pattern={pattern!r}, {role}={given[role]}."
            )
    if label_pattern:
        found["label"] = read_names(label_pattern, "label", paths, table.name)
    if groups := read_groups(group_pattern, paths, table.name):
        found["group"] = groups
    names = (*table.names, *(NAMED[role] for role in found))
    rows = [[*row, *(cells[number] for cells in found.values())] for number, row in enumerate(table.rows)]
    return dataclasses.replace(table, names=names, rows=rows), given | {role: NAMED[role] for role in found}
