"""Compute the objective of a batch and its gradients, in one or several passes, without changing any variable."""

import functools
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from tfl.distribution.replicas import replica_number, sum_over_replicas
from tfl.models.cuts import split_frozen
from tfl.models.regularization import penalty
from tfl.training.objective.losses import per_example_loss
from tfl.training.update.batches import Batch
from tfl.training.update.fused_norm import Real

SEED = "seed_generator_state"  # the name that Keras gives to the state of a layer's random numbers
_REPLICA_OFFSET = 1_000_003  # between the seeds of two replicas


class Gradients(NamedTuple):
    """Gradients, objective and new layer state of one batch."""

    values: list[Any]  # summed over the replicas; None if the loss does not depend on the variable
    objective: tf.Tensor  # over the global batch, with the penalty
    penalty: tf.Tensor
    logits: tf.Tensor  # float32, of this replica's examples
    state: dict[int, tf.Tensor]  # id(variable) to its new value
    count: tf.Tensor  # examples of the global batch


class _Pass(NamedTuple):
    gradients: list[Any]
    share: tf.Tensor
    pull: tf.Tensor
    logits: tf.Tensor
    state: dict[int, tf.Tensor]


class Objective:
    """The objective (1/N) sum L(y, f(x)) + penalty over the global batch, and its gradients.

    Layers assign their state (BatchNorm statistics, seeds of dropout) while they run. A stateless scope captures these
    assignments, so a skipped step changes nothing.

    Args:
        model: a built model.
        loss: the training loss.
        accumulate: number of passes, one after the other, each over a part of the replica's examples. Their gradients
            add up to those of one pass, but need the memory of one part only. Trained BatchNorm sees the parts.
        jit_compile: let XLA compile each pass, forward and backward.
    """

    def __init__(
        self, model: keras.Model, loss: keras.losses.Loss, accumulate: int = 1, *, jit_compile: bool = False
    ) -> None:
        self.model, self.loss, self.accumulate, self.jit_compile = model, loss, accumulate, jit_compile
        self.halves, self.real = split_frozen(model), Real()
        self.variables = model.trainable_variables
        self.state = _state_of(model)

    def __call__(self, batch: Batch, scale: Any = 1.0) -> Gradients:
        """Return objective and gradients of a batch.

        Args:
            batch: the share of this replica.
            scale: factor of the loss during the backward pass; the gradients are divided by it afterwards.
        """
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        count = sum_over_replicas(tf.cast(batch.count, tf.float32))
        start = self._start(replicas)
        if self.accumulate == 1:
            passed = self._pass(batch, count, 1.0 / replicas, scale, start, synchronize=replicas > 1)
        else:
            passed = self._passes(batch, count, replicas, scale, start)
        known = [tf.convert_to_tensor(g) for g in passed.gradients if g is not None]
        sums = iter(sum_over_replicas([*known, passed.share]))
        values = [None if g is None else _unscaled(next(sums), scale) for g in passed.gradients]
        state = passed.state if replicas == 1 else self._same_everywhere(passed.state, start, batch.count, count)
        return Gradients(values, next(sums), passed.pull, passed.logits, state, count)

    def _start(self, replicas: int) -> dict[int, tf.Tensor]:
        """Return the start state of this replica by id(variable), if it differs from the value of the variable."""
        if replicas == 1:
            return {}
        offset = tf.stack([tf.cast(replica_number() * _REPLICA_OFFSET, tf.int64), 0])
        seeds = [v for v in self.state if v.name == SEED]
        return {id(v): tf.cast(tf.cast(v.value, tf.int64) + offset, v.dtype) for v in seeds}

    def _pass(self, *arguments: Any, synchronize: bool) -> _Pass:
        """Run forward and backward once; XLA needs a separate function for this, whose inputs are its captures."""
        run = functools.partial(self._run, *arguments, synchronize=synchronize)
        return tf.function(run, autograph=False, jit_compile=True)() if self.jit_compile else run()

    def _run(
        self, batch: Batch, count: tf.Tensor, share: Any, scale: Any, start: dict[int, tf.Tensor], *, synchronize: bool
    ) -> _Pass:
        values = [variable.value for variable in self.variables]
        mapping = [(v, start[id(v)]) for v in self.state if id(v) in start]
        self.real.count = batch.count if synchronize else None  # BatchNorm then sees the examples of all replicas
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(values)
            with keras.StatelessScope(state_mapping=mapping, collect_losses=True) as scope:
                logits = tf.cast(self._forward(batch.inputs), tf.float32)
            losses = batch.real(per_example_loss(self.loss, batch.labels, logits) * batch.weights)
            pull = tf.add_n([penalty(self.model), *(tf.cast(loss, tf.float32) for loss in scope.losses)])
            objective = tf.reduce_sum(losses) / count + pull * share
            scaled = objective * scale
        changed = ((v, scope.get_current_value(v)) for v in self.state)
        state = {id(v): new for v, new in changed if new is not None}
        return _Pass(tape.gradient(scaled, values), objective, pull, logits, state)

    def _passes(self, batch: Batch, count: tf.Tensor, replicas: int, scale: Any, start: dict[int, tf.Tensor]) -> _Pass:
        """Run the batch part by part inside the graph, so that only the activations of one part are in memory."""
        size = tf.shape(batch.weights)[0]
        part = -(-size // self.accumulate)
        number = -(-size // part)
        share = 1.0 / (replicas * tf.cast(number, tf.float32))
        begin = {id(v): start.get(id(v), tf.convert_to_tensor(v.value)) for v in self.state}
        unconnected: list[bool] = []

        def add_part(i: tf.Tensor, sums: Any, objective: Any, logits: Any, state: Any) -> tuple[Any, ...]:
            before = dict(zip(begin, state, strict=True))
            passed = self._pass(batch.part(i * part, (i + 1) * part), count, share, scale, before, synchronize=False)
            unconnected[:] = [g is None for g in passed.gradients]
            sums = [s if g is None else s + g for s, g in zip(sums, passed.gradients, strict=True)]
            after = list((before | passed.state).values())
            return i + 1, sums, objective + passed.share, logits.write(i, passed.logits), after

        zeros = [tf.zeros(v.shape, v.dtype) for v in self.variables]
        shape = [None, *self.model.output_shape[1:]]
        rows = tf.TensorArray(tf.float32, size=number, infer_shape=False, element_shape=shape)
        loop = (tf.constant(0), zeros, tf.constant(0.0), rows, list(begin.values()))
        _, sums, objective, rows, state = tf.while_loop(lambda i, *_: i < number, add_part, loop, parallel_iterations=1)
        gradients = [None if absent else total for absent, total in zip(unconnected, sums, strict=True)]
        return _Pass(gradients, objective, penalty(self.model), rows.concat(), dict(zip(begin, state, strict=True)))

    def _forward(self, images: Any) -> tf.Tensor:
        """Return the logits in training; the layers that are frozen from the bottom up run in inference mode."""
        if self.halves is None:
            return self.model(images, training=True)
        return self.halves.upper(self.halves.lower(images, training=False), training=True)

    def _same_everywhere(
        self, state: dict[int, tf.Tensor], start: dict[int, tf.Tensor], mine: tf.Tensor, count: tf.Tensor
    ) -> dict[int, tf.Tensor]:
        """Return the same new state for all replicas: the mean over the examples, and seeds that advance together."""
        share = tf.cast(mine, tf.float32) / count
        floating = {key: new for key, new in state.items() if new.dtype.is_floating}
        means = sum_over_replicas([tf.cast(new, tf.float32) * share for new in floating.values()]) if floating else []
        merged = {key: tf.cast(mean, state[key].dtype) for key, mean in zip(floating, means, strict=True)}
        for variable in self.state:
            key = id(variable)
            if key in state and key in start:
                merged[key] = variable.value + (state[key] - start[key])
        return merged


def _state_of(model: keras.Model) -> list[keras.Variable]:
    """Return the variables that layers change while they run: statistics and random states, but no frozen weights."""
    own: list[keras.Variable] = []
    for layer in model._flatten_layers():
        own += layer._non_trainable_variables
        own += [generator.state for generator in layer._seed_generators]
    known = {id(v) for v in model.variables}
    return list({id(v): v for v in own if id(v) in known}.values())


def _unscaled(gradient: tf.Tensor, scale: Any) -> tf.Tensor:
    return gradient if isinstance(scale, float) else gradient / tf.cast(scale, gradient.dtype)
