"""The workdir is the folder of one run: its files, and the rule that only one run at a time may write there."""

import contextlib
import csv
import io
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from etils import epath

from tfl.cluster import Cluster
from tfl.config import TransferConfig, differing_options, move_options
from tfl.errors import InputError
from tfl.files.existing import nearest, nearest_run
from tfl.files.locks import FileLock, try_lock_file
from tfl.files.reading import naming_file, read_json
from tfl.files.schemas import METRICS
from tfl.files.seed_folders import refuse_study
from tfl.files.spreadsheets import guard_cells
from tfl.files.writing import (
    expand_home,
    explained,
    is_local,
    make_folder,
    sweep_unfinished,
    write_atomically,
    write_text,
)
from tfl.progress import say

REPORT = "report.html"
AUDIT = "audit.csv"  # the findings of the short audit of a run
DECISIONS = "decisions.csv"  # what the decisions of a person changed in the data of a run
PRETRAINING = "pretraining.json"  # how a backbone was pre-trained without labels; such a run has no classifier
GROUPS = "groups.csv"  # the groups of the examples of a run with `data.groups`
EXAMPLES = "examples.csv"  # the examples of an updated run, which are its source
STATISTICS = "statistics.npz"  # the sums from which ridge regression solved the head
CHECKPOINTS = "checkpoints"  # folder of the states from which an interrupted run continues


def write_json(path: epath.PathLike, values: Any) -> None:
    """Write `values` as indented JSON, atomically. NaN is refused, because JSON has no NaN."""
    write_text(path, json.dumps(values, indent=2, allow_nan=False) + "\n")


