"""How fast a frozen part runs: measured while it runs anyway, and recorded beside the stored features."""

import dataclasses
from collections.abc import Callable

ENOUGH = 2.0  # seconds of batches before the speed is told


@dataclasses.dataclass(frozen=True)
class Speed:
    """The measured speed of a frozen part.

    Attributes:
        wait: seconds until the first batch is read.
        start: seconds from then until its features are computed, which contain the compilation.
        per_example: seconds for each further example, with reading and decoding.
    """

    wait: float
    start: float
    per_example: float


class SpeedMeter:
    """Measures one pass over some batches.

    While the network is compiled, the next batches are read and decoded, which then needs no more time. So the time
    after the first batch counts alone only if it is longer than the compilation. In a shorter pass it is too short a
    time for each example, and all the time of the pass is too long a time: their mean counts.

    Args:
        tell: called once, as soon as the speed is known.
        now: time in seconds at which the pass begins.
    """

    def __init__(self, tell: Callable[[Speed], None], now: float) -> None:
        self._tell, self._begin = tell, now
        self._read: float | None = None  # time when the first batch is read
        self._done: list[tuple[int, float]] = []  # examples of each batch, and the time when it is done
        self._has_told = False

    def read(self, now: float) -> None:
        """Note the time in seconds at which a batch is read; only the first one counts."""
        if self._read is None:
            self._read = now

    def add(self, examples: int, now: float) -> None:
        """Count the examples of a batch that is done at a time in seconds."""
        self._done.append((examples, now))
        start, after = self._times()
        if not self._has_told and after >= max(ENOUGH, start):
            self._say(after / sum(count for count, _ in self._done[1:]))

    def finish(self) -> None:
        """Tell the speed at the end of a short pass."""
        if self._has_told or not self._done:
            return
        longest = (self._done[-1][1] - self._begin) / sum(count for count, _ in self._done)
        later = sum(count for count, _ in self._done[1:])
        self._say((longest + self._times()[1] / later) / 2 if later else longest)

    def _times(self) -> tuple[float, float]:
        """Return the seconds of the first batch after it was read, and of all batches after the first."""
        first = self._done[0][1]
        return first - (self._begin if self._read is None else self._read), self._done[-1][1] - first

    def _say(self, per_example: float) -> None:
        self._has_told = True
        wait = 0.0 if self._read is None else self._read - self._begin
        self._tell(Speed(wait, self._times()[0], per_example))
