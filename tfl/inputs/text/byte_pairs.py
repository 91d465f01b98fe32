"""The rules by which a text is divided into pieces of bytes, as a file of a model keeps them; needs no TensorFlow."""

import dataclasses
import json

from tfl.errors import InputError


def _letters() -> str:
    """Return the character that stands for each byte in files: itself if it can be seen, else one above 255."""
    seen = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return "".join(chr(byte if byte in seen else next(others)) for byte in range(256))


LETTERS = _letters()


@dataclasses.dataclass(frozen=True)
class BytePairs:
    """A byte-level tokenizer of the kind of GPT-2: pairs of pieces become one, the earliest pair of the list first.

    Attributes:
        pieces: by their numbers; each byte is written as its character in `LETTERS`.
        merges: pairs of pieces, with a blank between them.
        begin_pieces: before every text.
        end_pieces: after every text.
        fill_piece: fills the end of a shorter text; a text never gives it.
        leading_space: whether a text that does not begin with a blank gets one.

    Raises:
        InputError: a byte, the result of a pair or one of the special pieces is no piece; or a text may give the
            piece that fills.

    Example:
        >>> rules = BytePairs((*LETTERS, "go", "<pad>"), ("g o",), fill_piece="<pad>")
        >>> rules.number("go"), rules.fill
        (256, 257)

    Reference:
        Radford et al. 2019, Language models are unsupervised multitask learners; Sennrich et al. 2016,
        arXiv:1508.07909 (byte pair encoding).
    """

    pieces: tuple[str, ...]
    merges: tuple[str, ...]
    begin_pieces: tuple[str, ...] = ()
    end_pieces: tuple[str, ...] = ()
    fill_piece: str = ""
    leading_space: bool = False

    @property
    def pairs(self) -> bool:
        """Whether an example is two texts: never with this tokenizer."""
        return False

    def __post_init__(self) -> None:
        known, results = set(self.pieces), set()
        for merge in self.merges:
            left, blank, right = merge.partition(" ")
            if not (left and blank and right) or {left, right, left + right} - known:
                raise InputError(f"`merges` must be pairs of pieces whose result is a piece. Received: {merge!r}.")
            results.add(left + right)
        needed = {*LETTERS, *self.begin_pieces, *self.end_pieces, self.fill_piece}
        if missing := sorted(needed - known):
            raise InputError(f"`pieces` must have each byte and special piece. Received: none is {missing[0]!r}.")
        if self.fill_piece in {*LETTERS, *results}:
            raise InputError(f"`fill_piece` must be a piece that no text gives. Received: {self.fill_piece!r}.")

    def number(self, piece: str) -> int:
        """Return the number of a piece."""
        return self.pieces.index(piece)

    @property
    def begin(self) -> tuple[int, ...]:
        """Numbers of the pieces before every text."""
        return tuple(map(self.number, self.begin_pieces))

    @property
    def end(self) -> tuple[int, ...]:
        """Numbers of the pieces after every text."""
        return tuple(map(self.number, self.end_pieces))

    @property
    def fill(self) -> int:
        """Number of the piece that fills the end."""
        return self.number(self.fill_piece)

    def to_text(self) -> str:
        """Return the rules as JSON, which `tfl.inputs.text.rules.read_rules` reads."""
        return json.dumps(dataclasses.asdict(self))
