"""Write characters.json and byte_classes.json: what the library tokenizers does with every character of Unicode.

    python tests/oracles/characters.py tfl/inputs/text

tests/inputs/text/test_characters.py compares the files with the installed version.
"""

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tokenizers import normalizers, pre_tokenizers

CHARACTERS = [chr(number) for number in range(0x110000) if not 0xD800 <= number < 0xE000]
SYLLABLES = range(0xAC00, 0xD7A4)  # of Hangul: their letters follow from their numbers


def normalizer(**steps: bool) -> Callable[[str], str]:
    """Return BERT's normalizer with some of its steps alone."""
    none = dict.fromkeys(("clean_text", "handle_chinese_chars", "strip_accents", "lowercase"), False)
    return normalizers.BertNormalizer(**(none | steps)).normalize_str


def ranges(characters: Iterable[str]) -> list[list[int]]:
    """Return the first and the last number of each run of characters."""
    found: list[list[int]] = []
    for number in map(ord, characters):
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return found


def changes(step: Callable[[str], str]) -> dict[str, str]:
    """Return the characters that a step changes to others; those that it removes are left out."""
    pairs = {character: step(character) for character in CHARACTERS if ord(character) not in SYLLABLES}
    return {character: after for character, after in pairs.items() if after not in (character, "")}


def describe() -> dict[str, Any]:
    """Return the content of the file."""
    clean, strip = normalizer(clean_text=True), normalizer(strip_accents=True)
    han, split = normalizer(handle_chinese_chars=True), pre_tokenizers.BertPreTokenizer().pre_tokenize_str
    return {
        "removed": ranges(c for c in CHARACTERS if clean(c) == ""),
        "blank": ranges(c for c in CHARACTERS if clean(c) == " "),
        "ideograph": ranges(c for c in CHARACTERS if han(c) == f" {c} "),
        "punctuation": ranges(c for c in CHARACTERS if [part for part, _ in split(f"a{c}a")] == ["a", c, "a"]),
        "accent": ranges(c for c in CHARACTERS if strip(c) == ""),
        "without_accent": changes(strip),
        "lower": changes(normalizer(lowercase=True)),
    }


def describe_classes() -> dict[str, list[int]]:
    """Return the content of byte_classes.json: the first number of each run of characters of one class, and the class.

    Two characters of one class are one word for a byte-level tokenizer: letters 0, numbers 1, others 2; a space is 3.
    """
    split = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True).pre_tokenize_str
    starts, classes = [], []
    for character in CHARACTERS:
        found = next((number for number, known in enumerate("a1!") if len(split(known + character)) == 1), 3)
        if not classes or classes[-1] != found:
            starts.append(ord(character))
            classes.append(found)
    return {"starts": starts, "classes": classes}


if __name__ == "__main__":
    for name, content in (("characters", describe()), ("byte_classes", describe_classes())):
        text = json.dumps(content, separators=(",", ":")) + "\n"
        (Path(sys.argv[1]) / f"{name}.json").write_text(text, encoding="utf-8")
