"""`manifest.json` beside the files of a conversion: their sizes, their numbers of records and their checksums."""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from tfl import progress
from tfl.errors import InputError
from tfl.files.reading import read_json
from tfl.files.writing import write_text

MANIFEST = "manifest.json"
_BLOCK = 2**20
_WHOLE = {"type": "integer", "minimum": 0}
_SCHEMA = {
    "type": "object",
    "required": ["tfl_conversion", "format", "plan", "complete", "shards"],
    "properties": {
        "format": {"enum": ["tfrecord", "array_record"]},
        "complete": {"type": "boolean"},
        "shards": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["file", "records", "bytes", "sha256"],
                "properties": {"records": _WHOLE, "bytes": _WHOLE, "file": {"type": "string"}},
            },
        },
    },
}


@dataclasses.dataclass(frozen=True)
class Shard:
    """A finished file of a conversion.

    Attributes:
        file: its name.
        records: number of its records.
        bytes: its size.
        sha256: of its content.
    """

    file: str
    records: int
    bytes: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What a conversion has written so far.

    Attributes:
        format: "tfrecord" or "array_record".
        plan: a digest of what is written into which file; another conversion has another one.
        complete: whether all files are written.
        shards: the finished files.
    """

    format: str
    plan: str
    complete: bool
    shards: tuple[Shard, ...]

    def write(self, folder: Path) -> None:
        """Write the manifest into the folder of the files."""
        values = {"tfl_conversion": 1, **dataclasses.asdict(self)}
        write_text(folder / MANIFEST, json.dumps(values, indent=1) + "\n")


def read_manifest(folder: Path) -> Manifest | None:
    """Read the manifest of a folder; None if it has none of a conversion.

    Raises:
        InputError: the file is damaged.
    """
    if not (folder / MANIFEST).is_file():
        return None
    values = read_json(folder / MANIFEST)
    if "tfl_conversion" not in values:
        return None  # of another program
    values = read_json(folder / MANIFEST, _SCHEMA)
    shards = tuple(Shard(**{name: item[name] for name in Shard.__dataclass_fields__}) for item in values["shards"])
    return Manifest(values["format"], values["plan"], values["complete"], shards)


def measure_shard(path: Path, records: int) -> Shard:
    """Return the entry of a file that is written."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return Shard(path.name, records, path.stat().st_size, digest.hexdigest())


def check_sizes(files: Sequence[Path], argument: str) -> None:
    """Refuse files of a conversion that is not finished, and files of another size than the manifest beside them says.

    Raises:
        InputError: a file is not as it was written.
    """
    for folder in dict.fromkeys(file.parent for file in files):
        manifest = read_manifest(folder)
        if manifest is None:
            continue
        if not manifest.complete:
            raise InputError(
                f"`{argument}` must be a finished conversion. Received: {folder}, which `tfl convert` has not "
                "finished. Did you mean to run the same command again?"
            )
        sizes = {shard.file: shard.bytes for shard in manifest.shards}
        for file in files:
            size = file.stat().st_size
            if file.parent == folder and sizes.get(file.name, size) != size:
                raise InputError(
                    f"`{argument}` must have files as they were written. Received: {file} with {size:,} bytes, but "
                    f"{sizes[file.name]:,} in {MANIFEST}."
                )


def existing_manifest(folder: Path) -> Manifest:
    """Return the manifest of a folder.

    Raises:
        InputError: it has none.
    """
    manifest = read_manifest(folder)
    if manifest is None:
        raise InputError(
            f"`output` must be the folder of a conversion. Received: {str(folder)!r}, which has no {MANIFEST}."
        )
    return manifest


def verify_conversion(folder: str | Path) -> Manifest:
    """Read every file of a conversion again, and compare it with the checksum in its manifest.

    Returns:
        The manifest.

    Raises:
        InputError: the conversion is not finished, or a file is missing or changed.

    Example:
        >>> verify_conversion("photos")
        Traceback (most recent call last):
        tfl.errors.InputError: `output` must be the folder of a conversion. ...
    """
    folder = Path(folder).expanduser()
    manifest = existing_manifest(folder)
    missing = next((shard.file for shard in manifest.shards if not (folder / shard.file).is_file()), None)
    if missing:
        raise InputError(
            f"`output` must have all files of its {MANIFEST}. Received: {str(folder)!r} without {missing}."
        )
    check_sizes([folder / shard.file for shard in manifest.shards], "output")
    for shard in progress.track(manifest.shards, "Comparing checksums", unit=("file", "files")):
        if measure_shard(folder / shard.file, shard.records) != shard:
            raise InputError(
                f"`output` must have files as they were written. Received: {folder / shard.file} with another SHA-256 "
                f"than in {MANIFEST}."
            )
    return manifest
