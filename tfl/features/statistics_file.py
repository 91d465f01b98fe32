"""The file of sufficient statistics: the sums, and a key for each example that is in them. It holds only arrays."""

import dataclasses
import hashlib
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np
from etils import epath

from tfl.features.statistics import Statistics
from tfl.files.reading import refuse_file
from tfl.files.writing import write_atomically

_ARRAYS = tuple(field.name for field in dataclasses.fields(Statistics))


@dataclasses.dataclass(frozen=True)
class StoredStatistics:
    """Statistics, and what they are of.

    Attributes:
        statistics: the sums.
        examples: a key for each example; an example with another content, label or weight has another key.
        network: the digest of the frozen network; see `Extractor.digest`.
    """

    statistics: Statistics
    examples: tuple[str, ...]
    network: str

    def digest(self) -> str:
        """Return the SHA-256 of everything in the file."""
        text = "\0".join((self.statistics.digest(), self.network, *self.examples))
        return hashlib.sha256(text.encode()).hexdigest()

    def write(self, path: epath.PathLike) -> None:
        """Write the file."""
        arrays: dict[str, Any] = {name: np.asarray(getattr(self.statistics, name)) for name in _ARRAYS}
        arrays |= {"examples": np.array(self.examples, np.bytes_)}
        arrays |= {"network": np.array(self.network), "digest": np.array(self.digest())}

        def fill(temporary: epath.Path) -> None:
            with temporary.open("wb") as file:
                np.savez(file, **arrays)

        write_atomically(path, fill)


def example_key(*facts: object) -> str:
    """Return the key of an example from what a statistic depends on: its content, label and weight."""
    return hashlib.sha256("\0".join(map(str, facts)).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def read_statistics(path: epath.PathLike) -> StoredStatistics:
    """Read a file of statistics.

    Raises:
        InputError: the file is missing or damaged.
    """
    try:
        with epath.Path(path).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in (*_ARRAYS, "examples", "network", "digest")}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise refuse_file(path, error) from error
    values = {name: found[name] for name in _ARRAYS}
    values |= {
        "names": tuple(map(str, values["names"])),
        "count": int(values["count"]),
        "total": float(values["total"]),
    }
    stored = StoredStatistics(Statistics(**values), _texts(found["examples"]), str(found["network"]))
    if stored.digest() != str(found["digest"]):
        raise refuse_file(path, "its contents do not have its digest")
    return stored


def _texts(keys: Sequence[bytes] | np.ndarray) -> tuple[str, ...]:
    return tuple(bytes(key).decode() for key in keys)
