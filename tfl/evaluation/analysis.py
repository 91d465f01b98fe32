"""What an analysis is: it measures one side of the quality of a model, and says how the result is stored as JSON."""

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from tfl.evaluation.predictions import Predictions
from tfl.evaluation.rows import to_json

Result = TypeVar("Result")


@dataclasses.dataclass(frozen=True)
class Examples:
    """The predictions that an analysis measures.

    Attributes:
        test: predictions on the test examples, at temperature 1.
        scaled_test: the same predictions, at the temperature of the saved model.
        scaled_validation: predictions on examples that the model was not fitted on, at the same temperature;
            thresholds are chosen on them. None, or empty: nothing can be chosen.
        class_names: in the order of the columns of probabilities.
    """

    test: Predictions
    scaled_test: Predictions
    scaled_validation: Predictions | None
    class_names: Sequence[str]


class Analysis(abc.ABC, Generic[Result]):
    """One analysis of a model. A task declares the analyses that apply to it, by name, in `Task.analyses`.

    To add an analysis, write a subclass, put an object of it into `tfl.evaluation.analyses.ANALYSES`, and put a
    function that shows its result into `tfl.report.panels.PANELS`.

    Attributes:
        name: as in `Task.analyses`.
        is_decision: whether it chooses on validation; its entries in `evaluation.json` are then under "decisions".
    """

    name: ClassVar[str]
    is_decision: ClassVar[bool] = False

    @abc.abstractmethod
    def measure(self, examples: Examples) -> Result | None:
        """Return the result, a frozen dataclass or a tuple of them; None if there is nothing to measure."""

    def to_dict(self, result: Result) -> dict[str, Any]:
        """Return the entries of `evaluation.json`; by default one entry with the name of the analysis."""
        return {self.name: to_json(result)}

    @abc.abstractmethod
    def from_dict(self, values: Mapping[str, Any]) -> Result | None:
        """Return the result from the entries of `evaluation.json`; None if they are not there."""
