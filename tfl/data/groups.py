"""Groups from a file of their own: examples that belong together, such as the near duplicates that an audit found.

The file is a table with the columns `id` and `group`. An audit writes one (`near_duplicates.csv`); a spreadsheet
program can write it, too. An example without a row, or with an empty group, belongs to no group of the file.
"""

import collections

import numpy as np
from etils import epath

from tfl.data.index import Index
from tfl.errors import InputError
from tfl.files.reading import read_spreadsheet
from tfl.registry import did_you_mean
from tfl.workdir import write_csv

OPTION = "data.groups"
HEADER = ("id", "group")


def read_groups(path: epath.PathLike) -> dict[str, list[str]]:
    """Read a file of groups.

    Returns:
        For each group the ids of its examples.

    Raises:
        InputError: the file cannot be read, a column is missing, or an id occurs twice.
    """
    found = collections.defaultdict(list)
    for row in read_spreadsheet(epath.Path(path), HEADER, key="id", argument=OPTION):
        if missing := [name for name in HEADER if name not in row]:
            raise _refused(f"{path}, which has no column {missing[0]!r}")
        if row["group"].strip():
            found[row["group"].strip()].append(row["id"])
    return dict(found)


def grouped(index: Index, path: str) -> Index:
    """Return the index with the groups of a file beside its own; examples of both become one group.

    Args:
        index: before the split, so that splits keep the groups together.
        path: of the file; empty: the index stays as it is.

    Raises:
        InputError: as for `read_groups`; or an id is unknown.
    """
    if not path:
        return index
    sets, known = read_groups(path), set(index.ids.tolist())
    if unknown := [name for names in sets.values() for name in names if name not in known]:
        more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        raise _refused(f"the id {unknown[0]!r}{more}, which the data do not have", did_you_mean(unknown[0], known))
    return index.united(sets.values())


def write_groups(path: epath.PathLike, index: Index) -> None:
    """Write the groups of an index; `read_groups` reads the file, too."""
    rows = np.flatnonzero(index.groups != "")
    write_csv(path, HEADER, zip(index.ids[rows], index.groups[rows], strict=True))


def with_recorded_groups(index: Index, path: epath.PathLike) -> Index:
    """Return an index with the groups that a run recorded, of those examples that are still there."""
    known = set(index.ids.tolist())
    return index.united([name for name in names if name in known] for names in read_groups(path).values())


def _refused(received: str, hint: str = "") -> InputError:
    return InputError(f"`{OPTION}` must name a table with the columns id and group. Received: {received}.{hint}")
