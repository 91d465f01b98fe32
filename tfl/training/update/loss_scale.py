"""Loss scaling: in float16 small gradients become 0, unless the loss is multiplied by a factor before."""

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

_START = 2.0**15
_STEPS_TO_GROW = 2000


class LossScale:
    """The factor of the loss; it is halved at every overflow and doubled after 2,000 steps without overflow.

    A step that overflows is repeated with half the factor, so the search for the factor does not lose any example.

    Reference:
        Micikevicius et al. 2018, Mixed precision training, arXiv:1710.03740.
    """

    def __init__(self) -> None:
        # Every replica keeps its own copy. The copies stay equal, because all replicas see the same sums.
        self.factor = tf.Variable(_START, trainable=False)
        self.good_steps = tf.Variable(0, trainable=False)

    def state(self) -> list[tf.Variable]:
        """Return the variables that the next step reads."""
        return [self.factor, self.good_steps]

    def value(self) -> tf.Tensor:
        """Return the factor, float32."""
        return tf.convert_to_tensor(self.factor)

    def can_shrink(self) -> tf.Tensor:
        """Return whether the factor can still be the cause of an overflow."""
        return self.value() > 1.0

    def update(self, finite: tf.Tensor, overflow: tf.Tensor) -> None:
        """Update the factor after a step; runs in a graph."""
        good = tf.where(finite, self.good_steps + 1, tf.where(overflow, 0, self.good_steps))
        grow = good >= _STEPS_TO_GROW
        factor = self.value()
        self.factor.assign(tf.where(overflow, factor / 2.0, tf.where(grow, factor * 2.0, factor)))
        self.good_steps.assign(tf.where(grow, 0, good))


def repeat_while_overflowing(attempt: Callable[[], Sequence[tf.Tensor]]) -> list[tf.Tensor]:
    """Repeat one step until it does not overflow; runs in a graph.

    Args:
        attempt: runs the step; returns whether it overflowed, whether it was applied (both bool), and float32 numbers.
            It must halve the loss scale at every overflow, or the loop does not end.

    Returns:
        The number of overflows, int64, and the values of the last attempt after its first value.
    """

    def body(_: tf.Tensor, attempts: tf.Tensor, *step_stats: tf.Tensor) -> list[tf.Tensor]:
        again, *results = attempt()
        return [again, attempts + 1, *results]

    numbers = [tf.zeros(())] * 4
    begin = [tf.constant(True), tf.constant(-1, tf.int64), tf.constant(False), *numbers]
    return tf.while_loop(lambda again, *_: again, body, begin, parallel_iterations=1)[1:]


def uses_float16(model: keras.Model) -> bool:
    """Return whether any layer computes in float16."""
    return any(layer.compute_dtype == "float16" for layer in model._flatten_layers())
