"""Find the metrics of a target or of a user, and give each metric its inputs.

Models return logits. A stock metric that expects probabilities, class numbers or one-hot rows gets them; a metric of a
user gets labels and outputs as in Keras.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tfl.errors import InputError
from tfl.tasks import Task, get_task
from tfl.training.objective.losses import class_numbers, is_categorical, is_sparse, is_stock, label_rows, name_of

_ON_LOGITS = ("hinge", "squaredhinge", "categoricalhinge")  # their margins are margins of logits
_ACCURACIES = ("categoricalaccuracy", "topkcategoricalaccuracy")  # also sparse ones; they need only the order of logits
_OF_DECISIONS = ("accuracy", "iou", "meaniou")  # these compare class numbers with class numbers
_NEED_PROBABILITIES = (
    *("auc", "precision", "recall", "precisionatrecall", "recallatprecision", "sensitivityatspecificity"),
    *("specificityatsensitivity", "truepositives", "truenegatives", "falsepositives", "falsenegatives"),
    *("binaryaccuracy", "binarycrossentropy", "binaryfocalcrossentropy", "categoricalcrossentropy"),
    *("categoricalfocalcrossentropy", "sparsecategoricalcrossentropy", "kldivergence", "f1score", "fbetascore"),
    *("binaryiou", "onehotiou", "onehotmeaniou", *_OF_DECISIONS),
)


def make_metrics(target: str | Task = "multiclass") -> list[keras.metrics.Metric]:
    """Return the default metrics of a target; a logit above 0 counts as "yes" (Keras compares with 0.5).

    Args:
        target: the task, or its name: `"multiclass"`, `"binary"`, `"multilabel"` or `"regression"`.
    """
    return get_task(target).metrics()


def resolve_metrics(
    metrics: Any, task: Task | None, activation: str, output_shape: tuple[int | None, ...], *, probabilities: bool
) -> tuple[keras.metrics.Metric, ...]:
    """Return the metric objects for a user's argument; None gives the default metrics of the task.

    Args:
        metrics: one or several names, objects, classes or functions; or None.
        task: meaning of the outputs; None if it is not known.
        activation: as for `feed_metric`.
        output_shape: output shape of the model.
        probabilities: whether the model ends in a softmax or sigmoid.

    Raises:
        InputError: an argument is not a metric, a metric does not fit the outputs, or two metrics have the same name.
    """
    defaults = task.metrics() if task else []
    if probabilities and defaults and name_of(defaults[0]) == "binaryaccuracy":
        defaults = [keras.metrics.BinaryAccuracy(name="accuracy")]
    if metrics is None:
        return tuple(defaults)
    found = [_find(metric, defaults) for metric in _flatten(metrics)]
    for metric in found:
        if is_stock(metric):
            _check_fits(metric, task, output_shape, known=bool(activation) or probabilities)
    twice = [name for name, count in Counter(metric.name for metric in found).items() if count > 1]
    if twice:
        raise InputError(f"`metrics` must have different names (name=...). Received: {twice[0]!r} more than once.")
    return tuple(found)


def feed_metric(
    metric: keras.metrics.Metric, labels: tf.Tensor, outputs: tf.Tensor, activation: str
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return labels and predictions in the form that a metric takes.

    Args:
        metric: a metric of Keras or of a user.
        labels: labels in the form of the data.
        outputs: float32 `(B, K)`.
        activation: function from outputs to probabilities: "softmax" or "sigmoid"; "" for none.
    """
    if not is_stock(metric):
        return labels, outputs
    name, num_outputs = name_of(metric), outputs.shape[-1]
    if is_sparse(metric) and "accuracy" in name:
        return class_numbers(labels, num_outputs), outputs
    if not takes_outputs(metric):
        outputs = _activated(outputs, activation)
    if is_sparse(metric):
        return class_numbers(labels, num_outputs), outputs
    if name in _OF_DECISIONS and getattr(metric, "sparse_y_pred", True):
        outputs = tf.cast(outputs > 0.5, tf.int64) if activation != "softmax" else tf.argmax(outputs, axis=-1)
    if name in _OF_DECISIONS and getattr(metric, "sparse_y_true", True):
        return tf.cast(_like(labels, outputs, activation, num_outputs), tf.int64), outputs
    return label_rows(labels, num_outputs), outputs


