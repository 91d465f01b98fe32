"""Optimizers by name, with weight decay on kernels only, built for the variables that are trainable now."""

import keras
import tensorflow as tf
from absl import logging

from tfl.config import OPTIMIZERS
from tfl.models.regularization import is_kernel
from tfl.registry import resolve

DEFAULT_LEARNING_RATES = {"sgd": 1e-2, "adam": 1e-3, "adamw": 1e-3}


def make_optimizer(
    name: str,
    learning_rate: float | keras.optimizers.schedules.LearningRateSchedule | None = None,
    *,
    momentum: float = 0.9,
    nesterov: bool = False,
    weight_decay: float = 0.0,
) -> keras.optimizers.Optimizer:
    """Build an optimizer by name.

    Args:
        name: `"sgd"`, `"adam"` or `"adamw"`.
        learning_rate: a number, a schedule, or None for 0.01 (sgd) or 0.001 (adam, adamw).
        momentum: in [0, 1]; sgd only.
        nesterov: use Nesterov momentum; sgd only.
        weight_decay: decoupled weight decay: every step subtracts `weight_decay * learning_rate * w` from a kernel w.
            It is not part of the objective, and `tfl.compile` excludes biases and normalisation from it.

    Returns:
        A stock Keras optimizer.

    Raises:
        InputError: the name is unknown.

    Example:
        >>> optimizer = make_optimizer("sgd", 0.01, momentum=0.9, nesterov=True)
        >>> tfl.compile(model, optimizer)

    Reference:
        Loshchilov, Hutter 2019, Decoupled weight decay regularization, arXiv:1711.05101.
    """
    name = resolve(name, OPTIMIZERS, "optimizer")
    rate = DEFAULT_LEARNING_RATES[name] if learning_rate is None else learning_rate
    if name == "sgd":
        return keras.optimizers.SGD(rate, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay or None)
    if name == "adam":
        return keras.optimizers.Adam(rate, weight_decay=weight_decay or None)
    return keras.optimizers.AdamW(rate, weight_decay=weight_decay)


def exclude_from_weight_decay(optimizer: keras.optimizers.Optimizer, model: keras.Model) -> None:
    """Exclude all variables that are not kernels from decoupled weight decay, in addition to earlier exclusions."""
    excluded = [variable for variable in model.variables if not is_kernel(variable)]
    before = set(getattr(optimizer, "_exclude_from_weight_decay", ()))
    pattern = getattr(optimizer, "_exclude_from_weight_decay_pattern", None)
    optimizer.exclude_from_weight_decay(var_list=excluded, var_names=[pattern.pattern] if pattern else None)
    optimizer._exclude_from_weight_decay |= before


def bind_optimizer(optimizer: keras.optimizers.Optimizer, model: keras.Model) -> keras.optimizers.Optimizer:
    """Return an optimizer that is built for the variables of the model that are trainable now.

    An optimizer is built once for a list of variables. If layers are frozen or unfrozen afterwards, Keras fails or
    trains the old list.

    Returns:
        The same optimizer if it fits, else a new one with the same settings and an empty state.
    """
    wanted = model.trainable_variables
    misplaced = optimizer._distribution_strategy is not tf.distribute.get_strategy()  # made outside the scope
    if optimizer.built or misplaced:
        if not misplaced and [id(v) for v in optimizer._trainable_variables] == [id(v) for v in wanted]:
            return optimizer
        logging.info(
            "The trainable variables changed after compiling, so tfl builds a new %s for them.", optimizer.name
        )
        stale, optimizer = optimizer, type(optimizer).from_config(optimizer.get_config())
        for name in ("_exclude_from_weight_decay", "_exclude_from_weight_decay_pattern"):
            if hasattr(stale, name):
                setattr(optimizer, name, getattr(stale, name))
    exclude_from_weight_decay(optimizer, model)
    optimizer.build(wanted)
    return optimizer
