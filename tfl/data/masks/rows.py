"""Pairs of image and mask in the rows of a table."""

from collections.abc import Mapping
from pathlib import Path

from tfl.config.values import parse_columns
from tfl.data.masks.pairs import Alone, Pair
from tfl.data.reading import Reading
from tfl.data.table.columns import Columns, find_columns, usual_name
from tfl.data.table.read import Table, column_of
from tfl.data.table.rows import id_of, place_of, problem_of_file
from tfl.data.table.source import problem_of_split, read_splits_of
from tfl.errors import InputError


def pairs_of_table(
    table: Table, folder: Path, reading: Reading
) -> tuple[list[Pair], Alone, tuple[list[str], list[str] | None]]:
    """Return the pairs of a table, the rows that cannot be used, and the ids and groups of the pairs.

    Args:
        table: with a column of images, one of masks, and perhaps one of splits and one of groups.
        folder: the folder that relative paths start from.
        reading: which column is what.

    Returns:
        The pairs; (place, reason) of the bad rows; the ids, and the groups or None.

    Raises:
        InputError: a column does not exist, or its meaning does not fit masks.
    """
    meaning = _find_columns(table, reading)
    paths, masks = column_of(table, meaning.path), column_of(table, meaning.labels[0])
    splits = read_splits_of(table, meaning)
    has_splits = any(splits)
    pairs, bad, kept, seen = [], list(table.bad), [], dict[str, str]()
    for row, (path, mask_path, split) in enumerate(zip(paths, masks, splits, strict=True)):
        image, file = place_of(folder, path), place_of(folder, mask_path)
        reason = _problem(path, image, mask_path, file, seen) or (problem_of_split(split) if has_splits else "")
        if reason:
            bad.append((table.places[row], reason))
            continue
        seen[image] = table.places[row]
        pairs.append(Pair(split, image, file))
        kept.append(row)
    groups = column_of(table, meaning.group) if meaning.group else None
    names = [id_of(paths[row]) for row in kept], None if groups is None else [groups[row] for row in kept]
    return pairs, tuple(bad), names


def _find_columns(table: Table, reading: Reading) -> Columns:
    given = parse_columns(reading.columns)
    for name in ("label_pattern", "group_pattern"):
        if getattr(reading, name):
            raise InputError(
                f"`data.{name}` must be empty for a table of masks, which has columns. "
                f"Received: {getattr(reading, name)!r}."
            )
    mask = usual_name("mask", [name for name in table.names if name not in given.values()])
    if not (mask or given.get("label")):
        raise InputError(
            f"`data.columns` must say which column has the masks, as in label=NAME, because {table.name} has no column "
            f"named mask. Received: the columns {', '.join(table.names)}."
        )
    meaning = find_columns(table.names, {"label": mask, **given}, table.name)
    others = [given[role] for role in ("weight", "time") if role in given]
    if len(meaning.labels) != 1 or others:
        raise InputError(
            "`data.columns` must name one column of masks, no weights and no times for a table of masks. "
            f"Received: {', '.join((*meaning.labels, *others))}."
        )
    return meaning


def _problem(path: str, image: str, mask_path: str, mask: str, seen: Mapping[str, str]) -> str:
    """Return why a row cannot be used, or ""."""
    if reason := problem_of_file(path, image, seen):
        return reason
    reason = problem_of_file(mask_path, mask, {})
    return f"no mask: {reason}" if reason else ""
