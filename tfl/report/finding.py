"""One plain sentence about a run, with the numbers that made it."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Finding:
    """One sentence.

    Attributes:
        kind: "problem", "advice" or "good".
        weight: from 100, what must be known first, to 0.
        text: the sentence, with the numbers that made it.
    """

    kind: str
    weight: int
    text: str
