"""The graph of training: one guarded step, many steps per call, and exact totals.

Everything that an epoch must report is accumulated in variables, so the host waits for the graph a few
times per second, not at every step.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfl.errors import InputError
from tfl.models.cuts import split_frozen
from tfl.models.regularization import penalty
from tfl.training.averaging import WeightAverage
from tfl.training.batches import Batch, unpack
from tfl.training.fused_norm import fused_norms
from tfl.training.losses import align_labels, per_example_loss
from tfl.training.mixing import mix_batch, mix_seed


@dataclasses.dataclass(frozen=True)
class StepOptions:
    """What one training step does besides the plain gradient step.

    Attributes:
        multipliers: `variable.path` to the factor of its update; 1 where it is absent.
        clip_norm: global norm that gradients are scaled down to; 0 for off.
        ema: momentum of the average of the weights; 0 for off.
        class_weight: class number to weight; 1 where it is absent.
        mixup: parameter of mixup's Beta distribution; 0 for off.
        cutmix: parameter of CutMix's Beta distribution; 0 for off.
        seed: of the mixing.
    """

    multipliers: Mapping[str, float] = dataclasses.field(default_factory=dict)
    clip_norm: float = 0.0
    ema: float = 0.0
    class_weight: Mapping[int, float] | None = None
    mixup: float = 0.0
    cutmix: float = 0.0
    seed: int = 0


def _total(dtype: tf.DType) -> tf.Variable:
    return tf.Variable(
        tf.zeros((), dtype),
        trainable=False,
        synchronization=tf.VariableSynchronization.ON_READ,
        aggregation=tf.VariableAggregation.SUM,
    )


class Totals:
    """Sums over the examples of an epoch, in float64: the last batch may be short, and all count the same."""

    def __init__(self) -> None:
        self.loss, self.penalty, self.examples = _total(tf.float64), _total(tf.float64), _total(tf.float64)
        self.seen, self.steps, self.skipped = _total(tf.int64), _total(tf.int64), _total(tf.int64)
        self.skipped_ids = tf.Variable(tf.constant([], tf.string), shape=[None], trainable=False)

    def reset(self) -> None:
        for total in (self.loss, self.penalty, self.examples, self.seen, self.steps, self.skipped):
            total.assign(tf.zeros_like(total))
        self.skipped_ids.assign(tf.constant([], tf.string))

    def add(self, loss: tf.Tensor, penalty: tf.Tensor, count: tf.Tensor) -> None:
        count = tf.cast(count, tf.float64)
        self.loss.assign_add(tf.cast(loss, tf.float64) * count)
        self.penalty.assign_add(tf.cast(penalty, tf.float64) * count)
        self.examples.assign_add(count)


class Trainer:
    """The compiled training and evaluation of one model, for the layers that are trainable now.

    Args:
        model: a built model whose optimizer is built for its trainable variables.
        losses: of training and of evaluation (which has no label smoothing).
        metrics: updated after every step that is applied.
        options: see `StepOptions`.
    """

    def __init__(
        self,
        model: keras.Model,
        losses: tuple[keras.losses.Loss, keras.losses.Loss],
        metrics: tuple[keras.metrics.Metric, ...],
        options: StepOptions,
    ) -> None:
        self.model, self.optimizer, self.metrics, self.options = model, model.optimizer, metrics, options
        self.train_loss, self.test_loss = losses
        self.halves = split_frozen(model)
        self.strategy = tf.distribute.get_strategy()
        self.variables = model.trainable_variables
        self.state = [v for v in model.variables if not v.trainable]
        self.average = WeightAverage(self.variables, options.ema) if options.ema else None
        self.totals = Totals()
        self.first_batch: Callable[[], Any] = tuple  # gives that of the last `fit`, for the contract
        self.train_steps = tf.function(self._train_steps, autograph=False, reduce_retracing=True)
        self.test_steps = tf.function(self._test_steps, autograph=False, reduce_retracing=True)
        self.train_one = tf.function(self._train_one, autograph=False, reduce_retracing=True)
        self.test_one = tf.function(self._test_one, autograph=False, reduce_retracing=True)

    def _train_one(self, element: Any, epoch: tf.Tensor) -> None:
        self.strategy.run(self._train_step, args=(element, epoch))

    def _test_one(self, element: Any, epoch: tf.Tensor) -> None:
        self.strategy.run(self._test_step, args=(element,))

    def _train_steps(self, iterator: Any, count: tf.Tensor, epoch: tf.Tensor) -> None:
        _repeat(count, lambda: self._train_one(next(iterator), epoch))

    def _test_steps(self, iterator: Any, count: tf.Tensor, epoch: tf.Tensor) -> None:
        _repeat(count, lambda: self._test_one(next(iterator), epoch))

    def begin_epoch(self) -> None:
        self.totals.reset()
        for metric in self.metrics:
            metric.reset_state()

    def results(self) -> dict[str, float]:
        """Return the epoch so far: mean loss over its examples (with the penalty), and the metrics."""
        examples = float(self.totals.examples)
        results = {"loss": float(self.totals.loss) / examples if examples else float("nan")}
        for metric in self.metrics:
            results[metric.name] = float(metric.result())
        return results

    def gradients(self, batch: Batch) -> tuple[list[Any], tf.Tensor, tf.Tensor, tf.Tensor, dict[int, tf.Tensor]]:
        """Return gradients, objective, its penalty, logits and new layer state of a batch; nothing is assigned.

        Layers assign their state (BatchNorm statistics, seeds of dropout) while they run. In a stateless
        scope those assignments are caught, so that a step that is skipped leaves no trace.
        """
        count = self._sum(tf.cast(tf.shape(batch.weights)[0], tf.float32))
        values = [variable.value for variable in self.variables]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(values)
            with (
                keras.StatelessScope(collect_losses=True) as scope,
                fused_norms(self.model),
            ):
                logits = self._forward(batch.images)
            losses = per_example_loss(self.train_loss, batch.labels, logits)
            pull = tf.add_n([penalty(self.model), *(tf.cast(loss, tf.float32) for loss in scope.losses)])
            share = tf.reduce_sum(losses * batch.weights) / count + pull / self.strategy.num_replicas_in_sync
        gradients = [None if g is None else self._sum(tf.convert_to_tensor(g)) for g in tape.gradient(share, values)]
        changed = ((v, scope.get_current_value(v)) for v in self.state)
        return gradients, self._sum(share), pull, logits, {id(v): new for v, new in changed if new is not None}

    def _forward(self, images: Any) -> tf.Tensor:
        """Return the logits of training: what is frozen from the bottom up is run in inference mode."""
        if self.halves is None:
            return self.model(images, training=True)
        return self.halves.upper(self.halves.lower(images, training=False), training=True)

    def _train_step(self, element: Any, epoch: tf.Tensor) -> None:
        batch = self.weigh_and_mix(unpack(element), epoch)
        gradients, loss, pull, logits, state = self.gradients(batch)
        pairs = [(g, v) for g, v in zip(gradients, self.variables, strict=True) if g is not None]
        if not pairs:
            raise InputError("`model` must have a trainable variable that the loss depends on.")
        norm = tf.linalg.global_norm([g for g, _ in pairs])
        finite = tf.math.is_finite(loss) & tf.math.is_finite(norm)
        for value in state.values():
            if value.dtype.is_floating:
                finite &= tf.reduce_all(tf.math.is_finite(value))

        def apply() -> None:
            self._apply(pairs, norm)
            for variable in self.state:
                if id(variable) in state:
                    variable.assign(state[id(variable)])
            if self.average is not None:
                self.average.update()
            self.totals.add(loss, pull, tf.shape(batch.weights)[0])
            self._update_metrics(batch.labels, logits)

        def skip() -> None:
            self.totals.skipped.assign_add(1)
            count = tf.shape(batch.weights, out_type=tf.int64)[0]
            ids = self.totals.seen + tf.range(count) if batch.ids is None else batch.ids
            ids = ids if ids.dtype == tf.string else tf.strings.as_string(ids)
            self.totals.skipped_ids.assign(tf.concat([self.totals.skipped_ids, ids], axis=0))

        tf.cond(finite, apply, skip)
        self.totals.seen.assign_add(tf.shape(batch.weights, out_type=tf.int64)[0])
        self.totals.steps.assign_add(1)

    def _apply(self, pairs: list[tuple[tf.Tensor, keras.Variable]], norm: tf.Tensor) -> None:
        scale = 1.0 / self.strategy.num_replicas_in_sync  # the optimizer sums over the replicas once more
        if self.options.clip_norm:
            scale *= tf.minimum(1.0, self.options.clip_norm / norm)
        slowed = [(v, self.options.multipliers.get(v.path, 1.0)) for _, v in pairs]
        before = [(v, tf.identity(v.value), factor) for v, factor in slowed if factor != 1.0]
        gradients = [g if isinstance(scale, float) and scale == 1.0 else g * tf.cast(scale, g.dtype) for g, _ in pairs]
        self.optimizer.apply(gradients, [v for _, v in pairs])
        for variable, old, factor in before:
            # The update is scaled, not the gradient, whose scale Adam divides out again.
            variable.assign(old + tf.cast(factor, old.dtype) * (variable.value - old))

    def _test_step(self, element: Any) -> None:
        batch = unpack(element)
        with fused_norms(self.model):
            logits = self.model(batch.images, training=False)
        losses = per_example_loss(self.test_loss, batch.labels, logits)
        count = tf.cast(tf.shape(batch.weights)[0], tf.float64)
        mean = tf.reduce_sum(tf.cast(losses * batch.weights, tf.float64)) / count
        self.totals.add(mean, tf.zeros(()), count)
        self.totals.seen.assign_add(tf.cast(count, tf.int64))
        self._update_metrics(batch.labels, logits)

    def _update_metrics(self, labels: tf.Tensor, logits: tf.Tensor) -> None:
        for metric in self.metrics:
            metric.update_state(align_labels(labels, logits, metric), logits)

    def weigh_and_mix(self, batch: Batch, epoch: tf.Tensor) -> Batch:
        """Return a batch as the step sees it: class weights multiplied in, images and labels mixed."""
        options, labels, weights = self.options, batch.labels, batch.weights
        if options.class_weight is not None:
            numbers = tf.argmax(labels, -1) if labels.shape.rank == 2 and labels.shape[-1] != 1 else labels
            table = np.ones(max(options.class_weight) + 1, np.float32)
            table[list(options.class_weight)] = list(options.class_weight.values())
            numbers = tf.cast(tf.reshape(numbers, [-1]), tf.int64)
            known = numbers < len(table)
            weights *= tf.where(known, tf.gather(table, tf.where(known, numbers, 0)), 1.0)
        if not (options.mixup or options.cutmix):
            return batch._replace(weights=weights)
        num_outputs = self.model.output_shape[-1]
        if labels.shape.rank == 1 and num_outputs > 1:
            labels = tf.one_hot(tf.cast(labels, tf.int64), num_outputs)
        images, labels, weights = mix_batch(
            batch.images,
            tf.cast(labels, tf.float32),
            weights,
            alphas=(options.mixup, options.cutmix),
            seed=mix_seed(options.seed, epoch, self.totals.steps),
        )
        return Batch(images, labels, weights, batch.ids)

    def _sum(self, value: tf.Tensor) -> tf.Tensor:
        """Add up over the replicas."""
        context = tf.distribute.get_replica_context()
        if self.strategy.num_replicas_in_sync == 1 or context is None:
            return value
        return context.all_reduce(tf.distribute.ReduceOp.SUM, value)


def _repeat(count: tf.Tensor, body: Any) -> None:
    def once(done: tf.Tensor) -> tuple[tf.Tensor]:
        body()
        return (done + 1,)

    tf.while_loop(lambda done: done < count, once, [tf.constant(0, tf.int64)])
