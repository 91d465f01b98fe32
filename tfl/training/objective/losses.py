"""Losses of each target; all take `(y_true, y_pred)`. `compiled.py` looks up the losses of users."""

import keras
import tensorflow as tf

from tfl.errors import InputError
from tfl.tasks import Task, get_task
from tfl.tasks.loss_options import OtherCrossEntropy
from tfl.training.objective.views import LossOverBatch

Measure = keras.losses.Loss | keras.metrics.Metric


def make_loss(target: str | Task = "multiclass", label_smoothing: float = 0.0) -> keras.losses.Loss:
    """Build the loss of a target, on logits, one value per example.

    Only stock Keras losses are used, so that a compiled and saved model loads without tfl.

    Args:
        target: `"multiclass"`, `"binary"`, `"multilabel"` or `"regression"`.
        label_smoothing: s in [0, 1). A multiclass label y becomes (1 - s) y + s / K, a binary label becomes
            (1 - s) y + s / 2. Regression has no smoothing.

    Returns:
        A Keras loss with `reduction="none"`: `(B,)` float32.

    Raises:
        InputError: the target is unknown, or it does not allow this smoothing.

    Example:
        >>> make_loss("multiclass")(np.array([0]), np.array([[0.0, 0.0]])).numpy()  # log 2
        array([0.693...], dtype=float32)

    Reference:
        Szegedy et al. 2016, Rethinking the Inception architecture, arXiv:1512.00567 (label smoothing).
    """
    return get_task(target).loss(label_smoothing)


def evaluation_loss(loss: keras.losses.Loss) -> keras.losses.Loss:
    """Return the loss for evaluation: without label smoothing, averaged over the batch.

    Smoothing belongs to training, and a reported loss must not depend on it. A smoothed multiclass loss becomes the
    sparse loss on class numbers. Losses that do not come from Keras are returned unchanged.
    """
    loss = plain(loss)
    if not is_stock(loss):
        return loss
    config = loss.get_config() | {"reduction": "sum_over_batch_size"}
    if config.get("label_smoothing") and is_categorical(loss):
        return keras.losses.SparseCategoricalCrossentropy(from_logits=config["from_logits"])
    if "label_smoothing" in config:
        config["label_smoothing"] = 0.0
    return type(loss).from_config(config)


def plain(loss: keras.losses.Loss) -> keras.losses.Loss:
    """Return the plain cross-entropy in place of one with `LossOptions`, which takes the same labels."""
    return loss.plain if isinstance(loss, OtherCrossEntropy) else loss


def is_stock(measure: Measure) -> bool:
    """Return whether a loss or metric comes from Keras, and is not a function or subclass of a user."""
    function = getattr(measure, "fn", None) or getattr(measure, "_fn", None)
    own = type(measure) if function is None else function
    return own.__module__.startswith("keras.") and type(measure).__module__.startswith("keras.")


def name_of(measure: Measure) -> str:
    """Return the name of a stock loss or metric in one form: `meansquarederror` for both the class and the function."""
    wrapped = getattr(measure, "_fn", None) if type(measure).__name__ == "MeanMetricWrapper" else None
    return (wrapped or type(measure)).__name__.replace("_", "").lower()


def is_sparse(measure: Measure) -> bool:
    """Return whether a loss or metric takes class numbers and not one-hot rows."""
    name = name_of(measure)
    return is_stock(measure) and (name.startswith("sparse") or name == "categoricalgeneralizedcrossentropy")


def is_categorical(measure: Measure) -> bool:
    """Return whether a loss or metric takes one row of class probabilities per example."""
    return is_stock(measure) and "categorical" in name_of(measure) and not is_sparse(measure)


def can_mix(loss: keras.losses.Loss) -> bool:
    """Return whether a loss takes rows of mixed labels, for any form that the labels had before."""
    loss = plain(loss)
    return is_stock(loss) and (not is_sparse(loss) or name_of(loss) == "sparsecategoricalcrossentropy")


