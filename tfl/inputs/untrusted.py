"""Decode examples that clients of the service send; the bytes are not trusted."""

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import tensorflow as tf


class Checked(Protocol):
    """The bytes of one example from an untrusted client, which may be decoded."""

    @property
    def takes_turns(self) -> bool:
        """Whether it is so large that only one such example should be decoded at a time."""
        ...


class Decoder(Protocol):
    """Decode examples from untrusted clients; threads may share it. Both methods raise `RefusedError`."""

    def check(self, encoded: bytes) -> Any:
        """Check the cost of decoding before anything is decoded; return a `Checked`."""
        ...

    def decode(self, example: Any) -> np.ndarray:
        """Return the prepared example."""
        ...


class RefusedError(Exception):
    """An example of a client that is not decoded.

    Attributes:
        status: of the HTTP response: 400 broken, 413 too large, 415 another kind of file.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


@dataclasses.dataclass(frozen=True)
class PlainBytes:
    """Bytes that passed the check of their length."""

    encoded: bytes
    takes_turns: bool = False


class PlainDecoder:
    """The decoder of training, with a limit on the length; see `Decoder`."""

    def __init__(self, prepare: Callable[[tf.Tensor], tf.Tensor], noun: str, most: int) -> None:
        self._noun, self._most = noun, most
        signature = [tf.TensorSpec((), tf.string)]
        self._prepare = tf.function(prepare, input_signature=signature).get_concrete_function()

    def check(self, encoded: bytes) -> PlainBytes:
        """Refuse bytes that are too long."""
        if len(encoded) > self._most:
            raise RefusedError(413, f"The {self._noun} must have at most {self._most:,} bytes.")
        return PlainBytes(encoded)

    def decode(self, example: PlainBytes) -> np.ndarray:
        """Return the prepared example."""
        try:
            return self._prepare(tf.constant(example.encoded)).numpy()
        except (tf.errors.OpError, UnicodeDecodeError) as error:
            raise RefusedError(400, f"The {self._noun} is broken: {first_line(error)}.") from error


def first_line(error: Exception) -> str:
    """Return the part of a TensorFlow error that says what went wrong, without the names of graph nodes."""
    lines = str(getattr(error, "message", error)).splitlines() or [type(error).__name__]
    place = next((number for number, line in enumerate(lines) if line.lstrip().startswith("[[{{node")), 1)
    return lines[place - 1].split("}} ")[-1].split(" [Op:")[0].strip()[:200]
