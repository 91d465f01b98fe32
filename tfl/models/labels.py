"""Check that labels fit the task, the loss and the outputs of a model: one check for all functions that take labels.

A loss rarely fails on wrong labels. With labels from 1 to K it drops a class; with labels -1 and 1 it may fall without
limit. The check consists of TensorFlow operations, so that arrays and the batches of a stream get the same check.
"""

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from tfl.data.labels import as_labels, find_missing
from tfl.errors import InputError
from tfl.inputs.graph_checks import as_text, counted, first_of, sentence
from tfl.tasks import Task

_SUM_TOLERANCE = 0.01  # float16 rows do not add up to exactly 1


@dataclasses.dataclass(frozen=True)
class LabelRule:
    """The rule that labels must follow.

    Attributes:
        form: "classes": class numbers, or rows of shares that add up to 1; "numbers": class numbers only; or values,
            one for each output: "zero_or_one", "zero_to_one", "signs" (-1 and 1, or 0 and 1), "at_least_zero",
            "finite"; or "any": numbers of any shape, if the loss is not known.
        num_outputs: K of the model.
        owner: the target or the name of the loss that sets the rule, for messages.
        ignored: class number that the loss ignores; None if there is none.
    """

    form: str
    num_outputs: int
    owner: str
    ignored: int | None = None


_FORMS = {
    "zero_or_one": "0 or 1",
    "zero_to_one": "numbers from 0 to 1",
    "signs": "-1 or 1",
    "at_least_zero": "numbers of at least 0",
    "finite": "finite numbers",
}


def rule_of_task(task: Task, num_outputs: int, *, soft: bool = False) -> LabelRule:
    """Return the rule for the labels of a task.

    Args:
        task: the task of the model.
        num_outputs: K of the model.
        soft: whether labels between 0 and 1 are accepted too, if the task has such labels.
    """
    form = task.labels.soft_form if soft else task.labels.form
    return LabelRule(form, task.num_classes(num_outputs) if form == "numbers" else num_outputs, task.name)


def check_labels(labels: Any, rule: LabelRule, name: str) -> None:
    """Check labels in memory.

    Args:
        labels: `(N,)` or `(N, K)`, anything that NumPy can read, or a tensor.
        rule: that they must follow.
        name: of the argument, for messages.

    Raises:
        InputError: the labels have a wrong type or shape, or some have a wrong value; the message says how many, and
            what to do.
    """
    if not isinstance(labels, tf.Tensor):
        labels = as_labels(labels)
        _check_kind(labels, rule, name)
    check_shape(labels.dtype, labels.shape, rule, name)
    if rule.form != "any" and labels.shape[0]:
        with tf.device("CPU"):
            text = describe_wrong(tf.convert_to_tensor(labels), rule, name).numpy().decode()
        if text:
            raise InputError(text)


def check_shape(dtype: Any, shape: Any, rule: LabelRule, name: str) -> None:
    """Check the type and the shape of labels, which are known before the labels are read.

    Args:
        dtype: TensorFlow or NumPy type of the labels.
        shape: of the labels, with the examples first; unknown sizes are None.
        rule: that they must follow.
        name: of the argument, for messages.

    Raises:
        InputError: the labels are not numbers, or their shape does not fit the outputs.
    """
    if tf.as_dtype(dtype) == tf.string:
        raise _no_numbers(rule, name, "text")
    if rule.form == "any":
        return
    shape, num_outputs = tf.TensorShape(shape), rule.num_outputs
    if shape.rank is None or None in shape[1:]:
        return
    rest: tuple[Any, ...] = tuple(shape[1:])
    are_classes, are_single = rule.form in ("classes", "numbers"), rest in ((), (1,))
    if (rest == (num_outputs,) and rule.form != "numbers") or (are_single and (num_outputs == 1 or are_classes)):
        return
    rows = f"rows of {num_outputs} values"
    must, remedy = f"{rows} for {rule.owner}, one for each output", ""
    if rule.form == "numbers":
        must = f"class numbers (N,) for {rule.owner}"
        remedy = f" Did you mean np.argmax({name}, axis=1)?" if shape.rank == 2 else ""
    elif are_classes:
        must = f"class numbers (N,) or {rows} for {rule.owner}"
        remedy = f" Did you mean a model of {shape[-1]} outputs?" if shape.rank == 2 else ""
    elif num_outputs == 1:
        must = f"one number for each example for {rule.owner} and 1 output"
        remedy = f" Did you mean np.argmax({name}, axis=1)?" if rest == (2,) and rule.form != "finite" else ""
    elif are_single and rule.form.startswith("zero"):
        remedy = f" Did you mean np.eye({num_outputs})[{name}]?"
    raise InputError(f"`{name}` must be {must}. Received: labels of shape {tuple(shape)}.{remedy}")


def describe_wrong(labels: tf.Tensor, rule: LabelRule, name: str) -> tf.Tensor:
    """Return one line about the labels with a wrong value, as a string tensor; an empty string if all are correct.

    Args:
        labels: `(B,)` or `(B, K)` numbers, at least one.
        rule: that they must follow; `check_shape` has accepted them.
        name: of the argument, for the line.
    """
    are_rows = labels.shape.rank == 2 and labels.shape[-1] not in (1, None)
    values = tf.reshape(tf.cast(labels, tf.float64), [tf.shape(labels)[0], -1] if are_rows else [-1, 1])
    if rule.form == "classes" and are_rows:
        wrong, describe = ~_adds_up(values), _about_rows
    else:
        wrong, describe = ~tf.reduce_all(_fits(values, rule), axis=1), _about_numbers
    return tf.cond(tf.reduce_any(wrong), lambda: describe(values, wrong, rule, name), lambda: tf.constant(""))


