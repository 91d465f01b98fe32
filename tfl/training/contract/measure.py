"""Measure how far one real step moves every variable, and undo the step."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfl.distribution.replicas import distribute_batch
from tfl.training.objective.losses import is_categorical, is_sparse, is_stock, plain
from tfl.training.update.batches import unpack
from tfl.training.update.step import Trainer

_EXAMPLES = 2
_FREE_SIZE = 32  # pixels per side, if the model has no fixed size
_LEARNING_RATES = (1e-2, 1e1, 1e4)  # fixed, because schedules end at zero; larger if the updates are below rounding
_SMALL_WEIGHT = np.float32(1e-3)
_RESOLUTION = 1e-3  # largest rounding error, relative to the update


@dataclasses.dataclass(frozen=True)
class Update:
    """Change of one variable in one step, without and with the learning-rate multipliers."""

    path: str
    plain: np.ndarray  # float64, 1-D
    scaled: np.ndarray
    rounding: float  # norm of the rounding error of an update of this variable


_INDICES = ("int32", "int64")


def measure_updates(trainer: Trainer) -> list[Update]:
    """Run the trainer's own step twice from the same state, with and without multipliers, and undo it.

    Args:
        trainer: the trainer of the last `fit`. Its model, optimizer, totals, metrics and seeds are restored before
            the function returns.

    Returns:
        One record per trainable variable.
    """
    updates: list[Update] = []
    for learning_rate in _LEARNING_RATES:
        with _learning_rate(trainer.optimizer, learning_rate):
            plain = _move(trainer, dataclasses.replace(trainer.options, multipliers={}))
            if not updates or all(np.isfinite(values).all() for values in plain):
                scaled = _move(trainer, trainer.options)
                updates = [
                    Update(v.path, p, s, _rounding(v.numpy()))
                    for v, p, s in zip(trainer.variables, plain, scaled, strict=True)
                ]
        if all(u.rounding <= _RESOLUTION * np.linalg.norm(u.plain) for u in updates):
            break
    return updates


def first_gradients(trainer: Trainer, start: Mapping[int, np.ndarray]) -> dict[str, float]:
    """Return the norm of the gradient of each trainable variable in the first step of training, by path.

    Args:
        trainer: the trainer of the last `fit`.
        start: `id(variable)` to its value before training.
    """
    with _undone(trainer):
        for variable in trainer.model.variables:
            if id(variable) in start:
                variable.assign(start[id(variable)])
        element = distribute_batch(trainer.strategy, trainer.first_batch())
        gradients = _in_graph(trainer, lambda: trainer.run(_gradients, trainer, element))
    norms = (0.0 if g is None else float(tf.norm(trainer.strategy.experimental_local_results(g)[0])) for g in gradients)
    return {v.path: norm for v, norm in zip(trainer.variables, norms, strict=True)}


def _in_graph(trainer: Trainer, step: Callable[[], Any]) -> Any:
    """Run a step once: on one replica eagerly, without the cost of a trace; on several replicas in a graph."""
    return step() if trainer.replicas == 1 else tf.function(step, autograph=False).get_concrete_function()()


def _gradients(trainer: Trainer, element: Any) -> list[Any]:
    return trainer.gradients(trainer.weigh_and_mix(unpack(element), tf.constant(0, tf.int64))).values


def _rounding(values: np.ndarray) -> float:
    """Return the norm of the distances to the next float; a zero counts as a small weight, because it is not exact."""
    return float(np.linalg.norm(np.spacing(np.maximum(np.abs(values), _SMALL_WEIGHT)).astype(np.float64).ravel()))


def _move(trainer: Trainer, options: Any) -> list[np.ndarray]:
    with _undone(trainer):
        before = [variable.numpy().astype(np.float64) for variable in trainer.variables]
        asked, trainer.options = trainer.options, options
        try:
            _in_graph(trainer, lambda: trainer._train_one(_noise(trainer), tf.constant(0, tf.int64)))
        finally:
            trainer.options = asked
        return [(v.numpy().astype(np.float64) - b).ravel() for v, b in zip(trainer.variables, before, strict=True)]


def _noise(trainer: Trainer) -> dict[str, tf.Tensor]:
    """Return one batch of noise, because the measurement is about the step and not about the data."""
    rng = np.random.default_rng(0)
    shape = [_FREE_SIZE if size is None else size for size in trainer.model.input_shape[1:]]
    num_outputs = trainer.model.output_shape[-1]
    dtype, first = trainer.model.input.dtype, unpack(trainer.first_batch())
    if dtype in _INDICES:  # noise would name rows that a table does not have
        inputs = np.asarray(first.inputs)[:_EXAMPLES]
    else:
        inputs = rng.uniform(0, 255, [_EXAMPLES, *shape]).astype(dtype)
    loss = plain(trainer.train_loss)
    if not is_stock(loss):  # only the data knows the labels of such a loss
        return {"input": tf.constant(inputs), "label": first.labels[:_EXAMPLES]}
    if is_sparse(loss) or is_categorical(loss):
        labels: np.ndarray = rng.integers(0, num_outputs, _EXAMPLES)
    else:
        labels = rng.integers(0, 2, [_EXAMPLES, num_outputs]).astype(np.float32)
    return {"input": tf.constant(inputs), "label": tf.constant(labels)}


@contextlib.contextmanager
def _learning_rate(optimizer: keras.optimizers.Optimizer, value: float) -> Iterator[None]:
    """Within the context the optimizer has a fixed learning rate; afterwards it gets its own rate or schedule back."""
    old = optimizer.__dict__["_learning_rate"]
    optimizer.__dict__["_learning_rate"] = keras.Variable(value, trainable=False)  # avoids the tracking of Keras
    try:
        yield
    finally:
        optimizer.__dict__["_learning_rate"] = old


@contextlib.contextmanager
def _undone(trainer: Trainer) -> Iterator[None]:
    totals = trainer.totals
    held: list[Any] = [*trainer.model.variables, *trainer.optimizer.variables]
    held += [variable for metric in trainer.metrics for variable in metric.variables]
    held += totals.variables()
    if trainer.average is not None:
        held += trainer.average.state()
    if trainer.loss_scale is not None:
        held += trainer.loss_scale.state()
    values = [variable.numpy() for variable in held]
    try:
        yield
    finally:
        for variable, value in zip(held, values, strict=True):
            variable.assign(value)
        trainer.records.take_steps()
        trainer.records.take_skipped_ids()
