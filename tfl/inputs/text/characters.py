"""What becomes of each character of Unicode before a text is divided into words.

characters.json holds what the library tokenizers does with each character, so a text gives the same pieces under every
version of Python and of Unicode.
"""

import functools
import json
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tfl.inputs.text.wordpiece import WordPiece

COUNT = 0x110000  # of numbers of characters
BLANK = 0x20
ITSELF, NOTHING = -2, -1
SYLLABLES = range(0xAC00, 0xD7A4)  # of Hangul: their letters follow from their numbers


class CharacterTable(NamedTuple):
    """The characters that stand for each character.

    Attributes:
        starts: int32 (R,), the first number of each run of characters that become the same.
        rows: int32 (R,), the row in `after` of each run.
        after: int32 (M, K), the numbers of the characters; -2: the character itself, -1: nothing.
    """

    starts: np.ndarray
    rows: np.ndarray
    after: np.ndarray


@functools.lru_cache(maxsize=8)
def character_table(lower_case: bool, strip_accents: bool, split_ideographs: bool) -> CharacterTable:
    """Return what becomes of every character.

    Args:
        lower_case: see `WordPiece`.
        strip_accents: see `WordPiece`.
        split_ideographs: see `WordPiece`.
    """
    known = _characters()
    row_of: dict[tuple[int, ...], int] = {(ITSELF,): 0, (): 1, (BLANK,): 2, (BLANK, ITSELF, BLANK): 3}
    rows = np.zeros(COUNT, np.int32)
    alone = [*known["punctuation"], *(known["ideograph"] if split_ideographs else [])]
    for name, runs in ((3, alone), (1, known["accent"] if strip_accents else [])):
        for first, last in runs:
            rows[first : last + 1] = name
    ideographs = _numbers("ideograph")
    for character in _changed(known, lower_case=lower_case, strip_accents=strip_accents):
        after = _after(character, known, lower_case=lower_case, strip_accents=strip_accents)
        if split_ideographs and ord(character) in ideographs:  # it stands alone, whatever it becomes
            after = (BLANK, *after, BLANK)
        rows[ord(character)] = row_of.setdefault(after, len(row_of))
    for row, name in ((1, "removed"), (2, "blank")):  # the first step decides
        for first, last in known[name]:
            rows[first : last + 1] = row
    starts = np.flatnonzero(np.diff(rows, prepend=-1))
    width = max(map(len, row_of))
    after_rows = [[*numbers, *[NOTHING] * (width - len(numbers))] for numbers in row_of]
    return CharacterTable(starts.astype(np.int32), rows[starts], np.array(after_rows, np.int32))


def table_of(rules: WordPiece) -> CharacterTable:
    """Return the table of a tokenizer."""
    return character_table(rules.lower_case, rules.strip_accents, rules.split_ideographs)


@functools.lru_cache(maxsize=1)
def _characters() -> Mapping[str, Any]:
    return json.loads((Path(__file__).parent / "characters.json").read_text(encoding="utf-8"))


@functools.lru_cache(maxsize=2)
def _numbers(name: str) -> frozenset[int]:
    return frozenset(number for first, last in _characters()[name] for number in range(first, last + 1))


def _changed(known: Mapping[str, Any], *, lower_case: bool, strip_accents: bool) -> list[str]:
    """Return the characters that become others."""
    stripped = [*known["without_accent"], *map(chr, SYLLABLES)] if strip_accents else []
    return sorted({*stripped, *(known["lower"] if lower_case else ())})


def _after(character: str, known: Mapping[str, Any], *, lower_case: bool, strip_accents: bool) -> tuple[int, ...]:
    """Return what a character becomes when accents are taken off and then capitals become small."""
    text = character
    if strip_accents:
        letters = unicodedata.normalize("NFD", character) if ord(character) in SYLLABLES else character
        text = known["without_accent"].get(character, letters)
    if lower_case:
        text = "".join(known["lower"].get(each, each) for each in text)
    numbers: list[int] = []
    for number in map(ord, text):
        numbers += [BLANK, number, BLANK] if number in _numbers("punctuation") else [number]
    return tuple(numbers)
