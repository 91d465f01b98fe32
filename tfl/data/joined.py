"""Several sources as one: `folder:a,csv:b.csv`."""

import collections
import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfl.data.index import Index, make_index
from tfl.data.source import Source, warn_of_names_alike
from tfl.data.split_names import find_splits
from tfl.errors import InputError
from tfl.files.existing import place_name
from tfl.registry import natural_key


@dataclasses.dataclass(frozen=True)
class JoinedSource(Source):
    """The examples of several sources, in one index."""

    sources: tuple[Source, ...] = ()
    owners: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.int64))  # of each row its source
    places: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.int64))  # and its row in the source

    @property
    def has_random_access(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether every source has it."""
        return all(source.has_random_access for source in self.sources)

    def examples(self, rows: np.ndarray) -> tf.data.Dataset:
        """Return the examples in the order of `rows`; without random access one source after the other."""
        owners, places = self.owners[rows], self.places[rows]
        used = np.unique(owners)
        parts = [self._part(number, places[owners == number]) for number in used]
        if len(parts) < 2:
            return parts[0] if parts else self._part(0, places)
        if not self.has_random_access:
            return functools.reduce(tf.data.Dataset.concatenate, parts)
        order = tf.data.Dataset.from_tensor_slices(np.searchsorted(used, owners))
        return tf.data.Dataset.choose_from_datasets(parts, order, stop_on_empty_dataset=False)

    def _part(self, number: int, places: np.ndarray) -> tf.data.Dataset:
        source = self.sources[number]
        row_at = np.zeros(len(source.index), np.int64)
        mine = np.flatnonzero(self.owners == number)
        row_at[self.places[mine]] = mine

        def renumber(example: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            row = tf.gather(row_at, example["id"])
            return example | {"id": row, "label": tf.gather(self.index.labels, row)}

        return source.examples(places).map(renumber, num_parallel_calls=tf.data.AUTOTUNE)


def with_splits_of_names(names: Sequence[str], sources: Sequence[Source]) -> list[Source]:
    """Return tables with the splits that their names say, if all names are splits: `csv:train.tsv,csv:dev.tsv`.

    Nothing changes if one of the tables has splits of its own.

    Args:
        names: of the sources.
        sources: as many.
    """
    stems = [place_name(name) or "" for name in names]
    splits = find_splits(stems)
    if (
        len(sources) < 2
        or not set(stems) <= set(splits)
        or any(np.any(source.index.splits != "") for source in sources)
    ):
        return list(sources)
    return [
        source.with_index(dataclasses.replace(source.index, splits=np.full(len(source.index), splits[stem])))
        for source, stem in zip(sources, stems, strict=True)
    ]


def join(names: Sequence[str], sources: Sequence[Source]) -> JoinedSource:
    """Join several sources of the same kind of example.

    The id of an example begins with the name of its source. Classes of the same name are one class. Groups of the same
    name are one group, and examples with the same content never are in two splits.

    Args:
        names: of the sources, as in "folder:/data/photos": the last part of the path begins the ids.
        sources: at least two.

    Raises:
        InputError: their labels have different forms, or only some of them have splits of their own.
    """
    _check_same_form(names, sources)
    indexes = [source.index for source in sources]
    labels, class_names = _labels(names, indexes)
    prefixes = _prefixes(names)
    owners = np.repeat(np.arange(len(sources)), [len(index) for index in indexes])
    index, order = make_index(
        [f"{prefix}/{name}" for prefix, index in zip(prefixes, indexes, strict=True) for name in index.ids.tolist()],
        labels,
        class_names,
        splits=_column(indexes, "splits"),
        sha256=_column(indexes, "sha256"),
        facts={name: [v for index in indexes for v in index.facts[name].tolist()] for name in indexes[0].facts},
        paths=_column(indexes, "paths"),
        groups=_column(indexes, "groups") if any(len(index.groups) for index in indexes) else None,
    )
    more: dict[str, Any] = {"value_names": indexes[0].value_names}
    if all(len(index.times) for index in indexes):
        more["times"] = np.concatenate([index.times for index in indexes])[order]
    if any(len(index.weights) for index in indexes):
        more["weights"] = np.concatenate([index.weights_of(np.arange(len(index))) for index in indexes])[order]
    places = np.concatenate([np.arange(len(index)) for index in indexes])
    formats = sorted({name for source in sources for name in source.kind.formats})
    return JoinedSource(
        dataclasses.replace(index, **more),
        dataclasses.replace(sources[0].kind, formats=tuple(formats)),
        tuple(bad for source in sources for bad in source.quarantine),
        np.concatenate([_peaks(source) for source in sources])[order],
        sources=tuple(sources),
        owners=owners[order],
        places=places[order],
    )


def _check_same_form(names: Sequence[str], sources: Sequence[Source]) -> None:
    """Refuse sources whose examples or labels have different forms, and splits of only some of them."""
    rule = "`data.source` must join sources"
    with_splits = [bool(np.any(source.index.splits != "")) for source in sources]
    if any(with_splits) and not all(with_splits):
        raise InputError(
            f"{rule} that all have splits of their own, or none. Received: {names[with_splits.index(True)]} with "
            f"splits and {names[with_splits.index(False)]} without. Did you mean a table csv:FILE with a column split?"
        )
    none = np.zeros(0, np.int64)
    forms = [str(source.examples(none).element_spec["input"].dtype) for source in sources]
    labels = [(source.index.labels.dtype.kind, source.index.labels.shape[1:]) for source in sources]
    values = [source.index.value_names for source in sources]
    for what, found in (("examples in the same form", forms), ("labels of the same form", labels), ("values", values)):
        other = next((number for number, form in enumerate(found) if form != found[0]), None)
        if other is not None:
            raise InputError(f"{rule} with {what}. Received: {names[0]}: {found[0]}, {names[other]}: {found[other]}.")


def _labels(names: Sequence[str], indexes: Sequence[Index]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the labels of all examples, and the names of all classes."""
    known = sorted({name for index in indexes for name in index.class_names}, key=natural_key)
    if not indexes[0].is_multiclass:
        for name, index in zip(names, indexes, strict=True):
            if set(index.class_names) != set(known):
                lacking = min(set(known) - set(index.class_names), key=natural_key)
                raise InputError(
                    f"`data.source` must join sources with the same labels. Received: {name} without {lacking!r}."
                )
        columns = [[index.class_names.index(name) for name in known] for index in indexes]
        return np.concatenate([i.labels[:, c] if known else i.labels for i, c in zip(indexes, columns, strict=True)]), (
            tuple(known)
        )
    warn_of_names_alike(known)
    number = {name: place for place, name in enumerate(known)}
    numbers = [np.array([number[name] for name in index.class_names], np.int64)[index.labels] for index in indexes]
    return np.concatenate(numbers), tuple(known)


def _prefixes(names: Sequence[str]) -> list[str]:
    """Return a different name for each source: the last part of its path."""
    found, seen = [], collections.Counter[str]()
    for name in names:
        place = place_name(name)
        short = name.replace(":", "-").replace("/", "-") if place is None else place
        seen[short] += 1
        found.append(short if seen[short] == 1 else f"{short}-{seen[short]}")
    return found


def _column(indexes: Sequence[Index], name: str) -> list[str]:
    columns = [getattr(index, name).tolist() or [""] * len(index) for index in indexes]
    return [value for column in columns for value in column]


def _peaks(source: Source) -> np.ndarray:
    return source.peaks if len(source.peaks) else np.zeros(len(source.index), np.int64)
