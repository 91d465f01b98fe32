"""The options of config.json that decide what a network computes; an option that is not known is refused."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfl.backbones.hf.folder import CONFIG, refuse
from tfl.errors import InputError
from tfl.registry import did_you_mean

ACTIVATIONS = ("gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu", "swish")

# Options that change no hidden state of a network that does not train: rates of dropout, names, the head, the files.
_WITHOUT_EFFECT = {
    *("model_type", "architectures", "torch_dtype", "dtype", "transformers_version", "_name_or_path", "name_or_path"),
    *("use_cache", "gradient_checkpointing", "problem_type", "id2label", "label2id", "num_labels", "finetuning_task"),
    *("bos_token_id", "eos_token_id", "sep_token_id", "cls_token_id", "decoder_start_token_id", "pad_token_id"),
    *("output_hidden_states", "output_attentions", "return_dict", "torchscript", "tie_word_embeddings", "use_bfloat16"),
    *("chunk_size_feed_forward", "_attn_implementation_autoset", "tokenizer_class", "initializer_range"),
    *("cross_attention_hidden_size", "task_specific_params", "prefix", "tie_encoder_decoder", "bad_words_ids"),
}
# Options of any network, and the value that tfl can build.
_ONLY: dict[str, Any] = {
    "is_decoder": False,
    "add_cross_attention": False,
    "is_encoder_decoder": False,
    "pruned_heads": {},
    "quantization_config": None,
}


@dataclasses.dataclass(frozen=True)
class BlockOptions:
    """The options of the blocks of a transformer.

    Attributes:
        units: numbers in a hidden state.
        blocks: number of transformer blocks.
        heads: of the attention in each block.
        inner: units of the layer between the two linear layers of a block.
        activation: between the two linear layers of a block, from `ACTIVATIONS`.
        epsilon: added to the variance by each layer normalisation.

    Example:
        >>> BlockOptions(units=32, blocks=2, heads=4, inner=64, activation="gelu", epsilon=1e-12).units
        32
    """

    units: int
    blocks: int
    heads: int
    inner: int
    activation: str
    epsilon: float


@dataclasses.dataclass(frozen=True)
class TextOptions(BlockOptions):
    """The options of a transformer that reads texts.

    Attributes:
        pieces: number of rows of the table of pieces.
        positions: length of the longest text, in pieces.
        skipped_positions: number of rows of the table of positions before that of the first piece.
        segments: number of rows of the table of segments; a text has the first, the second text of a pair has the
            second; 0: there is no such table.
        padding: number of the piece that fills the end of a shorter text.
        end: of pairs of texts, the number of the piece that ends each text; -1: an example is one text.
    """

    pieces: int
    positions: int
    skipped_positions: int
    segments: int
    padding: int
    end: int = -1

    @property
    def has_second_segment(self) -> bool:
        """Whether the second text of a pair has an embedding of its own."""
        return self.end >= 0 and self.segments > 1


@dataclasses.dataclass(frozen=True)
class Spelling:
    """How the config.json of one kind of network spells its options.

    Attributes:
        sizes: for each number that it must have the name in config.json, by the name of an attribute.
        without_effect: options that change no hidden state.
        only: options with one value that tfl can build.
        activation: name and default of the activation.
        epsilon: name and default of the number that is added to a variance; without a name it has always this value.
        inner_units: `inner` as a multiple of `units`, where config.json says null; 0: it must say a number.
    """

    sizes: Mapping[str, str]
    without_effect: frozenset[str]
    only: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    activation: tuple[str, str] = ("hidden_act", "gelu")
    epsilon: tuple[str, float] = ("layer_norm_eps", 1e-12)
    inner_units: int = 0


class Config:
    """The content of a config.json in one spelling.

    Raises:
        InputError: it has an option that is not known, or that has a value that tfl cannot build.
    """

    def __init__(self, folder: Path, values: Mapping[str, Any], spelling: Spelling) -> None:
        self._folder, self._values, self._spelling = folder, values, spelling
        only = _ONLY | dict(spelling.only)
        known = (*only, *spelling.sizes.values(), spelling.activation[0], *filter(None, spelling.epsilon[:1]))
        for name, value in values.items():
            if name in only and value != only[name]:
                raise self.refuse(name, repr(only[name]))
            if name not in {*known, *_WITHOUT_EFFECT, *spelling.without_effect}:
                reason = f"{CONFIG} has the option {name!r}, which is not known"
                raise refuse(folder, reason, did_you_mean(name, known))

    def refuse(self, name: str, rule: str) -> InputError:
        """Return the error of an option that breaks a rule."""
        return refuse(self._folder, f"{name} of {CONFIG} must be {rule}, and is {self._values.get(name)!r}")

    def size(self, attribute: str, default: int = 0, *, above: int = 0) -> int:
        """Return a number by the name of its attribute; with a default, config.json may leave it out."""
        name = self._spelling.sizes[attribute]
        value = self._values.get(name)
        value = default or None if value is None else value
        if type(value) is not int or value <= above:
            raise self.refuse(name, f"a whole number above {above}")
        return value

    def blocks(self) -> dict[str, Any]:
        """Return the attributes of `BlockOptions` by their names."""
        names = self._spelling.sizes
        sizes = {name: self.size(name) for name in ("units", "blocks", "heads")}
        if sizes["units"] % sizes["heads"]:
            raise self.refuse(names["units"], f"a multiple of {names['heads']}")
        inner = self.size("inner", self._spelling.inner_units * sizes["units"])
        name, default = self._spelling.activation
        activation = self._values.get(name, default)
        if activation not in ACTIVATIONS:
            raise self.refuse(name, f"one of {', '.join(ACTIVATIONS)}")
        return sizes | {"inner": inner, "activation": activation, "epsilon": self._epsilon()}

    def _epsilon(self) -> float:
        name, default = self._spelling.epsilon
        value = self._values.get(name, default) if name else default
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value < 1:
            raise self.refuse(name, "between 0 and 1")
        return float(value)

    def piece(self, name: str, default: int) -> int:
        """Return an option that is the number of a piece."""
        value = self._values.get(name, default)
        if type(value) is not int or not 0 <= value < self.size("pieces"):
            raise self.refuse(name, "the number of a piece")
        return value
