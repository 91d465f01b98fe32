"""Divide the examples into named parts, to see whether the model is worse on small, dark or wide images."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfl.data import Source, make_dataset
from tfl.errors import InputError
from tfl.evaluation.intervals import bootstrap_intervals, mean_interval, share_interval
from tfl.evaluation.predictions import Predictions
from tfl.files.existing import existing_slices
from tfl.files.reading import read_spreadsheet
from tfl.progress import track
from tfl.registry import did_you_mean, natural_key

MAX_PARTS = 4  # limit of the parts of a numeric value
LEAST = 20  # examples in a part of a numeric value; with fewer the interval is too wide to be useful
MAX_CATEGORIES = 20
FEW_VALUES = 8  # a column with at most this many different values is a category, even if they are numbers


@dataclasses.dataclass(frozen=True)
class Slicing:
    """One way to divide the examples into parts.

    Attributes:
        names: name of each part.
        parts: int64 `(N,)`, number of the part of each example; -1 for no part.
    """

    names: tuple[str, ...]
    parts: np.ndarray


@dataclasses.dataclass(frozen=True)
class MeasuredSlice:
    """The headline metric on one part of the examples.

    Attributes:
        name: name of the part; "slice" in JSON.
        num_examples: number of examples in the part.
        value: the headline metric; its name is its key in JSON.
        low: lower end of the 95 % interval (Wilson for a share, else the bootstrap); None if all values are equal.
        high: upper end of the same interval.
    """

    name: str
    num_examples: int
    value: float
    low: float | None
    high: float | None

    def to_dict(self, metric: str) -> dict[str, Any]:
        """Return the row, ready for JSON, with the value under the name of its metric."""
        return {"slice": self.name, "num_examples": self.num_examples, metric: self.value, "low": self.low,
                "high": self.high}  # fmt: skip

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], metric: str) -> "MeasuredSlice":
        """Return the row of a JSON file.

        Raises:
            ValueError: the row does not have the metric.
        """
        if metric not in values:
            raise ValueError(f"the slice {values['slice']!r} has no {metric}")
        return cls(values["slice"], values["num_examples"], values[metric], values["low"], values["high"])


def slice_by_number(values: np.ndarray, unit: str = "") -> Slicing:
    """Divide examples by a number into at most four parts of about equal size, named by their range.

    Equal values stay together. Examples whose value is NaN are in no part.

    Args:
        values: `(N,)`.
        unit: unit that the names show after the range.
    """
    values = np.asarray(values, np.float64)
    known = np.isfinite(values)
    count = max(1, min(MAX_PARTS, int(known.sum()) // LEAST))
    edges = np.unique(np.quantile(values[known], np.arange(1, count) / count, method="lower")) if known.any() else []
    found, parts = np.unique(np.where(known, np.searchsorted(edges, values), -1), return_inverse=True)
    if found[0] == -1:
        parts, found = parts - 1, found[1:]
    names = [_range(values[parts == part], unit) for part in range(len(found))]
    return Slicing(tuple(names), parts.astype(np.int64))


def slice_by_category(values: Sequence[str], empty: str = "no value") -> Slicing:
    """Divide examples by a text; each of the 20 most frequent texts is a part, and all other texts share one part.

    Args:
        values: N texts; the empty text is a category too.
        empty: name of the category of the empty text.
    """
    texts = [value or empty for value in values]
    frequent = [name for name, _ in Counter(texts).most_common(MAX_CATEGORIES)]
    names = sorted(frequent, key=natural_key)
    number = {name: position for position, name in enumerate(names)}
    parts = np.array([number.get(text, len(names)) for text in texts], np.int64)
    return Slicing((*names, "other") if (parts == len(names)).any() else tuple(names), parts)


def slice_by_column(specification: str, ids: Sequence[str] | np.ndarray) -> tuple[str, Slicing]:
    """Divide examples by a column of a CSV file: by ranges if the column holds numbers, else by its texts.

    Args:
        specification: `FILE.csv:COLUMN`. The file has a column `id`, like `predictions.csv` and `splits.csv`. Its
            encoding is UTF-8 or UTF-16, and commas, semicolons or tabs separate its columns.
        ids: N names of examples; examples that are not in the file belong to the part "no value".

    Returns:
        The name of the column, and the parts.

    Raises:
        InputError: the file, the column or the column `id` does not exist, an id occurs twice, the encoding is another
            one, or none of the examples is in the file.
    """
    file, column = existing_slices(specification)
    names = set(map(str, ids))
    rows = read_spreadsheet(file, ("id", column), key="id", argument="slices", known=names)
    known = list(rows[0]) if rows else []
    for name in ("id", column):
        if name not in known:
            raise InputError(
                f"`slices` must name a CSV file with the columns id and {column}. Received: {file} with "
                f"{', '.join(known) or 'no rows'}.{did_you_mean(name, known)}"
            )
    found = {row["id"]: row[column] for row in rows}
    if not found.keys() & names:
        raise InputError(
            f"`slices` must name a CSV file with the ids of the examples. Received: {file} with {rows[0]['id']!r}, "
            f"the examples have {ids[0]!r}."
        )
    return column, _slice_texts([found.get(name, "") for name in ids])


def slice_by_content(source: Source, rows: np.ndarray, *, measured: bool = True) -> dict[str, Slicing]:
    """Divide examples by what their input measures: for images the size, the shape and the brightness.

    Args:
        source: source of the examples.
        rows: N positions in its index.
        measured: whether to read the examples too, for measures such as the brightness.

    Returns:
        The divisions by name. A division with a single part is left out.
    """
    facts = {name: values[rows] for name, values in source.index.facts.items()}
    slicings = {
        name: slice_by_number(values, by) if isinstance(by, str) else Slicing(tuple(by), values)
        for name, (values, by) in source.kind.slice_by_facts(facts).items()
    }
    measure = source.kind.measure
    if measured and measure is not None:
        slicings[measure.name] = slice_by_number(measure_examples(source, rows), measure.unit)
    return {name: slicing for name, slicing in slicings.items() if len(np.unique(slicing.parts)) > 1}


def measure_examples(source: Source, rows: np.ndarray) -> np.ndarray:
    """Return what the input of a source measures of each example, for images the mean luminance in [0, 255].

    Args:
        source: source of the examples; its input has a measure, see `Input.measure`.
        rows: N positions in the index of the source.

    Returns:
        float64 `(N,)`, in the order of `rows`.
    """
    measure = source.kind.measure
    if measure is None:
        raise InputError(f"`source` must have examples that can be measured. Received: {source.kind.noun[1]}.")
    found = {}
    for batch in track(make_dataset(source, rows, image_size=measure.size, batch_size=32), measure.name):
        found |= dict(zip(batch["id"].numpy().tolist(), measure.function(batch["input"].numpy()).tolist(), strict=True))
    return np.array([found[row] for row in np.asarray(rows).tolist()])


def measure_slices(table: Predictions, slicings: Mapping[str, Slicing]) -> dict[str, tuple[MeasuredSlice, ...]]:
    """Return the headline metric of each part.

    With many parts, expect some chance results: one in twenty 95 % intervals misses the truth.

    Args:
        table: predictions of N examples.
        slicings: the ways to divide the examples, by name.

    Returns:
        For each name, one row for each part that has examples, and a value of the main metric.
    """
    measured = {}
    for name, slicing in slicings.items():
        rows = []
        for part, text in enumerate(slicing.names):
            chosen = table.take(slicing.parts == part)
            if not len(chosen):
                continue
            value = chosen.headline_value()
            if not np.isfinite(value):  # as average precision where no object is
                continue
            low, high = _interval(chosen)
            low, high = (low, high) if low < high else (None, None)  # equal values do not show how large the error is
            rows.append(MeasuredSlice(text, len(chosen), value, low, high))
        measured[name] = tuple(rows)
    return measured


def _interval(table: Predictions) -> tuple[float, float]:
    """Return the 95 % interval of the headline metric; an empty one if it is not defined."""
    headline = table.task.headline
    if not headline.is_mean:
        return bootstrap_intervals(table).get(headline.metric, (0.0, 0.0))
    values = np.asarray(table.task.headline_values(table.logits, table.labels))
    return (share_interval if headline.is_share else mean_interval)(values, groups=table.groups)


def _slice_texts(texts: Sequence[str]) -> Slicing:
    if len(set(texts)) > FEW_VALUES:
        try:
            return slice_by_number(np.array([float(text) if text else np.nan for text in texts]))
        except ValueError:
            pass
    return slice_by_category(texts)


def _range(values: np.ndarray, unit: str) -> str:
    low, high = values.min(), values.max()
    whole = high >= 1000 or bool((values == np.round(values)).all())
    texts = [f"{value:,.0f}" if whole else f"{value:.3g}" for value in (low, high)]
    return " ".join([texts[0] if texts[0] == texts[1] else " to ".join(texts), *([unit] if unit else [])])
