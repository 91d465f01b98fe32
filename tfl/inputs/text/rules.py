"""The rules of a tokenizer of any kind, as a file of a model keeps them; needs no TensorFlow."""

import dataclasses
import functools
import json

from tfl.errors import InputError
from tfl.inputs.text.byte_pairs import BytePairs
from tfl.inputs.text.wordpiece import WordPiece

Rules = WordPiece | BytePairs


@functools.lru_cache(maxsize=8)
def read_rules(text: str) -> Rules:
    """Return the rules that `to_text` of a tokenizer wrote.

    Raises:
        InputError: the text is of another form.
    """
    try:
        values = json.loads(text)
        kind = BytePairs if "merges" in values else WordPiece
        names = {field.name for field in dataclasses.fields(kind)}
        if kind is WordPiece:  # older files have no pairs
            values = {"pairs": False} | values
        if values.keys() != names:
            raise ValueError(f"it must have {', '.join(sorted(names))}")
        values["pieces"] = _strings(values["pieces"])
        if kind is BytePairs:
            values |= {name: _strings(values[name]) for name in ("merges", "begin_pieces", "end_pieces")}
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(f"`tokenizer` must be the rules of a tokenizer. Received: {text[:40]!r}: {error}.") from error
    return kind(**values)


def _strings(value: str | list[str]) -> tuple[str, ...]:
    parts = value.split("\n") if isinstance(value, str) else value
    if not all(isinstance(part, str) for part in parts):
        raise ValueError("pieces must be strings")
    return tuple(parts)
