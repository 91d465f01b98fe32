"""The graph of training: one guarded step, many steps per call, and exact totals.

The graph accumulates everything that an epoch reports in variables. So the host waits for the graph only a few times
per second, and not at every step.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfl.distribution.replicas import apply_on_replica, gather_over_replicas, read_sums, write_sums
from tfl.errors import InputError
from tfl.training.objective.calibrated_loss import CalibratedLoss
from tfl.training.objective.losses import can_mix, label_rows, per_example_loss, values_at_fault
from tfl.training.objective.metrics import build_metric, feed_metric
from tfl.training.update.averaging import WeightAverage, averaged_variables
from tfl.training.update.batches import Batch, unpack, without_hidden_nan
from tfl.training.update.fused_norm import fused_norms
from tfl.training.update.gradients import Objective
from tfl.training.update.loss_scale import LossScale, repeat_while_overflowing, uses_float16
from tfl.training.update.mixing import Examples, mix_batch, mix_seed
from tfl.training.update.records import Records


@dataclasses.dataclass(frozen=True)
class StepOptions:
    """Options of a training step, in addition to the plain gradient step.

    Attributes:
        multipliers: `variable.path` to the factor of its update; 1 for absent paths.
        clip_norm: largest global norm of the gradients; larger gradients are scaled down to it. 0 for off.
        ema: momentum of the average of the weights; 0 for off.
        class_weight: class number to weight; 1 for absent classes.
        mixup: parameter of mixup's Beta distribution; 0 for off.
        cutmix: parameter of CutMix's Beta distribution; 0 for off.
        seed: seed of the mixing.
        accumulate: number of passes that a batch is divided into; their gradients add up.
        jit_compile: let XLA compile the forward and backward pass.
        activation: function from outputs to probabilities, for metrics: "softmax" or "sigmoid"; "" for none.
    """

    multipliers: Mapping[str, float] = dataclasses.field(default_factory=dict)
    clip_norm: float = 0.0
    ema: float = 0.0
    class_weight: Mapping[int, float] | None = None
    mixup: float = 0.0
    cutmix: float = 0.0
    seed: int = 0
    accumulate: int = 1
    jit_compile: bool = False
    activation: str = ""


class Totals:
    """Sums over the examples of an epoch, in float64; every example counts the same, even in a short last batch.

    Each replica has its own sums of losses, penalties and examples, which are added when they are read. The counts of
    steps are the same on all replicas.
    """

    def __init__(self) -> None:
        self.loss, self.penalty, self.examples = _sum_of_replicas(), _sum_of_replicas(), _sum_of_replicas()
        self.steps, self.seen, self.skipped, self.skipped_in_a_row = (_common(tf.int64) for _ in range(4))
        self.overflows = _common(tf.int64)

    def variables(self) -> list[tf.Variable]:
        return list(vars(self).values())

    def counts(self) -> list[tf.Variable]:
        """Return the variables that are the same on all replicas."""
        return [self.steps, self.seen, self.skipped, self.skipped_in_a_row, self.overflows]

    def reset(self) -> None:
        for total in self.variables():
            if total is not self.skipped_in_a_row:
                total.assign(tf.zeros((), total.dtype))

    def add(self, loss: tf.Tensor, penalty: tf.Tensor, count: tf.Tensor) -> None:
        """Add the sum of losses and the penalty of `count` examples."""
        self.loss.assign_add(tf.cast(loss, tf.float64))
        self.penalty.assign_add(tf.cast(penalty, tf.float64) * tf.cast(count, tf.float64))
        self.examples.assign_add(tf.cast(count, tf.float64))


def _sum_of_replicas() -> tf.Variable:
    how = tf.VariableSynchronization.ON_READ
    return tf.Variable(
        tf.zeros((), tf.float64), trainable=False, synchronization=how, aggregation=tf.VariableAggregation.SUM
    )


def _common(dtype: tf.DType) -> tf.Variable:
    only = tf.VariableAggregation.ONLY_FIRST_REPLICA
    return tf.Variable(tf.zeros((), dtype), trainable=False, aggregation=only)


class Trainer:
    """The compiled training and evaluation of one model, for the layers that are trainable now.

    Args:
        model: a built model whose optimizer is built for its trainable variables.
        losses: the loss of training and the loss of evaluation (without label smoothing).
        metrics: metrics that every applied step updates.
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
        self.strategy = tf.distribute.get_strategy()
        self.replicas = self.strategy.num_replicas_in_sync
        self.gathers = self.replicas > 1 and bool(options.mixup or options.cutmix)  # examples from other replicas
        # TensorFlow identifies a sum by its place in the graph, so overlapping steps could mix up their sums.
        self.parallel = 10 if self.replicas == 1 else 1
        self.gradients = Objective(model, losses[0], options.accumulate, jit_compile=options.jit_compile)
        self.variables = model.trainable_variables
        self.average = WeightAverage(averaged_variables(model), options.ema) if options.ema else None
        self.loss_scale = LossScale() if uses_float16(model) else None
        self.totals, self.records = Totals(), Records()
        totals = self.totals
        self.first_batch: Callable[[], Any] = tuple  # returns the first batch of the last `fit`, for the contract
        for metric in metrics:
            build_metric(metric, model.output_shape[-1])
        self.summed = [totals.loss, totals.penalty, totals.examples, *(v.value for m in metrics for v in m.variables)]
        self.sums = tf.function(lambda: read_sums(self.strategy, self.summed), autograph=False)
        self.train_steps = tf.function(self._train_steps, autograph=False, reduce_retracing=True)
        self.test_steps = tf.function(self._test_steps, autograph=False, reduce_retracing=True)
        self.train_one = tf.function(self._train_one, autograph=False, reduce_retracing=True)
        self.test_one = tf.function(self._test_one, autograph=False, reduce_retracing=True)

    def _train_one(self, element: Any, epoch: tf.Tensor) -> None:
        totals = self.totals
        if self.loss_scale is None:
            _, finite, count, *step_stats = self._attempt(element, epoch)
        else:
            overflows, finite, count, *step_stats = repeat_while_overflowing(lambda: self._attempt(element, epoch))
            totals.overflows.assign_add(overflows)
        applied, count = tf.cast(finite, tf.int64), tf.cast(count, tf.int64)
        totals.skipped_in_a_row.assign((totals.skipped_in_a_row + 1) * (1 - applied))
        totals.skipped.assign_add(1 - applied)
        totals.steps.assign_add(1)
        totals.seen.assign_add(count)
        self.records.add_step(*step_stats, count)
        if self.replicas > 1:
            self.optimizer._iterations.value.assign_add(tf.cast(applied, self.optimizer._iterations.dtype))

    def _attempt(self, element: Any, epoch: tf.Tensor) -> list[tf.Tensor]:
        """Run the step on every replica, and return the results of the first one; the results of all are the same."""
        results = self.run(self._train_step, element, epoch)
        return [self.strategy.experimental_local_results(value)[0] for value in results]

    def run(self, step: Callable[..., Any], *arguments: Any) -> Any:
        """Run a step on every replica."""
        with fused_norms(self.model, self.gradients.real):
            return self.strategy.run(step, args=arguments)

    def _test_one(self, element: Any, epoch: tf.Tensor) -> None:
        self.run(self._test_step, element)

    def _train_steps(self, iterator: Any, count: tf.Tensor, epoch: tf.Tensor) -> None:
        _repeat(count, lambda: self._train_one(next(iterator), epoch), parallel=self.parallel)

    def _test_steps(self, iterator: Any, count: tf.Tensor, epoch: tf.Tensor) -> None:
        _repeat(count, lambda: self._test_one(next(iterator), epoch), parallel=self.parallel)

    def begin_epoch(self) -> None:
        self.totals.reset()
        for metric in self.metrics:
            metric.reset_state()

    def copy_totals(self) -> list[np.ndarray]:
        """Return the totals of the epoch so far, for `set_totals`."""
        return [*(value.numpy() for value in self.sums()), *(count.numpy() for count in self.totals.counts())]

    def set_totals(self, values: Sequence[np.ndarray]) -> None:
        """Restore the totals that `copy_totals` returned."""
        write_sums(self.strategy, self.summed, values[: len(self.summed)])
        for count, value in zip(self.totals.counts(), values[len(self.summed) :], strict=True):
            count.assign(value)

    def results(self) -> dict[str, Any]:
        """Return the results of the epoch so far: mean loss over its examples (with the penalty), and the metrics.

        A metric with one number is a float; a metric with a number for each output, such as `F1Score()`, is a list.
        """
        loss, penalty, examples, *sums = self.sums()
        results: dict[str, Any] = {"loss": float((loss + penalty) / examples) if examples else float("nan")}
        for metric in self.metrics:
            own, sums = sums[: len(metric.variables)], sums[len(metric.variables) :]
            value = np.asarray(metric.stateless_result(own), np.float64).tolist()
            if not (isinstance(metric, CalibratedLoss) and np.isnan(value)):  # training steps do not update it
                results[metric.name] = value
        return results

    def _train_step(self, element: Any, epoch: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Run one step on the share of a replica.

        Returns:
            Whether float16 overflowed, whether the step was applied, the number of examples of the global batch, loss,
            gradient norm and learning rate; the same values on every replica.
        """
        plain = without_hidden_nan(unpack(element))
        batch = self.weigh_and_mix(plain, epoch)
        scale = 1.0 if self.loss_scale is None else self.loss_scale.value()
        gradients = self.gradients(batch, scale)
        pairs = [(g, v) for g, v in zip(gradients.values, self.variables, strict=True) if g is not None]
        if not pairs:
            raise InputError("`model` must have a trainable variable that the loss depends on.")
        norm = tf.linalg.global_norm([g for g, _ in pairs])
        step_stats = (gradients.count, gradients.objective, norm, tf.convert_to_tensor(self.optimizer.learning_rate))
        finite = tf.math.is_finite(gradients.objective) & tf.math.is_finite(norm)
        for value in gradients.state.values():
            if value.dtype.is_floating:
                finite &= tf.reduce_all(tf.math.is_finite(value))

        def apply() -> None:
            self._apply(pairs, norm)
            for variable in self.gradients.state:
                if id(variable) in gradients.state:
                    variable.assign(gradients.state[id(variable)])
            if self.average is not None:
                self.average.update()
            losses = (gradients.objective - gradients.penalty) * tf.cast(batch.count, tf.float32)
            self.totals.add(losses, gradients.penalty, batch.count)
            self._update_metrics(batch.real(batch.labels), batch.real(gradients.logits))

        def skip() -> None:
            self.records.add_skipped(self._ids_at_fault(plain, batch, gradients.logits))

        overflow = tf.constant(False)
        if self.loss_scale is None:
            tf.cond(finite, apply, skip)
        else:  # a finite loss with gradients that are not finite is an overflow of float16, not an error of the data
            overflow = ~finite & tf.math.is_finite(gradients.objective) & self.loss_scale.can_shrink()
            tf.cond(finite, apply, lambda: tf.cond(overflow, lambda: None, skip))
            self.loss_scale.update(finite, overflow)
        return overflow, finite, *step_stats

    def _ids_at_fault(self, plain: Batch, batch: Batch, logits: tf.Tensor) -> tf.Tensor:
        """Return the ids, as strings, of the examples that cause a skipped step.

        These are the examples whose input is not finite. If there are none, these are the examples whose loss is not
        finite, and otherwise all examples. The input comes first because trained BatchNorm carries one NaN to the
        losses of all examples, and mixing carries it to the loss of another example.

        Args:
            plain: the batch as it was read.
            batch: the same batch, weighted and mixed.
            logits: logits of `batch`.
        """
        position = tf.cast(batch.start + tf.range(tf.shape(batch.weights)[0]), tf.int64)
        ids = self.totals.seen + position if batch.ids is None else batch.ids
        ids = batch.real(ids if ids.dtype == tf.string else tf.strings.as_string(ids))
        losses = batch.real(values_at_fault(self.train_loss, batch.labels, logits) * batch.weights)
        by_input = tf.zeros_like(losses, tf.bool)
        for values in (plain.labels, plain.weights):  # the weight is NaN if the input is not finite
            if values.dtype.is_floating:
                numbers = tf.reshape(batch.real(values), [tf.shape(losses)[0], -1])
                by_input |= ~tf.reduce_all(tf.math.is_finite(numbers), axis=1)
        at_fault = tf.where(tf.reduce_any(by_input), by_input, ~tf.math.is_finite(losses))
        return tf.boolean_mask(ids, at_fault | ~tf.reduce_any(at_fault))

    def _apply(self, pairs: list[tuple[tf.Tensor, keras.Variable]], norm: tf.Tensor) -> None:
        gradients, variables = [g for g, _ in pairs], [v for _, v in pairs]
        if self.options.clip_norm:
            scale = tf.minimum(1.0, self.options.clip_norm / norm)
            gradients = [g * tf.cast(scale, g.dtype) for g in gradients]
        slowed = [(v, self.options.multipliers.get(v.path, 1.0)) for v in variables]
        before = [(v, tf.identity(v.value), factor) for v, factor in slowed if factor != 1.0]
        if self.replicas == 1:
            self.optimizer.apply(gradients, variables)
        else:
            apply_on_replica(self.optimizer, gradients, variables)
        for variable, old, factor in before:
            # Scale the update and not the gradient, because Adam divides by the scale of the gradient.
            variable.assign(old + tf.cast(factor, old.dtype) * (variable.value - old))

    def _test_step(self, element: Any) -> None:
        batch = without_hidden_nan(unpack(element))
        logits = batch.real(tf.cast(self.model(batch.inputs, training=False), tf.float32))
        labels = batch.real(batch.labels)
        weights = batch.real(batch.weights)
        losses = per_example_loss(self.test_loss, labels, logits) * weights
        self.totals.add(tf.reduce_sum(tf.cast(losses, tf.float64)), tf.zeros(()), batch.count)
        self._update_metrics(labels, logits)
        for metric in self.metrics:
            if isinstance(metric, CalibratedLoss):
                metric.update_state(labels, logits, weights)

    def _update_metrics(self, labels: tf.Tensor, logits: tf.Tensor) -> None:
        for metric in self.metrics:
            if not isinstance(metric, CalibratedLoss):
                metric.update_state(*feed_metric(metric, labels, logits, self.options.activation))

    def weigh_and_mix(self, batch: Batch, epoch: tf.Tensor) -> Batch:
        """Return a batch as the step uses it: weights times class weights, and mixed images and labels."""
        options, labels, weights = self.options, batch.labels, batch.weights
        if options.class_weight is not None:
            numbers = tf.argmax(labels, -1) if labels.shape.rank == 2 and labels.shape[-1] != 1 else labels
            table = np.ones(max(options.class_weight) + 1, np.float32)
            table[list(options.class_weight)] = list(options.class_weight.values())
            numbers = tf.cast(tf.reshape(numbers, [-1]), tf.int64)
            known = (numbers >= 0) & (numbers < len(table))
            weights *= tf.where(known, tf.gather(table, tf.where(known, numbers, 0)), 1.0)
        if not (options.mixup or options.cutmix):
            return batch._replace(weights=weights)
        num_outputs = self.model.output_shape[-1]
        if not can_mix(self.train_loss) and num_outputs > 1 and labels.shape[1:] != (num_outputs,):
            raise InputError(
                "`y` must be one-hot rows for mixup and cutmix with this loss. "
                f"Received: labels of shape {tuple(labels.shape)}, loss={self.train_loss.name!r}."
            )
        examples = Examples(batch.inputs, label_rows(labels, num_outputs), weights)
        mixed = mix_batch(
            examples,
            alphas=(options.mixup, options.cutmix),
            seed=mix_seed(options.seed, epoch, self.totals.steps),
            pool=Examples(*(gather_over_replicas(values, batch.share) for values in examples)),
            start=batch.start,
        )
        return batch._replace(**mixed._asdict())


def _repeat(count: tf.Tensor, body: Any, *, parallel: int) -> None:
    def once(done: tf.Tensor) -> tuple[tf.Tensor]:
        body()
        return (done + 1,)

    tf.while_loop(lambda done: done < count, once, [tf.constant(0, tf.int64)], parallel_iterations=parallel)
