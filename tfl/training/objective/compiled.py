"""Find the loss, and the meaning of the model's outputs, from the arguments of `tfl.compile`."""

import inspect
from collections.abc import Mapping
from typing import Any

import keras

from tfl.errors import InputError
from tfl.registry import did_you_mean
from tfl.tasks import Binary, Multiclass, Multilabel, Regression, Task, get_task, task_names
from tfl.training.objective.losses import is_categorical, is_sparse, is_stock, name_of, plain

DEFAULT = Multiclass()  # if neither the loss nor the model says what the outputs mean

_KERAS_LOSSES = {
    found.__name__.lower(): found
    for found in vars(keras.losses).values()
    if inspect.isclass(found) and found is not keras.losses.Loss
}
_OF_BATCHES = ("circle", "ctc", "dice", "tversky")  # these compare examples, or do not take rows of outputs
_OF_PROBABILITIES = ("categoricalgeneralizedcrossentropy", "kldivergence")  # these have no form on logits
_REDUCTIONS = ("sum_over_batch_size", "mean", "none", None)


def ends_in_probabilities(model: keras.Model) -> bool:
    """Return whether the last layer of a model is a softmax or a sigmoid."""
    if not getattr(model, "outputs", None):
        return False
    layer = model.outputs[0]._keras_history.operation
    if isinstance(layer, keras.Model):
        return ends_in_probabilities(layer)
    activation = getattr(layer, "activation", None)
    return isinstance(layer, keras.layers.Softmax) or activation in (
        keras.activations.softmax,
        keras.activations.sigmoid,
    )


def of_one_output(value: Any, model: keras.Model, name: str) -> Any:
    """Return the value of a dict whose only key is the name of the output; return any other value unchanged.

    Args:
        value: the argument of `tfl.compile`.
        model: the model with one output.
        name: name of the argument, for the message.

    Raises:
        InputError: the dict has another key.
    """
    if not isinstance(value, Mapping) or "class_name" in value:
        return value
    output = model.outputs[0]._keras_history.operation.name
    if list(value) != [output]:
        raise InputError(f"`{name}` must have one key, the name of the output: {output!r}. Received: {list(value)}.")
    return value[output]


def recorded_task(model: keras.Model) -> Task | None:
    """Return the task in the metadata of the model, or None if it has no metadata."""
    metadata = getattr(model, "metadata", None)
    return metadata.task if metadata is not None else None


def resolve_loss(loss: Any, model: keras.Model) -> tuple[keras.losses.Loss, Task | None]:
    """Find the loss and its task.

    Args:
        loss: a task or its name; or anything that `keras.Model.compile` takes for a model with one output: object,
            class, function, name, config, a list of one, a dict with the name of the output; or None for the recorded
            task.
        model: its outputs are logits, or probabilities if it ends in a softmax or sigmoid.

    Returns:
        The loss and the task. If the model returns logits, a stock loss on probabilities is in its form on logits. The
        task is None if the meaning of the outputs is not known.

    Raises:
        InputError: the argument is not a loss, or the loss does not fit the outputs of the model.
    """
    loss = of_one_output(loss, model, "loss")
    if isinstance(loss, (list, tuple)):
        if len(loss) != 1:
            raise InputError(f"`loss` must be one loss for a model with one output. Received: {len(loss)} losses.")
        loss = loss[0]
    if loss is None:
        loss = recorded_task(model) or DEFAULT
    if isinstance(loss, Task) or (isinstance(loss, str) and loss.lower() in task_names()):
        task = get_task(loss)
        if task.activation and ends_in_probabilities(model):
            raise InputError(
                f"`model` must end in logits for loss={task.name!r}. Received: a model that ends in softmax or "
                "sigmoid. Did you mean to remove that activation, or a Keras loss on probabilities?"
            )
        if task.activation == "softmax" and model.output_shape[-1] == 1:
            raise InputError(f"`model` must have one output for each class for loss={task.name!r}. Received: 1 output.")
        return task.loss(), task
    found = _find(loss)
    if is_stock(found):
        found = _on_outputs(found, model)
    return found, _task_of(found, model)


