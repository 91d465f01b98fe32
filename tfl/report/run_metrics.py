"""The content of `metrics.json`, with types."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from tfl.evaluation.rows import from_json, rows_from_json

Scores = Mapping[str, Any]  # metrics by name


@dataclasses.dataclass(frozen=True)
class TriedL2:
    """One value of λ that was tried, and its loss."""

    l2: float
    validation_loss: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Phase:
    """One phase of a run.

    Attributes:
        validation: its metrics on validation.
        l2: λ of its solved head; None for a phase without one.
        path: the values of λ that were tried; empty if there is one only.
        unfrozen: the layers that were unfrozen.
        trainable_parameters: the number of parameters that were trained.
    """

    validation: Scores
    l2: float | None = None
    path: tuple[TriedL2, ...] = ()
    unfrozen: str = ""
    trainable_parameters: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class PhaseChoice:
    """The validation losses that decided which phase was kept, each at the phase's own temperature.

    For a task that is judged by its headline, such as segmentation, they are 1 - headline.

    Attributes:
        finetune: loss of the fine-tuned model; None if it is not recorded.
        probe: loss of the frozen model; None if it is not recorded.
        low: lower end of the 95 % interval of the difference finetune - probe; None if it is not recorded.
        high: upper end of the same interval.
        num_examples: number of examples.
    """

    finetune: float | None = None
    probe: float | None = None
    low: float | None = None
    high: float | None = None
    num_examples: int = 0

    def losses(self) -> dict[str, float]:
        """Return the recorded losses, by the name of the phase."""
        losses = {"finetune": self.finetune, "probe": self.probe}
        return {name: loss for name, loss in losses.items() if loss is not None}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Difference:
    """The headline metric of the model minus that of the baseline, with its 95 % interval."""

    difference: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Baseline:
    """What a method without a network reaches on the same examples.

    Attributes:
        method: its name.
        test: the metrics of the test split.
        intervals: the 95 % interval of its headline metric.
        difference: of the model from it; None if it is not recorded.
    """

    method: str = ""
    test: Scores = dataclasses.field(default_factory=dict)
    intervals: Mapping[str, tuple[float, float]] = dataclasses.field(default_factory=dict)
    difference: Difference | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunMetrics:
    """The content of `metrics.json`.

    Attributes:
        test: the metrics of the test split.
        validation: the metrics of the validation split.
        intervals: the 95 % intervals of the main metrics.
        kept: the phase that was kept, "probe" or "finetune"; "random weights" without a phase.
        choice: the losses that decided; empty if there was only one phase.
        num_examples: the number of examples of each split.
        phases: each phase, by name.
        contract: what the training contract found in each step.
        comparison: the test metrics of each way to the model; empty if nothing was compared.
        baseline: what a method without a network reaches on the same examples; its method is "" if none was measured.
    """

    test: Scores
    validation: Scores
    intervals: Mapping[str, tuple[float, float]] = dataclasses.field(default_factory=dict)
    kept: str
    choice: PhaseChoice = PhaseChoice()
    num_examples: Mapping[str, int]
    phases: Mapping[str, Phase]
    contract: Mapping[str, Mapping[str, Any]]
    comparison: Mapping[str, Scores] = dataclasses.field(default_factory=dict)
    baseline: Baseline = Baseline()

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "RunMetrics":
        """Return the metrics from the content of the file, which may be of an older run and lack entries."""
        typed: dict[str, Any] = {
            "phases": {name: _phase(phase) for name, phase in values["phases"].items()},
            "choice": from_json(PhaseChoice, values.get("choice", {})),
            "baseline": _baseline(values.get("baseline", {})),
        }
        return from_json(cls, {**values, **typed})

    def frozen(self, phase: str) -> tuple[int, int]:
        """Return how many variables a phase froze, above and below a cut, and how many of them changed."""
        found = self.contract.get(phase, {})
        places = ("", "below_the_cut_")
        frozen, changed = (
            sum(found.get(f"{place}{name}", 0) for place in places) for name in ("frozen_variables", "frozen_changed")
        )
        return frozen, changed


def _baseline(values: Mapping[str, Any]) -> Baseline:
    difference = values.get("difference")
    return from_json(Baseline, {**values, "difference": difference and from_json(Difference, difference)})


def _phase(values: Mapping[str, Any]) -> Phase:
    return from_json(Phase, {**values, "path": rows_from_json(TriedL2, values.get("path", ()))})
