"""Estimate how long a training still takes, from the steps that it has done; no function here looks at a clock."""

import dataclasses

from tfl.progress import human_time

ENOUGH = 5.0  # seconds of batches in a pass that began with the compilation
WORTH_SAYING = 5.0  # seconds; a shorter rest is not said


@dataclasses.dataclass
class Pace:
    """The time of one pass over some batches, again and again.

    The first batch of the first pass also compiles the graph. So that batch counts as long as the mean of the others.

    Attributes:
        count: number of batches done in the present pass.
        seconds: their time without compilation; None if only the first batch is done.
    """

    count: int = 0
    seconds: float | None = None
    _start: float = 0.0
    _uncounted: int = 0
    _is_compiled: bool = False

    def begin(self, now: float) -> None:
        """Begin a pass at a time in seconds."""
        self._start, self.count, self._uncounted = now, 0, 0

    def add(self, batches: int, now: float) -> None:
        """Count batches that are done at a time in seconds."""
        if not batches:
            return
        self.count += batches
        if not self._is_compiled:
            self._start, self._uncounted, self._is_compiled = now, batches, True
        elif self.count > self._uncounted:
            self.seconds = (now - self._start) * self.count / (self.count - self._uncounted)

    @property
    def has_compiled(self) -> bool:
        """Whether the present pass began with the compilation."""
        return self._uncounted > 0

    @property
    def is_sure(self) -> bool:
        """Whether the time is usable: batches that were read during the compilation need less time than later ones."""
        return self.seconds is not None and (not self.has_compiled or self.seconds >= ENOUGH)

    @property
    def per_batch(self) -> float | None:
        """Seconds for each batch, without compilation; None if it is not known yet."""
        return None if self.seconds is None or not self.count else self.seconds / self.count


class TimeLeft:
    """The time that all epochs of a training still take, with their validation.

    Args:
        steps: batches of an epoch; None if the number is not known, which gives no estimate within the first epoch.
        held_out: batches of validation after each epoch; 0 for none. Until they were timed, a batch of validation
            counts as a step of training, which takes longer.
    """

    def __init__(self, steps: int | None, held_out: int) -> None:
        self.steps, self.held_out = steps, held_out
        self.training, self.validation = Pace(), Pace()
        self.has_said, self._first = False, 0

    def begin_epoch(self, now: float, first: int) -> None:
        """Begin an epoch at a time in seconds, with its step `first`: a resumed training skips the steps before it."""
        self.training.begin(now)
        self._first = first

    def seconds(self, epochs: int) -> float | None:
        """Return the seconds that are left, at the end of an epoch.

        Args:
            epochs: number of epochs after this one.
        """
        rate, steps = self.training.per_batch, self.steps or self.training.count
        if rate is None or not self.training.is_sure:
            return None
        held_out = self.validation.seconds
        return epochs * (rate * steps + (rate * self.held_out if held_out is None else held_out))

    def within_epoch(self, epochs: int) -> str:
        """Return a line after the first steps of a training; "" before they are timed, and after it was returned.

        It is for a long first epoch. Later the line of each epoch tells more exactly what is left.


        Args:
            epochs: number of epochs after this one.
        """
        rate, after = self.training.per_batch, self.seconds(epochs)
        if self.has_said or not self.training.has_compiled or rate is None or after is None or self.steps is None:
            return ""
        rest = rate * max(0, self.steps - self._first - self.training.count)
        if rest < ENOUGH:  # then the line of the epoch comes soon
            return ""
        self.has_said = True
        left = rest + rate * self.held_out + after
        more = f" and {epochs} more" if epochs else ""
        return f"training: about {human_time(left)} left for this epoch{more}, {rate:.2g} s for each step"

    def after_epoch(self, epochs: int) -> str:
        """Return the end of the line of an epoch, "" if there is little left or it is not known."""
        left = self.seconds(epochs)
        return f"; about {human_time(left)} left" if left is not None and left >= WORTH_SAYING else ""
