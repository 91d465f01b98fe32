"""Write and read the table of predictions: CSV, or parquet if the name ends in `.parquet`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from etils import epath

from tfl.errors import InputError
from tfl.evaluation.predictions import Predictions
from tfl.files.parquet import import_parquet
from tfl.files.reading import first_twice, read_csv, refuse_file
from tfl.files.writing import write_atomically
from tfl.registry import normal_name
from tfl.tasks import Task, get_task, prefixes, task_of_scores
from tfl.workdir import write_csv

PREFIX = Task.columns  # of the columns of probabilities or values
DIGEST = "sha256"


def write_predictions(
    table: Predictions,
    path: epath.PathLike,
    names: Sequence[str] | np.ndarray,
    class_names: Sequence[str],
    digests: Sequence[str] | np.ndarray | None = None,
) -> None:
    """Write one row per example: id, label, predicted, and a probability (or value) per class.

    Args:
        table: the predictions, at temperature 1.
        path: the file; the format is parquet if the name ends in `.parquet`, else CSV.
        names: the id of every row of the index.
        class_names: in the order of the columns of `table.probabilities`.
        digests: the SHA-256 of every row of the index, for one more column; None for no such column.

    Raises:
        InputError: pyarrow is not installed (parquet), or the disk is full.
    """
    task, more = table.task, () if digests is None else (DIGEST,)
    extra = task.extra_columns(table.logits)
    header = ["id", "label", "predicted", *more, *(task.columns + name for name in class_names), *extra]
    scores, text = task.table_scores(table.logits), task.labels.text
    texts = [
        (
            *(names[row], text(label, class_names), text(decided, class_names)),
            *(() if digests is None else (digests[row],)),
        )
        for row, label, decided in zip(table.ids, table.labels, task.decisions(scores), strict=True)
    ]
    if str(path).endswith(".parquet"):
        pyarrow, parquet = import_parquet("predictions", path)
        columns = [*(list(column) for column in zip(*texts, strict=True)), *scores.T, *extra.values()]
        content = pyarrow.table(dict(zip(header, map(pyarrow.array, columns), strict=True)))
        write_atomically(path, lambda temporary: parquet.write_table(content, temporary))
        return
    others = zip(*extra.values(), strict=True) if extra else [()] * len(texts)
    rows = ([*text, *map(_digits, p), *more] for text, p, more in zip(texts, scores, others, strict=True))
    write_csv(path, header, rows)


def read_predictions(path: epath.PathLike, target: str | Task = "") -> tuple[Predictions, tuple[str, ...]]:
    """Read a file that `write_predictions` wrote.

    The logits are computed from the probabilities in the file, which have nine digits. So metrics stay the same, but
    the loss of an example with a confidence near 1 has a rounding error.

    Args:
        path: `predictions.csv` of a workdir, or a parquet file.
        target: "multiclass", "binary", "multilabel" or "regression". If empty, the labels and numbers decide: binary
            is then read as multiclass with two classes. Give the target if the classes are named 0, 1, ...

    Returns:
        The table, with the names of the examples as its ids, and the class names.

    Raises:
        InputError: the file does not exist, or is not a table of predictions.

    Example:
        >>> table, names = tfl.read_predictions("runs/photos/predictions.csv")
        >>> names
        ('ant', 'bee', 'wasp')
    """
    task, path = get_task(target) if target else None, epath.Path(path).expanduser()
    if not path.exists():
        raise InputError(f"`predictions` must be a file that a run wrote. Received: {str(path)!r}: does not exist.")
    columns = _read_columns(path)
    prefix = task.columns if task else next((p for p in prefixes() if any(c.startswith(p) for c in columns)), PREFIX)
    names = tuple(name.removeprefix(prefix) for name in columns if name.startswith(prefix))
    if not {"id", "label"} <= columns.keys() or not names or not len(columns["id"]):
        raise InputError(f"`predictions` must have rows of id, label, {prefix}CLASS, ... Received: {str(path)!r}.")
    if (twice := first_twice([normal_name(name) for name in names])) is not None:
        raise refuse_file(path, f"the class {twice!r} occurs twice", "predictions")
    try:
        values = np.stack([np.asarray(columns[prefix + name], np.float64) for name in names], axis=1)
        texts = [str(label) for label in columns["label"]]
        task = task or task_of_scores(texts, values, names, prefix)
        labels = task.labels.parse(texts, names)
        if "predicted" in columns:
            task.labels.parse([str(label) for label in columns["predicted"]], names)
        task.check_scores(values, columns["id"])
        outputs = task.table_outputs(values, columns)
    except (KeyError, TypeError, ValueError) as error:
        reason = f"{error} is none of them" if isinstance(error, KeyError) else error
        raise InputError(
            f"`predictions` must hold labels and numbers of the classes {', '.join(names)}. Received: {str(path)!r}: "
            f"{reason}."
        ) from error
    return Predictions(np.array(columns["id"], np.str_), labels, outputs, task), names


def read_column(path: epath.PathLike, name: str = DIGEST) -> dict[str, str]:
    """Return the values of a column by the id of the example; empty if the file does not have the column."""
    columns = _read_columns(epath.Path(path).expanduser())
    return dict(zip(columns["id"], columns[name], strict=True)) if name in columns else {}


def _read_columns(path: epath.Path) -> Mapping[str, Sequence[Any]]:
    if path.suffix == ".parquet":
        pyarrow, parquet = import_parquet("predictions", path)
        try:
            columns = parquet.read_table(path).to_pydict()
        except (pyarrow.ArrowException, OSError) as error:
            raise refuse_file(path, error, "predictions") from error
        if (name := first_twice(list(map(str, columns.get("id", ()))))) is not None:
            raise refuse_file(path, f"id {name!r} occurs twice", "predictions")
        return columns
    rows = read_csv(path, ("id", "label"), key="id", argument="predictions")
    return {name: [row[name] for row in rows] for name in (rows[0] if rows else ())}


def _digits(value: float) -> str:
    return f"{value:.9g}"  # nine digits distinguish all float32 numbers