def align_labels(labels: tf.Tensor, logits: tf.Tensor, loss: keras.losses.Loss) -> tf.Tensor:
    """Return labels in the form that a stock loss takes.

    Some losses of Keras broadcast `(B,)` labels against `(B, 1)` logits to `(B, B)`, and others fail on class numbers.

    Args:
        labels: `(B,)`, `(B, 1)` or `(B, K)`.
        logits: `(B, K)`.
        loss: the loss that will be called with the labels.

    Returns:
        int64 `(B,)` for sparse losses, float32 of the shape of `logits` for the others.

    Raises:
        InputError: each label is one number, but the loss needs one value for each output.
    """
    num_outputs = logits.shape[-1]
    is_row = labels.shape.rank == logits.shape.rank and labels.shape[-1] == num_outputs
    if is_sparse(loss):
        return class_numbers(labels, num_outputs)
    if is_categorical(loss) or name_of(loss) == "kldivergence":
        return label_rows(labels, num_outputs)
    if num_outputs is not None and num_outputs > 1 and labels.shape.rank is not None and not is_row:
        raise InputError(
            f"`y` must be rows of {num_outputs} values for {type(loss).__name__}, one for each output. "
            f"Received: labels of shape {tuple(labels.shape)}."
        )
    labels = tf.cast(labels, tf.float32)
    return labels if labels.shape.rank == logits.shape.rank else tf.expand_dims(labels, -1)


def class_numbers(labels: tf.Tensor, num_outputs: int) -> tf.Tensor:
    """Return labels of any form as int64 class numbers `(B,)`; for a mixed row, the class with the largest share."""
    if labels.shape.rank == 2 and labels.shape[-1] == num_outputs and num_outputs > 1:
        return tf.argmax(labels, axis=-1)
    return tf.cast(tf.reshape(labels, [-1]), tf.int64)


def label_rows(labels: tf.Tensor, num_outputs: int) -> tf.Tensor:
    """Return labels of any form as float32 rows `(B, K)` that can be mixed: shares of the classes, or values."""
    if num_outputs > 1 and (labels.shape.rank == 1 or labels.shape[-1] == 1):
        return tf.one_hot(tf.cast(tf.reshape(labels, [-1]), tf.int64), num_outputs)
    return tf.reshape(tf.cast(labels, tf.float32), [-1, num_outputs])


def per_example_loss(loss: keras.losses.Loss, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Return the loss of each example, `(B,)` float32, for any reduction of the loss object.

    A loss of a user gets labels and outputs as in Keras. If it returns one number for the batch, this number is the
    loss of each example.
    """
    logits = tf.cast(logits, tf.float32)
    if isinstance(loss, OtherCrossEntropy):
        return loss.call(label_rows(labels, logits.shape[-1]), logits)
    if not is_stock(loss):
        values = tf.cast(loss.call(tf.cast(labels, loss.dtype), tf.cast(logits, loss.dtype)), tf.float32)
        return _one_each(values, tf.shape(logits)[0])
    soft = labels.shape.rank == logits.shape.rank and labels.dtype.is_floating and logits.shape[-1] > 1
    if is_sparse(loss) and soft:  # mixed labels have no class number
        loss = keras.losses.CategoricalCrossentropy(from_logits=loss.get_config().get("from_logits", True))
    values = tf.convert_to_tensor(loss.call(align_labels(labels, logits, loss), logits))
    return _one_each(values, tf.shape(logits)[0])


def values_at_fault(loss: keras.losses.Loss, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Return a number for each example, `(B,)`, that is finite unless the example makes the loss of a batch not finite.

    It is the loss of the example; for a loss over the batch, in which every example has the same loss, the sum of its
    outputs.
    """
    if isinstance(loss, LossOverBatch):
        return tf.reduce_sum(tf.cast(logits, tf.float32), axis=-1)
    return per_example_loss(loss, labels, logits)


def _one_each(values: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    if values.shape.rank == 0:
        return tf.fill([count], values)
    return tf.reduce_mean(tf.reshape(values, [count, -1]), axis=-1)