def write_csv(path: epath.PathLike, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a table as CSV, atomically, in UTF-8 on every machine.

    Cells are written so that no spreadsheet takes one for a formula: see `tfl/files/spreadsheets.py`.
    """
    table = io.StringIO(newline="")
    csv.writer(table, lineterminator="\n").writerows(guard_cells([header, *rows]))
    content = table.getvalue().encode("utf-8", errors="surrogateescape")  # file names may not be UTF-8
    write_atomically(path, lambda temporary: temporary.write_bytes(content))


@contextlib.contextmanager
def naming_the_output(output: str) -> Iterator[None]:
    """Say that the output was written; name the option `output` in errors, because the user gave no `workdir`."""
    try:
        yield
    except InputError as error:
        raise InputError(str(error).replace("`workdir`", "`output`")) from error
    say(f"written: {output}")


class Workdir:
    """The folder of one run.

    A workdir belongs to one config. If you open it with another config, the error names the options that differ.
    While a run works in it, no other run can use it, in this process or another, until `release` or the end of the
    `with` block. A run is finished when its `metrics.json` exists: that file is written last.
    """

    def __init__(self, path: epath.PathLike) -> None:
        self.path = expand_home(path, "workdir")
        cluster = Cluster.from_environment()
        self.writes = cluster is None or cluster.is_chief
        self._lock: FileLock | None = None

    @classmethod
    def at(cls, path: epath.PathLike) -> "Workdir":
        """Return the folder with a path, which may exist or not.

        Raises:
            InputError: `path` is empty, or is a file.
        """
        if not str(path):
            raise InputError("`workdir` must name a folder. Received: ''.")
        workdir = cls(path)
        if workdir.path.exists() and not workdir.path.is_dir():
            raise InputError(f"`workdir` must be a folder. Received: {str(workdir.path)!r}, which is a file.")
        return workdir

    @classmethod
    def open(cls, path: epath.PathLike, config: dict[str, Any]) -> "Workdir":
        """Check that a run of `config` may use `path`; nothing is written yet, so a mistake leaves no files.

        If the folder belongs to an unfinished run, this run locks it at once.

        Raises:
            InputError: `path` is empty, is a file, is not writable, holds other files, belongs to another config, or
                another run works in it.
        """
        workdir = cls.at(path)
        refuse_study(workdir.path, "workdir")
        has_begun = (workdir / "config.json").exists()
        if has_begun:
            _check_same_config(workdir.path, workdir.read_config(), config)
        elif workdir.path.exists() and workdir.visible():
            raise InputError(
                f"`workdir` must be a new folder or the folder of an earlier run. Received: {str(workdir.path)!r}, "
                f"which has {workdir.visible()[0]!r} but no config.json."
            )
        if is_local(workdir.path) and not (workdir / "metrics.json").exists():
            _check_writable(workdir.path)
            if has_begun:
                workdir._claim()
        return workdir

    @classmethod
    def open_finished(cls, path: epath.PathLike, argument: str = "workdir") -> "Workdir":
        """Open the folder of a finished run; refuse the folder of a run that is not finished.

        Args:
            path: the folder.
            argument: the caller's name for it, for the message.

        Raises:
            InputError: the folder is not the folder of a run, or the run is not finished.
        """
        workdir = cls(path)
        refuse_study(workdir.path, argument)
        workdir.read_config()
        check_finished(workdir.path, argument)
        workdir.check_classifier(argument)
        return workdir

    def begin(self, config: dict[str, Any]) -> None:
        """Write the config: from now on the workdir belongs to this config, and to this run until `release`.

        With several workers only the chief writes the config, because only the chief writes files.
        Half-written files of a killed process are removed.

        Raises:
            InputError: another run works in it, or has worked in it since `open`.
        """
        if not self.writes:
            return
        if self._lock is None:
            self._claim()
            if (self / "config.json").exists():
                self.release()
                raise self._is_taken("another run has used it since this one started; start this run again")
        write_json(self / "config.json", config)
        if is_local(self.path):
            for folder in (self.path, self / CHECKPOINTS):
                sweep_unfinished(folder)

    def release(self) -> None:
        """Let other runs use the workdir."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _claim(self) -> None:
        """Lock the workdir against all other runs; an object store has no locks, so nothing is done there."""
        if not self.writes or not is_local(self.path):
            return
        try:
            make_folder(self.path)
            self._lock = try_lock_file(self / ".lock")
        except OSError as error:
            raise explained(error, self.path) from error
        if self._lock is None:
            raise self._is_taken("another run is using it")

    def _is_taken(self, reason: str) -> InputError:
        return InputError(f"`workdir` must be used by one run at a time. Received: {str(self.path)!r}: {reason}.")

    def __enter__(self) -> "Workdir":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def __truediv__(self, name: str) -> epath.Path:
        return self.path / name

    def __fspath__(self) -> str:
        return str(self.path)

    def read_config(self) -> dict[str, Any]:
        """Return the config that the workdir belongs to; options of an older version have their present names.

        Raises:
            InputError: there is no config, so this is not a workdir; or an option has two different values.
        """
        file = self / "config.json"
        if not file.exists():
            found = "has no config.json" if self.path.exists() else "does not exist"
            hint = nearest_run(self.path) if self.path.exists() else nearest(Path(self.path))
            raise InputError(
                f"`workdir` must be the folder of a run. Received: {str(self.path)!r}, which {found}.{hint}"
            )
        values = read_json(file)
        with naming_file(file):
            return move_options(values)

    def read_metrics(self) -> dict[str, Any] | None:
        """Return the metrics of the run, or None if the run is not finished."""
        file = self.path / "metrics.json"
        if not file.exists():
            return None
        self.check_classifier()
        return read_json(file, METRICS)

    def check_classifier(self, argument: str = "workdir") -> None:
        """Refuse a run that has pre-trained a backbone without labels, and so has no classifier.

        Args:
            argument: the caller's name for the folder, for the message.

        Raises:
            InputError: it is such a run.
        """
        if (self / PRETRAINING).exists():
            raise InputError(
                f"`{argument}` must be a run that learned labels. Received: {str(self.path)!r}, a backbone that was "
                f"pre-trained without labels. Did you mean --config.backbone.weights={self.path} in a new run?"
            )

    def visible(self) -> list[str]:
        """Return the names of the files and folders in the workdir, without hidden ones, in order."""
        return sorted(entry.name for entry in self.path.iterdir() if not entry.name.startswith("."))


def read_config(workdir: epath.PathLike) -> TransferConfig:
    """Read the config of a run.

    Args:
        workdir: its folder.

    Raises:
        InputError: there is no config, or it has an unknown option or a wrong value.
    """
    run = Workdir(workdir)
    values = run.read_config()
    with naming_file(run / "config.json"):
        return TransferConfig.from_dict(values).validate()


def is_from_folds(run: Workdir) -> bool:
    """Return whether the model of a finished run was solved on train and validation together.

    Its held-out predictions are then those of the folds, or of ridge regression without each example. A fine-tuned
    model has seen train alone.
    """
    kept = (run.read_metrics() or {}).get("kept")
    return read_config(run).probe.uses_validation and kept != "finetune"


def check_finished(path: epath.PathLike, argument: str) -> None:
    """Refuse the folder of an unfinished run; a folder that belongs to no run passes.

    Args:
        path: a folder.
        argument: the caller's name for it, for the message.

    Raises:
        InputError: the folder holds the config of a run, but not its results; or it holds the runs of a study.
    """
    path = epath.Path(path)
    refuse_study(path, argument)
    if (path / "config.json").exists() and not (path / "metrics.json").exists():
        raise InputError(
            f"`{argument}` must be a finished run. Received: {str(path)!r}, which has no metrics.json. The run is "
            "still training, or it was stopped and the same command continues it."
        )


def _check_writable(path: epath.Path) -> None:
    """Check the nearest existing folder now; otherwise hours of work could end at a folder that cannot be created."""
    existing = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    if not (existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)):
        reason = f"{existing} is read-only" if existing.is_dir() else f"{existing} is a file"
        raise InputError(f"`workdir` must be writable. Received: {str(path)!r}: {reason}.")


def _check_same_config(path: epath.Path, recorded: dict[str, Any], config: dict[str, Any]) -> None:
    differing = differing_options(recorded, config)
    if differing:
        raise InputError(
            f"`workdir` must be a new folder or the folder of a run with the same config. Received: {str(path)!r}, "
            f"which differs in {', '.join(differing)}."
        )
