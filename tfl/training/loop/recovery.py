"""Save and restore a training: its position, and everything that the next step depends on."""

import contextlib
import dataclasses
import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from etils import epath

from tfl.checkpoints.background import BackgroundWriter
from tfl.checkpoints.store import Checkpoint, CheckpointStore
from tfl.distribution.replicas import write_sums
from tfl.distribution.strategy import is_chief
from tfl.distribution.workers import Workers
from tfl.errors import InputError
from tfl.progress import say
from tfl.training.loop.plan import CheckpointOptions
from tfl.training.update.step import Trainer

_STATE = ("epoch", "batch", "epochs", "history", "steps", "stop_training", "fingerprint", "none")


@dataclasses.dataclass(frozen=True)
class Position:
    """The position of training: `epoch` complete epochs, and `batch` steps of the next epoch."""

    epoch: int = 0
    batch: int = 0


class Recovery:
    """Saves checkpoints of a running training, and restores a new training from a checkpoint.

    Args:
        trainer: trainer whose model, optimizer, totals and metrics are saved.
        callbacks: callbacks whose numbers (best value, patience, best weights) are saved.
        history: the record of the epochs so far.
        options: see `CheckpointOptions`.
    """

    def __init__(
        self,
        trainer: Trainer,
        callbacks: Sequence[keras.callbacks.Callback],
        history: keras.callbacks.History,
        options: CheckpointOptions,
    ) -> None:
        self.trainer, self.callbacks, self.history, self.options = trainer, callbacks, history, options
        self.store = CheckpointStore(options.folder, keep=options.keep)
        self.writer = BackgroundWriter(self.store)
        self._seconds = 0.0

    def restore(self) -> Position | None:
        """Restore trainer, callbacks and history from the newest checkpoint; return None if there is no checkpoint.

        Raises:
            InputError: the checkpoint belongs to another training.
        """
        with _reached(self.options.folder):
            checkpoint = self.store.load()
        step = 0 if checkpoint is None else checkpoint.step
        if Workers(self.trainer.strategy).mean(step) != [step]:
            raise InputError(
                "`checkpoint.folder` must be on a file system that all workers see. Received: "
                f"{self.options.folder}, where this worker finds step {step} and other workers find another step."
            )
        if checkpoint is None:
            return None
        missing = [name for name in _STATE if name not in checkpoint.state]
        if missing:
            raise InputError(
                f"`checkpoint.folder` must hold checkpoints of `tfl.fit`. Received: {self.options.folder}, where "
                f"{missing[0]!r} is missing."
            )
        _check_same(checkpoint.state["fingerprint"], dict(self.options.fingerprint))
        arrays, state, variables = checkpoint.arrays, checkpoint.state, self._variables()
        wrong = [name for name, v in variables.items() if name not in arrays or v.shape != arrays[name].shape]
        if wrong:
            raise InputError(
                f"`checkpoint.folder` must hold checkpoints of this model. Received: {self.options.folder}, "
                f"where {wrong[0]} is missing or has another shape."
            )
        summed = {id(v) for v in self.trainer.summed}
        sums = {name: v for name, v in variables.items() if id(v) in summed}
        write_sums(self.trainer.strategy, list(sums.values()), [arrays[name] for name in sums])
        for name in variables.keys() - sums.keys():
            variables[name].assign(tf.constant(arrays[name], variables[name].dtype))
        # The last callbacks may be new: an older version, or a start with other options, wrote the checkpoint.
        for place, (callback, none) in enumerate(zip(self.callbacks, state["none"], strict=False)):
            _set_numbers(callback, _below(arrays, f"callback/{place}/"), none)
        columns = _below(arrays, "history/")
        self.history.history = {name: columns[name].tolist() for name in state["history"]}
        self.history.epoch, self.history.steps = state["epochs"], state["steps"]
        self.trainer.model.stop_training = state["stop_training"]
        position = Position(state["epoch"], state["batch"])
        within = f", in epoch {position.epoch + 1} after {position.batch} of its batches" if position.batch else ""
        say(f"continuing from step {checkpoint.step}{within or f', after epoch {position.epoch}'}")
        return position

    def steps_until(self, batch: int) -> int | None:
        """Return the number of steps from step `batch` of the epoch to the next save; None without saves by steps."""
        every = self.options.every_steps
        return every - batch % every if every else None

    def is_due(self, batch: int, seconds: float) -> bool:
        """Add the seconds of the last call of the graph, and return whether a save is due."""
        self._seconds += seconds
        by_time = 0 < self.options.every_seconds <= self._seconds
        return by_time or (self.options.every_steps > 0 and batch % self.options.every_steps == 0)

    def save(self, position: Position, *, best: bool = False) -> None:
        """Copy the whole state and write it in the background while training continues; only the chief writes.

        All workers must call this method, because it reads sums over the replicas.

        Args:
            position: the position from which training will continue.
            best: whether the validation loss is the lowest so far. Such a checkpoint is kept in addition to the newest.
        """
        self._seconds = 0.0
        sums = {id(v): total for v, total in zip(self.trainer.summed, self.trainer.sums(), strict=True)}
        variables = self._variables()
        if not is_chief(self.trainer.strategy):
            return
        # These must be copies, because training continues while they are written.
        arrays = {name: np.array(sums.get(id(variable), variable).numpy()) for name, variable in variables.items()}
        for place, callback in enumerate(self.callbacks):
            arrays |= {f"callback/{place}/{name}": value for name, value in _numbers(callback).items()}
        arrays |= {f"history/{name}": np.asarray(column) for name, column in self.history.history.items()}
        of_this_epoch = int(self.trainer.totals.steps.numpy()) if position.batch else 0
        state = {
            "epoch": position.epoch,
            "batch": position.batch,
            "epochs": list(self.history.epoch),
            "history": list(self.history.history),
            "steps": self.history.steps,
            "stop_training": bool(self.trainer.model.stop_training),
            "fingerprint": dict(self.options.fingerprint),
            "none": [[name for name, v in vars(c).items() if v is None] for c in self.callbacks],
        }
        self.writer.submit(Checkpoint(self.history.steps + of_this_epoch, arrays, state), best=best)

    def finish(self) -> None:
        """Wait until everything is on disk."""
        with _reached(self.options.folder):
            self.writer.wait()

    def _variables(self) -> dict[str, tf.Variable]:
        """Return every variable that the next step reads, by name."""
        trainer = self.trainer
        groups: dict[str, Sequence[Any]] = {
            "model": trainer.model.variables,
            "optimizer": trainer.optimizer.variables,
            "totals": trainer.totals.variables(),
            "metrics": [v for metric in trainer.metrics for v in metric.variables],
            "average": [] if trainer.average is None else trainer.average.state(),
            "loss_scale": [] if trainer.loss_scale is None else trainer.loss_scale.state(),
        }
        return {
            f"{group}/{place}": variable.value if isinstance(variable, keras.Variable) else variable
            for group, members in groups.items()
            for place, variable in enumerate(members)
        }


