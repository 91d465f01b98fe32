"""`Evaluation`: everything about the quality of a model, the content of `evaluation.json`."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from tfl.evaluation.analyses import ANALYSES
from tfl.evaluation.boxes import BoxResult
from tfl.evaluation.calibration import CalibrationResult
from tfl.evaluation.conformal import MeasuredCoverage
from tfl.evaluation.per_class import ClassMetrics, Matrix, absent_classes
from tfl.evaluation.regions import RegionMetrics
from tfl.evaluation.selective import SelectiveResult
from tfl.evaluation.slices import MeasuredSlice
from tfl.evaluation.thresholds import PrecisionThreshold
from tfl.tasks.task import BOXES, CALIBRATION, CONFORMAL, CONFUSION, PER_CLASS, PRECISION, REGIONS, SELECTIVE


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The results of a model on its test examples.

    Attributes:
        temperature: the saved model divides its logits by this number; decisions use the probabilities after it.
        headline: name of the most important metric.
        test: the metrics, by name.
        intervals: the 95 % intervals of metrics, by name.
        results: the result of each analysis, by its name in `ANALYSES`; an analysis that does not apply is absent.
        slices: for each way to divide the test examples, one row for each part.
        num_groups: number of groups of test examples, which the intervals resample; 0: the examples are independent.
    """

    temperature: float
    headline: str
    test: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    intervals: Mapping[str, tuple[float, float]] = dataclasses.field(default_factory=dict)
    results: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    slices: Mapping[str, tuple[MeasuredSlice, ...]] = dataclasses.field(default_factory=dict)
    num_groups: int = 0

    @property
    def headline_interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the headline metric; for accuracy it is Wilson's, under another name in older runs."""
        return self.intervals.get(f"{self.headline}_wilson") or self.intervals.get(self.headline)

    @property
    def per_class(self) -> tuple[ClassMetrics, ...]:
        """The metrics of each class; empty if they do not apply."""
        return self.results.get(PER_CLASS, ())

    @property
    def absent_classes(self) -> list[str]:
        """The classes without a test example; means over classes leave them out."""
        return absent_classes(self.per_class)

    @property
    def confusion_matrix(self) -> Matrix:
        """How often each true class (row) is predicted as each class (column); empty if it does not apply."""
        return self.results.get(CONFUSION, ())

    @property
    def regions(self) -> tuple[RegionMetrics, ...]:
        """The metrics of the regions of each class; empty if they do not apply."""
        return self.results.get(REGIONS, ())

    @property
    def boxes(self) -> BoxResult | None:
        """The metrics of the boxes of each class, and the kinds of errors; None if they do not apply."""
        return self.results.get(BOXES)

    @property
    def calibration(self) -> CalibrationResult | None:
        """The calibration before and after temperature scaling."""
        return self.results.get(CALIBRATION)

    @property
    def selective(self) -> SelectiveResult:
        """The results with the answer "don't know"; empty if nothing could be chosen on validation."""
        return self.results.get(SELECTIVE, SelectiveResult((), None))

    @property
    def precision_thresholds(self) -> tuple[PrecisionThreshold, ...]:
        """The thresholds of each class for several precisions."""
        return self.results.get(PRECISION, ())

    @property
    def conformal(self) -> tuple[MeasuredCoverage, ...]:
        """The prediction sets of several coverages."""
        return self.results.get(CONFORMAL, ())

    def to_dict(self) -> dict[str, Any]:
        """Return the content of `evaluation.json`: entries that do not apply are absent."""
        plain, decisions = {}, {}
        for name, analysis in ANALYSES.items():
            if name in self.results:
                (decisions if analysis.is_decision else plain).update(analysis.to_dict(self.results[name]))
        slices = {name: [row.to_dict(self.headline) for row in rows] for name, rows in self.slices.items()}
        return {
            "temperature": self.temperature,
            "headline": self.headline,
            "test": dict(self.test),
            "intervals": {name: list(ends) for name, ends in self.intervals.items()},
            **plain,
            "decisions": decisions,
            **({"slices": slices} if slices else {}),
            **({"num_groups": self.num_groups} if self.num_groups else {}),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], headline: str = "accuracy") -> "Evaluation":
        """Return the evaluation from the content of `evaluation.json`, also of an older run, which has fewer entries.

        Args:
            values: the content.
            headline: the name of the most important metric, if the content does not have it.

        Raises:
            ValueError: a slice does not have the most important metric.
        """
        headline, decisions = values.get("headline", headline), values.get("decisions", {})
        results = {
            name: analysis.from_dict(decisions if analysis.is_decision else values)
            for name, analysis in ANALYSES.items()
        }
        return cls(
            temperature=values["temperature"],
            headline=headline,
            test=values["test"],
            intervals={name: (low, high) for name, (low, high) in values.get("intervals", {}).items()},
            results={name: result for name, result in results.items() if result is not None},
            slices={
                name: tuple(MeasuredSlice.from_dict(row, headline) for row in rows)
                for name, rows in values.get("slices", {}).items()
            },
            num_groups=values.get("num_groups", 0),
        )
