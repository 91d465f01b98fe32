"""The failures that tfl raises on purpose."""


class InputError(ValueError):
    """What the user asked for cannot be done; the message is one line that says what to change.

    Scripts print that line and exit with 2. Everything else that escapes is a bug and keeps its
    traceback, which is why this is a class of its own and not a plain `ValueError`.
    """


class BadImageError(ValueError):
    """A file that is left out; the message is the reason, as `quarantine.csv` gives it."""


class ContractError(RuntimeError):
    """A run broke a promise of the training contract: its result must not be trusted."""


class StoppedError(RuntimeError):
    """Training was asked to stop by a signal, and did so after saving what the same command goes on from.

    Attributes:
        signal_number: which signal it was.
    """

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.signal_number = signal_number


class WorkerLostError(RuntimeError):
    """Another worker of the group ended or cannot be reached; none can go on, and all must start again."""
