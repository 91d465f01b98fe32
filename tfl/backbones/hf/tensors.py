"""The tensors of model.safetensors, by name and with a check of their shapes."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tfl.backbones.hf.folder import WEIGHTS, refuse
from tfl.backbones.hf.options import BlockOptions
from tfl.extras import check_extra

PartNames = Mapping[str, str]  # the names of the parts of a block in a file, and "block", what stands before its number


class Tensors:
    """The tensors of a file by their names, with or without the name of the model before them.

    Raises:
        InputError: the file cannot be read.
    """

    def __init__(self, folder: Path, prefix: str) -> None:
        self._folder = folder
        self._tensors = {name.removeprefix(prefix): value for name, value in _read(folder).items()}

    def __call__(self, name: str, *shape: int) -> np.ndarray:
        """Return a tensor as float32.

        Raises:
            InputError: it is missing, or has another shape.
        """
        older = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        value = self._tensors.get(name, self._tensors.get(older))
        if value is None:
            raise refuse(self._folder, f"{WEIGHTS} has no tensor {name!r}")
        if value.shape != shape:
            raise refuse(self._folder, f"{name} of {WEIGHTS} must have the shape {shape}, and has {value.shape}")
        return value.astype(np.float32)

    def linear(self, name: str, out: int, into: int) -> list[np.ndarray]:
        """Return kernel (into, out) and bias of a linear layer, which the file has as (out, into)."""
        return [self(f"{name}.weight", out, into).T, self(f"{name}.bias", out)]

    def convolution(self, name: str, out: int, into: int) -> list[np.ndarray]:
        """Return kernel and bias of a linear layer that the file has as a convolution, (into, out)."""
        return [self(f"{name}.weight", into, out), self(f"{name}.bias", out)]

    def norm(self, name: str, width: int) -> list[np.ndarray]:
        """Return scale and shift of a layer normalisation."""
        return [self(f"{name}.weight", width), self(f"{name}.bias", width)]


def weights_of_block(
    names: PartNames, options: BlockOptions, tensors: Tensors, number: int
) -> dict[str, list[np.ndarray]]:
    """Return the weights of the layers of one block, whose number is from 0.

    Args:
        names: of the parts in the file: block, query, key, value, out, attention_norm, wide, narrow, norm.
        options: of the network.
        tensors: of the file.
        number: of the block.
    """
    width, inner = options.units, options.inner
    theirs, ours = f"{names['block']}.{number}", f"block{number + 1}"
    parts = [tensors.linear(f"{theirs}.{names[part]}", width, width) for part in ("query", "key", "value", "out")]
    return {
        f"{ours}_attention": [value for part in parts for value in part],
        f"{ours}_attention_norm": tensors.norm(f"{theirs}.{names['attention_norm']}", width),
        f"{ours}_wide": tensors.linear(f"{theirs}.{names['wide']}", inner, width),
        f"{ours}_narrow": tensors.linear(f"{theirs}.{names['narrow']}", width, inner),
        f"{ours}_norm": tensors.norm(f"{theirs}.{names['norm']}", width),
    }


def _read(folder: Path) -> Mapping[str, np.ndarray]:
    check_extra("backbone.name=hf:FOLDER", "safetensors", "text")
    import safetensors.numpy

    try:
        return safetensors.numpy.load_file(folder / WEIGHTS)
    except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
        raise refuse(folder, f"{WEIGHTS} cannot be read ({' '.join(str(error).split())[:120]})") from error
