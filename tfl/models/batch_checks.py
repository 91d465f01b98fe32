"""Check the batches of a stream while they are read: labels against a rule, examples against the model's input."""

import keras
import tensorflow as tf

from tfl.inputs import input_of
from tfl.inputs.graph_checks import guarded
from tfl.models.classifier import input_of_model
from tfl.models.input_shape import check_inputs, describe_wrong_shape
from tfl.models.labels import LabelRule, check_shape, describe_wrong


def find_problems(
    inputs: tf.Tensor, labels: tf.Tensor | None, rule: LabelRule, names: tuple[str, str], model: keras.Model
) -> list[tf.Tensor]:
    """Return lines about examples and labels that do not fit the model, for `guarded`; runs in a graph.

    Args:
        inputs: `(B, ...)`.
        labels: `(B,)` or `(B, K)`; None if the data has no labels.
        rule: that the labels must follow.
        names: of the arguments that hold examples and labels, for messages.
        model: that takes the examples.

    Raises:
        InputError: types or shapes do not fit.
    """
    problems, kind = [], input_of_model(model)
    if isinstance(inputs, tf.Tensor):
        check_inputs(inputs.dtype, inputs.shape, model, names[0], "{}.batch(32)")
        problems.append(describe_wrong_shape(inputs, model, names[0]))
    if labels is not None:
        check_shape(labels.dtype, labels.shape, rule, names[1])
        if rule.form != "any":
            problems.append(describe_wrong(labels, rule, names[1]))
    if kind is not None:
        problems.append(kind.describe_wrong(inputs, names[0]))
    return [problem for problem in problems if problem is not None]


def guard_batches(dataset: tf.data.Dataset, rule: LabelRule, name: str, model: keras.Model) -> tf.data.Dataset:
    """Return the same batches with a check: reading a batch that does not fit the model is an error.

    Args:
        dataset: batches with "input" and, if it is known, "label".
        rule: that the labels must follow.
        name: of the argument, for messages.
        model: that takes the examples.
    """

    @tf.autograph.experimental.do_not_convert
    def check(batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        problems = find_problems(input_of(batch), batch.get("label"), rule, (name, name), model)
        return guarded(batch, problems)

    return dataset.map(check)
