"""The analyses by name. A task declares which of them apply to it, in `Task.analyses`."""

from typing import Any

from tfl.evaluation.analysis import Analysis
from tfl.evaluation.boxes import BoxesAnalysis
from tfl.evaluation.calibration import CalibrationAnalysis
from tfl.evaluation.conformal import ConformalAnalysis
from tfl.evaluation.per_class import ConfusionAnalysis, PerClassAnalysis
from tfl.evaluation.regions import RegionsAnalysis
from tfl.evaluation.selective import SelectiveAnalysis
from tfl.evaluation.thresholds import PrecisionAnalysis

ANALYSES: dict[str, Analysis[Any]] = {  # in the order of their entries in evaluation.json
    analysis.name: analysis
    for analysis in (
        PerClassAnalysis(),
        ConfusionAnalysis(),
        RegionsAnalysis(),
        BoxesAnalysis(),
        CalibrationAnalysis(),
        SelectiveAnalysis(),
        PrecisionAnalysis(),
        ConformalAnalysis(),
    )
}
