"""Check a path of the user before anything slow starts: it must exist; if not, suggest its nearest neighbour."""

import difflib
import glob
from collections.abc import Callable
from pathlib import Path

from etils import epath

from tfl.config.values import SOURCES, SPLIT_RULES, TABLES, split_source, validate_source
from tfl.errors import InputError
from tfl.files.writing import expand_home
from tfl.registry import did_you_mean, natural_key


def existing_masks(path: str, argument: str) -> Path:
    """Return the folder, or the COCO file of outlines, that `masks:PATH` names, without `~`.

    Raises:
        InputError: there is none.
    """
    place = Path(expand_home(path, argument))
    return place if place.suffix.lower() == ".json" and place.is_file() else existing_folder(path, argument, "masks")


def existing_folder(path: str, argument: str, kind: str = "folder") -> Path:
    """Return the folder of images that `folder:PATH` or `masks:PATH` names, without `~`.

    Raises:
        InputError: there is no such folder.
    """
    root = Path(expand_home(path, argument))
    if not root.is_dir():
        raise InputError(f"`{argument}` must name a folder that exists. Received: {kind}:{path}.{nearest(root)}")
    return root


def existing_table(path: str, argument: str) -> Path:
    """Return the file that `csv:FILE` names, without `~`.

    Raises:
        InputError: there is no such file.
    """
    file = Path(expand_home(path, argument))
    if not file.is_file():
        hint = nearest(file, Path.is_file)
        raise InputError(f"`{argument}` must name a table that exists. Received: csv:{path}.{hint}")
    return file


def existing_annotations(path: str, argument: str) -> Path:
    """Return the folder, or the file of annotations, that `boxes:PATH` names, without `~`.

    Raises:
        InputError: there is none, or the file can have no boxes.
    """
    place = Path(expand_home(path, argument))
    if not place.exists():
        hint = nearest(place, Path.exists)
        raise InputError(f"`{argument}` must name a folder or a file that exists. Received: boxes:{path}.{hint}")
    if not place.is_dir() and place.suffix.lower() not in (".json", *TABLES):
        raise InputError(f"`{argument}` must name a folder, a JSON file or a table. Received: boxes:{path}.")
    return place


def existing_records(pattern: str, argument: str) -> list[Path]:
    """Return the files that `tfrecord:GLOB` names, in natural order; of a folder those named `*.tfrecord*`.

    Raises:
        InputError: there are none.
    """
    place = Path(expand_home(pattern, argument))
    whole = str(place / "*.tfrecord*") if place.is_dir() else str(place)
    files = sorted((Path(name) for name in glob.glob(whole)), key=lambda file: natural_key(str(file)))  # noqa: PTH207
    files = [file for file in files if file.is_file() and not file.name.startswith(".")]
    if not files:
        hint = nearest(place, Path.exists) or nearest(place.parent)
        raise InputError(
            f"`{argument}` must name TFRecord files that exist. Received: tfrecord:{pattern}, which matches none.{hint}"
        )
    return files


def existing_splits(path: str) -> Path:
    """Return the `splits.csv` that is given itself or by its workdir.

    Raises:
        InputError: there is no such file.
    """
    given = Path(expand_home(path, "data.split_by"))
    file = given / "splits.csv" if given.is_dir() else given
    if not file.is_file():
        hint = did_you_mean(given.name, SPLIT_RULES) or nearest(file, Path.is_file)
        raise InputError(
            "`data.split_by` must be class, content, time, or the splits.csv or the workdir of another run. "
            f"Received: {path!r}.{hint}"
        )
    return file


def existing_slices(specification: str) -> tuple[Path, str]:
    """Return the file and the column of `FILE.csv:COLUMN`, a table that divides examples.

    Raises:
        InputError: there is no such file, or no column is named.
    """
    name, _, column = specification.rpartition(":")
    file = Path(name).expanduser()
    if not name or not column or not file.is_file():
        hint = nearest(file, Path.is_file) if name and column else ""
        raise InputError(
            f"`slices` must be FILE.csv:COLUMN with a file that exists. Received: {specification!r}.{hint}"
        )
    return file, column


