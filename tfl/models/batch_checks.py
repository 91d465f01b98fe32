"""Check the batches of a stream while they are read: labels against a rule, pixels against the model's input."""

import tensorflow as tf

from tfl.errors import InputError
from tfl.inputs.graph_checks import guarded
from tfl.inputs.image.pixels import describe_wrong_pixels
from tfl.models.labels import LabelRule, check_shape, describe_wrong


def find_problems(
    images: tf.Tensor, labels: tf.Tensor | None, rule: LabelRule, names: tuple[str, str], *, pixels: bool
) -> list[tf.Tensor]:
    """Return lines about images and labels that do not fit the model, for `guarded`; runs in a graph.

    Args:
        images: `(B, ...)`.
        labels: `(B,)` or `(B, K)`; None if the data has no labels.
        rule: that the labels must follow.
        names: of the arguments that hold images and labels, for messages.
        pixels: whether the model takes pixels in [0, 255].

    Raises:
        InputError: types or shapes do not fit.
    """
    problems = []
    if labels is not None:
        check_shape(labels.dtype, labels.shape, rule, names[1])
        if rule.form != "any":
            problems.append(describe_wrong(labels, rule, names[1]))
    if pixels and images.dtype == tf.bool:
        raise InputError(f"`{names[0]}` must have pixels in [0, 255]. Received: bool. Did you mean 255 * images?")
    if pixels and images.dtype.is_floating:
        problems.append(describe_wrong_pixels(images, names[0]))
    return problems


def guard_batches(dataset: tf.data.Dataset, rule: LabelRule, name: str, *, pixels: bool) -> tf.data.Dataset:
    """Return the same batches with a check: reading a batch that does not fit the model is an error.

    Args:
        dataset: batches with "image" and, if it is known, "label".
        rule: that the labels must follow.
        name: of the argument, for messages.
        pixels: whether the model takes pixels in [0, 255].
    """

    @tf.autograph.experimental.do_not_convert
    def check(batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        problems = find_problems(batch["image"], batch.get("label"), rule, (name, name), pixels=pixels)
        return guarded(batch, problems)

    return dataset.map(check)
