"""What an update changes: the examples of a finished run, without some and with others, and the split of each."""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tfl.config import TransferConfig
from tfl.config.values import parse_columns
from tfl.data import Source
from tfl.data.index import Index
from tfl.data.split_names import SPLITS
from tfl.data.splits import assign_splits
from tfl.data.table.read import read_table
from tfl.data.tree import read_tree
from tfl.errors import InputError
from tfl.inputs import Input
from tfl.models.metadata import Metadata
from tfl.progress import say
from tfl.runs.recorded import open_recorded
from tfl.runs.updating import Row


@dataclasses.dataclass(frozen=True)
class Plan:
    """The examples of an updated run.

    Attributes:
        kept: rows of the run's splits.csv that stay.
        removed: rows of it that leave.
        added: rows of new examples, in the same form.
    """

    kept: tuple[Row, ...]
    removed: tuple[Row, ...]
    added: tuple[Row, ...]

    def rows(self) -> list[Row]:
        """Return all examples of the updated run."""
        return [*self.kept, *self.added]


def open_added(config: TransferConfig, metadata: Metadata, source: str) -> Source:
    """Open the source of new examples; a folder may have one class only, known or new.

    Raises:
        InputError: it cannot be used, or its labels are of another kind than those of the model.
    """
    known = _classes_of_one(source, metadata.input, metadata.class_names) if metadata.task.labels.has_one_class else ()
    try:
        config = dataclasses.replace(config, data=dataclasses.replace(config.data, columns=_columns_in(source, config)))
        opened, _ = open_recorded(config, metadata.input, source, class_names=known)
    except InputError as error:
        text = str(error).replace("`data.source`", "`add`").replace("`source`", "`add`")
        raise InputError(text) from error
    misfit = metadata.task.labels.describe_misfit(opened.index.labels)
    if misfit:
        raise InputError(f"`add` must have labels that fit the model, {metadata.target}. Received: {misfit}")
    return opened


def _columns_in(source: str, config: TransferConfig) -> str:
    """Return those columns that the run names and the table of new examples has; the others go by their usual names."""
    scheme, _, path = source.partition(":")
    if scheme != "csv" or not config.data.columns:
        return config.data.columns
    names = {*read_table(path).names}
    given = parse_columns(config.data.columns)
    return ",".join(f"{role}={name}" for role, name in given.items() if name in names or {*name.split("+")} <= names)


def _classes_of_one(source: str, kind: Input, names: Sequence[str]) -> tuple[str, ...]:
    """Return the classes that a folder with one class may have; () for any other source."""
    scheme, _, path = source.partition(":")
    root = Path(path).expanduser()
    if scheme != "folder" or not root.is_dir():
        return ()
    folders = read_tree(root, kind.may_be).folders
    return (*names, folders[0].name) if len(folders) == 1 and folders[0].own_examples else ()


def make_plan(
    config: TransferConfig, metadata: Metadata, recorded: Sequence[Row], added: Source | None, removed: Sequence[Row]
) -> Plan:
    """Plan an update: no kept example changes its split, and new examples are divided by the shares of the run.

    New examples that the run has already are left out, so that none of its test examples is trained on. Classes that
    the run knows need no new example in every split; a new class does.

    Raises:
        InputError: a new class has too few examples, or nothing would change.
    """
    gone = {row["id"] for row in removed}
    kept = [row for row in recorded if row["split"] in SPLITS and row["id"] not in gone]
    rows = _new_rows(config, metadata, added, kept) if added is not None else []
    if not rows and not removed:
        raise InputError("`add` must have an example that the run does not have, if `remove` is empty. Received: none.")
    plan = Plan(tuple(kept), tuple(removed), tuple(rows))
    if metadata.task.labels.has_one_class:
        _check_classes(plan)
    _tell(plan, metadata)
    return plan


