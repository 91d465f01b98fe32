"""One training step on many replicas: give each its share of the batch, and update its own copy of the weights."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfl.distribution.shares import cut_into_shares, take_share
from tfl.distribution.strategy import num_workers
from tfl.errors import InputError


def distribute(
    strategy: tf.distribute.Strategy,
    dataset: tf.data.Dataset,
    shares: Callable[[range, int], tf.data.Dataset | None] | None = None,
) -> Any:
    """Return a data set for the steps of a strategy: shares on their replicas, or whole batches on a single replica.

    With several replicas the result is endless, so that no replica must ask the others whether there is more data: the
    caller knows the number of steps.

    Args:
        strategy: that has the replicas.
        dataset: all global batches, the same ones in every process.
        shares: a function from a range of replicas and the number of all replicas to their shares of the same batches,
            for data where this is cheaper than to make whole batches and cut them. If it is None or returns None,
            whole batches are cut.
    """
    if strategy.num_replicas_in_sync == 1:
        return dataset

    def of_this_worker(context: tf.distribute.InputContext) -> tf.data.Dataset:
        total = context.num_replicas_in_sync
        local = total // context.num_input_pipelines
        first = context.input_pipeline_id * local
        mine = range(first, first + local)
        found = None if shares is None else shares(mine, total)
        found = cut_into_shares(dataset, total, mine) if found is None else found
        return found.repeat().prefetch(2 * local)

    return strategy.distribute_datasets_from_function(of_this_worker)


def distribute_batch(strategy: tf.distribute.Strategy, element: Any) -> Any:
    """Return the input of one step of a strategy: the shares of one global batch; on one replica the batch itself."""
    replicas = strategy.num_replicas_in_sync
    if replicas == 1:
        return element
    return strategy.experimental_distribute_values_from_function(
        lambda context: take_share(element, replicas, context.replica_id_in_sync_group)
    )


def strategy_of(model: keras.Model) -> tf.distribute.Strategy:
    """Return the strategy under which the variables of a model were created."""
    return getattr(model.variables[0].value, "distribute_strategy", tf.distribute.get_strategy())


def read_sums(strategy: tf.distribute.Strategy, variables: Sequence[tf.Variable]) -> list[tf.Tensor]:
    """Return the values of variables, summed over all replicas of all workers.

    With several workers, a plain read gives only the sum of this worker. All replicas of a worker share a variable that
    was created outside of the strategy's scope (metrics often are); it counts once.
    """
    if strategy.num_replicas_in_sync == 1:
        return [tf.convert_to_tensor(variable) for variable in variables]
    is_first = _is_first_of_worker(strategy)

    def read() -> list[tf.Tensor]:
        values = [tf.convert_to_tensor(variable) for variable in variables]
        own = [_has_copies(variable) | is_first() for variable in variables]
        return [tf.where(counts, v, tf.zeros_like(v)) for counts, v in zip(own, values, strict=True)]

    copies = strategy.run(read)
    return [strategy.reduce(tf.distribute.ReduceOp.SUM, copy, axis=None) for copy in copies]


def write_sums(strategy: tf.distribute.Strategy, variables: Sequence[tf.Variable], sums: Sequence[np.ndarray]) -> None:
    """Set variables so that `read_sums` returns `sums`: the first replica gets the whole sum, the others 0."""
    is_first = _is_first_of_worker(strategy)

    def assign() -> None:
        for variable, total in zip(variables, sums, strict=True):
            mine = tf.constant(total, variable.dtype)
            mine = tf.where(tf.equal(replica_number(), 0), mine, tf.zeros_like(mine))
            variable.assign(tf.where(_has_copies(variable) | is_first(), mine, tf.convert_to_tensor(variable)))

    if strategy.num_replicas_in_sync == 1:
        assign()
    else:
        tf.function(lambda: strategy.run(assign), autograph=False).get_concrete_function()()


def _has_copies(variable: tf.Variable) -> bool:
    """Return whether each replica has its own copy of a variable; it has none if created outside of the scope."""
    return isinstance(variable, tf.distribute.DistributedValues)


def _is_first_of_worker(strategy: tf.distribute.Strategy) -> Callable[[], tf.Tensor]:
    """Return a function that tells, in the graph of a replica, whether the replica is the first of its worker."""
    of_worker = strategy.num_replicas_in_sync // num_workers(strategy)
    return lambda: tf.equal(replica_number() % of_worker, 0)


def sum_over_replicas(values: Any) -> Any:
    """Sum a tensor, or each tensor of a list, over all replicas; call it in the graph of a replica.

    A list is sent as one long vector: each sum over the network costs the same latency, for a bias or for all weights.
    """
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return values
    operation = tf.distribute.ReduceOp.SUM
    if not isinstance(values, list) or len({value.dtype for value in values}) != 1:
        return context.all_reduce(operation, values)
    total = context.all_reduce(operation, tf.concat([tf.reshape(value, [-1]) for value in values], axis=0))
    parts = tf.split(total, [tf.size(value) for value in values])
    return [tf.reshape(part, tf.shape(value)) for part, value in zip(parts, values, strict=True)]


def gather_over_replicas(rows: tf.Tensor, share: tf.Tensor | None) -> tf.Tensor:
    """Return the rows of the global batch, in its order, from the shares of all replicas.

    Args:
        rows: of this replica, of any dtype.
        share: number of rows that count, from the first; None: all.
    """
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return rows
    width = tf.math.maximum(tf.reduce_prod(tf.shape(rows)[1:]), 1)
    flat = tf.reshape(rows, [-1, width])
    if rows.dtype == tf.uint8:  # uint8 cannot be gathered: send four values as one int32
        flat = tf.pad(flat, [[0, 0], [0, -width % 4]])
        flat = tf.bitcast(tf.reshape(flat, [tf.shape(flat)[0], -1, 4]), tf.int32)
    count = tf.shape(rows)[0] if share is None else tf.cast(share, tf.int32)
    counts = context.all_gather(tf.reshape(count, [1]), axis=0)
    longest = tf.reduce_max(counts)
    flat = tf.pad(flat[:count], [[0, longest - count], [0, 0]])
    flat = context.all_gather(flat, axis=0)
    flat = tf.boolean_mask(flat, tf.reshape(tf.sequence_mask(counts, longest), [-1]))
    if rows.dtype == tf.uint8:
        flat = tf.reshape(tf.bitcast(flat, tf.uint8), [tf.shape(flat)[0], -1])[:, :width]
    return tf.reshape(flat, tf.concat([tf.shape(flat)[:1], tf.shape(rows)[1:]], axis=0))


def replica_number() -> Any:
    """Return the number of the replica whose graph this is; 0 outside of a replica."""
    context = tf.distribute.get_replica_context()
    return 0 if context is None or context.num_replicas_in_sync == 1 else context.replica_id_in_sync_group


def check_optimizer(optimizer: keras.optimizers.Optimizer) -> None:
    """Refuse options of an optimizer that do not work on several replicas.

    Raises:
        InputError: the optimizer's own moving average or gradient accumulation is on.
    """
    for name, instead in (("use_ema", "ema"), ("gradient_accumulation_steps", "accumulate")):
        if getattr(optimizer, name, None):
            raise InputError(
                f"`optimizer` must not have {name} with several replicas. "
                f"Received: {name}={getattr(optimizer, name)!r}. Did you mean `{instead}` of tfl.compile?"
            )


def apply_on_replica(optimizer: Any, gradients: Sequence[tf.Tensor], variables: Sequence[keras.Variable]) -> None:
    """Update the replica's own copy of the variables with gradients that are already summed over all replicas.

    `optimizer.apply` would sum them again and leave the replica context for that, which is not possible inside a
    condition. All replicas do the same with the same numbers, so their copies stay equal to the bit.
    The caller must increase the count of iterations, because it belongs to no replica.
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
