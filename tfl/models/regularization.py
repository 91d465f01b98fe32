"""The penalty R(θ) of the objective: it pulls kernels towards zero, or towards their pretrained values.

In Keras 3 a `kernel_regularizer` that is set on a built layer has no effect, and Keras does not say so. Only
`variable.regularizer` counts. This file, and no other, sets it.
"""

import dataclasses
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from tfl.backbones.stages import HEAD_PREFIX
from tfl.errors import InputError


@dataclasses.dataclass(frozen=True)
class Penalty:
    """The arguments of the last `regularize` call, stored as `model.penalty_request` for the training contract."""

    head_l2: float = 0.0
    l2: float = 0.0
    l2_sp: float = 0.0


class L2SP(keras.regularizers.Regularizer):
    """Pull a variable towards its starting values: `strength * sum((x - start)^2)`.

    Plain L2 pulls pretrained weights towards zero, so the network forgets them.

    Args:
        strength: λ, at least 0.
        start: the pretrained values, in the shape of the variable.

    Reference:
        Li, Grandvalet, Davoine 2018, Explicit inductive bias for transfer learning with convolutional
        networks, arXiv:1802.01483.
    """

    def __init__(self, strength: float, start: np.ndarray) -> None:
        self.strength = strength
        self.start = tf.constant(start)

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        return self.strength * tf.reduce_sum(tf.square(tf.convert_to_tensor(x) - self.start))


def is_kernel(variable: keras.Variable) -> bool:
    """Return whether a variable is a convolution or dense kernel, and not a bias, a scale or a statistic.

    The scale of a normalisation and the gamma of ConvNeXt's LayerScale are not kernels: a pull towards zero
    would switch a layer off instead of smoothing it.
    """
    return variable.name == "kernel" or variable.name.endswith("_kernel")


def kernels(model: keras.Model) -> Iterator[tuple[keras.Variable, bool]]:
    """Yield every kernel of `model`, also frozen ones, and whether it belongs to the head."""
    for layer in model.layers:
        for variable in layer.weights:
            if is_kernel(variable):
                yield variable, layer.name.startswith(HEAD_PREFIX)


def regularize(model: keras.Model, *, head_l2: float = 0.0, l2: float = 0.0, l2_sp: float = 0.0) -> None:
    """Set the penalty of the objective.

    Each call sets the whole state and replaces earlier calls. Only kernels that are trainable now get a penalty;
    biases and normalisation never get one. Call it again after you unfreeze more layers.

    Args:
        model: a classifier.
        head_l2: λ of the head's kernels, at least 0; R = sum of squares, as in `keras.regularizers.L2`.
        l2: λ of the trained backbone kernels, at least 0.
        l2_sp: λ of the squared distance of the trained backbone kernels from their current values, at least 0.

    Raises:
        InputError: a negative or non-finite λ, or both `l2` and `l2_sp`.

    Example:
        >>> table = tfl.unfreeze(model, "1")
        >>> tfl.regularize(model, head_l2=1e-3, l2_sp=1e-2)
    """
    for name, strength in (("head_l2", head_l2), ("l2", l2), ("l2_sp", l2_sp)):
        if not 0 <= strength < np.inf:
            raise InputError(f"`{name}` must be a finite number, at least 0. Received: {name}={strength!r}.")
    if l2 and l2_sp:
        raise InputError(f"`l2` and `l2_sp` must not both be set. Received: l2={l2}, l2_sp={l2_sp}.")
    model.penalty_request = Penalty(head_l2, l2, l2_sp)
    for variable in model.variables:
        variable.regularizer = None
    for variable, in_head in kernels(model):
        if not variable.trainable:
            continue
        if in_head and head_l2:
            variable.regularizer = keras.regularizers.L2(head_l2)
        elif not in_head and l2:
            variable.regularizer = keras.regularizers.L2(l2)
        elif not in_head and l2_sp:
            variable.regularizer = L2SP(l2_sp, variable.numpy())


def penalty(model: keras.Model) -> tf.Tensor:
    """Return λR(θ), the sum of the penalties that `regularize` has set on trainable variables, as a float32 scalar."""
    terms = [
        tf.cast(variable.regularizer(variable.value), tf.float32)
        for variable in model.trainable_variables
        if variable.regularizer is not None
    ]
    return tf.add_n(terms) if terms else tf.zeros(())
