"""An exponential moving average of the weights and of BatchNorm's statistics, without the bias of its start."""

import keras
import numpy as np
import tensorflow as tf


def averaged_variables(model: keras.Model) -> list[keras.Variable]:
    """Return the trained weights, and the statistics of trained BatchNorm layers, which belong to these weights."""
    statistics = [
        variable
        for layer in model._flatten_layers()
        if layer.trainable and isinstance(layer, keras.layers.BatchNormalization)
        for variable in layer.non_trainable_variables
    ]
    return [*model.trainable_variables, *statistics]


class WeightAverage:
    """The average of trained variables, in which the weight of step t is `momentum` times the weight of step t + 1.

    The average of Keras (`use_ema`) is computed inside the optimizer, before learning-rate multipliers are applied.
    It starts from the first weights, and their effect lasts about `1 / (1 - momentum)` steps. The average here is
    exactly `sum(momentum^(t-s) w_s) / sum(momentum^(t-s))`, from the first step on.

    Args:
        variables: the averaged variables; see `averaged_variables`.
        momentum: in (0, 1).

    Reference:
        Polyak, Juditsky 1992 (averaging); Kingma, Ba 2015, arXiv:1412.6980 (bias correction).
    """

    def __init__(self, variables: list[keras.Variable], momentum: float) -> None:
        self.momentum = momentum
        self.variables = variables
        self.averages = [tf.Variable(v.value, trainable=False) for v in variables]
        self.power = tf.Variable(1.0, trainable=False)  # momentum^t
        self._raw: list[np.ndarray] | None = None

    def reset(self) -> None:
        """Forget all steps."""
        self.power.assign(1.0)
        for average, variable in zip(self.averages, self.variables, strict=True):
            average.assign(variable.value)

    def state(self) -> list[tf.Variable]:
        """Return the variables that the next step reads."""
        return [*self.averages, self.power]

    def update(self) -> None:
        """Add the current weights as one more step; runs in a graph."""
        power = self.power * self.momentum
        share = (1.0 - self.momentum) / (1.0 - power)
        for average, variable in zip(self.averages, self.variables, strict=True):
            average.assign_add(tf.cast(share, average.dtype) * (variable.value - average))
        self.power.assign(power)

    def swap_in(self) -> None:
        """Write the averages into the model, and keep a copy of the trained weights."""
        self._raw = [variable.numpy() for variable in self.variables]
        for average, variable in zip(self.averages, self.variables, strict=True):
            variable.assign(average)

    def swap_out(self) -> None:
        """Restore the trained weights; does nothing if `swap_in` was not called."""
        for raw, variable in zip(self._raw or [], self.variables, strict=False):
            variable.assign(raw)
        self._raw = None