def build_metric(metric: keras.metrics.Metric, num_outputs: int) -> None:
    """Create the variables of a stock metric now instead of in its first update, because they are read by position."""
    if is_stock(metric) and getattr(metric, "_built", True) is False:
        shape = (None, num_outputs)
        metric._build(*([shape] if isinstance(metric, keras.metrics.AUC) else [shape, shape]))


def takes_outputs(metric: keras.metrics.Metric) -> bool:
    """Return whether a stock metric takes the outputs unchanged: it expects logits, or needs only their order."""
    config, name = metric.get_config(), name_of(metric)
    if config.get("from_logits") or name in (*_ON_LOGITS, *_ACCURACIES, *(f"sparse{n}" for n in _ACCURACIES)):
        return True
    return name == "binaryaccuracy" and config.get("threshold", 0.5) <= 0


def _activated(outputs: tf.Tensor, activation: str) -> tf.Tensor:
    functions: dict[str, Callable[[tf.Tensor], tf.Tensor]] = {"softmax": tf.nn.softmax, "sigmoid": tf.nn.sigmoid}
    return functions[activation](outputs) if activation else outputs


def _like(labels: tf.Tensor, decisions: tf.Tensor, activation: str, num_outputs: int) -> tf.Tensor:
    if activation == "softmax" or decisions.shape.rank == 1:
        return class_numbers(labels, num_outputs)
    return label_rows(labels, num_outputs)


def _flatten(metrics: Any) -> list[Any]:
    if not isinstance(metrics, (list, tuple)):
        metrics = [metrics]
    return [inner for metric in metrics for inner in (metric if isinstance(metric, (list, tuple)) else [metric])]


def _find(metric: Any, defaults: list[keras.metrics.Metric]) -> keras.metrics.Metric:
    """Look up one metric; "accuracy" is the accuracy of the target."""
    if metric in ("accuracy", "acc"):
        if not defaults or defaults[0].name != "accuracy":
            raise InputError(
                f"`metrics` must fit the loss, and this one is not a loss of a classifier. Received: {metric!r}."
            )
        return defaults[0]
    try:
        found: Any = keras.metrics.get(metric)
    except (ValueError, TypeError):
        found = None
    if found is None:
        raise InputError(f"`metrics` must be Keras metrics or their names. Received: {metric!r}.")
    if isinstance(found, keras.metrics.Metric):
        if isinstance(metric, str):
            found.name = metric
        return found
    return keras.metrics.MeanMetricWrapper(found, name=getattr(found, "__name__", type(found).__name__))


def _check_fits(
    metric: keras.metrics.Metric, task: Task | None, output_shape: tuple[int | None, ...], *, known: bool
) -> None:
    received = f"Received: {metric.name!r} ({type(metric).__name__})"
    if output_shape[-1] == 1 and (is_sparse(metric) or is_categorical(metric)):
        raise InputError(
            f"`metrics` must fit a model with one output, which has no classes to choose from. {received}."
        )
    if name_of(metric) in ("mean", "sum"):
        raise InputError(f"`metrics` must compare labels with predictions. {received}.")
    if known or name_of(metric) not in _NEED_PROBABILITIES or takes_outputs(metric):
        return
    why = "the model predicts values" if task else "this loss does not tell what the outputs mean"
    raise InputError(
        f"`metrics` must not need probabilities, because {why}. {received}. "
        "Did you mean a model that ends in softmax or sigmoid, or from_logits=True?"
    )
