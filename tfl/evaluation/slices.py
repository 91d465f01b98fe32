"""Is the model as good on small, dark or wide images as on the others? The examples cut into named parts."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from etils import epath

from tfl.data import Source, make_dataset
from tfl.data.index import Index, natural_key
from tfl.errors import InputError
from tfl.evaluation.intervals import mean_interval, wilson_interval
from tfl.evaluation.predictions import Predictions
from tfl.files.reading import read_spreadsheet
from tfl.inputs.image.image_input import FACTS
from tfl.progress import track
from tfl.registry import did_you_mean

MAX_PARTS = 4  # of a number
LEAST = 20  # examples in a part of a number: of fewer the interval says nothing
MAX_CATEGORIES = 20
FEW_VALUES = 8  # numbers of so few different values are categories
SMALL = 64  # pixels per side at which brightness is measured
LUMINANCE = (0.299, 0.587, 0.114)  # of red, green and blue, as in JPEG (ITU-R BT.601)
SHAPES = ("taller than wide", "about square", "wider than tall")
SQUARE = (0.9, 1.1)  # width / height


@dataclasses.dataclass(frozen=True)
class Slicing:
    """One way to cut the examples.

    Attributes:
        names: of the parts.
        parts: int64 `(N,)`, the part of each example; -1 for none.
    """

    names: tuple[str, ...]
    parts: np.ndarray


def slice_by_number(values: np.ndarray, unit: str = "") -> Slicing:
    """Cut examples by a number into up to four parts of about equal size, named by their range.

    Equal values stay together. Examples whose value is NaN are in no part.

    Args:
        values: `(N,)`.
        unit: written behind the range.
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
    """Cut examples by a word; the 20 most frequent have a part each, all others one together.

    Args:
        values: N texts; an empty one is a category too.
        empty: its name.
    """
    texts = [value or empty for value in values]
    frequent = [name for name, _ in Counter(texts).most_common(MAX_CATEGORIES)]
    names = sorted(frequent, key=natural_key)
    number = {name: position for position, name in enumerate(names)}
    parts = np.array([number.get(text, len(names)) for text in texts], np.int64)
    return Slicing((*names, "other") if (parts == len(names)).any() else tuple(names), parts)


def slice_by_column(specification: str, ids: Sequence[str] | np.ndarray) -> tuple[str, Slicing]:
    """Cut examples by a column of a CSV file: by ranges where it holds numbers, else by its words.

    Args:
        specification: `FILE.csv:COLUMN`; the file has a column `id`, as `predictions.csv` and `splits.csv` have it.
            It is UTF-8 or UTF-16, with commas, semicolons or tabs.
        ids: N names of examples; those that are not in the file are the part "no value".

    Returns:
        The column's name, and the parts.

    Raises:
        InputError: no such file or column, no `id`, an id twice, another encoding, or none of the examples in it.
    """
    file, _, column = specification.rpartition(":")
    if not file or not epath.Path(file).expanduser().is_file():
        raise InputError(f"`slices` must be FILE.csv:COLUMN with a file that exists. Received: {specification!r}.")
    names = set(map(str, ids))
    rows = read_spreadsheet(epath.Path(file).expanduser(), ("id", column), key="id", argument="slices", known=names)
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


def slice_by_image(index: Index, rows: np.ndarray, luminance: np.ndarray | None = None) -> dict[str, Slicing]:
    """Cut examples by how large, how wide and, where it is known, how bright their images are.

    Args:
        index: which knows their sizes; of images without one there are no such parts.
        rows: N positions in it.
        luminance: `(N,)` in [0, 255], from `mean_luminance`.
    """
    width, height = (index.facts[name][rows].astype(float) for name in FACTS)
    slicings = {}
    if (width > 0).all():
        slicings["image size"] = slice_by_number(width * height, "pixels")
        parts = np.searchsorted(SQUARE, width / height)
        slicings["shape"] = Slicing(SHAPES, parts)
    if luminance is not None:
        slicings["brightness"] = slice_by_number(luminance, "of 255")
    return {name: slicing for name, slicing in slicings.items() if len(np.unique(slicing.parts)) > 1}


def mean_luminance(source: Source, rows: np.ndarray) -> np.ndarray:
    """Return the mean luminance of images, `(N,)` float64 in [0, 255], in the order of `rows`.

    They are made small while they are read, which is faster and moves the mean by less than 1.

    Args:
        source: where the images are.
        rows: N positions in its index.
    """
    means = {}
    for batch in track(make_dataset(source, rows, image_size=SMALL, batch_size=32), "brightness", unit="batch"):
        values = batch["image"].numpy().mean(axis=(1, 2)) @ np.array(LUMINANCE)
        means |= dict(zip(batch["id"].numpy().tolist(), values.tolist(), strict=True))
    return np.array([means[row] for row in np.asarray(rows).tolist()])


def measure_slices(table: Predictions, slicings: Mapping[str, Slicing]) -> dict[str, list[dict[str, Any]]]:
    """Return the figures of each part, ready for JSON.

    Many parts are looked at: one in twenty 95 % intervals misses the truth by chance.

    Returns:
        By the name of the cut a row for each part: "slice", "num_examples", "accuracy" (for regression
        "mean_absolute_error"), and "low" and "high", its 95 % interval (Wilson; regression: bootstrap, None
        where all values are equal).
    """
    headline, values = table.task.headline, table.task.headline_values(np.asarray(table.logits), table.labels)
    measured = {}
    for name, slicing in slicings.items():
        measured[name] = []
        for part, text in enumerate(slicing.names):
            chosen = values[slicing.parts == part]
            if not len(chosen):
                continue
            low, high = wilson_interval(chosen.sum(), len(chosen)) if headline.is_share else mean_interval(chosen)
            low, high = (low, high) if low < high else (None, None)  # one value does not say how far it is off
            mean = {headline.metric: float(chosen.mean())}
            row = {"slice": text, "num_examples": len(chosen), **mean, "low": low, "high": high}
            measured[name].append(row)
    return measured


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
