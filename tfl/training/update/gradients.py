"""The objective of a batch and its gradients, without assigning anything: in one pass, or in several that add up."""

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

SEED = "seed_generator_state"  # how Keras names the state of a layer's random numbers
_REPLICA_OFFSET = 1_000_003  # between the seeds of two replicas


class Gradients(NamedTuple):
    """What one batch asks for."""

    values: list[Any]  # summed over the replicas; None where the loss does not depend on the variable
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
    """(1/N) sum L(y, f(x)) + penalty, over the global batch, and its gradients.

    Layers assign their state (BatchNorm statistics, seeds of dropout) while they run. In a stateless
    scope those assignments are caught, so that a step that is skipped leaves no trace.

    Args:
        model: a built model.
        loss: of training.
        accumulate: in so many passes one after the other, each over a part of the replica's examples; their
            gradients add up to those of one pass, in the memory of a part. BatchNorm that is trained sees
            the parts.
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
            batch: this replica's share.
            scale: the loss is multiplied by it before the gradients are taken, and they are divided by it.
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
        """Return by id(variable) the state that this replica starts from, where it is not the variable's own."""
        if replicas == 1:
            return {}
        offset = tf.stack([tf.cast(replica_number() * _REPLICA_OFFSET, tf.int64), 0])
        seeds = [v for v in self.state if v.name == SEED]
        return {id(v): tf.cast(tf.cast(v.value, tf.int64) + offset, v.dtype) for v in seeds}

    def _pass(self, *arguments: Any, synchronize: bool) -> _Pass:
        """Run forwards and backwards once; XLA needs a function of its own for it, whose captures are its inputs."""
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
                logits = tf.cast(self._forward(batch.images), tf.float32)
            losses = batch.real(per_example_loss(self.loss, batch.labels, logits) * batch.weights)
            pull = tf.add_n([penalty(self.model), *(tf.cast(loss, tf.float32) for loss in scope.losses)])
            objective = tf.reduce_sum(losses) / count + pull * share
            scaled = objective * scale
        changed = ((v, scope.get_current_value(v)) for v in self.state)
        state = {id(v): new for v, new in changed if new is not None}
        return _Pass(tape.gradient(scaled, values), objective, pull, logits, state)

    def _passes(self, batch: Batch, count: tf.Tensor, replicas: int, scale: Any, start: dict[int, tf.Tensor]) -> _Pass:
        """Go over the batch part by part, inside the graph, so that only one part's activations are in memory."""
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
        """Return the logits of training: what is frozen from the bottom up is run in inference mode."""
        if self.halves is None:
            return self.model(images, training=True)
        return self.halves.upper(self.halves.lower(images, training=False), training=True)

    def _same_everywhere(
        self, state: dict[int, tf.Tensor], start: dict[int, tf.Tensor], mine: tf.Tensor, count: tf.Tensor
    ) -> dict[int, tf.Tensor]:
        """Let all replicas end a step in the same state: the mean over the examples; seeds go on together."""
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
    """Return what layers change while they run: statistics and the states of random numbers, no frozen weights."""
    own: list[keras.Variable] = []
    for layer in model._flatten_layers():
        own += layer._non_trainable_variables
        own += [generator.state for generator in layer._seed_generators]
    known = {id(v) for v in model.variables}
    return list({id(v): v for v in own if id(v) in known}.values())


def _unscaled(gradient: tf.Tensor, scale: Any) -> tf.Tensor:
    return gradient if isinstance(scale, float) else gradient / tf.cast(scale, gradient.dtype)
