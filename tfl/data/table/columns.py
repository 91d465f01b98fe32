"""Find out what each column of a table means."""

import dataclasses
from collections.abc import Mapping, Sequence

from tfl.config.values import COLUMNS, SECOND
from tfl.errors import InputError
from tfl.registry import did_you_mean

# The usual names of each column, in lower case without separators; the first one that a table has is taken.
USUAL = {
    "path": ("path", "filepath", "imagepath", "file", "filename", "image", "imagefile", "imagename", "img", "imageid"),
    "text": ("text", "sentence", "review", "comment", "message", "content", "document", "body"),
    "mask": ("mask", "maskpath", "maskfile", "masks", "segmentation", "annotation", "label", "target"),
    "label": ("label", "labels", "class", "classname", "category", "target", "tags", "value", "y"),
    "split": ("split", "subset", "partition", "fold"),
    "group": ("group", "groupid", "patient", "patientid", "subject", "subjectid"),
    "time": ("time", "timestamp", "datetime", "date", "takenat", "createdat"),
    "weight": ("weight", "sampleweight", "exampleweight"),
}

EXAMPLES = ("path", "text")  # what a column of examples may be called


@dataclasses.dataclass(frozen=True)
class Columns:
    """The names of the columns of a table by their meaning; "" if there is none.

    Attributes:
        path: the files, or the examples themselves.
        labels: the labels: one column of classes, of labels joined by "|" or of values, or several columns.
        split: the split of each row.
        group: rows of one group are never in two splits.
        time: when the example was made, for a split by time.
        weight: how much the example counts in training.
    """

    path: str
    labels: tuple[str, ...]
    split: str = ""
    group: str = ""
    time: str = ""
    weight: str = ""


def find_columns(names: Sequence[str], given: Mapping[str, str], table: str, example: str = "path") -> Columns:
    """Find the columns of a table: those that are given, and the usual names for the others.

    A column that is given for one purpose is not taken for another one by its usual name.

    Args:
        names: of all columns.
        given: by meaning, from `parse_columns`.
        table: its name, for messages.
        example: what a column of examples is called: "path" of files, or the `cell` of an input.

    Raises:
        InputError: a given column does not exist, or there is no column of files or of labels.

    Example:
        >>> find_columns(["file_name", "Breed", "age"], {"label": "age"}, "dogs.csv")
        Columns(path='file_name', labels=('age',), split='', group='', time='', weight='')
    """
    other = next((role for role in EXAMPLES if role in given and role != example), None)
    if other is not None:
        raise InputError(
            f"`data.columns` must name the {example} for the examples of this network, not the {other}. "
            f"Received: {other}={given[other]}. Did you mean {example}={given[other]}?"
        )
    if SECOND in given and example == "path":
        raise InputError(
            "`data.columns` must name a second text only beside a column of texts. "
            f"Received: second={given[SECOND]}, a table of files."
        )
    taken = {*given.values(), *_label_columns(given.get("label", ""), names)}
    others = [name for name in names if name not in taken]
    found = {role: given.get(role) or usual_name(role, others) for role in (example, *COLUMNS[1:])}
    labels = _label_columns(found["label"], names)
    for name in (found[example], given.get(SECOND, ""), *labels, *(found[role] for role in COLUMNS[2:])):
        if name and name not in names:
            raise InputError(
                f"`data.columns` must name columns of {table}: {', '.join(names)}. Received: {name!r}."
                f"{did_you_mean(name, names)}"
            )
    for role, value in ((example, found[example]), ("label", labels)):
        if not value:
            hint = f" Without a header: {example}=#1,label=#2." if example != "path" else ""
            several = " or label=NAME+NAME" * (role == "label")
            raise InputError(
                f"`data.columns` must say which column is the {role}, as in {role}=NAME{several}, because {table} has "
                f"no column named {role}. Received: the columns {', '.join(names)}.{hint}"
            )
    return Columns(found[example], labels, *(found[role] for role in COLUMNS[2:]))


def _label_columns(label: str, names: Sequence[str]) -> tuple[str, ...]:
    if label in names:  # a column may have a plus in its name
        return (label,)
    return tuple(part.strip() for part in label.split("+")) if label else ()


def usual_name(role: str, names: Sequence[str]) -> str:
    """Return the column with the first usual name of a meaning, "" if there is none."""
    plain = {"".join(filter(str.isalnum, name.lower())): name for name in reversed(names)}
    return next((plain[word] for word in USUAL[role] if word in plain), "")
