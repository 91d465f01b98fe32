"""Sources that are read from start to end: `tf.data.Dataset` from Python, and prepared tfds data sets."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfl import progress
from tfl.data.index import make_index
from tfl.data.labels import as_labels, find_missing, read_labels
from tfl.data.passes import check_ends, check_not_repeating, check_same_again, fingerprint
from tfl.data.quarantine import check_bad_fraction
from tfl.data.source import Source
from tfl.data.split_names import SPLITS
from tfl.errors import BadExampleError, InputError
from tfl.inputs import Input, Scanned, input_of
from tfl.inputs.batches import has_input


@dataclasses.dataclass(frozen=True)
class StreamSource(Source):
    """Data sets that give their examples in one fixed order; each read filters out the wanted rows."""

    streams: tuple[tf.data.Dataset, ...] = ()
    starts: tuple[int, ...] = ()  # global position of each stream's first example
    positions: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.int64))  # of each row
    fingerprints: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.int64))  # of each row
    raw_labels: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.int64))  # of each row, as read
    has_random_access = False

    def examples(self, rows: np.ndarray) -> tf.data.Dataset:
        """Return the examples of the rows in stream order; an example that differs from the index is an error."""
        row_at = np.full(int(self.positions.max()) + 1, -1, np.int64)
        row_at[self.positions[rows]] = rows
        ends = (*self.starts[1:], len(row_at))
        datasets = [
            self._pick(stream, row_at[start:end])
            for stream, start, end in zip(self.streams, self.starts, ends, strict=True)
            if np.any(row_at[start:end] >= 0)
        ]
        dataset = datasets[0] if datasets else self._pick(self.streams[0], row_at[:0])
        for other in datasets[1:]:
            dataset = dataset.concatenate(other)
        return dataset.apply(tf.data.experimental.assert_cardinality(len(rows)))

    def _pick(self, stream: tf.data.Dataset, row_at: np.ndarray) -> tf.data.Dataset:
        def attach(position: tf.Tensor, pair: tuple[tf.Tensor, tf.Tensor]) -> dict[str, tf.Tensor]:
            example, label = pair
            row = tf.gather(row_at, position)
            same_example = tf.equal(fingerprint(example), tf.gather(self.fingerprints, row))
            same_label = tf.reduce_all(tf.equal(label, tf.gather(self.raw_labels, row)))
            check = tf.debugging.Assert(
                same_example & same_label,
                ["this position holds another example than before, is the stream shuffled?:", position],
            )
            with tf.control_dependencies([check]):
                return {"input": tf.identity(example), "label": tf.gather(self.index.labels, row), "id": row}

        positions = tf.data.Dataset.range(len(row_at))
        wanted = tf.data.Dataset.zip((positions, stream)).filter(lambda position, _: tf.gather(row_at, position) >= 0)
        return wanted.map(attach)


def load_streams(
    splits: Mapping[str, tf.data.Dataset], kind: Input, names: Sequence[str] = (), max_bad_fraction: float = 0.1
) -> StreamSource:
    """Make a source from data sets of unbatched examples with labels, and read them once to index them.

    An element is (example, label), or a dict with "input" and "label". A data set must give the same examples in the
    same order every time: the pipeline does the shuffling.

    Args:
        splits: by split name, "" if there are no splits. Images are pixels in [0, 255] or the bytes of files.
        kind: what an example is.
        names: of the classes of whole-number labels; empty: the numbers are the names.
        max_bad_fraction: more undecodable images than this fraction stop the run.

    Raises:
        InputError: the data is batched, endless or changes between passes, has an unknown structure or split, no
            examples, missing labels, or only one class.
    """
    unknown = set(splits) - {"", *SPLITS}
    if unknown or not splits:
        raise InputError(f"`source` must have splits named train, validation and test. Received: {sorted(splits)}.")
    for split, dataset in splits.items():
        check_ends(dataset, f"source['{split}']" if split else "source")
    streams = tuple(_as_pairs(dataset, kind) for dataset in splits.values())
    tables, starts, seen = [], [], 0
    for split, stream in zip(splits, streams, strict=True):
        starts.append(seen)
        tables.append(_index_stream(stream, kind, split, seen))
        seen += tables[-1].seen
    if not seen:
        raise InputError("`source` must hold at least one example. Received: an empty data set.")
    quarantine = [bad for table in tables for bad in table.quarantine]
    check_bad_fraction(quarantine, seen, max_bad_fraction)
    examples = [example for table in _labelled(tables) for example in table.examples]
    raw = as_labels([example.label for example in examples])
    ids = [example.id for example in examples]
    numbers, class_names = read_labels(raw, names, ids)
    index, order = make_index(
        ids,
        numbers,
        class_names,
        splits=[example.split for example in examples],
        sha256=[example.scanned.sha256 for example in examples],
        facts={name: [example.scanned.facts[name] for example in examples] for name in kind.facts},
    )
    return StreamSource(
        index,
        kind,
        tuple(quarantine),
        streams=streams,
        starts=tuple(starts),
        positions=np.array([example.position for example in examples], np.int64)[order],
        peaks=np.array([example.scanned.peak for example in examples], np.int64)[order],
        fingerprints=np.array([example.fingerprint for example in examples], np.int64)[order],
        raw_labels=raw[order],
    )


class _Example(NamedTuple):
    """One row of the index, from one example of the stream."""

    id: str
    split: str
    position: int
    label: Any
    fingerprint: int
    scanned: Scanned


@dataclasses.dataclass
class _Table:
    """The results of one pass over a stream."""

    split: str
    seen: int = 0
    examples: list[_Example] = dataclasses.field(default_factory=list)
    quarantine: list[tuple[str, str]] = dataclasses.field(default_factory=list)


def _index_stream(stream: tf.data.Dataset, kind: Input, split: str, start: int) -> _Table:
    table, highest, prints = _Table(split), -1.0, []
    is_open = int(stream.cardinality()) == tf.data.UNKNOWN_CARDINALITY
    distinct: set[int] = set()
    described = stream.map(lambda example, label: (example, label, fingerprint(example)))
    for example, label, print_ in progress.track(described.as_numpy_iterator(), "Indexing", unit=kind.noun):
        name = f"{split}/{table.seen}" if split else str(table.seen)
        table.seen += 1
        prints.append(int(print_))
        if is_open:
            distinct.add(int(print_))
            check_not_repeating(table.seen, len(distinct))
        try:
            scanned = kind.scan(example) if isinstance(example, bytes) else kind.check_example(example, name)
        except BadExampleError as error:
            table.quarantine.append((name, str(error)))
            continue
        highest = max(highest, scanned.highest)
        table.examples.append(_Example(name, split, start + table.seen - 1, label, int(print_), scanned))
    if highest >= 0:
        kind.check_split(highest, split)
    check_same_again(stream, prints, split)
    return table


def _labelled(tables: Sequence[_Table]) -> list[_Table]:
    """Leave out a split without any labels, such as the test split of a competition, and print a line about it."""
    raw = as_labels([example.label for table in tables for example in table.examples])
    missing, kept, start = find_missing(raw), [], 0
    for table in tables:
        own = missing[start : start + len(table.examples)]
        start += len(own)
        if len(own) and own.all() and not missing.all():
            progress.say(f"Split {table.split} is left out: none of its {len(own)} examples has a label.")
        else:
            kept.append(table)
    return kept


def _as_pairs(dataset: tf.data.Dataset, kind: Input) -> tf.data.Dataset:
    spec = dataset.element_spec
    if has_input(spec):
        dataset = dataset.map(lambda example: (input_of(example), example["label"]))
    elif not (isinstance(spec, tuple) and len(spec) == 2):
        raise InputError(
            f"`source` must give ({kind.noun[0]}, label) or a dict with 'input' and 'label'. Received: {spec}."
        )
    example, _ = dataset.element_spec
    if not kind.is_example(example):
        raise InputError(
            f"`source` must give single {kind.noun[1]}{kind.shape_hint}, or the bytes of single files, not batches. "
            f"Received: {example.dtype.name} of shape {example.shape}. Did you mean source.unbatch()? "
            "image_dataset_from_directory also needs shuffle=False."
        )
    return dataset
