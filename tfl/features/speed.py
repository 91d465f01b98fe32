"""How fast a frozen part runs: measured while it runs anyway, and recorded beside the stored features."""

import dataclasses
from collections.abc import Callable

ENOUGH = 2.0  # seconds of batches before the speed is told


@dataclasses.dataclass(frozen=True)
class Speed:
    """The measured speed of a frozen part.

    Attributes:
        start: seconds until its first batch is done, which contain the compilation.
        per_example: seconds for each example of the other batches, with reading and decoding.
    """

    start: float
    per_example: float


class SpeedMeter:
    """Measures one pass over some batches.

    Args:
        tell: called once, as soon as the speed is known.
        now: time in seconds at which the pass begins.
    """

    def __init__(self, tell: Callable[[Speed], None], now: float) -> None:
        self.tell, self._begin = tell, now
        self._first: float | None = None  # time at the end of the first batch
        self._seconds, self._examples, self._has_told = 0.0, 0, False

    def add(self, examples: int, now: float) -> None:
        """Count the examples of a batch that is done at a time in seconds."""
        if self._first is None:
            self._first = now
            return
        self._examples += examples
        self._seconds = now - self._first
        if self._seconds >= ENOUGH:
            self.finish()

    def finish(self) -> None:
        """Tell the speed at the end of a short pass; a pass of one batch tells nothing."""
        if self._has_told or self._first is None or not self._examples:
            return
        self._has_told = True
        self.tell(Speed(self._first - self._begin, self._seconds / self._examples))