def check_file(path: str, argument: str) -> None:
    """Refuse a path that is no file.

    Raises:
        InputError: there is no such file.
    """
    file = Path(path)
    if "://" not in path and not file.is_file():
        hint = nearest(file, Path.is_file)
        raise InputError(f"`{argument}` must name a file that exists. Received: {path!r}.{hint}")


def check_source(source: str, argument: str) -> None:
    """Refuse a source with a folder or a table that does not exist.

    Raises:
        InputError: it does not exist.
    """
    for part in split_source(source):
        kind, _, path = part.partition(":")
        check = {
            "folder": existing_folder,
            "masks": existing_masks,
            "boxes": existing_annotations,
            "csv": existing_table,
            "tfrecord": existing_records,
        }.get(kind.lower())
        if check is not None and path:
            check(path, argument)


def place_name(source: str) -> str | None:
    """Return the name of the folder or table that a source reads, without its place; None for other sources.

    Example:
        >>> place_name("folder:/data/photos"), place_name("tfrecord:/data/records/train-*"), place_name("digits")
        ('photos', 'records', None)
    """
    kind, _, place = source.partition(":")
    path = Path(place).expanduser()
    if kind == "csv":
        return path.stem
    if kind == "tfrecord":
        path = path if path.is_dir() else path.parent
    return path.resolve().name if kind in ("folder", "masks", "boxes", "tfrecord") else None


def guess_source(word: str, argument: str = "source") -> str:
    """Return the source string that a word means: a path is a folder of examples, or a table or TFRecord files.

    Raises:
        InputError: there is no such folder or table, and the word is no source string.

    Example:
        >>> guess_source("photos"), guess_source("digits:0-4")
        ('folder:photos', 'digits:0-4')
    """
    kind, path = word.partition(":")[0].lower(), Path(word).expanduser()
    is_folder = path.is_dir()
    if kind in SOURCES and is_folder:
        raise InputError(
            f"`{argument}` must have one meaning. Received: {word!r}, which is also a folder. "
            f"Did you mean 'folder:{word}'?"
        )
    if kind in SOURCES:
        return validate_source(word, argument)
    if is_folder:
        return f"{'tfrecord' if any(path.glob('*.tfrecord*')) else 'folder'}:{word}"
    if ".tfrecord" in path.name.lower():
        existing_records(word, argument)
        return f"tfrecord:{word}"
    if path.is_file() and path.suffix.lower() in TABLES:
        return f"csv:{word}"
    problem = "which is a file" if path.is_file() else "which does not exist"
    raise InputError(
        f"`{argument}` must be a folder of photos, a table ({', '.join(TABLES)}), *.tfrecord files, digits or "
        f"tfds:NAME. "
        f"Received: {word!r}, {problem}.{nearest(path)}"
    )


def nearest_sibling(path: epath.PathLike) -> str:
    """Return the same hint for a path that may be a file or a folder."""
    return nearest(Path(path), lambda item: not item.name.startswith("."))


def nearest_run(path: epath.PathLike) -> str:
    """Return " Did you mean ...?" with the newest run in a folder such as `runs`, "" if there is none in it."""
    runs = [file for file in Path(path).glob("*/metrics.json") if (file.parent / "config.json").exists()]
    newest = max(runs, key=lambda file: file.stat().st_mtime, default=None)
    return f" Did you mean '{newest.parent}'?" if newest else ""


def nearest(path: Path, may_be: Callable[[Path], bool] = Path.is_dir) -> str:
    """Return " Did you mean ...?" with what stands beside a missing path under a similar name, "" if nothing does.

    Args:
        path: that is missing.
        may_be: says of a path whether it may be meant; the default takes folders.
    """
    parent = path.parent
    names = [item.name for item in parent.iterdir() if may_be(item)] if parent.is_dir() else []
    similar = difflib.get_close_matches(path.name, names, n=1, cutoff=0.5)
    return f" Did you mean '{parent / similar[0]}'?" if similar else ""