@contextlib.contextmanager
def _reached(folder: epath.PathLike) -> Iterator[None]:
    """Turn errors of an object store into one line; errors about local files are already clear."""
    try:
        yield
    except tf.errors.OpError as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"`checkpoint.folder` must be a usable folder. Received: {folder}: {reason}.") from error


def _numbers(callback: keras.callbacks.Callback) -> dict[str, np.ndarray]:
    """Return the numeric state of a callback by name: its best value, its patience counter, the best weights.

    The arguments of its constructor are left out: Keras changes the sign of `min_delta` when it first reads the
    metric, so restoring this value would be wrong.
    """
    found: dict[str, np.ndarray] = {}
    made_with = inspect.signature(type(callback).__init__).parameters
    for name, value in vars(callback).items():
        if name in made_with:
            continue
        if isinstance(value, (bool, int, float, np.number, np.ndarray)):
            found[name] = np.asarray(value)
        elif isinstance(value, list) and value and all(isinstance(item, np.ndarray) for item in value):
            found |= {f"{name}[{place}]": item for place, item in enumerate(value)}
    return found


def _set_numbers(callback: keras.callbacks.Callback, values: dict[str, np.ndarray], none: Sequence[str]) -> None:
    lists: dict[str, list[np.ndarray]] = {}
    for name, value in values.items():
        if name.endswith("]"):
            lists.setdefault(name.partition("[")[0], []).append(value)
        else:
            setattr(callback, name, value.item() if value.ndim == 0 else value)
    for name, items in lists.items():
        setattr(callback, name, items)
    for name in none:
        if name in vars(callback) and isinstance(getattr(callback, name), (int, float, list, np.ndarray)):
            setattr(callback, name, None)


def _below(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): values for name, values in arrays.items() if name.startswith(prefix)}


def _check_same(there: dict[str, Any], here: dict[str, Any]) -> None:
    names = sorted(name for name in there.keys() | here.keys() if there.get(name) != here.get(name))
    if names:
        differing = ", ".join(f"{name}={here.get(name)!r} (recorded: {there.get(name)!r})" for name in names)
        raise InputError(
            f"`checkpoint.folder` must hold checkpoints of the same training. Received: it differs in {differing}."
        )
