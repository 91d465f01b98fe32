"""Write the examples of a source into TFRecord or ArrayRecord files, several at the same time."""

import contextlib
import dataclasses
import hashlib
import itertools
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfl import progress
from tfl.data.index import Index
from tfl.data.label_formats import label_format_of
from tfl.data.records.examples import serialize_example
from tfl.data.records.manifest import Manifest, Shard, measure_shard
from tfl.data.records.plan import Plan
from tfl.data.source import Source
from tfl.files.writing import write_atomically

_THREADS = 8
Features = dict[str, Sequence[bytes] | Sequence[int] | Sequence[float]]


@dataclasses.dataclass
class Conversion:
    """Files that are being written; the manifest names those that are finished.

    Attributes:
        source: the examples.
        plan: which example goes into which file.
        folder: of the files.
        manifest: what is finished.
        re_encoded: number of examples that were not copied byte by byte.
    """

    source: Source
    plan: Plan
    folder: Path
    manifest: Manifest
    re_encoded: int = 0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def run(self) -> Manifest:
        """Write the files that are not finished yet, and return the complete manifest."""
        done = {shard.file for shard in self.manifest.shards}
        left = [name for name in self.plan.rows if name not in done]
        jobs = [[name] for name in left]
        if not self.source.has_random_access:  # one pass for all files of a split
            jobs = [list(names) for _, names in itertools.groupby(left, lambda name: name.partition("-")[0])]
        with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:
            written = pool.map(self._write, jobs)
            try:
                for _ in progress.track(written, "Writing", len(jobs), unit=("file", "files")):
                    pass
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        order = {name: number for number, name in enumerate(self.plan.rows)}
        shards = sorted(self.manifest.shards, key=lambda shard: order[shard.file])
        self.manifest = dataclasses.replace(self.manifest, complete=True, shards=tuple(shards))
        self.manifest.write(self.folder)
        return self.manifest

    def _write(self, names: Sequence[str]) -> None:
        """Write some files, one after the other, from one pass over their examples."""
        examples = iter(self.source.examples(np.concatenate([self.plan.rows[name] for name in names])))
        for name in names:
            count = len(self.plan.rows[name])
            records = (self._record(example) for example in itertools.islice(examples, count))
            path = self.folder / name
            write_atomically(path, lambda place, records=records: self._fill(Path(place), records))
            self._finish(measure_shard(path, count))

    def _fill(self, path: Path, records: Iterator[bytes]) -> None:
        with contextlib.closing(open_writer(path, self.manifest.format)) as writer:
            for record in records:
                writer.write(record)

    def _record(self, example: dict[str, tf.Tensor]) -> bytes:
        row, encoded = int(example["id"]), self.source.kind.encode(example["input"])
        if hashlib.sha256(encoded).hexdigest() != self.source.index.sha256[row]:
            with self._lock:
                self.re_encoded += 1
        return serialize_example(features_of(self.source.index, row, encoded, self.source.kind.name))

    def _finish(self, shard: Shard) -> None:
        with self._lock:
            self.manifest = dataclasses.replace(self.manifest, shards=(*self.manifest.shards, shard))
            self.manifest.write(self.folder)


def features_of(index: Index, row: int, encoded: bytes, kind: str) -> Features:
    """Return the features of one example under the usual keys, which `tfrecord:` reads again.

    Args:
        index: of the source.
        row: of the example.
        encoded: the file of the example.
        kind: of the example, such as "image".
    """
    features: Features = {f"{kind}/encoded": [encoded], "id": [_bytes(index.ids[row])]}
    features |= {f"{kind}/{name}": [int(values[row])] for name, values in index.facts.items()}
    labels = label_format_of(index.labels, index.class_names)
    if not labels.has_names:
        features["label"] = [float(value) for value in np.ravel(index.labels[row])]
    else:
        label = index.labels[row]
        numbers = [int(label)] if labels.has_one_class else np.flatnonzero(label).tolist()
        features[f"{kind}/class/label"] = numbers
        features[f"{kind}/class/text"] = [_bytes(index.class_names[number]) for number in numbers]
    if len(index.weights):
        features["weight"] = [float(index.weights[row])]
    for name, column in (("split", index.splits), ("group", index.groups), ("time", index.times)):
        if len(column) and column[row]:
            features[name] = [_bytes(column[row])]
    return features


def open_writer(path: Path, file_format: str) -> Any:
    """Return an object with `write(record)` and `close()` that writes a new file."""
    if file_format == "tfrecord":
        return tf.io.TFRecordWriter(str(path))
    from array_record.python.array_record_module import ArrayRecordWriter

    return ArrayRecordWriter(str(path), "group_size:1")  # any record can be read alone, as Grain expects


def _bytes(text: str) -> bytes:
    return str(text).encode("utf-8", "surrogateescape")
