"""Find the network in a folder; it is built only when it is asked for, so that this imports no TensorFlow."""

import dataclasses
from pathlib import Path
from typing import Any

from tfl.backbones.hf.families import FAMILIES
from tfl.backbones.hf.folder import CONFIG, find_folder, read_object, refuse
from tfl.backbones.hf.options import BlockOptions
from tfl.inputs.text.rules import read_rules
from tfl.inputs.text.wordpiece import WordPiece
from tfl.registry import did_you_mean


@dataclasses.dataclass(frozen=True)
class FolderNetwork:
    """The network in a folder.

    Attributes:
        folder: its absolute path.
        kind: of network, from `FAMILIES`.
        options: from its config.json.
        tokenizer: divides a text into the pieces that the network knows.
    """

    folder: Path
    kind: str
    options: Any
    tokenizer: str

    @property
    def is_causal(self) -> bool:
        """Whether a piece of a text knows only those before it."""
        return self.kind == "gpt2"

    def for_pairs(self) -> "FolderNetwork | None":
        """Return the same network for pairs of texts; None if its tokenizer has no word pieces."""
        rules = read_rules(self.tokenizer)
        if not isinstance(rules, WordPiece):
            return None
        options = dataclasses.replace(self.options, end=rules.number("[SEP]"))
        return dataclasses.replace(self, options=options, tokenizer=dataclasses.replace(rules, pairs=True).to_text())

    def build(self, example: Any) -> Any:
        """Return the output of the network for a Keras tensor."""
        from tfl.backbones.hf.networks import NETWORKS

        return NETWORKS[self.kind].build(self.options, example)

    def load(self, model: Any) -> None:
        """Copy the weights of the folder into a network from `build`.

        Raises:
            InputError: a weight is missing or has another shape, or the file cannot be read.
        """
        from tfl.backbones.hf.networks import load_weights

        load_weights(self.kind, self.options, self.folder, model)


def find_network(name: str) -> FolderNetwork:
    """Return the network that `backbone.name` names.

    Args:
        name: "hf:FOLDER".

    Raises:
        InputError: the folder does not exist, or tfl cannot build its network or its tokenizer.
    """
    folder = find_folder(name)
    values = read_object(folder / CONFIG)
    if "model_type" not in values:
        raise refuse(folder, f"{CONFIG} has no model_type")
    kind = values["model_type"]
    if not isinstance(kind, str) or kind not in FAMILIES:
        hint = did_you_mean(str(kind), FAMILIES)
        raise refuse(folder, f"model_type of {CONFIG} must be one of {', '.join(FAMILIES)}, and is {kind!r}", hint)
    options: BlockOptions = FAMILIES[kind].read_options(folder, values)
    return FolderNetwork(folder, kind, options, FAMILIES[kind].read_tokenizer(folder, options))
