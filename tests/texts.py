"""Texts, and a tiny BERT that reads them."""

from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

import tfl

FOLDER = Path(__file__).parent / "backbones" / "hf"
TINY = FOLDER / "bert_gelu"


def write_table(path: Path, number: int = 60, seed: int = 0) -> Path:
    """Write a table of texts about films, whose words say the label more often than not."""
    rng = np.random.default_rng(seed)
    rows = ["text\tlabel"]
    for place in range(number):
        label = ("good", "bad")[place % 2]
        words = rng.choice(["the", "film", "was", "a", label, label, "goodly", "bads"], rng.integers(3, 8))
        rows.append(f"{' '.join(words)} {label if rng.random() < 0.8 else 'film'} number {place} .\t{label}")
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def text_config(source: str, **data: object) -> tfl.TransferConfig:
    """Return the config of a solved head on the tiny BERT."""
    return tfl.TransferConfig(
        data=tfl.DataConfig(source=source, **({"image_size": -1, "augmentation": "none"} | data)),
        backbone=tfl.BackboneConfig(name=f"hf:{TINY}"),
        finetune=tfl.FinetuneConfig(epochs=0),
    )


def reference_tokenizer(pieces: list[str], **options: bool) -> Tokenizer:
    """Return the tokenizer of the library tokenizers with the same pieces; no text becomes a special piece."""
    numbers = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.WordPiece(numbers, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(**options)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer
