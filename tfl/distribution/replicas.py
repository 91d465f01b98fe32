"""One step on many replicas: how each gets its share, and how it updates its own copy of the weights."""

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
    """Return what the steps of a strategy iterate over: shares on their replicas, or on one replica the batches.

    The result has no end, so that no replica has to ask the others whether there is more: the caller knows
    the number of steps.

    Args:
        strategy: which replicas there are.
        dataset: all global batches, the same ones in every process.
        shares: from some replicas and the number of all to their shares of the same batches, where that is
            cheaper than to make the whole batches and cut them; None, or gives None, where it is not.
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
    """Return what one step of a strategy takes: one global batch as shares, or on one replica as it is."""
    replicas = strategy.num_replicas_in_sync
    if replicas == 1:
        return element
    return strategy.experimental_distribute_values_from_function(
        lambda context: take_share(element, replicas, context.replica_id_in_sync_group)
    )


def strategy_of(model: keras.Model) -> tf.distribute.Strategy:
    """Return the strategy that a model's variables belong to."""
    return getattr(model.variables[0].value, "distribute_strategy", tf.distribute.get_strategy())


def read_sums(strategy: tf.distribute.Strategy, variables: Sequence[tf.Variable]) -> list[tf.Tensor]:
    """Return what all replicas of all workers added up in some variables.

    To read one of them gives, with several workers, the sum of this worker alone. A variable that was made outside of
    the strategy's scope, as metrics often are, is one for all replicas of a worker, and counts once.
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
    """Set variables to what `read_sums` is to give: the first replica has it all."""
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
    """Say whether each replica has a copy of a variable; one that was made outside of the scope they share."""
    return isinstance(variable, tf.distribute.DistributedValues)


def _is_first_of_worker(strategy: tf.distribute.Strategy) -> Callable[[], tf.Tensor]:
    """Return what says, in a replica's graph, whether it is the first one of its worker."""
    of_worker = strategy.num_replicas_in_sync // num_workers(strategy)
    return lambda: tf.equal(replica_number() % of_worker, 0)


def sum_over_replicas(values: Any) -> Any:
    """Add up a tensor, or each tensor of a list, over all replicas; in a replica's own graph.

    A list goes as one long vector: a sum over the network costs its latency, for a bias as for all weights.
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
    """Return the rows of the global batch, in its order, from the shares that the replicas have of it.

    Args:
        rows: this replica's rows, of any dtype.
        share: how many of them count, the first ones; None: all.
    """
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return rows
    width = tf.math.maximum(tf.reduce_prod(tf.shape(rows)[1:]), 1)
    flat = tf.reshape(rows, [-1, width])
    if rows.dtype == tf.uint8:  # no such sum over a network: four go as one int32
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
