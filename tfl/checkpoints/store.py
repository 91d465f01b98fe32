"""The store of checkpoints: after any crash, at any moment, it finds the newest complete checkpoint.

Each checkpoint is a folder `step_00000123` (`step_00000123-1` if that name is taken). The folder is written under a
temporary name, forced to the disk and renamed. Then the file `LATEST` is replaced, which names the current checkpoint.
Old checkpoints are deleted last.
"""

import contextlib
import re
from collections.abc import Iterable, Iterator

from etils import epath

from tfl.checkpoints.format import (
    MANIFEST,
    Checkpoint,
    DamagedError,
    read_checkpoint,
    read_manifest,
    read_sealed,
    write_checkpoint,
    write_sealed,
)
from tfl.errors import InputError
from tfl.files.writing import sweep_unfinished, sync, write_atomically, write_folder_atomically
from tfl.progress import say

_LATEST = "LATEST"
_NAME = re.compile(r"step_(\d{8,})(?:-(\d+))?")  # of a checkpoint: its step, and the number of the attempt


class CheckpointStore:
    """A folder of checkpoints that one process writes; other processes may read it.

    After a crash at any moment, a full disk, a flipped bit or a truncated file, `load` still finds a complete
    checkpoint: the new one, or the one before it. Other files in the folder are not touched. In an object store
    (`gs://`) folders cannot be renamed: there a checkpoint is valid when its manifest exists, which is written last.

    Args:
        folder: created at the first save, if it does not exist.
        keep: number of newest checkpoints to keep, at least 1; the best one is kept too.

    Raises:
        InputError: `keep` is less than 1.

    Example:
        >>> store = CheckpointStore("runs/flowers/checkpoints", keep=2)
        >>> store.save(Checkpoint(120, {"head/kernel": kernel}, {"epoch": 3}), best=True)
        >>> store.load().step
        120
    """

    def __init__(self, folder: epath.PathLike, *, keep: int = 2) -> None:
        if keep < 1:
            raise InputError(f"`checkpoint.keep` must be at least 1. Received: keep={keep}.")
        self.folder, self.keep = epath.Path(folder).expanduser(), keep
        self._is_swept = False  # only the writer may delete unfinished files
        self._line: dict[str, str] | None = None  # checkpoint of this training, the newest last -> the best one then

    def save(self, checkpoint: Checkpoint, *, best: bool = False) -> None:
        """Write a checkpoint; after this returns, `load` gives this checkpoint, even after a power failure.

        Args:
            checkpoint: its step may have been saved before, as in a resumed run.
            best: whether it is the best one so far, for `load_best`.

        Raises:
            InputError: the disk is full or the folder is not writable; the other checkpoints are unchanged.
        """
        with _explained(self.folder):
            if not self._is_swept:
                sweep_unfinished(self.folder)
                self._is_swept = True
            if self._line is None:
                self._line = self._read_line(self._newest_first()[0])
            name = self._free_name(checkpoint.step)
            best_name = name if best else next(reversed(self._line.values()), "")
            self._write(name, checkpoint, best_name)
            # Checkpoints with this step or a later one belong to an abandoned part of the training.
            line = {there: of for there, of in self._line.items() if _order(there)[0] < checkpoint.step}
            self._line = self._prune({**line, name: best_name})

    def _write(self, name: str, checkpoint: Checkpoint, best: str) -> None:
        write_folder_atomically(self.folder / name, lambda folder: write_checkpoint(folder, checkpoint, best))
        try:
            write_atomically(self.folder / _LATEST, lambda file: write_sealed(file, {"folder": name}))
        except InputError:  # the next attempt needs the disk space
            if self._read_latest() != name:
                self._remove(name)
            raise

    def load(self) -> Checkpoint | None:
        """Return the newest complete checkpoint, or None if there are no checkpoints.

        A damaged checkpoint is skipped for the one before it, and one printed line names both.

        Raises:
            InputError: there are checkpoints, but all of them are damaged.
        """
        with _explained(self.folder):
            names, damage = self._newest_first()
            found = self._read_first_whole(names, damage)
            if found is not None:
                name, checkpoint = found
                self._line = self._read_line(names[names.index(name) :])
                return checkpoint
        if damage:
            raise InputError(
                f"`checkpoint.folder` must hold an undamaged checkpoint, or none. Received: {'; '.join(damage)}. "
                "To begin again, remove the folder."
            )
        return None

    def load_best(self) -> Checkpoint | None:
        """Return the best checkpoint up to the newest one, or None if none was ever marked as the best.

        A damaged checkpoint is skipped for the earlier best one that still exists, and one printed line says so.
        """
        with _explained(self.folder):
            names, damage = self._newest_first()
            best_names = reversed(self._read_line(names).values())
            found = self._read_first_whole(filter(None, dict.fromkeys(best_names)), damage)
        if found is None:
            _say_damage(damage, None)
            return None
        return found[1]

    def _read_first_whole(self, names: Iterable[str], damage: list[str]) -> tuple[str, Checkpoint] | None:
        """Return the first complete checkpoint with its name; append damaged ones to `damage`, and print them."""
        for name in names:
            try:
                checkpoint = read_checkpoint(self.folder / name)
            except DamagedError as error:
                damage.append(str(error))
                continue
            _say_damage(damage, self.folder / name)
            return name, checkpoint
        return None

    def _names(self) -> list[str]:
        """Return the names of all checkpoint folders, complete or not, sorted by step."""
        entries = self.folder.iterdir() if self.folder.exists() else ()
        return sorted((entry.name for entry in entries if _NAME.fullmatch(entry.name)), key=_order)

    def _newest_first(self) -> tuple[list[str], list[str]]:
        """Return the names of the checkpoints to try, the newest first, and the damage that is already known."""
        names = [name for name in reversed(self._names()) if (self.folder / name / MANIFEST).exists()]
        try:
            latest = self._read_latest()
        except DamagedError as error:
            return names, [str(error)]
        if latest in names:
            return names[names.index(latest) :], []
        return names, [f"{self.folder / latest / MANIFEST} is missing"] if latest else []

    def _read_latest(self) -> str:
        """Return the name of the current checkpoint; "" if no save was ever completed."""
        pointer = self.folder / _LATEST
        return read_sealed(pointer)["folder"] if pointer.exists() else ""

    def _read_line(self, newest_first: list[str]) -> dict[str, str]:
        """Return for each checkpoint, the newest last, the name of the best checkpoint at that time."""
        line = {}
        for name in reversed(newest_first):
            with contextlib.suppress(DamagedError):
                line[name] = read_manifest(self.folder / name)["best"]
        return line

    def _free_name(self, step: int) -> str:
        attempts = [attempt for taken, attempt in map(_order, self._names()) if taken == step]
        return f"step_{step:08d}" + (f"-{max(attempts) + 1}" if attempts else "")

    def _prune(self, line: dict[str, str]) -> dict[str, str]:
        """Keep the newest checkpoints of `line` and their best ones, and delete all others; return the kept ones."""
        kept = set(list(line)[-self.keep :])
        kept |= {line[name] for name in kept}
        for name in self._names():
            if name not in kept:
                with contextlib.suppress(OSError):  # no error: the save has succeeded, and the next save tries again
                    self._remove(name)
        return {name: best for name, best in line.items() if name in kept}

    def _remove(self, name: str) -> None:
        """Delete a checkpoint, its manifest first: a crash in between must not leave a damaged checkpoint."""
        folder = self.folder / name
        (folder / MANIFEST).unlink(missing_ok=True)
        sync(folder)
        folder.rmtree(missing_ok=True)


def _order(name: str) -> tuple[int, int]:
    """Return the step and the attempt in the name of a checkpoint folder."""
    match = _NAME.fullmatch(name)
    return (int(match[1]), int(match[2] or 0)) if match else (-1, -1)


def _say_damage(damage: list[str], instead: epath.Path | None) -> None:
    if damage:
        say(f"checkpoint damaged: {'; '.join(damage)}. Continuing from {instead or 'no checkpoint'}.")


@contextlib.contextmanager
def _explained(folder: epath.Path) -> Iterator[None]:
    """Name the option `checkpoint.folder` in errors, as one line."""
    try:
        yield
    except InputError as error:
        raise InputError(str(error).replace("`workdir`", "`checkpoint.folder`", 1)) from error
    except OSError as error:
        reason = error.strerror or error
        raise InputError(
            f"`checkpoint.folder` must be a usable folder. Received: {str(folder)!r}: {reason}."
        ) from error
