"""One step on many replicas: who gets which examples, and how each replica updates its own copy of the weights.

Every global batch is cut into contiguous shares that differ by one example at most. A replica whose share
is empty still runs, on one example that counts for nothing, because all must meet in every sum.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from tfl.errors import InputError
from tfl.training.strategy import num_workers


class Share(NamedTuple):
    """What one replica gets of a global batch: the first `count` examples of `element` count, the others do not."""

    element: Any
    count: tf.Tensor  # int32 scalar
    start: tf.Tensor  # int32 scalar: position of the first one in the global batch


def take_share(element: Any, num_replicas: int, replica: tf.Tensor | int) -> Share:
    """Return the share of one replica in a global batch of any structure; of 5 examples 3 replicas get 2, 2 and 1."""
    size, replica = tf.shape(tf.nest.flatten(element)[0])[0], tf.cast(replica, tf.int32)
    base, extra = size // num_replicas, size % num_replicas
    start, count = replica * base + tf.minimum(replica, extra), base + tf.cast(replica < extra, tf.int32)
    first = tf.minimum(start, size - 1)
    end = first + tf.maximum(count, 1)
    return Share(tf.nest.map_structure(lambda values: values[first:end], element), count, start)


def cut_into_shares(dataset: tf.data.Dataset, num_replicas: int, mine: range) -> tf.data.Dataset:
    """Turn global batches into the shares of some replicas, one after the other.

    Args:
        dataset: batches of any structure.
        num_replicas: how many share each batch.
        mine: the replicas that are fed from here.

    Returns:
        Dataset of `Share`, `len(mine)` for each batch.
    """

    def cut(first: Any, *others: Any) -> tf.data.Dataset:
        element = (first, *others) if others else first
        replicas = tf.data.Dataset.range(mine.start, mine.stop)
        return replicas.map(lambda replica: take_share(element, num_replicas, replica))

    return dataset.flat_map(cut)


def distribute(strategy: tf.distribute.Strategy, dataset: tf.data.Dataset) -> Any:
    """Return what the steps of a strategy iterate over: shares on their replicas, or on one replica the batches.

    The result has no end, so that no replica has to ask the others whether there is more: the caller knows
    the number of steps.

    Args:
        strategy: which replicas there are.
        dataset: all global batches, the same ones in every process.
    """
    if strategy.num_replicas_in_sync == 1:
        return dataset

    def of_this_worker(context: tf.distribute.InputContext) -> tf.data.Dataset:
        total = context.num_replicas_in_sync
        local = total // context.num_input_pipelines
        first = context.input_pipeline_id * local
        return cut_into_shares(dataset, total, range(first, first + local)).repeat().prefetch(2 * local)

    return strategy.distribute_datasets_from_function(of_this_worker)


def distribute_batch(strategy: tf.distribute.Strategy, element: Any) -> Any:
    """Return what one step of a strategy takes: one global batch as shares, or on one replica as it is."""
    replicas = strategy.num_replicas_in_sync
    if replicas == 1:
        return element
    return strategy.experimental_distribute_values_from_function(
        lambda context: take_share(element, replicas, context.replica_id_in_sync_group)
    )


def mean_over_workers(strategy: tf.distribute.Strategy, value: float) -> float:
    """Return the mean of a number that each worker has its own of, so that all decide the same from it."""
    if num_workers(strategy) == 1:
        return value
    copies = strategy.experimental_distribute_values_from_function(lambda context: tf.constant(value, tf.float64))
    return float(strategy.reduce(tf.distribute.ReduceOp.MEAN, copies, axis=None))


def read_sum(strategy: tf.distribute.Strategy, variable: tf.Variable) -> tf.Tensor:
    """Return what all replicas of all workers added up in a variable; reading it gives that of this worker alone."""
    if strategy.num_replicas_in_sync == 1:
        return tf.convert_to_tensor(variable)
    copies = strategy.run(lambda: tf.convert_to_tensor(variable))
    return strategy.reduce(tf.distribute.ReduceOp.SUM, copies, axis=None)


def sum_over_replicas(values: Any) -> Any:
    """Add up a tensor, or each tensor of a list, over all replicas; in a replica's own graph."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return values
    return context.all_reduce(tf.distribute.ReduceOp.SUM, values)


def replica_number() -> Any:
    """Return the number of the replica whose graph this is; 0 outside of one."""
    context = tf.distribute.get_replica_context()
    return 0 if context is None or context.num_replicas_in_sync == 1 else context.replica_id_in_sync_group


def check_optimizer(optimizer: keras.optimizers.Optimizer) -> None:
    """Refuse what an optimizer cannot do on many replicas.

    Raises:
        InputError: its own moving average or accumulation is on.
    """
    for name, instead in (("use_ema", "ema"), ("gradient_accumulation_steps", "accumulate")):
        if getattr(optimizer, name, None):
            raise InputError(
                f"`optimizer` must not have {name} under a strategy of several replicas. "
                f"Received: {name}={getattr(optimizer, name)!r}. Did you mean `{instead}` of tfl.compile?"
            )


def apply_on_replica(optimizer: Any, gradients: Sequence[tf.Tensor], variables: Sequence[keras.Variable]) -> None:
    """Update the replica's own copy of the variables by gradients that are summed already.

    `optimizer.apply` would sum them once more and leave the replica to do so, which cannot be done inside a
    condition. As all replicas do the same with the same numbers, their copies stay equal to the bit.
    The count of iterations is left to the caller: it belongs to no replica.
    """
    gradients = optimizer._clip_gradients(list(gradients))
    rate = optimizer._get_current_learning_rate()
    decay = 0.0 if optimizer.weight_decay is None else optimizer.weight_decay
    for variable in (v for v in variables if decay and optimizer._use_weight_decay(v)):
        variable.assign(variable.value - variable.value * decay * tf.cast(rate, variable.dtype))
    for gradient, variable in zip(gradients, variables, strict=True):
        optimizer.update_step(gradient, variable.value, rate)
        if variable.constraint is not None:
            variable.assign(variable.constraint(variable.value))
