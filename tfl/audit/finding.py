"""One finding of the audit: a row of `audit.csv`."""

import dataclasses
from collections.abc import Sequence
from typing import Any

COLUMNS = ("id", "kind", "score", "evidence", "suggestion")


@dataclasses.dataclass(frozen=True)
class Finding:
    """Something in a data set that a person should look at.

    Attributes:
        kind: as in `tfl.audit.kinds.KINDS`, such as "label error".
        id: of the example; of a class its name; of the whole data set "".
        score: how sure the finding is, in [0, 1]; within one kind, findings are ordered by it.
        evidence: what speaks for the finding, in a sentence.
        suggestion: what to do, in a sentence.
        others: ids of the examples that the evidence names, the most telling first.
        decision: what accepting the suggestion means: "exclude", "relabel", or "" if it is about no single example.
        label: the new label for "relabel"; else "".
    """

    kind: str
    id: str
    score: float
    evidence: str
    suggestion: str
    others: tuple[str, ...] = ()
    decision: str = ""
    label: str = ""

    @property
    def row(self) -> tuple[str, str, str, str, str]:
        """The cells of the finding in `audit.csv`, in the order of `COLUMNS`."""
        return (self.id, self.kind, f"{self.score:.4f}", self.evidence, self.suggestion)

    def to_dict(self) -> dict[str, Any]:
        """Return the finding, ready for JSON."""
        return dataclasses.asdict(self) | {"score": round(self.score, 6), "others": list(self.others)}


def ordered(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings of one kind, the surest first."""
    return sorted(findings, key=lambda finding: (-finding.score, finding.id))


def listed(names: Sequence[str], most: int = 3) -> str:
    """Return names with commas, and the number of those that are left out.

    Example:
        >>> listed(["a", "b", "c", "d"])
        'a, b, c and 1 more'
    """
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
