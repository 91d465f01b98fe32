"""Decisions of a person about single examples: which to leave out, and which to give another label.

The file is a table with the columns `id`, `decision` (keep, exclude or relabel) and `label` (the new label, for
relabel). The page of an audit writes it; a spreadsheet program can write it, too.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from etils import epath

from tfl.data.index import EXCLUDED, Index
from tfl.data.label_formats import LabelFormat, label_format_of
from tfl.data.split_names import SPLITS
from tfl.errors import InputError
from tfl.files.reading import read_spreadsheet
from tfl.progress import say
from tfl.registry import did_you_mean, normal_name
from tfl.workdir import write_csv

KEEP, EXCLUDE, RELABEL = CHOICES = ("keep", "exclude", "relabel")
OPTION = "data.decisions"
HEADER = ("id", "decision", "label", "label_before", "split_before")


@dataclasses.dataclass(frozen=True)
class Change:
    """What a decision changed for one example.

    Attributes:
        id: of the example.
        decision: "exclude" or "relabel".
        label: the label after it, as text.
        label_before: the label before it, as text.
        split_before: the split before it.
    """

    id: str
    decision: str
    label: str
    label_before: str
    split_before: str


def read_decisions(path: epath.PathLike) -> dict[str, tuple[str, str]]:
    """Read a file of decisions.

    Returns:
        For each id the decision and the new label, which is "" but for relabel.

    Raises:
        InputError: the file cannot be read, a column is missing, an id occurs twice, a decision is none of the three,
            or a new label is missing.
    """
    rows = read_spreadsheet(epath.Path(path), ("id", "decision", "label"), key="id", argument=OPTION)
    found = {}
    for number, row in enumerate(rows, start=2):
        if missing := [name for name in ("id", "decision") if name not in row]:
            raise _refused(f"{path}, which has no column {missing[0]!r}")
        choice, label = row["decision"].strip().lower(), normal_name(row.get("label", "").strip())
        if choice not in CHOICES:
            raise _refused(f"{row['decision']!r} in row {number} of {path}", did_you_mean(choice, CHOICES))
        if choice == RELABEL and not label:
            raise _refused(f"relabel without a label in row {number} of {path}")
        found[row["id"]] = (choice, label if choice == RELABEL else "")
    return found


def apply_decisions(
    index: Index, decisions: Mapping[str, tuple[str, str]], labels: LabelFormat | None = None
) -> tuple[Index, tuple[Change, ...]]:
    """Return an index whose excluded examples are in the split "excluded", and whose labels are the decided ones.

    Args:
        index: with its splits, which stay as they are for all other examples.
        decisions: from `read_decisions`.
        labels: the format of the labels; None: as the labels seem to be.

    Returns:
        The new index, and what changed; a relabel to the label that an example has changes nothing.

    Raises:
        InputError: an id or a label is unknown, or a class would lose all its examples of a split.
    """
    row_of = {name: row for row, name in enumerate(index.ids.tolist())}
    if unknown := [name for name in decisions if name not in row_of]:
        more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        raise _refused(f"the id {unknown[0]!r}{more}, which the data do not have", did_you_mean(unknown[0], row_of))
    form, rows = labels or label_format_of(index.labels, index.class_names), [row_of[name] for name in decisions]
    values, splits = index.labels.copy(), index.splits.astype(f"<U{max(map(len, (*SPLITS, EXCLUDED)))}")
    for row, (name, (choice, label)) in zip(rows, decisions.items(), strict=True):
        if choice == RELABEL:
            values[row] = _parsed(form, label, index, name)
        elif choice == EXCLUDE:
            splits[row] = EXCLUDED
    after = dataclasses.replace(index, labels=values, splits=splits)
    _check_classes(index, after)
    return after, tuple(_changes(index, after, sorted(rows), decisions))


def _changes(
    before: Index, after: Index, rows: Sequence[int], decisions: Mapping[str, tuple[str, str]]
) -> Iterator[Change]:
    """Yield what differs; the texts of labels are made as in splits.csv."""
    texts = [before.label_texts(), after.label_texts()]
    for row in rows:
        name, label_before, label = str(before.ids[row]), texts[0][row], texts[1][row]
        if label != label_before or before.splits[row] != after.splits[row]:
            yield Change(name, decisions[name][0], label, label_before, str(before.splits[row]))


def describe_changes(changes: Sequence[Change], nouns: tuple[str, str]) -> str:
    """Return one line about what decisions changed."""
    parts = []
    for choice, verb in ((EXCLUDE, "excluded"), (RELABEL, "relabelled")):
        chosen = [change for change in changes if change.decision == choice]
        of_test = sum(change.split_before == "test" for change in chosen)
        if chosen:
            noun = nouns[0] if len(chosen) == 1 else nouns[1]
            parts.append(f"{len(chosen)} {noun} {verb}" + (f" ({of_test} of the test split)" if of_test else ""))
    return f"decisions: {' and '.join(parts) or 'nothing changes'}"


def write_changes(path: epath.PathLike, changes: Sequence[Change]) -> None:
    """Write what decisions changed; `read_decisions` reads the file, too."""
    write_csv(path, HEADER, [dataclasses.astuple(change) for change in changes])


def decided(
    index: Index, path: str, nouns: tuple[str, str], labels: LabelFormat | None
) -> tuple[Index, tuple[Change, ...]]:
    """Apply the file of the option `data.decisions`, and say what it changes; nothing if it is empty."""
    if not path:
        return index, ()
    index, changes = apply_decisions(index, read_decisions(path), labels)
    say(describe_changes(changes, nouns))
    return index, changes


def _parsed(form: LabelFormat, text: str, index: Index, name: str) -> np.ndarray:
    known = index.class_names
    try:
        return form.parse([text], form.output_names(index.labels, known))[0]
    except (KeyError, ValueError):
        named = f" ({', '.join(known[:10])})" if known else ""
        raise InputError(
            f"`{OPTION}` must give a label of the data{named}. Received: {text!r} for {name!r}."
            f"{did_you_mean(text, known)}"
        ) from None


def _check_classes(before: Index, after: Index) -> None:
    """Refuse decisions that take the last example of a class, or of all classes, out of a split."""
    for split in SPLITS:
        if not before.is_multiclass:
            lost = "example" if len(before.rows(split)) and not len(after.rows(split)) else ""
        else:
            gone = np.setdiff1d(before.labels[before.rows(split)], after.labels[after.rows(split)])
            lost = f"example of {before.class_names[int(gone[0])]!r}" if len(gone) else ""
        if lost:
            raise InputError(f"`{OPTION}` must leave an {lost} in every split. Received: none in {split}.")


def _refused(received: str, hint: str = "") -> InputError:
    return InputError(
        f"`{OPTION}` must name a table with the columns id, decision ({', '.join(CHOICES)}) and label. "
        f"Received: {received}.{hint}"
    )
