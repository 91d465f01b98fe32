"""A text as an example: the numbers of its pieces."""

import dataclasses
import functools
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfl.errors import BadExampleError, InputError
from tfl.inputs.input import Input, Scanned, fingerprint_of
from tfl.inputs.text.encoding import count, encode
from tfl.inputs.text.endings import BETWEEN, CELL, NOUN, may_be_text
from tfl.inputs.text.rules import Rules, read_rules
from tfl.inputs.untrusted import Decoder, PlainBytes, PlainDecoder, RefusedError

RULES = 1  # part of the name of stored features: raise it when the same text gives other pieces


@dataclasses.dataclass(frozen=True)
class ScannedText(Scanned):
    """What the scan of one text found.

    Attributes:
        pieces: number of word pieces of the whole text.
    """

    pieces: int = 0

    @property
    def facts(self) -> Mapping[str, int]:
        """The number of pieces."""
        return {"pieces": self.pieces}


@dataclasses.dataclass(frozen=True)
class TextInput(Input):
    """A text, UTF-8; `size` is the number of word pieces that a model takes, and the end of a longer text is cut off.

    With a tokenizer for pairs, it is two texts with a tab between them.

    Example:
        >>> from tfl.inputs.text.wordpiece import wordpiece
        >>> rules = wordpiece(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "##ly"])
        >>> TextInput(size=6, tokenizer=rules.to_text()).prepare(tf.constant("Goodly good")).numpy().tolist()
        [2, 4, 5, 4, 3, 0]
    """

    name = "text"
    noun = NOUN
    facts = ("pieces",)
    tensors = ("texts", "pieces")
    cell = CELL
    file_types = (".txt",)
    typed = "a text"
    scanned = ScannedText
    size_step = 8

    @property
    def spec(self) -> tf.TensorSpec:
        """int32 (size,)."""
        return tf.TensorSpec((self.size,), tf.int32)

    @property
    def _tokenizer(self) -> Rules:
        if not self.tokenizer:
            raise InputError("`tokenizer` must be that of a model. Received: none. Did you mean model.metadata.input?")
        return read_rules(self.tokenizer)

    def prepare(self, raw: tf.Tensor) -> tf.Tensor:
        """Return the numbers of the first pieces, int32 (size,)."""
        return encode(raw, self._tokenizer, self.size)

    def rules(self) -> list[Any]:
        """Return name, size, the number of the rules of division, and the digest of the tokenizer."""
        return [self.name, self.size, RULES, hashlib.sha256(self.tokenizer.encode()).hexdigest()]

    def may_be(self, suffix: str) -> bool:
        """Return whether files with this ending may be texts."""
        return may_be_text(suffix)

    def scan(self, encoded: bytes) -> ScannedText:
        """Check that bytes are a text, and count its pieces."""
        if wrong := self.describe_wrong_text(encoded):
            raise BadExampleError(wrong)
        pieces = int(_count_function(self.tokenizer)(tf.constant(encoded)))
        return ScannedText(hashlib.sha256(encoded).hexdigest(), fingerprint_of(encoded), pieces=pieces)

    def describe_wrong_text(self, encoded: bytes) -> str:
        """Return why bytes are no text, or no pair for a model of pairs; "" if they are."""
        try:
            encoded.decode("utf-8")
        except UnicodeDecodeError as error:
            return f"not a text in UTF-8: byte {error.start} is no character"
        if self._tokenizer.pairs and BETWEEN.encode() not in encoded:
            return "not a pair of texts: there is no tab between two texts"
        return ""

    def read_examples(self, given: Any, names: Sequence[str], split: str = "") -> list[np.ndarray]:
        """Check texts in memory."""
        examples = [np.asarray(example) for example in given]
        for example, name in zip(examples, names, strict=True):
            self.check_example(example, name)
        return examples

    def check_example(self, example: np.ndarray, name: str) -> ScannedText:
        """Check one text in memory."""
        if example.dtype.kind not in "US" or example.ndim:
            raise InputError(
                f"`source` must have texts. Received: {example.dtype} of shape {example.shape} at text {name}."
            )
        return self.scan(_bytes_of(example))

    def facts_of(self, example: np.ndarray) -> Mapping[str, int]:
        """Return the number of pieces of a text in memory."""
        return self.scan(_bytes_of(example)).facts

    def is_example(self, spec: tf.TensorSpec) -> bool:
        """Return whether elements can be single texts."""
        return spec.dtype == tf.string and spec.shape.rank in (0, None)

    def decoder(self, most: int) -> Decoder:
        """Return the decoder for texts of clients, of at most `most` bytes."""
        return TextDecoder(self, most)

    def blanks(self) -> list[bytes]:
        """Return an empty text, or a pair of empty texts."""
        return [BETWEEN.encode() if self._tokenizer.pairs else b""]

    def describe_size(self, size: int) -> str:
        """Return a number of pieces."""
        return f"{size:,} pieces"

    def sizes(self, facts: Mapping[str, np.ndarray]) -> np.ndarray | None:
        """Return the number of pieces of each text."""
        return facts.get("pieces")

    def slice_by_facts(self, facts: Mapping[str, np.ndarray]) -> dict[str, tuple[np.ndarray, str | Sequence[str]]]:
        """Return the number of pieces."""
        return {"length": (facts["pieces"], "pieces")} if "pieces" in facts else {}


class TextDecoder(PlainDecoder):
    """The decoder of training, which refuses bytes that are no text; see `Decoder`."""

    def __init__(self, kind: TextInput, most: int) -> None:
        super().__init__(kind.prepare, kind.noun[0], most)
        self._kind = kind

    def check(self, encoded: bytes) -> PlainBytes:
        """Refuse bytes that are too long, or no text."""
        if wrong := self._kind.describe_wrong_text(encoded):
            raise RefusedError(400, f"The text must be one that the model takes: {wrong}.")
        return super().check(encoded)


def _bytes_of(example: np.ndarray) -> bytes:
    text = example.item()
    return text if isinstance(text, bytes) else text.encode()


@functools.lru_cache(maxsize=8)
def _count_function(tokenizer: str) -> Any:
    rules = read_rules(tokenizer)
    return tf.function(lambda text: count(text, rules), input_signature=[tf.TensorSpec((), tf.string)])
