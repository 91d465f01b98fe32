"""One plain sentence about a run, with its numbers."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Finding:
    """One sentence about a run.

    Attributes:
        kind: "problem", "advice" or "good".
        weight: the importance, from 100 (shown first) to 0.
        text: the sentence, with the numbers that it follows from.
    """

    kind: str
    weight: int
    text: str
