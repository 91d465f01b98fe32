"""Read the tokenizer of a BERT: vocab.txt with tokenizer_config.json, or tokenizer.json alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfl.backbones.hf.folder import read_object, refuse
from tfl.backbones.hf.options import TextOptions
from tfl.errors import InputError
from tfl.inputs.text.wordpiece import CONTINUES, LONGEST_WORD, WordPiece, wordpiece

_ADDING = ("tokenizer.json", "tokenizer_config.json", "added_tokens.json")
_CLASSES = (
    *("BertTokenizer", "BertTokenizerFast", "DistilBertTokenizer", "DistilBertTokenizerFast"),
    *("PreTrainedTokenizerFast", "TokenizersBackend"),
)


def read_tokenizer(folder: Path, options: TextOptions) -> str:
    """Return the rules of the tokenizer as `WordPiece.to_text` writes them.

    Raises:
        InputError: there are no files of a tokenizer, it is of another kind, or it has other pieces than the network.
    """
    rules = _read_json(folder) if not (folder / "vocab.txt").is_file() else _read_vocabulary(folder)
    if len(rules.pieces) > options.pieces:
        raise refuse(folder, f"the tokenizer has {len(rules.pieces)} pieces, and the network only {options.pieces}")
    if rules.number("[PAD]") != options.padding:
        found = rules.number("[PAD]")
        raise refuse(folder, f"pad_token_id of config.json is {options.padding}, and [PAD] of the tokenizer is {found}")
    if added := [piece for piece in added_pieces(folder) if piece not in rules.pieces]:
        raise refuse(folder, f"the tokenizer adds the piece {added[0]!r}, which its vocabulary does not have")
    return rules.to_text()


def added_pieces(folder: Path) -> list[str]:
    """Return the pieces that the files of a tokenizer add to its vocabulary, as [USER]: they are never divided."""
    known = {name: read_object(folder / name) for name in _ADDING if (folder / name).is_file()}
    listed = known.get("tokenizer.json", {}).get("added_tokens") or []
    decoder = known.get("tokenizer_config.json", {}).get("added_tokens_decoder") or {}
    tokens = [token.get("content", "") for token in (*listed, *_part({"": decoder}, "").values())]
    return [*tokens, *known.get("added_tokens.json", {})]


def _read_vocabulary(folder: Path) -> WordPiece:
    try:
        lines = (folder / "vocab.txt").read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeError) as error:
        raise refuse(folder, f"vocab.txt cannot be read ({' '.join(str(error).split())[:120]})") from error
    file = folder / "tokenizer_config.json"
    said = read_object(file) if file.is_file() else {}
    if said.get("tokenizer_class", _CLASSES[0]) not in _CLASSES:
        raise refuse(
            folder, f"tokenizer_class must be one of {', '.join(_CLASSES)}, and is {said['tokenizer_class']!r}"
        )
    if said.get("do_basic_tokenize", True) is not True:
        raise refuse(folder, "do_basic_tokenize of tokenizer_config.json must be true")
    pieces = [line.rstrip("\r") for line in (lines[:-1] if lines[-1] == "" else lines)]
    return _made(folder, pieces, said.get("do_lower_case", True), said.get("strip_accents"), said)


def _made(folder: Path, pieces: list[str], lower: Any, strip: Any, said: Mapping[str, Any]) -> WordPiece:
    split = said.get("tokenize_chinese_chars", said.get("handle_chinese_chars", True))
    if not all(type(value) is bool for value in (lower, split)) or strip not in (None, True, False):
        raise refuse(folder, "the options of the tokenizer must be true or false")
    try:
        return wordpiece(pieces, lower_case=lower, strip_accents=strip, split_ideographs=split)
    except InputError as error:
        raise refuse(folder, f"the tokenizer has no piece of its own for something ({error})") from error


def _read_json(folder: Path) -> WordPiece:
    file = folder / "tokenizer.json"
    if not file.is_file():
        raise refuse(folder, "it has neither vocab.txt nor tokenizer.json")
    values = read_object(file)
    model, normalizer, words = (_part(values, name) for name in ("model", "normalizer", "pre_tokenizer"))
    expected: tuple[tuple[str, Any, Any], ...] = (
        ("model", model.get("type", "WordPiece"), "WordPiece"),
        ("continuing_subword_prefix", model.get("continuing_subword_prefix", CONTINUES), CONTINUES),
        ("max_input_chars_per_word", model.get("max_input_chars_per_word", LONGEST_WORD), LONGEST_WORD),
        ("normalizer", normalizer.get("type"), "BertNormalizer"),
        ("clean_text", normalizer.get("clean_text", True), True),
        ("pre_tokenizer", words.get("type"), "BertPreTokenizer"),
    )
    for name, found, wanted in expected:
        if found != wanted:
            raise refuse(folder, f"{name} of tokenizer.json must be {wanted!r}, and is {found!r}")
    numbers = _part(model, "vocab")
    if sorted(numbers.values()) != list(range(len(numbers))):
        raise refuse(folder, "the vocabulary of tokenizer.json must have the numbers from 0 on, each once")
    pieces = sorted(numbers, key=numbers.__getitem__)
    return _made(folder, pieces, normalizer.get("lowercase", True), normalizer.get("strip_accents"), normalizer)


def _part(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = values.get(name)
    return part if isinstance(part, dict) else {}
