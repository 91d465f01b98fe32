"""Let a model say how sure it is, by the prediction sets that its run calibrated on validation."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfl.evaluation.conformal import ConformalSets, MeasuredCoverage
from tfl.models.classifier import Metadata

DONT_KNOW = "don't know"
MOST = 5  # classes in the words of an answer


@dataclasses.dataclass(frozen=True)
class Certainty:
    """The rule by which a model says that it is not sure.

    Attributes:
        measured: the prediction sets, and their result on test.
        metadata: of the model.
        held_out: a word for the examples on which the sets were calibrated, such as "validation".
    """

    measured: MeasuredCoverage
    metadata: Metadata
    held_out: str

    @property
    def _sets(self) -> ConformalSets:
        return self.measured.sets(self.metadata.task)

    @property
    def promise(self) -> str:
        """What the rule promises, in words."""
        task, several = self.metadata.task, self.metadata.input.noun[1]
        start = f"In {_percent(self.measured.coverage)} of {several} like the {self.held_out} {several},"
        if not task.is_classifier:
            what = "the true value is" if len(self.metadata.class_names) == 1 else "all true values are"
            return f"{start} {what} between the two numbers given."
        one, all_of_them = task.nouns
        return (
            f"{start} the right {one} is among those that the model names "
            f'("{DONT_KNOW}" stands for all {all_of_them} or none).'
        )

    @property
    def result(self) -> str:
        """How the promise was kept on test, in words."""
        row, several = self.measured, self.metadata.input.noun[1]
        ends = ""
        if row.low is not None and row.high is not None:
            ends = f" (95\N{NO-BREAK SPACE}% interval {_percent(row.low)} to {_percent(row.high)})"
        return f"Measured on the test {several}: {_percent(row.test_coverage)}{ends}."

    def to_dict(self) -> dict[str, Any]:
        """Return the rule, ready for JSON."""
        row = self.measured
        return {
            "coverage": row.coverage,
            "threshold": row.threshold,
            "test_coverage": row.test_coverage,
            "promise": self.promise,
            "result": self.result,
        }

    def describe(self, scores: np.ndarray) -> dict[str, Any]:
        """Return what the rule says about one example, the entries that it adds to an answer.

        Args:
            scores: `(C,)` probabilities or values.

        Returns:
            For classes "named", the classes in the set, the most probable one first, and "verdict", the same in words.
            For values "intervals", the two ends of each. Both with "coverage", the promise.
        """
        scores = np.asarray(scores, np.float64)
        if not self.metadata.task.is_classifier:
            half = self._sets.score
            ends = [[value - half, value + half] for value in scores.tolist()]
            return {"intervals": ends, "coverage": self.measured.coverage}
        is_named = self._sets.names(scores[None])[0]
        names = [self.metadata.class_names[k] for k in np.argsort(-scores, kind="stable") if is_named[k]]
        verdict = _in_words(names, len(scores), self.metadata.task.nouns[1])
        return {"verdict": verdict, "named": names, "coverage": self.measured.coverage}


def _in_words(names: Sequence[str], count: int, several: str) -> str:
    if len(names) in (0, count):
        return DONT_KNOW
    if len(names) == 1:
        return names[0]
    if len(names) > MOST:
        return f"not sure: one of {len(names)} {several}, such as {', '.join(names[:3])}"
    return f"not sure: {', '.join(names[:-1])} or {names[-1]}"


def _percent(share: float) -> str:
    return f"{round(100 * share, 1):g}\N{NO-BREAK SPACE}%"
