"""The kinds of networks that a folder may hold: what their config.json says, and which tokenizer they have."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tfl.backbones.hf.byte_pairs import read_gpt2_tokenizer, read_roberta_tokenizer
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


ROBERTA = dataclasses.replace(BERT, without_effect=frozenset(_BERT_WITHOUT_EFFECT))
GPT2 = Spelling(
    sizes={
        **{"units": "n_embd", "blocks": "n_layer", "heads": "n_head", "inner": "n_inner"},
        **{"pieces": "vocab_size", "positions": "n_positions"},
    },
    only={"scale_attn_weights": True, "scale_attn_by_inverse_layer_idx": False, "reorder_and_upcast_attn": False},
    without_effect=frozenset(
        {
            *("attn_pdrop", "embd_pdrop", "resid_pdrop", "n_ctx", "summary_activation", "summary_first_dropout"),
            *("summary_proj_to_labels", "summary_type", "summary_use_proj"),
        }
    ),
    activation=("activation_function", "gelu_new"),
    epsilon=("layer_norm_epsilon", 1e-5),
    inner_units=4,
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
    return _text_options(config, config.piece("pad_token_id", 0), segments=config.size("segments"))


def _distilbert(folder: Path, values: Mapping[str, Any]) -> TextOptions:
    config = Config(folder, values, DISTILBERT)
    return _text_options(config, config.piece("pad_token_id", 0))


def _roberta(folder: Path, values: Mapping[str, Any]) -> TextOptions:
    """Return the options; the first piece of a text has the position after that of the padding."""
    config = Config(folder, values, ROBERTA)
    padding = config.piece("pad_token_id", 1)
    return _text_options(config, padding, segments=config.size("segments"), skipped=padding + 1)


def _gpt2(folder: Path, values: Mapping[str, Any]) -> TextOptions:
    """Return the options; a network without a piece for padding gets its piece for the end of a text."""
    config = Config(folder, values, GPT2)
    name = "eos_token_id" if values.get("pad_token_id") is None else "pad_token_id"
    return _text_options(config, config.piece(name, 50256))


def _text_options(config: Config, padding: int, *, segments: int = 0, skipped: int = 0) -> TextOptions:
    return TextOptions(
        **config.blocks(),
        pieces=config.size("pieces"),
        positions=config.size("positions", above=skipped + 1) - skipped,
        skipped_positions=skipped,
        segments=segments,
        padding=padding,
    )


FAMILIES = {
    "bert": Family(_bert, read_tokenizer),
    "distilbert": Family(_distilbert, read_tokenizer),
    "roberta": Family(_roberta, read_roberta_tokenizer),
    "gpt2": Family(_gpt2, read_gpt2_tokenizer),
}
