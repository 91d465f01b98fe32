"""The rules by which a text is divided into word pieces, as a file of a model keeps them; needs no TensorFlow."""

import dataclasses
import json
from collections.abc import Sequence

from tfl.errors import InputError

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
CONTINUES = "##"  # begins a piece that stands inside a word
LONGEST_WORD = 100  # characters; a longer word is unknown


@dataclasses.dataclass(frozen=True)
class WordPiece:
    """A tokenizer of the kind of BERT.

    Attributes:
        pieces: by their numbers.
        lower_case: whether texts are in lower case.
        strip_accents: whether accents are taken off; older files say nothing, and mean the same as `lower_case`.
        split_ideographs: whether each Chinese character is a word of its own.
        pairs: whether an example is two texts, with a tab between them.

    Raises:
        InputError: one of the special pieces is missing.

    Example:
        >>> WordPiece(("[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "##ly")).number("[UNK]")
        1

    Reference:
        Devlin et al. 2019, arXiv:1810.04805; Wu et al. 2016, arXiv:1609.08144 (word pieces).
    """

    pieces: tuple[str, ...]
    lower_case: bool = True
    strip_accents: bool = True
    split_ideographs: bool = True
    pairs: bool = False

    def __post_init__(self) -> None:
        if missing := [name for name in SPECIAL if name not in self.pieces]:
            raise InputError(
                f"`pieces` must have {', '.join(SPECIAL)}. Received: {len(self.pieces)} without {missing[0]}."
            )

    def number(self, piece: str) -> int:
        """Return the number of a piece; of one that occurs twice the last, as other libraries do."""
        return len(self.pieces) - 1 - self.pieces[::-1].index(piece)

    @property
    def begin(self) -> tuple[int, ...]:
        """Numbers of the pieces before every text."""
        return (self.number("[CLS]"),)

    @property
    def end(self) -> tuple[int, ...]:
        """Numbers of the pieces after every text."""
        return (self.number("[SEP]"),)

    @property
    def fill(self) -> int:
        """Number of the piece that fills the end."""
        return self.number("[PAD]")

    def to_text(self) -> str:
        """Return the rules as JSON, which `tfl.inputs.text.rules.read_rules` reads."""
        return json.dumps(dataclasses.asdict(self) | {"pieces": "\n".join(self.pieces)})


def wordpiece(
    pieces: Sequence[str], *, lower_case: bool = True, strip_accents: bool | None = None, split_ideographs: bool = True
) -> WordPiece:
    """Return a tokenizer; accents are taken off if texts are in lower case and nothing else is said."""
    strip = lower_case if strip_accents is None else strip_accents
    return WordPiece(tuple(pieces), lower_case, strip, split_ideographs)
