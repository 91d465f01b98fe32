"""Features of a text from the hidden states of a transformer, of its last block or of several blocks side by side.

All kinds are columns of the largest one, `layers_cls`, so that one pass over the texts gives them all.
"""

import math
from typing import Any

import keras
import numpy as np
from keras import layers

from tfl.backbones.hf.blocks import mean_of
from tfl.backbones.stages import HEAD_PREFIX, backbone_output, block_ends
from tfl.config import STATE_POOLINGS
from tfl.errors import InputError
from tfl.registry import resolve

ALL = STATE_POOLINGS[-1]  # it has the columns of all others
_SUMMARIES = {"avg": ("last",), "cls": ("cls",), "layers": ("lower", "last"), ALL: ("lower", "last", "cls")}


def pool_states(backbone: keras.Model, pooling: str) -> Any:
    """Return the features of the texts that a network reads.

    Means leave out the positions after the end of a text.

    Args:
        backbone: a transformer, or a classifier on one, whose last tensor below the head is one vector for each text
            `(B, W)`, and whose hidden states `(B, L, W)` are 0 after the end of a text.
        pooling: "avg": the output of the network. "cls": the hidden state of the first piece after the last block.
            "layers": the means over the hidden states after one third and after two thirds of the blocks, beside the
            output. "layers_cls": these and "cls".

    Returns:
        A Keras tensor `(B, D)`; its layer is named `head_pool`.

    Raises:
        InputError: the network has no blocks.

    Reference:
        Reimers and Gurevych 2019, Sentence-BERT, arXiv:1908.10084 (means); Devlin et al. 2019, arXiv:1810.04805,
        section 5.3 (several layers side by side).
    """
    pooling = resolve(pooling, STATE_POOLINGS, "head.pooling")
    ends = block_ends(backbone)
    if not ends:
        raise InputError(
            "`head.pooling` must be 'avg', 'max' or 'gem' for a network without transformer blocks. "
            f"Received: head.pooling={pooling!r}."
        )
    found = {
        "lower": [mean_of(ends[number - 1], f"{HEAD_PREFIX}mean{number}") for number in lower_blocks(len(ends))],
        "last": [backbone_output(backbone)],
        "cls": [layers.Identity(name=HEAD_PREFIX + "cls")(ends[-1][:, 0])],
    }
    parts = [part for summary in _SUMMARIES[pooling] for part in found[summary]]
    name = HEAD_PREFIX + "pool"
    return layers.Concatenate(name=name)(parts) if len(parts) > 1 else layers.Identity(name=name)(parts[0])


def columns_of(pooling: str, blocks: int, width: int) -> np.ndarray:
    """Return which columns of the features `layers_cls` are those of another kind.

    Args:
        pooling: as for `pool_states`.
        blocks: number of blocks of the network.
        width: W, of a hidden state.

    Example:
        >>> columns_of("cls", blocks=3, width=2), columns_of("layers", blocks=2, width=1)
        (array([6, 7]), array([0, 1]))
    """
    sizes = {"lower": len(lower_blocks(blocks)) * width, "last": width, "cls": width}
    return np.concatenate(
        [np.arange(sizes[name]) + _start(sizes, name) for name in sizes if name in _SUMMARIES[pooling]]
    )


def lower_blocks(blocks: int) -> list[int]:
    """Return the numbers, from 1, of the blocks after one third and after two thirds of all, without the last one.

    Example:
        >>> lower_blocks(3), lower_blocks(12), lower_blocks(1)
        ([1, 2], [4, 8], [])
    """
    return sorted({math.ceil(blocks / 3), math.ceil(2 * blocks / 3)} - {blocks})


def _start(sizes: dict[str, int], name: str) -> int:
    names = list(sizes)
    return sum(sizes[before] for before in names[: names.index(name)])
