"""The exceptions that tfl raises on purpose, and `readable`, which cleans the values in their messages."""

import re

# `repr` of a NumPy scalar: np.str_('a'), np.float64(0.5), np.True_.
_SCALAR = re.compile(r"\bnp\.(?:str_|u?int\d+|float\d+)\(('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|[-+.\w]+)\)")
_BOOLEAN = re.compile(r"\bnp\.(True|False)_")
# Bytes of a file name that are not UTF-8: as Python holds them, and as `repr` writes them.
_UNDECODED = re.compile(r"[\udc80-\udcff]|\\udc[89a-f][0-9a-f]")


def readable(text: str) -> str:
    """Return a text without NumPy type names and without the surrogates that stand for undecodable bytes.

    Example:
        >>> readable("Received: np.str_('K\\udce4fer').")
        "Received: 'K�fer'."
    """
    return _UNDECODED.sub("�", _BOOLEAN.sub(r"\1", _SCALAR.sub(r"\1", text)))


class InputError(ValueError):
    """The user asked for something that cannot be done; the message is one line that says what to change.

    Scripts print that line and exit with code 2. Any other exception that escapes is a bug and keeps its
    traceback. Scripts must tell the two apart, so this is a separate class and not a plain `ValueError`.

    Example:
        >>> tfl.build_backbone("ResNet500")
        Traceback (most recent call last):
        tfl.errors.InputError: `backbone.name` must be a known name. Received: 'ResNet500'. Did you mean 'ResNet50'?
    """

    def __init__(self, message: str) -> None:
        super().__init__(readable(message))

    def _render_traceback_(self) -> list[str]:
        """Return the lines that IPython and notebooks show in place of a traceback."""
        return [f"{type(self).__name__}: {self}"]


class BadExampleError(ValueError):
    """A file that cannot be used as an example; the message is the reason that `quarantine.csv` gives.

    Example:
        >>> issubclass(BadImageError, BadExampleError)
        True
    """


class BadImageError(BadExampleError):
    """An image file that cannot be used.

    Example:
        >>> from tfl.inputs.image.whole import check_whole
        >>> check_whole(Path("ant.jpg").read_bytes()[:400], "JPEG")
        Traceback (most recent call last):
        tfl.errors.BadImageError: ...
    """


class ContractError(RuntimeError):
    """A run broke a promise of the training contract: do not trust its result.

    Example:
        >>> from tfl.training.contract import check_evaluation
        >>> check_evaluation(ids=[1, 2], expected=[1, 2, 3])
        Traceback (most recent call last):
        tfl.errors.ContractError: The evaluation contract is broken: example 3 is missing from the evaluation...
    """

    def __init__(self, message: str) -> None:
        super().__init__(readable(message))


class StoppedError(RuntimeError):
    """A signal asked training to stop: it saved its state and stopped, and the same command continues from there.

    Attributes:
        signal_number: number of the signal.

    Example:
        >>> try:
        ...     result = tfl.transfer(config, "runs/photos")
        ... except StoppedError as stop:
        ...     sys.exit(128 + stop.signal_number)
    """

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.signal_number = signal_number


class IncompleteError(RuntimeError):
    """Part of the work could not be done; the rest is done and kept. Commands print the line and exit with code 1.

    Example:
        >>> raise IncompleteError("1 of 3 files had no answer.")
        Traceback (most recent call last):
        tfl.errors.IncompleteError: 1 of 3 files had no answer.
    """


class WorkerLostError(RuntimeError):
    """Another worker of the group ended or cannot be reached; no worker can continue, and all must start again.

    Example:
        >>> try:
        ...     result = tfl.transfer(config, "runs/photos")
        ... except WorkerLostError:
        ...     sys.exit(75)
    """
