"""Set the precision in which the layers of a model compute during training."""

import contextlib
from collections.abc import Iterator

import keras

from tfl.models.heads import HEAD_PREFIX


@contextlib.contextmanager
def computing_in(model: keras.Model, precision: str) -> Iterator[None]:
    """Within the context, the layers of `model` compute in another precision; weights stay float32.

    The head stays in float32, so that losses and the powers of generalised-mean pooling are exact. After the context
    the model is an ordinary float32 model: evaluation, saved files and exports do not depend on the training precision.

    Args:
        model: a built model.
        precision: "float32", "mixed_bfloat16" or "mixed_float16".

    Example:
        >>> tfl.compile(model)
        >>> with computing_in(model, "mixed_bfloat16"):
        ...     history = tfl.fit(model, images, labels)

    Reference:
        Micikevicius et al. 2018, Mixed precision training, arXiv:1710.03740.
    """
    layers = [layer for layer in model._flatten_layers(include_self=False) if not layer.name.startswith(HEAD_PREFIX)]
    before = [(layer, layer.dtype_policy) for layer in layers]
    try:
        for layer, policy in before:
            layer.dtype_policy = policy if precision == "float32" else keras.DTypePolicy(precision)
        yield
    finally:
        for layer, policy in before:
            layer.dtype_policy = policy
