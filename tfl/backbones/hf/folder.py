"""The folder of a model as the library transformers writes it: config.json, model.safetensors and the tokenizer."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from tfl.errors import InputError
from tfl.files.existing import nearest
from tfl.registry import did_you_mean

PREFIX = "hf:"
WEIGHTS = "model.safetensors"
ACTIVATIONS = ("gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu", "swish")

# Options of config.json that decide what the network computes, and the value that tfl can build.
_ONLY = {
    "model_type": "bert",
    "position_embedding_type": "absolute",
    "is_decoder": False,
    "add_cross_attention": False,
    "is_encoder_decoder": False,
    "embedding_size": None,
    "pruned_heads": {},
    "quantization_config": None,
}
_SIZES = (
    *("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"),
    *("max_position_embeddings", "type_vocab_size"),
)
# Options that change no hidden state of a network that does not train: rates of dropout, names, the head, the files.
_WITHOUT_EFFECT = {
    *("architectures", "torch_dtype", "dtype", "transformers_version", "_name_or_path", "name_or_path"),
    *("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout", "initializer_range"),
    *("use_cache", "gradient_checkpointing", "problem_type", "id2label", "label2id", "num_labels", "finetuning_task"),
    *("bos_token_id", "eos_token_id", "sep_token_id", "cls_token_id", "decoder_start_token_id", "pad_token_id"),
    *("output_hidden_states", "output_attentions", "return_dict", "torchscript", "tie_word_embeddings", "use_bfloat16"),
    *("directionality", "pooler_fc_size", "pooler_num_attention_heads", "pooler_num_fc_layers", "pooler_size_per_head"),
    *("pooler_type", "chunk_size_feed_forward", "_attn_implementation_autoset", "tokenizer_class"),
    *("cross_attention_hidden_size", "task_specific_params", "prefix", "tie_encoder_decoder", "bad_words_ids"),
}
_OTHERS = ("hidden_act", "layer_norm_eps")


@dataclasses.dataclass(frozen=True)
class BertOptions:
    """The options of config.json that decide what a BERT computes.

    Attributes:
        pieces: number of rows of the table of word pieces.
        width: of a hidden state.
        blocks: number of transformer blocks.
        heads: of the attention in each block.
        inner: width of the layer between the two linear layers of a block.
        positions: length of the longest text, in pieces.
        segments: number of rows of the table of segments; a text has the first, the second text of a pair the second.
        activation: between the two linear layers of a block, from `ACTIVATIONS`.
        epsilon: added to the variance by each layer normalisation.
        padding: number of the piece that fills the end of a shorter text.
        end: of pairs of texts, the number of the piece that ends each text; -1: an example is one text.

    Example:
        >>> BertOptions(100, 32, 2, 4, 64, 16, 2, "gelu", 1e-12, 0).width
        32
    """

    pieces: int
    width: int
    blocks: int
    heads: int
    inner: int
    positions: int
    segments: int
    activation: str
    epsilon: float
    padding: int
    end: int = -1

    @property
    def has_second_segment(self) -> bool:
        """Whether the second text of a pair has an embedding of its own."""
        return self.end >= 0 and self.segments > 1


def is_folder_name(name: str) -> bool:
    """Return whether the name of a network is that of a folder.

    Example:
        >>> is_folder_name("hf:models/minilm"), is_folder_name("MobileNetV2")
        (True, False)
    """
    return name.startswith(PREFIX)


def find_folder(name: str) -> Path:
    """Return the folder that `backbone.name` names.

    Raises:
        InputError: it does not exist, or has no config.json.
    """
    folder = Path(name.removeprefix(PREFIX)).expanduser().absolute()
    if not folder.is_dir():
        raise InputError(
            f"`backbone.name` must name a folder that exists after {PREFIX!r}. Received: {name!r}.{nearest(folder)}"
        )
    for file in ("config.json", WEIGHTS):
        if not (folder / file).is_file():
            raise refuse(folder, f"it has no {file}", _in_another_form(folder) if file == WEIGHTS else "")
    return folder


def _in_another_form(folder: Path) -> str:
    other = next((name for name in ("pytorch_model.bin", "tf_model.h5") if (folder / name).is_file()), "")
    return f" Did you mean to save the model of {other} with save_pretrained(..., safe_serialization=True)?" * bool(
        other
    )


def refuse(folder: Path, reason: str, hint: str = "") -> InputError:
    """Return the error of a folder that cannot be used."""
    rule = "`backbone.name` must name a folder with a BERT that tfl can build"
    return InputError(f"{rule}. Received: {PREFIX}{folder}: {reason}.{hint}")


def read_object(file: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        InputError: the file cannot be read, or holds something else.
    """
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise refuse(file.parent, f"{file.name} cannot be read ({' '.join(str(error).split())[:120]})") from error
    if not isinstance(values, dict):
        raise refuse(file.parent, f"{file.name} must hold an object")
    return values


def read_options(folder: Path) -> BertOptions:
    """Read config.json; an option that is not known, or that has a value that tfl cannot build, is refused.

    Raises:
        InputError: config.json is of another network, or lacks an option.
    """
    values = read_object(folder / "config.json")
    if "model_type" not in values:
        raise refuse(folder, "config.json has no model_type")
    for name, value in values.items():
        if name in _ONLY and value != _ONLY[name]:
            raise refuse(folder, f"{name} of config.json must be {_ONLY[name]!r}, and is {value!r}")
        if name not in {*_ONLY, *_SIZES, *_OTHERS, *_WITHOUT_EFFECT}:
            known = (*_ONLY, *_SIZES, *_OTHERS)
            raise refuse(folder, f"config.json has the option {name!r}, which is not known", did_you_mean(name, known))
    sizes = {name: _size(folder, values, name) for name in _SIZES}
    if sizes["hidden_size"] % sizes["num_attention_heads"]:
        raise refuse(folder, "hidden_size of config.json must be a multiple of num_attention_heads")
    activation, epsilon = values.get("hidden_act", "gelu"), values.get("layer_norm_eps", 1e-12)
    if activation not in ACTIVATIONS:
        known = ", ".join(ACTIVATIONS)
        raise refuse(folder, f"hidden_act of config.json must be one of {known}, and is {activation!r}")
    if not isinstance(epsilon, (int, float)) or isinstance(epsilon, bool) or not 0 < epsilon < 1:
        raise refuse(folder, f"layer_norm_eps of config.json must be between 0 and 1, and is {epsilon!r}")
    padding = values.get("pad_token_id", 0)
    if type(padding) is not int or not 0 <= padding < sizes["vocab_size"]:
        raise refuse(folder, f"pad_token_id of config.json must be the number of a piece, and is {padding!r}")
    return BertOptions(
        pieces=sizes["vocab_size"],
        width=sizes["hidden_size"],
        blocks=sizes["num_hidden_layers"],
        heads=sizes["num_attention_heads"],
        inner=sizes["intermediate_size"],
        positions=sizes["max_position_embeddings"],
        segments=sizes["type_vocab_size"],
        activation=activation,
        epsilon=float(epsilon),
        padding=padding,
    )


def _size(folder: Path, values: dict[str, Any], name: str) -> int:
    value = values.get(name)
    if type(value) is not int or value < 1:
        raise refuse(folder, f"{name} of config.json must be a whole number above 0, and is {value!r}")
    return value
