"""Which example is written into which file of a conversion."""

import dataclasses
import hashlib
import json
import math

import numpy as np

from tfl.data.index import Index
from tfl.data.source import Source
from tfl.data.split_names import SPLITS

PER_SHARD = 1024  # examples of a file, if the number of files is not given


@dataclasses.dataclass(frozen=True)
class Plan:
    """The files of a conversion.

    Attributes:
        rows: int64 rows of the index by the name of their file, in the order in which they are written.
        digest: of the names, and of all that is written but the pixels, of which there are only the SHA-256.
    """

    rows: dict[str, np.ndarray]
    digest: str


def plan_shards(source: Source, shards: int, suffix: str, seed: int) -> Plan:
    """Divide the examples of a source into files, split by split, in a random order.

    A source that is read in its own order keeps that order.

    Args:
        source: its index has the splits that the source brings itself, or "".
        shards: number of files, at least one for each split; 0: one for about 1,024 examples.
        suffix: of the names of the files, such as ".tfrecord".
        seed: of the order.
    """
    index, rows = source.index, {}
    for split in ("", *SPLITS):
        own = index.rows(split)
        if not len(own):
            continue
        if source.has_random_access:
            own = np.random.default_rng(seed).permutation(own)
        else:
            stream = source.examples(own).map(lambda example: example["id"])
            own = np.fromiter(stream.as_numpy_iterator(), np.int64)
        wanted = round(shards * len(own) / len(index)) if shards else math.ceil(len(own) / PER_SHARD)
        count = min(len(own), max(1, wanted))
        for number, part in enumerate(np.array_split(own, count)):
            rows[f"{split or 'data'}-{number:05d}-of-{count:05d}{suffix}"] = part
    return Plan(rows, _digest(index, rows))


def _digest(index: Index, rows: dict[str, np.ndarray]) -> str:
    digest, labels = hashlib.sha256(), index.label_texts()
    names = [index.label_names, *map(str, (index.groups.size, index.times.size, index.weights.size))]
    digest.update(json.dumps(names).encode("utf-8", "surrogateescape"))
    for name, own in rows.items():
        for row in own.tolist():
            facts = (index.ids[row], index.sha256[row], labels[row], index.splits[row])
            more = [str(column[row]) for column in (index.groups, index.times, index.weights) if len(column)]
            digest.update(json.dumps([name, *map(str, facts), *more]).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
