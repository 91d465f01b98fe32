"""The kinds of networks that a folder may hold: what their config.json says, and which tokenizer they have."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tfl.backbones.hf.options import BlockOptions, Config, Spelling, TextOptions
from tfl.backbones.hf.tokenizer import read_tokenizer

_BERT_SIZES = {
    "units": "hidden_size",
    "blocks": "num_hidden_layers",
    "heads": "num_attention_heads",
    "inner": "intermediate_size",
}
_BERT_WITHOUT_EFFECT = {"hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"}
_TEXT_SIZES = {"pieces": "vocab_size", "positions": "max_position_embeddings"}

BERT = Spelling(
    sizes=_BERT_SIZES | _TEXT_SIZES | {"segments": "type_vocab_size"},
    only={"position_embedding_type": "absolute", "embedding_size": None},
    without_effect=frozenset(
        {
            *_BERT_WITHOUT_EFFECT,
            *("directionality", "pooler_fc_size", "pooler_num_attention_heads", "pooler_num_fc_layers"),
            *("pooler_size_per_head", "pooler_type"),
        }
    ),
)
DISTILBERT = Spelling(
    sizes={"units": "dim", "blocks": "n_layers", "heads": "n_heads", "inner": "hidden_dim"} | _TEXT_SIZES,
    without_effect=frozenset(
        # sinusoidal_pos_embds: the file of weights has the sines.
        {"dropout", "attention_dropout", "qa_dropout", "seq_classif_dropout", "sinusoidal_pos_embds", "tie_weights_"}
    ),
    activation=("activation", "gelu"),
    epsilon=("", 1e-12),
)


class Family(NamedTuple):
    """How the files beside the weights of one kind of network are read.

    Attributes:
        read_options: from a folder and the content of its config.json.
        read_tokenizer: from a folder and the options to the rules of the tokenizer as text.
    """

    read_options: Callable[[Path, Mapping[str, Any]], BlockOptions]
    read_tokenizer: Callable[[Path, Any], str]


def _bert(folder: Path, values: Mapping[str, Any]) -> TextOptions:
    config = Config(folder, values, BERT)
    return _text_options(config, segments=config.size("segments"))


def _distilbert(folder: Path, values: Mapping[str, Any]) -> TextOptions:
    return _text_options(Config(folder, values, DISTILBERT), segments=0)


def _text_options(config: Config, *, segments: int) -> TextOptions:
    return TextOptions(
        **config.blocks(),
        pieces=config.size("pieces"),
        positions=config.size("positions"),
        skipped_positions=0,
        segments=segments,
        padding=config.piece("pad_token_id", 0),
    )


FAMILIES = {
    "bert": Family(_bert, read_tokenizer),
    "distilbert": Family(_distilbert, read_tokenizer),
}
