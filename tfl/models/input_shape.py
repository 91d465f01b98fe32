"""Check the type and the shape of examples against the input of a model; Keras answers with an error of a layer."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfl.errors import InputError


def as_examples(x: Any, name: str) -> np.ndarray:
    """Return examples in memory as one array.

    Args:
        x: anything that NumPy can read.
        name: of the argument, for messages.

    Raises:
        InputError: the examples have different shapes.
    """
    try:
        return np.asarray(x)
    except ValueError as error:
        raise InputError(
            f"`{name}` must be one array (N, ...). Received: examples of different shapes. Did you mean to resize them?"
        ) from error


def check_inputs(dtype: Any, shape: Any, model: keras.Model, name: str, one: str = "{}[None]") -> None:
    """Check the type and the shape of examples, which are known before the examples are read.

    A model with several inputs, or without a known one, is not checked.

    Args:
        dtype: TensorFlow or NumPy type of the examples.
        shape: of the examples, with the batch first; unknown sizes are None.
        model: that takes the examples.
        name: of the argument, for messages.
        one: how to make a batch of one example, for messages.

    Raises:
        InputError: the examples are not numbers, or their shape does not fit the model.
    """
    entrance = _only_input(model)
    if entrance is None:
        return
    if entrance.dtype != "string" and not _are_numbers(dtype):
        raise InputError(f"`{name}` must be an array of numbers. Received: type {getattr(dtype, 'name', dtype)}.")
    given, wanted = tf.TensorShape(shape), tuple(entrance.shape[1:])
    if given.rank is None or any(_fits(each, wanted) for each in _as_keras_reads(given, wanted)):
        return
    remedy = _remedy(given, wanted, name, one)
    raise InputError(
        f"`{name}` must be examples of shape {_text(('N', *wanted))}, as the model takes them. Received: "
        f"shape {_text(tuple(given))}.{f' Did you mean {remedy}?' if remedy else ''}"
    )


def describe_wrong_shape(inputs: tf.Tensor, model: keras.Model, name: str) -> tf.Tensor | None:
    """Return one line about a batch whose shape is known only when it is read; None if it is known before.

    The line is empty if the shape fits the model.

    Args:
        inputs: `(B, ...)`; `check_inputs` has accepted what is known.
        model: that takes the examples.
        name: of the argument, for the line.
    """
    entrance = _only_input(model)
    if entrance is None or (inputs.shape.rank is not None and None not in inputs.shape[1:]):
        return None
    wanted = np.array([-1 if size is None else size for size in entrance.shape[1:]], np.int32)
    given = tf.shape(inputs)
    fits = tf.cond(
        tf.equal(tf.size(given), len(wanted) + 1),
        lambda: tf.reduce_all((given[1 : len(wanted) + 1] == wanted) | (wanted < 0)),
        lambda: tf.constant(False),
    )
    line = tf.strings.join(
        [
            f"`{name}` must be examples of shape {_text(('N', *entrance.shape[1:]))}, as the model takes them. ",
            "Received: shape (",
            tf.strings.reduce_join(tf.strings.as_string(given), separator=", "),
            ").",
        ]
    )
    return tf.where(fits, "", line)


def _only_input(model: keras.Model) -> Any:
    """Return the input of a model with one input; None for other models."""
    inputs = getattr(model, "inputs", None) or ()
    return inputs[0] if len(inputs) == 1 and inputs[0].shape is not None else None


def _are_numbers(dtype: Any) -> bool:
    try:
        dtype = tf.as_dtype(dtype)
    except TypeError:
        return False
    return dtype.is_integer or dtype.is_floating or dtype.is_bool


def _fits(given: tf.TensorShape, wanted: tuple[int | None, ...]) -> bool:
    return given.rank == len(wanted) + 1 and given[1:].is_compatible_with(wanted)


def _as_keras_reads(given: tf.TensorShape, wanted: tuple[int | None, ...]) -> list[tf.TensorShape]:
    """Return the shape itself, and the shapes with one last axis of size 1 more or less, which Keras accepts too."""
    shapes = [given]
    if given.rank == len(wanted) and wanted[-1:] == (1,):
        shapes.append(given.concatenate([1]))
    if given.rank == len(wanted) + 2 and given[-1] == 1:
        shapes.append(given[:-1])
    return shapes


def _remedy(given: tf.TensorShape, wanted: tuple[int | None, ...], name: str, one: str) -> str:
    rest = given[1:]
    if given.is_compatible_with(wanted):
        return one.format(name)
    if len(wanted) != 3:
        return ""
    size, channels = wanted[:2], wanted[2]
    cases = [
        ((channels, *size), "np.moveaxis(images, 1, -1)"),
        (size if channels == 3 else (0,), "np.stack([images] * 3, axis=-1)"),
        ((*size, 1) if channels == 3 else (0,), "np.repeat(images, 3, axis=-1)"),
        ((*size, 4) if channels == 3 else (0,), "images[..., :3]"),
        ((None, None, channels), f"tf.image.resize(images, {_text(size)})"),
    ]
    return next((text for shape, text in cases if rest.is_compatible_with(shape)), "")


def _text(shape: tuple[Any, ...]) -> str:
    return f"({', '.join('?' if size is None else str(size) for size in shape)}{',' if len(shape) == 1 else ''})"