def activation_of(task: Task | None, model: keras.Model) -> str:
    """Return the function from outputs to probabilities: "softmax", "sigmoid", or "" if there is none or no need."""
    return "" if task is None or ends_in_probabilities(model) else task.activation


def _find(loss: Any) -> keras.losses.Loss:
    """Return the loss for an object, class, function, name or config, as Keras finds it."""
    try:
        found: Any = keras.losses.get(loss if not isinstance(loss, str) else _known_name(loss))
    except (ValueError, TypeError) as error:
        raise InputError(
            "`loss` must be a target, or a loss of keras.losses or of your own: a name, a function, a class that "
            f"needs no arguments, an object or its config. Received: loss={loss!r}: {str(error).splitlines()[0]}"
        ) from None
    if not isinstance(found, keras.losses.Loss):
        stock = _KERAS_LOSSES.get(found.__name__.replace("_", "").lower()) if _is_keras(found) else None
        if stock is not None:
            return stock()
        name = getattr(found, "__name__", type(found).__name__)
        return keras.src.losses.losses.LossFunctionWrapper(found, name=name)
    if found.reduction not in _REDUCTIONS:
        raise InputError(
            "`loss` must have reduction 'sum_over_batch_size' or 'none', because tfl averages over the batch. "
            f"Received: reduction={found.reduction!r}."
        )
    if type(found).__call__ is not keras.losses.Loss.__call__:
        raise InputError(f"`loss` must define `call`, not `__call__`. Received: {type(found).__name__}.")
    return found


def _known_name(name: str) -> str:
    stock = _KERAS_LOSSES.get(name.replace("_", "").lower())
    if stock is not None:
        return stock.__name__
    if name not in ("bce", "BCE", "kld", "KLD", "mae", "MAE", "mse", "MSE", "mape", "MAPE", "msle", "MSLE"):
        raise ValueError(f"this name is unknown.{did_you_mean(name, task_names())}")
    return name


def _is_keras(found: Any) -> bool:
    return str(getattr(found, "__module__", "")).startswith("keras.")


def _on_outputs(loss: keras.losses.Loss, model: keras.Model) -> keras.losses.Loss:
    """Return a stock loss in the form that takes the outputs of the model, logits or probabilities."""
    name, probabilities = type(loss).__name__, ends_in_probabilities(model)
    if name_of(loss) in _OF_BATCHES:
        raise InputError(f"`loss` must give one value for each example of outputs (B, K). Received: {name}.")
    if model.output_shape[-1] == 1 and (is_sparse(loss) or is_categorical(loss)):
        raise InputError(f"`model` must have one output for each class for {name}. Received: 1 output.")
    if name_of(loss) in _OF_PROBABILITIES and not probabilities:
        raise InputError(f"`model` must end in a softmax or sigmoid for {name}. Received: a model that gives logits.")
    config = loss.get_config()
    if "from_logits" not in config or config["from_logits"] == (not probabilities):
        return loss
    if probabilities:
        raise InputError(
            f"`loss` must have from_logits=False for a model that ends in softmax or sigmoid. Received: {name}("
            "from_logits=True)."
        )
    return type(loss).from_config(config | {"from_logits": True})


def _task_of(loss: keras.losses.Loss, model: keras.Model) -> Task | None:
    loss = plain(loss)
    if not is_stock(loss):
        return recorded_task(model)
    if is_sparse(loss) or is_categorical(loss) or name_of(loss) in _OF_PROBABILITIES:
        return DEFAULT
    if name_of(loss).startswith("binary"):
        return Binary() if model.output_shape[-1] == 1 else Multilabel()
    if name_of(loss) in ("hinge", "squaredhinge", "cosinesimilarity"):
        return recorded_task(model)
    return Regression()
