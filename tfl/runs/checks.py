"""Check the files of finished runs as far as this needs no TensorFlow; what needs the model is checked later."""

from collections.abc import Sequence
from pathlib import Path

from tfl.errors import InputError
from tfl.export.model_files import find_format
from tfl.files.parquet import check_parquet
from tfl.files.reading import check_header
from tfl.workdir import Workdir, read_config

METRICS, MODEL, PREDICTIONS, SPLITS = "metrics.json", "model.keras", "predictions.csv", "splits.csv"
_TABLES = {  # some columns that a table must have; the whole table is read later
    PREDICTIONS: ("id", "label", "predicted"),
    SPLITS: ("id", "label", "split", "sha256"),
}


def check_run(path: str, argument: str = "workdir", needs: Sequence[str] = ()) -> Workdir:
    """Open a finished run whose files are there and can be read.

    Args:
        path: its folder.
        argument: the caller's name for it, for messages.
        needs: the files that will be used besides the config.

    Raises:
        InputError: it is not a finished run, or one of the files is missing or damaged.
    """
    run = Workdir.open_finished(path, argument)
    read_config(run)
    for name in needs:
        if not (run / name).exists():
            raise InputError(f"`{argument}` must be a finished run. Received: {str(run.path)!r}, which has no {name}.")
        if name in _TABLES:
            check_header(run / name, _TABLES[name], argument)
        if name == METRICS:
            run.read_metrics()
        if name == MODEL:
            find_format(run / name, argument)
    return run


def check_compared(workdirs: Sequence[str]) -> None:
    """Refuse what cannot be compared: it must be two or more different runs or tables of predictions.

    Raises:
        InputError: there are fewer, a run is not finished, or one of the tables is damaged.
    """
    folders = {Workdir(workdir).path.resolve() for workdir in workdirs}
    if len(workdirs) < 2 or len(folders) < len(workdirs):
        raise InputError(f"`workdirs` must be two or more different runs. Received: {', '.join(workdirs) or 'none'}.")
    for word in workdirs:
        file = Path(word).expanduser()
        if not file.is_file():
            check_run(word, "workdirs", (PREDICTIONS, SPLITS))
        elif file.suffix == ".parquet":
            check_parquet("workdirs", word)
        else:
            check_header(file, _TABLES[PREDICTIONS], "workdirs")


def check_folder(folder: str, argument: str = "masks") -> None:
    """Refuse a folder that cannot be made, before the work whose results go there.

    Args:
        folder: a new one or one that exists; empty: none is wanted.
        argument: the caller's name for it, for messages.

    Raises:
        InputError: it is a file, or there is a file in its path.
    """
    path = Path(folder).expanduser().absolute()
    above = next(place for place in (path, *path.parents) if place.exists())
    if folder and not above.is_dir():
        raise InputError(f"`{argument}` must be a folder. Received: {folder!r}, but {str(above)!r} is a file.")


def check_output(output: str, argument: str = "output") -> None:
    """Refuse a file that cannot be written, before the work whose result it is to hold.

    Args:
        output: the file; empty: none is wanted.
        argument: the caller's name for it, for messages.

    Raises:
        InputError: there is a folder in its place or a file in its path, or its format needs a package that is not
            installed.
    """
    if not output:
        return
    file = Path(output).expanduser()
    above = next(folder for folder in file.absolute().parents if folder.exists())
    if file.is_dir() or not above.is_dir():
        reason = "it is a folder" if file.is_dir() else f"{str(above)!r} is a file"
        raise InputError(f"`{argument}` must be writable, a file in a folder. Received: {output!r}: {reason}.")
    if file.suffix == ".parquet":
        check_parquet(argument, output)