def _check_kind(labels: np.ndarray, rule: LabelRule, name: str) -> None:
    missing = np.flatnonzero(find_missing(labels)) if labels.dtype.kind in "OSU" else np.zeros(0, int)
    if len(missing):
        raise InputError(
            f"`{name}` must have a label for every example. Received: {len(missing)} of {len(labels)} examples without "
            f"a label, the first at position {missing[0]}. Did you mean to leave them out?"
        )
    if labels.dtype.kind in "SU":
        raise _no_numbers(rule, name, f"text, the first is {labels.flat[0]!s}")
    if labels.dtype.kind not in "biuf":
        raise _no_numbers(rule, name, f"labels of type {labels.dtype}")


def _no_numbers(rule: LabelRule, name: str, received: str) -> InputError:
    remedy = f" Did you mean np.unique({name}, return_inverse=True)[1]?" if rule.form in ("classes", "numbers") else ""
    return InputError(f"`{name}` must be numbers for {rule.owner}. Received: {received}.{remedy}")


def _adds_up(rows: tf.Tensor) -> tf.Tensor:
    total = tf.reduce_sum(rows, axis=1)
    return tf.reduce_all(rows >= 0, axis=1) & (tf.abs(total - 1) <= _SUM_TOLERANCE)


def _fits(values: tf.Tensor, rule: LabelRule) -> tf.Tensor:
    """Return for each number whether it is correct; NaN never is."""
    if rule.form in ("classes", "numbers"):
        fits = (values >= 0) & (values < rule.num_outputs) & (values == tf.round(values))
        return fits if rule.ignored is None else fits | (values == rule.ignored)
    if rule.form == "zero_or_one":
        return (values == 0) | (values == 1)
    if rule.form == "signs":
        return (values == -1) | (values == 1) | ((values == 0) & ~tf.reduce_any(values == -1))
    fits = tf.math.is_finite(values)
    if rule.form == "at_least_zero":
        return fits & (values >= 0)
    return fits & (values >= 0) & (values <= 1) if rule.form == "zero_to_one" else fits


def _about_rows(rows: tf.Tensor, wrong: tf.Tensor, rule: LabelRule, name: str) -> tf.Tensor:
    first = tf.argmax(wrong)
    remedy = first_of(
        (~tf.reduce_all(tf.math.is_finite(rows)), "Did you mean to leave out the examples without a label?"),
        (tf.reduce_any(rows < 0), "Did you mean rows of 0 and 1?"),
        (tf.reduce_all((rows == 0) | (rows == 1)), "Did you mean 'multilabel'?"),
        (tf.constant(True), f"Did you mean {name} / {name}.sum(axis=1, keepdims=True)?"),
    )
    return sentence(
        f"`{name}` must be rows of {rule.num_outputs} shares that add up to 1 for {rule.owner}. Received: ",
        *(counted(wrong), " other rows, the first adds up to ", as_text(tf.reduce_sum(rows[first])), ". ", remedy),
    )


def _about_numbers(values: tf.Tensor, wrong: tf.Tensor, rule: LabelRule, name: str) -> tf.Tensor:
    must = _FORMS.get(rule.form, f"class numbers from 0 to {rule.num_outputs - 1}")
    first = tf.boolean_mask(values, ~_fits(values, rule))[0]
    low, high = tf.reduce_min(values), tf.reduce_max(values)
    outputs = f"{rule.num_outputs} output{'s' if rule.num_outputs > 1 else ''}"
    return sentence(
        f"`{name}` must be {must} for {rule.owner} and {outputs}. Received: ",
        *(counted(wrong), " other labels, the first is ", as_text(first)),
        *(", all in [", as_text(low), ", ", as_text(high), "].", _remedy(values, low, high, rule, name)),
    )


def _remedy(values: tf.Tensor, low: tf.Tensor, high: tf.Tensor, rule: LabelRule, name: str) -> tf.Tensor:
    are_classes = rule.form in ("classes", "numbers")
    last = rule.num_outputs - 1 if are_classes else 1
    is_whole, has_zero = tf.reduce_all(values == tf.round(values)), tf.reduce_any(values == 0)
    missing = " Did you mean to leave out the examples without a label?"
    cases = [(~tf.math.is_finite(high - low), missing)]
    if are_classes or rule.form.startswith("zero"):
        halves = f"({name} + 1) / 2" if not are_classes else f"({name} + 1) // 2"
        cases += [
            (~is_whole, " Did you mean 'regression'?"),
            ((low >= 1) & (high == last + 1), f" Did you mean labels 0 to {last}: {name} - 1?"),
            (((low == -1) & (high <= 1) & ~has_zero) & (last == 1), f" Did you mean labels 0 and 1: {halves}?"),
            (low < 0, missing),
        ]
    if are_classes or (rule.form.startswith("zero") and rule.num_outputs == 1):
        more = tf.strings.join([" Did you mean a model of ", as_text(high + 1), " outputs, one for each class?"])
        cases += [(high > last, more)]
    if rule.form == "at_least_zero":
        cases += [(low < 0, " Did you mean 'regression'?")]
    return first_of(*cases)
