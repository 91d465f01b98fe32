"""Keep an export folder and its certificate.json consistent, also after a crash."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from etils import epath

from tfl.errors import InputError
from tfl.files.reading import read_json
from tfl.files.schemas import CERTIFICATE as CERTIFICATE_SCHEMA
from tfl.files.writing import is_local, remove, sweep_unfinished, write_atomically, write_folder_atomically
from tfl.progress import say
from tfl.workdir import write_json

CERTIFICATE = "certificate.json"


def read_certificate(folder: epath.PathLike) -> dict[str, Any]:
    """Return the certificate of an export folder; an empty one if there is no file.

    Raises:
        InputError: the file is not a certificate.
    """
    file = epath.Path(folder) / CERTIFICATE
    try:
        recorded = read_json(file, CERTIFICATE_SCHEMA) if file.exists() else {}
    except InputError as error:
        reason = str(error).partition(": ")[2]
        raise InputError(f"`output` must have a certificate that an export wrote. Received: {reason}") from error
    return {"reference": {}, "artefacts": {}, "rejected": {}, **recorded}


def open_certificate(folder: epath.PathLike, reference: dict[str, Any], several: str = "examples") -> dict[str, Any]:
    """Return the certificate to continue with.

    Artefacts of another model, temperature or set of test images are removed and reported.

    Args:
        folder: the export folder.
        reference: the description of the model and the images that all artefacts are compared with.
        several: the name of several examples, for messages.
    """
    folder = epath.Path(folder)
    certificate = read_certificate(folder)
    if certificate["reference"] == reference:
        return certificate
    for name in certificate["artefacts"]:
        say(f"removed: {folder / name}, because it belongs to another model, temperature or set of test {several}")
        remove(folder / name)
    return {"reference": reference, "artefacts": {}, "rejected": {}}


def publish(folder: epath.PathLike, certificate: dict[str, Any], entry: dict[str, Any], staged: Path) -> None:
    """Move one artefact that passed into the export folder.

    The old entry is removed from the certificate before the files change, and the new entry is added after that. An
    interruption in between leaves files without an entry, but never an entry about other files.

    Args:
        folder: the export folder.
        certificate: the contents of certificate.json; changed in place.
        entry: the certificate entry of the artefact.
        staged: the file or folder, in another place on this machine; its name is kept.
    """
    folder = epath.Path(folder)
    artefacts: dict[str, Any] = certificate["artefacts"]
    if artefacts.pop(staged.name, None) is not None:
        write_json(folder / CERTIFICATE, certificate)
    _replace(folder / staged.name, staged)
    artefacts[staged.name] = entry
    certificate["rejected"].pop(staged.name, None)
    write_json(folder / CERTIFICATE, certificate)


def reject(folder: epath.PathLike, certificate: dict[str, Any], name: str, entry: Mapping[str, Any]) -> None:
    """Record an artefact that failed, without its files; an older artefact of that name is removed."""
    folder = epath.Path(folder)
    certificate["artefacts"].pop(name, None)
    certificate["rejected"][name] = dict(entry)
    write_json(folder / CERTIFICATE, certificate)
    remove(folder / name)


def _replace(path: epath.Path, staged: Path) -> None:
    if is_local(path) and path.parent.exists():
        sweep_unfinished(path.parent)
    if staged.is_dir() or path.is_dir():  # a file replaces another file without this
        remove(path)
    if staged.is_file():
        write_atomically(path, lambda temporary: epath.Path(staged).copy(temporary))
        return
    write_folder_atomically(path, lambda temporary: _copy_folder(epath.Path(staged), temporary))


def _copy_folder(source: epath.Path, target: epath.Path) -> None:
    for entry in source.iterdir():
        if entry.is_dir():
            (target / entry.name).mkdir(parents=True, exist_ok=True)
            _copy_folder(entry, target / entry.name)
        else:
            entry.copy(target / entry.name)
