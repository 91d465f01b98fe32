"""The kinds of failure that tfl raises on purpose, and how what they name is written for a reader."""

import re

# What `repr` writes around a NumPy scalar: np.str_('a'), np.float64(0.5), np.True_.
_SCALAR = re.compile(r"\bnp\.(?:str_|u?int\d+|float\d+)\(('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|[-+.\w]+)\)")
_BOOLEAN = re.compile(r"\bnp\.(True|False)_")
# Bytes of a file's name that are no UTF-8, as Python holds them and as `repr` writes them.
_UNDECODED = re.compile(r"[\udc80-\udcff]|\\udc[89a-f][0-9a-f]")


def readable(text: str) -> str:
    """Return a text without traces of how Python holds its values: types of NumPy, and surrogates for bytes.

    Example:
        >>> readable("Received: np.str_('K\\udce4fer').")
        "Received: 'K�fer'."
    """
    return _UNDECODED.sub("�", _BOOLEAN.sub(r"\1", _SCALAR.sub(r"\1", text)))


class InputError(ValueError):
    """What the user asked for cannot be done; the message is one line that says what to change.

    Scripts print that line and exit with 2. Everything else that escapes is a bug and keeps its
    traceback, which is why this is a class of its own and not a plain `ValueError`.
    """

    def __init__(self, message: str) -> None:
        super().__init__(readable(message))


class BadImageError(ValueError):
    """A file that is left out; the message is the reason, as `quarantine.csv` gives it."""


class ContractError(RuntimeError):
    """A run broke a promise of the training contract: its result must not be trusted."""

    def __init__(self, message: str) -> None:
        super().__init__(readable(message))


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
