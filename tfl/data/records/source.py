"""`tfrecord:GLOB`: examples with labels in TFRecord files, read in any order by their places in the files."""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfl import progress
from tfl.data.folder import encode_paths
from tfl.data.index import make_index
from tfl.data.label_formats import LabelFormat
from tfl.data.quarantine import check_bad_fraction
from tfl.data.reading import Reading
from tfl.data.records.examples import Values, parse_example
from tfl.data.records.files import check_records, names_of_files, splits_of_files, text_key
from tfl.data.records.framing import find_records
from tfl.data.records.labels import first_text, label_cells, read_names
from tfl.data.source import Source
from tfl.data.table.columns import Columns
from tfl.data.table.labels import find_problems, guess_format, read_cells
from tfl.data.table.read import Table
from tfl.data.table.source import further_columns, problem_of_split, read_splits_of
from tfl.data.table.weights import problem_of_weight
from tfl.errors import BadExampleError, InputError
from tfl.files.reading import first_twice
from tfl.inputs import Input, Scanned
from tfl.inputs.input import HASH_BUCKETS

ID = "id"  # key of the name of an example, in the files that `tfl convert` writes
_THREADS = 16
_AS_IT_IS = Reading()


@dataclasses.dataclass(frozen=True)
class RecordSource(Source):
    """Examples in TFRecord files. Memory holds their places and the index, never their contents.

    Attributes:
        files: the TFRecord files.
        places: int64 (N, 4) of each row: the number of its file, the start of its record in the file, and the start and
            the length of the example in the record.
        fingerprints: int64 (N,), of the bytes of each example.
    """

    files: tuple[str, ...] = ()
    places: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros((0, 4), np.int64))
    fingerprints: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.int64))

    def examples(self, rows: np.ndarray) -> tf.data.Dataset:
        """Return the bytes of the examples; a record that has changed since the check is an error."""
        columns = {
            "place": self.places[rows],
            "fingerprint": self.fingerprints[rows],
            "label": self.index.labels[rows],
            "id": rows,
        }
        with tf.device("CPU"):
            files = tf.constant(encode_paths(self.files))

        def read(row: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            number, start, first, size = tf.unstack(row["place"], num=4)
            file = tf.gather(files, number)
            content = read_record(file, start)
            first = tf.minimum(first, tf.cast(tf.strings.length(content), first.dtype))  # it may be "" now
            example = tf.strings.substr(content, first, size)
            unchanged = tf.equal(tf.strings.to_hash_bucket_fast(example, HASH_BUCKETS), row["fingerprint"])
            check = tf.debugging.Assert(unchanged, ["changed since it was checked:", file])
            with tf.control_dependencies([check]):
                return {"input": tf.identity(example), "label": row["label"], "id": row["id"]}

        return tf.data.Dataset.from_tensor_slices(columns).map(read, num_parallel_calls=tf.data.AUTOTUNE)


def read_record(file: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
    """Read one record in the graph.

    Args:
        file: path.
        start: of the record in the file, int64.

    Returns:
        The content of the record, a scalar string; "" if its checksum does not match, or if the file ends before.
    """
    records = tf.raw_ops.TFRecordDatasetV2(
        filenames=[file], compression_type="", buffer_size=tf.constant(0, tf.int64), byte_offsets=[start]
    )
    content = tf.data.experimental.from_variant(records, tf.TensorSpec((), tf.string))
    nothing = tf.data.Dataset.from_tensors("")
    return content.take(1).ignore_errors().concatenate(nothing).take(1).get_single_element()


class _Record(NamedTuple):
    """A record that has an example of the right kind."""

    id: str
    place: tuple[int, int, int, int]
    split: str
    features: dict[str, Values]
    scanned: Scanned


class _Frame(NamedTuple):
    """A record that is not read yet."""

    id: str
    file: int
    start: int
    length: int
    split: str


def load_records(pattern: str, kind: Input, reading: Reading = _AS_IT_IS) -> RecordSource:
    """Read every record of the files once, and make a source of those that can be used.

    A record that cannot be used is left out and listed in `quarantine` with its file and number: a checksum that does
    not match, no example, no label, an unknown split.

    Args:
        pattern: files, as in `data/train-*`; or a folder with `*.tfrecord*` files.
        kind: what the records hold.
        reading: which key is what, the format of the labels, and the fraction of bad records that stops the run.

    Raises:
        InputError: there are no such files or keys, too many records are bad, or there are fewer than two classes.
    """
    reading.refuse("label_pattern", "group_pattern", what="files")
    files, meaning = check_records(pattern, kind.name, reading.columns)
    frames, ends = _find_frames(files)
    scanned = _scan(kind, files, frames, meaning)
    bad = [*ends, *((frame.id, found) for frame, found in zip(frames, scanned, strict=True) if isinstance(found, str))]
    records = [found for found in scanned if isinstance(found, _Record)]
    table, meaning, reasons, wanted = _as_table(f"tfrecord:{pattern}", records, files, meaning, reading)
    bad += [(record.id, reason) for record, reason in zip(records, reasons, strict=True) if reason]
    check_bad_fraction(bad, len(frames) + len(ends), reading.max_bad_fraction)
    good = [row for row, reason in enumerate(reasons) if not reason]
    if not good:
        raise InputError(f"`data.source` must have at least one usable record. Received: {table.name}.")
    width = len(meaning.labels)
    numbers, names = read_cells([table.rows[row][:width] for row in good], wanted, meaning.labels, table.name)
    splits = read_splits_of(table, meaning) if meaning.split else [record.split for record in records]
    usable = [records[row]._replace(split=splits[row]) for row in good]
    source, order = _make_source(kind, files, usable, tuple(bad), numbers, names if wanted.has_names else ())
    further = further_columns(table, meaning, [good[place] for place in order], wanted, names)
    return dataclasses.replace(source, index=dataclasses.replace(source.index, **further))


def _as_table(
    name: str, records: Sequence[_Record], files: Sequence[Path], meaning: Columns, reading: Reading
) -> tuple[Table, Columns, list[str], LabelFormat]:
    """Return all but the examples as a table, what its columns mean, why rows cannot be used, and the format."""
    features, ids = [record.features for record in records], [record.id for record in records]
    titles, cells, reasons = label_cells(features, ids, meaning.labels, reading.labels, read_names(files[0].parent))
    more = [key for key in dict.fromkeys((meaning.split, meaning.group, meaning.time, meaning.weight)) if key]
    rows = [[*row, *(first_text(own, key) for key in more)] for row, own in zip(cells, features, strict=True)]
    table = Table(name, (*titles, *more), rows, ids, [])
    wanted = guess_format(cells) if reading.labels is None else reading.labels
    meaning = dataclasses.replace(meaning, labels=titles)
    splits = read_splits_of(table, meaning)
    for row, problem in enumerate(find_problems(cells, wanted, titles)):
        wrong_split = problem_of_split(splits[row]) if any(splits) else ""
        wrong_weight = problem_of_weight(first_text(features[row], meaning.weight)) if meaning.weight else ""
        reasons[row] = reasons[row] or problem or wrong_split or wrong_weight
    return table, meaning, reasons, wanted


def _find_frames(files: Sequence[Path]) -> tuple[list[_Frame], list[tuple[str, str]]]:
    """Return the places of all records, and the files that end too early."""
    names, splits = names_of_files(files), splits_of_files(files)
    frames, bad = [], []
    for number, file in enumerate(files):
        framing = find_records(file)
        for place, (start, length) in enumerate(zip(framing.starts, framing.lengths, strict=True)):
            frames.append(_Frame(f"{names[file]}:{place}", number, start, length, splits[file]))
        if framing.damage:
            bad.append((f"{names[file]}:{len(framing.starts)}", framing.damage))
    return frames, bad


def _scan(kind: Input, files: Sequence[Path], frames: Sequence[_Frame], meaning: Columns) -> list[_Record | str]:
    """Read and check all records: what each of them holds, or why it cannot be used."""
    found: list[_Record | str] = []
    pairs = progress.track(_read_all(files, frames), f"Checking {kind.noun[1]}", len(frames), kind.noun)
    with ThreadPoolExecutor(_THREADS) as pool:
        while group := list(itertools.islice(pairs, 4 * _THREADS)):  # `pool.map` alone would read all records first
            found += pool.map(lambda pair: _check_record(kind, pair[0], pair[1], meaning), group)
    return found


def _read_all(files: Sequence[Path], frames: Sequence[_Frame]) -> Iterator[tuple[_Frame, bytes]]:
    """Yield every record with its content."""
    if not frames:
        return
    with tf.device("CPU"):
        paths = tf.constant(encode_paths(map(str, files)))
    columns = tuple(np.array([frame[field] for frame in frames], np.int64) for field in (1, 2))

    def read(number: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
        return read_record(tf.gather(paths, number), start)

    dataset = tf.data.Dataset.from_tensor_slices(columns).map(read, num_parallel_calls=tf.data.AUTOTUNE)
    yield from zip(frames, dataset.prefetch(tf.data.AUTOTUNE).as_numpy_iterator(), strict=True)


def _check_record(kind: Input, frame: _Frame, content: bytes, meaning: Columns) -> _Record | str:
    """Return what a record holds, or why it cannot be used."""
    if len(content) != frame.length:
        return "damaged: its checksum does not match"
    try:
        features = parse_example(content)
    except ValueError as error:
        return str(error)
    examples = features.pop(meaning.path, [])
    if len(examples) != 1 or not isinstance(examples[0], bytes):
        return f"no {meaning.path}" if not examples else f"{meaning.path} is not the bytes of one file"
    try:
        scanned = kind.scan(examples[0])
    except BadExampleError as error:
        return str(error)
    more = (meaning.split, meaning.group, meaning.time, meaning.weight, ID)
    kept = (*meaning.labels, *map(text_key, meaning.labels), *more)
    place = (frame.file, frame.start, content.find(examples[0]), len(examples[0]))
    own = first_text(features, ID) or frame.id
    return _Record(own, place, frame.split, {key: features[key] for key in kept if key in features}, scanned)


def _make_source(
    kind: Input,
    files: Sequence[Path],
    records: Sequence[_Record],
    bad: tuple[tuple[str, str], ...],
    labels: np.ndarray,
    class_names: Sequence[str],
) -> tuple[RecordSource, np.ndarray]:
    """Make a source of usable records; return for each row of its index also its place in `records`."""
    ids = [record.id for record in records]
    if (twice := first_twice(ids)) is not None:
        raise InputError(f"`data.source` must have different ids in the key {ID!r}. Received: {twice!r} twice.")
    index, order = make_index(
        ids,
        labels,
        class_names,
        splits=[record.split for record in records],
        sha256=[record.scanned.sha256 for record in records],
        facts={name: [record.scanned.facts[name] for record in records] for name in kind.facts},
    )
    source = RecordSource(
        index,
        dataclasses.replace(kind, formats=tuple(sorted({record.scanned.format for record in records}))),
        bad,
        np.array([record.scanned.peak for record in records], np.int64)[order],
        files=tuple(map(str, files)),
        places=np.array([record.place for record in records], np.int64)[order],
        fingerprints=np.array([record.scanned.fingerprint for record in records], np.int64)[order],
    )
    return source, order
