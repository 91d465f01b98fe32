"""Find out what kind of model a path holds, and refuse what cannot be one; nothing is loaded, TensorFlow neither."""

import zipfile
from importlib.util import find_spec

from etils import epath

from tfl.errors import InputError
from tfl.export.format_table import format_of_folder
from tfl.files.existing import nearest_run, nearest_sibling
from tfl.version import install_command
from tfl.workdir import check_finished

METADATA_NAME = "tfl.json"  # name of the entry in an artefact that holds its `Metadata`
FORMAT_OF_SUFFIX = {".keras": "keras", ".tflite": "litert", ".onnx": "onnx"}
_IN_FOLDER = ("model.keras", "saved_model.pb")
_RUNTIMES = {"litert": "ai_edge_litert", "onnx": "onnxruntime"}


def find_format(path: epath.PathLike, argument: str = "model") -> str:
    """Return the format of a model by its path: that of a finished run is "keras".

    Args:
        path: a finished workdir, a `.keras`, `.tflite` or `.onnx` file, a SavedModel folder, or a folder of a format
            of your own; `~` is the home folder.
        argument: the caller's name for it, for messages.

    Returns:
        "keras", "saved_model", "litert", "onnx", or the name of a format of your own.

    Raises:
        InputError: there is no model; the run is not finished; the file was not written by tfl, or is cut; or the
            runtime of the format is not installed.
    """
    path = epath.Path(path).expanduser()
    check_finished(path, argument)
    name = _format_of_folder(path, argument) if path.is_dir() else _format_of_file(path, argument)
    _check_written_by_tfl(path / "model.keras" if path.is_dir() and name == "keras" else path, name, argument)
    _check_runtime(name, argument)
    return name


def _format_of_folder(path: epath.Path, argument: str) -> str:
    if (path / METADATA_NAME).exists():
        own = format_of_folder(path)
        if own is None:
            raise InputError(
                f"`{argument}` must be of a format that `register_format` knows. Received: {str(path)!r}: "
                f"no format {path.suffix.removeprefix('.')!r}."
            )
        if own.missing:
            raise InputError(
                f"`{argument}` must be of a format whose packages are installed "
                f"(pip install {' '.join(own.missing)}). Received: {str(path)!r}."
            )
        return own.name
    if (path / "saved_model.pb").exists():
        return "saved_model"
    if (path / "model.keras").exists():
        return "keras"
    raise _no_model(argument, f"{str(path)!r}, which has no {' or '.join(_IN_FOLDER)}", nearest_run(path))


def _format_of_file(path: epath.Path, argument: str) -> str:
    if not path.exists():
        raise _no_model(argument, f"{str(path)!r}, which does not exist", nearest_sibling(path))
    if path.suffix not in FORMAT_OF_SUFFIX:
        raise _no_model(argument, f"{str(path)!r}, which ends with none of {', '.join(FORMAT_OF_SUFFIX)}")
    return FORMAT_OF_SUFFIX[path.suffix]


def _no_model(argument: str, received: str, hint: str = "") -> InputError:
    return InputError(f"`{argument}` must be a finished workdir or an exported model. Received: {received}.{hint}")


def _check_written_by_tfl(path: epath.Path, name: str, argument: str) -> None:
    """Refuse a file without the metadata that tfl writes into every model; a file that is cut has lost it, too."""
    if name not in _HAS_METADATA:
        return
    try:
        is_ours = _HAS_METADATA[name](path)
    except (OSError, zipfile.BadZipFile, KeyError) as error:
        reason = "it is not a zip archive or is truncated" if isinstance(error, zipfile.BadZipFile) else str(error)
        raise InputError(
            f"`{argument}` must be an undamaged model that tfl saved or exported. Received: {str(path)!r}: "
            f"{' '.join(reason.split())}."
        ) from error
    if not is_ours:
        raise InputError(
            f"`{argument}` must be a model that tfl saved or exported. Received: {str(path)!r}, which has no class "
            "names."
        )


def _archive_has_metadata(path: epath.Path) -> bool:
    with zipfile.ZipFile(path) as archive:
        if METADATA_NAME in archive.namelist():
            return True
        return path.suffix == ".keras" and b'"tfl"' in archive.read("config.json")


_HAS_METADATA = {
    "keras": _archive_has_metadata,
    "litert": _archive_has_metadata,
    "onnx": lambda path: METADATA_NAME.encode() in path.read_bytes(),
    "saved_model": lambda path: (path / "assets" / METADATA_NAME).exists(),
}


def _check_runtime(name: str, argument: str) -> None:
    package = _RUNTIMES.get(name)
    if package is not None and find_spec(package) is None:
        raise InputError(
            f"`{argument}` must be of a format whose runtime is installed: {install_command('export')}. "
            f"Received: no {package}."
        )
