"""A number of each prepared example, by which evaluation divides the examples."""

import dataclasses
from collections.abc import Callable

import numpy as np


@dataclasses.dataclass(frozen=True)
class Measure:
    """A number for each prepared example, by which evaluation divides the examples into slices.

    Attributes:
        name: of the number, such as "brightness".
        unit: text after a number, such as "of 255".
        size: of the prepared examples that `function` takes; smaller ones are faster.
        function: from a batch of prepared examples to their numbers, `(B, ...)` to `(B,)`.
    """

    name: str
    unit: str
    size: int
    function: Callable[[np.ndarray], np.ndarray]
