"""Checks inside a graph that fail with one line for the user; `reading_explained` turns it into an `InputError`."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf


def guarded(element: Any, problems: Sequence[tf.Tensor]) -> Any:
    """Return an element of a data set with a check: reading it raises an error if there is a problem.

    Args:
        element: tensors in any structure.
        problems: lines that begin with the name of an argument in backquotes; an empty line means no problem.
    """
    checks = [tf.debugging.Assert(tf.equal(problem, ""), [problem]) for problem in problems]
    with tf.control_dependencies(checks):
        return tf.nest.map_structure(tf.identity, element)


def sentence(*parts: tf.Tensor | str) -> tf.Tensor:
    """Join texts into one."""
    return tf.strings.join(parts)


def first_of(*cases: tuple[tf.Tensor, tf.Tensor | str]) -> tf.Tensor:
    """Return the text of the first case whose condition is true; an empty text if none is."""
    text = tf.constant("")
    for holds, own in reversed(cases):
        text = tf.where(holds, own, text)
    return text


def as_text(number: tf.Tensor) -> tf.Tensor:
    """Return a number as a person writes it: "3", "0.25"."""
    return tf.strings.as_string(number, shortest=True)


def counted(wrong: tf.Tensor) -> tf.Tensor:
    """Return the number of true values in a bool tensor as text: "3 of 32"."""
    return tf.strings.join(
        [tf.strings.as_string(tf.math.count_nonzero(wrong)), " of ", tf.strings.as_string(tf.size(wrong))]
    )
