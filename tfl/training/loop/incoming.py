"""Check the data of `tfl.fit` against the model: labels against the loss and outputs, examples against the input.

Arrays are checked before training starts. The types and shapes of a stream are also checked before training; its
values are checked in the graph when they are read.
"""

from typing import Any

import keras
import tensorflow as tf

from tfl.data import EpochFeed
from tfl.data.labels import as_labels
from tfl.data.passes import check_ends
from tfl.errors import InputError
from tfl.inputs.graph_checks import guarded
from tfl.models.batch_checks import find_problems
from tfl.models.class_weights import resolve_class_weight
from tfl.models.classifier import input_of_model
from tfl.models.input_shape import as_examples, check_inputs
from tfl.models.labels import LabelRule, check_labels
from tfl.training.loop.plan import plan_of
from tfl.training.objective.compiled import ends_in_probabilities
from tfl.training.objective.losses import is_categorical, is_sparse, is_stock, name_of, plain
from tfl.training.update.batches import Feed, make_feed, unpack

_FORMS = {  # label forms of stock losses that do not take classes; all other losses take any finite number
    "binarycrossentropy": "zero_to_one",
    "binaryfocalcrossentropy": "zero_to_one",
    "hinge": "signs",
    "squaredhinge": "signs",
    "poisson": "at_least_zero",
    "meansquaredlogarithmicerror": "at_least_zero",
}


def rule_of_loss(loss: keras.losses.Loss, output_shape: tuple[int | None, ...]) -> LabelRule:
    """Return the rule for labels that a loss and the outputs of a model require.

    Stock losses have known rules. There is no rule for a loss of a user, and for outputs that are not rows.

    Args:
        loss: from `resolve_loss`.
        output_shape: output shape of the model, with the batch first.
    """
    loss = plain(loss)
    num_outputs, name = output_shape[-1], type(loss).__name__
    if not is_stock(loss) or len(output_shape) != 2 or num_outputs is None:
        return LabelRule("any", num_outputs or 0, name)
    if is_sparse(loss) or is_categorical(loss) or name_of(loss) == "kldivergence":
        return LabelRule("classes", num_outputs, name, loss.get_config().get("ignore_class"))
    return LabelRule(_FORMS.get(name_of(loss), "finite"), num_outputs, name)


def checked_feed(
    model: keras.Model,
    data: tuple[Any, Any, Any],
    batch_size: int,
    seed: int | None,
    *,
    names: tuple[str, str] = ("x", "y"),
) -> Feed:
    """Return the batches of the data, after a check that the data fits the model; see `make_feed`.

    Args:
        model: compiled with `tfl.compile`.
        data: examples, labels and weights, as for `make_feed`.
        batch_size: examples per batch, for arrays.
        seed: seed of the order, for arrays.
        names: names of the arguments with the examples and the labels, for messages.

    Raises:
        InputError: `make_feed` refuses the data, or labels or examples do not fit the model.
    """
    x, y, sample_weight = data
    plan = getattr(model, "_tfl_plan", None)
    rule = None if plan is None else rule_of_loss(plan.losses[0], model.output_shape)
    if rule is None:  # `make_trainer` raises the error that the model must be compiled
        return make_feed(x, y, batch_size, seed, sample_weight)
    if isinstance(x, EpochFeed):  # its examples come from the pipeline, which checks them
        spec = x.source.kind.sized(x.image_size).spec
        check_inputs(spec.dtype, (None, *spec.shape), model, names[0])
        if not x.source.labels_have_places:  # masks and boxes are read with the examples, and checked by their source
            check_labels(x.source.index.labels[x.rows], rule, f"{names[0]}.source")
    elif isinstance(x, tf.data.Dataset):
        x = _guard(x, model, rule, names)
    elif callable(x) and not hasattr(x, "from_batch"):
        by_epoch: Any = x
        return make_feed(lambda epoch: _guard(by_epoch(epoch), model, rule, names), y, batch_size, seed, sample_weight)
    elif not callable(x) and y is not None:
        x, y = as_examples(x, names[0]), as_labels(y)
        check_inputs(x.dtype, x.shape, model, names[0])
        check_labels(y, rule, names[1])
        kind = input_of_model(model)
        if kind is not None:
            kind.check_array(x, names[0])
    return make_feed(x, y, batch_size, seed, sample_weight)


def validation_feed(model: keras.Model, data: Any, batch_size: int) -> Feed:
    """Return the batches of the validation data, which must end; see `checked_feed`."""
    x, y, weight = (*data, None)[:3] if isinstance(data, (tuple, list)) else (data, None, None)
    feed = checked_feed(model, (x, y, weight), batch_size, None, names=("validation_data", "validation_data"))
    if y is None:
        check_ends(feed.dataset(0, 0), "validation_data")
    return feed


def weigh_classes(class_weight: Any, model: keras.Model, labels: Any) -> dict[int, float] | None:
    """Return the weights of the classes by class number; see `resolve_class_weight`.

    Args:
        class_weight: as for `fit`.
        model: compiled with `tfl.compile`.
        labels: labels of the training examples; None if they are known only after reading the data.

    Raises:
        InputError: the examples do not have exactly one class each, or the weights do not fit the classes.
    """
    if class_weight is None:
        return None
    task = plan_of(model).task
    if (
        task is not None
        and not task.labels.has_one_class
        and (task.labels.has_names or not ends_in_probabilities(model))
    ):
        raise InputError(
            "`class_weight` must be None if an example does not have exactly one class. Received: "
            f"target={task.name!r}."
        )
    names = getattr(getattr(model, "metadata", None), "class_names", ())
    return resolve_class_weight(class_weight, max(2, model.output_shape[-1]), names, labels)


def _guard(dataset: tf.data.Dataset, model: keras.Model, rule: LabelRule, names: tuple[str, str]) -> tf.data.Dataset:
    """Return a data set that raises an error at a batch that does not fit the model."""

    @tf.autograph.experimental.do_not_convert
    def check(*element: Any) -> Any:
        element = element[0] if len(element) == 1 else element
        batch = unpack(element)
        return guarded(element, find_problems(batch.inputs, batch.labels, rule, names, model))

    return dataset.map(check)
