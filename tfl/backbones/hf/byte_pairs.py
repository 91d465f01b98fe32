"""Read the byte-level tokenizer of a folder: vocab.json with merges.txt, or tokenizer.json alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfl.backbones.hf.folder import read_object, refuse
from tfl.backbones.hf.options import TextOptions
from tfl.backbones.hf.tokenizer import added_pieces
from tfl.errors import InputError
from tfl.inputs.text.byte_pairs import BytePairs

_CLASSES = (
    *("RobertaTokenizer", "RobertaTokenizerFast", "GPT2Tokenizer", "GPT2TokenizerFast"),
    *("PreTrainedTokenizerFast", "TokenizersBackend"),
)
_BEGIN_AND_END = ("RobertaProcessing", "BertProcessing")  # steps that put a special piece at both ends of a text


def read_roberta_tokenizer(folder: Path, options: TextOptions) -> str:
    """Return the rules of a tokenizer whose texts stand between two special pieces, as `BytePairs.to_text` writes them.

    Raises:
        InputError: there are no files of a tokenizer, it is of another kind, or it has other pieces than the network.
    """
    said = _said(folder)
    begin, end = _name(folder, said, "cls_token", "<s>"), _name(folder, said, "sep_token", "</s>")
    return _read(folder, options, said, ((begin,), (end,)))


def read_gpt2_tokenizer(folder: Path, options: TextOptions) -> str:
    """Return the rules of a tokenizer that adds no piece to a text, as `BytePairs.to_text` writes them.

    Raises:
        InputError: as for `read_roberta_tokenizer`.
    """
    said = _said(folder)
    if said.get("add_bos_token", False) is not False:
        raise refuse(folder, f"add_bos_token of tokenizer_config.json must be false, and is {said['add_bos_token']!r}")
    return _read(folder, options, said, ((), ()))


def _said(folder: Path) -> Mapping[str, Any]:
    file = folder / "tokenizer_config.json"
    said = read_object(file) if file.is_file() else {}
    found = said.get("tokenizer_class", _CLASSES[0])
    if found not in _CLASSES:
        raise refuse(folder, f"tokenizer_class must be one of {', '.join(_CLASSES)}, and is {found!r}")
    return said


def _name(folder: Path, said: Mapping[str, Any], name: str, default: str) -> str:
    """Return a special piece, which a file may write as an object."""
    value = said.get(name, default)
    value = value.get("content") if isinstance(value, dict) else value
    if not isinstance(value, str):
        raise refuse(folder, f"{name} of tokenizer_config.json must be a piece, and is {value!r}")
    return value


def _read(
    folder: Path, options: TextOptions, said: Mapping[str, Any], ends: tuple[tuple[str, ...], tuple[str, ...]]
) -> str:
    is_one_file = not ((folder / "vocab.json").is_file() and (folder / "merges.txt").is_file())
    values = _read_json(folder, *ends) if is_one_file else _read_two_files(folder)
    numbers, merges = values["vocab"], values["merges"]
    pieces = _by_number(folder, numbers)
    if len(pieces) > options.pieces:
        raise refuse(folder, f"the tokenizer has {len(pieces)} pieces, and the network only {options.pieces}")
    if options.padding >= len(pieces):
        raise refuse(folder, f"the tokenizer has {len(pieces)} pieces, and none for padding, {options.padding}")
    if added := [piece for piece in added_pieces(folder) if piece not in numbers]:
        raise refuse(folder, f"the tokenizer adds the piece {added[0]!r}, which its vocabulary does not have")
    leading_space = values.get("add_prefix_space", said.get("add_prefix_space", False))
    if type(leading_space) is not bool:
        raise refuse(folder, f"add_prefix_space must be true or false, and is {leading_space!r}")
    try:
        return BytePairs(tuple(pieces), merges, *ends, pieces[options.padding], leading_space).to_text()
    except InputError as error:
        raise refuse(folder, f"the tokenizer does not fit together ({error})") from error


def _by_number(folder: Path, numbers: Mapping[str, Any]) -> list[str]:
    found = list(numbers.values())
    if set(map(type, found)) != {int} or sorted(found) != list(range(len(found))):
        raise refuse(folder, "the vocabulary of the tokenizer must have the numbers from 0 on, each once")
    return sorted(numbers, key=numbers.__getitem__)


def _read_two_files(folder: Path) -> dict[str, Any]:
    try:
        lines = (folder / "merges.txt").read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeError) as error:
        raise refuse(folder, f"merges.txt cannot be read ({' '.join(str(error).split())[:120]})") from error
    lines = [line.rstrip("\r") for line in lines]
    merges = tuple(line for line in lines if line and not line.startswith("#version"))
    return {"vocab": read_object(folder / "vocab.json"), "merges": merges}


def _read_json(folder: Path, begin: tuple[str, ...], end: tuple[str, ...]) -> dict[str, Any]:
    file = folder / "tokenizer.json"
    if not file.is_file():
        raise refuse(folder, "it has neither vocab.json with merges.txt nor tokenizer.json")
    values = read_object(file)
    model, words, after = (_part(values, name) for name in ("model", "pre_tokenizer", "post_processor"))
    expected: tuple[tuple[str, Any, tuple[Any, ...]], ...] = (
        ("model", model.get("type", "BPE"), ("BPE",)),
        ("dropout", model.get("dropout"), (None, 0)),
        ("continuing_subword_prefix", model.get("continuing_subword_prefix"), (None, "")),
        ("end_of_word_suffix", model.get("end_of_word_suffix"), (None, "")),
        ("byte_fallback", model.get("byte_fallback", False), (False,)),
        ("ignore_merges", model.get("ignore_merges", False), (False,)),
        ("normalizer", values.get("normalizer"), (None,)),
        ("pre_tokenizer", words.get("type"), ("ByteLevel",)),
        ("use_regex", words.get("use_regex", True), (True,)),
    )
    for name, found, wanted in expected:
        if found not in wanted:
            known = " or ".join(map(repr, wanted))
            raise refuse(folder, f"{name} of tokenizer.json must be {known}, and is {found!r}")
    adds = after.get("type") in _BEGIN_AND_END or bool(after.get("special_tokens"))
    if adds != bool(begin + end):
        rule = f"add {' and '.join(begin + end) or 'nothing'} to a text"
        raise refuse(folder, f"post_processor of tokenizer.json must {rule}, and is {after.get('type')!r}")
    pairs = model.get("merges")
    if not isinstance(pairs, list) or not all(isinstance(pair, (str, list)) for pair in pairs):
        raise refuse(folder, "merges of tokenizer.json must be a list of pairs")
    merges = tuple(pair if isinstance(pair, str) else " ".join(map(str, pair)) for pair in pairs)
    return {
        "vocab": _part(model, "vocab"),
        "merges": merges,
        "add_prefix_space": words.get("add_prefix_space", True),
    }


def _part(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = values.get(name)
    return part if isinstance(part, dict) else {}