def _new_rows(config: TransferConfig, metadata: Metadata, added: Source, kept: Sequence[Row]) -> list[Row]:
    several = added.kind.noun[1]
    known = {row["sha256"]: row["split"] for row in kept}
    splits = np.array([known.get(digest, "") for digest in added.index.sha256.tolist()])
    for split in SPLITS:
        copies, use = added.index.ids[splits == split], "left out of training" if split == "test" else "not added again"
        if len(copies):
            say(f"added {several} that the run has in {split}, {use}: {len(copies)}, the first: {copies[0]}")
    fresh = select(added.index, np.flatnonzero(splits == ""))
    if not len(fresh):
        return []
    fresh = _divide(fresh, config, {row["label"] for row in kept}, added.kind.noun)
    own = {row["group"]: row["split"] for row in kept if row.get("group")}
    labels = _texts(fresh, metadata)
    return [
        {
            "id": str(fresh.paths[row]),
            "path": os.path.abspath(fresh.paths[row]),  # noqa: PTH100 - does not follow links
            "label": labels[row],
            "split": own.get(group, str(fresh.splits[row])) if group else str(fresh.splits[row]),
            "sha256": str(fresh.sha256[row]),
            "group": group,
        }
        for row, group in enumerate(fresh.groups.tolist() or [""] * len(fresh))
    ]


def select(index: Index, rows: np.ndarray) -> Index:
    """Return some rows of an index, with the classes that they have."""
    columns = {
        field.name: getattr(index, field.name)[rows]
        for field in dataclasses.fields(index)
        if isinstance(getattr(index, field.name), np.ndarray) and len(getattr(index, field.name))
    }
    facts = {name: values[rows] for name, values in index.facts.items()}
    names = index.class_names
    if index.is_multiclass:
        present, columns["labels"] = np.unique(columns["labels"], return_inverse=True)
        names = tuple(names[number] for number in present)
    return dataclasses.replace(index, **columns, facts=facts, class_names=names)


def _divide(index: Index, config: TransferConfig, known: set[str], nouns: tuple[str, str]) -> Index:
    """Give new examples their splits; those of a known class that are too few for all splits are for training."""
    contents, splits = index.together(), index.splits.astype("<U16")
    groups = np.array(index.label_texts()) if index.is_multiclass else np.full(len(index), "")
    few = [
        np.flatnonzero(groups == name)
        for name in np.unique(groups).tolist()
        if (name in known or not index.is_multiclass) and len(np.unique(contents[groups == name])) < len(SPLITS)
    ]
    few_rows = np.concatenate([*few, np.zeros(0, np.int64)])
    splits[few_rows] = np.where(splits[few_rows] == "", "train", splits[few_rows])
    others = np.setdiff1d(np.arange(len(index)), few_rows)
    if len(others):
        divided = assign_splits(select(index, others), split=config.data.split, seed=config.seed, nouns=nouns)
        splits[others] = divided.splits
    return dataclasses.replace(index, splits=splits)


def _texts(index: Index, metadata: Metadata) -> list[str]:
    """Return the labels as text, with the labels or values of each example in the order of the model."""
    labels, task = index.labels, metadata.task.labels
    if task.has_one_class:
        return index.label_texts()
    order = task.match(labels, index.label_names, metadata.class_names)
    return [task.text(label, metadata.class_names) for label in task.in_order_of_model(labels, order)]


def _check_classes(plan: Plan) -> None:
    """Refuse an update after which a class has no example to learn from, or none to be measured on."""
    splits: dict[str, set[str]] = {}
    for row in plan.rows():
        splits.setdefault(row["label"], set()).add("test" if row["split"] == "test" else "train")
    for name, found in splits.items():
        if lacking := {"train", "test"} - found:
            raise InputError(
                "`remove` must leave an example of every class for training and for test, or none at all. Received: no "
                f"example of {name!r} for {lacking.pop()}."
            )
    if len(splits) < 2:
        raise InputError(f"`remove` must leave at least two classes. Received: {', '.join(splits) or 'none'}.")


def _tell(plan: Plan, metadata: Metadata) -> None:
    parts = []
    for verb, rows in (("add", plan.added), ("remove", plan.removed)):
        counts = {split: sum(row["split"] == split for row in rows) for split in SPLITS}
        shown = ", ".join(f"{split} {count}" for split, count in counts.items() if count)
        parts += [f"{verb} {len(rows):,} ({shown or 'not used'})"] if rows else []
    if metadata.task.labels.has_one_class:
        now = {row["label"] for row in plan.rows()}
        if new := sorted(now - set(metadata.class_names)):
            parts.append(f"new: {', '.join(new)}")
        if lost := sorted(set(metadata.class_names) - now):
            parts.append(f"gone: {', '.join(lost)}")
    say(f"update: {'; '.join(parts)}")
