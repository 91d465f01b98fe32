"""GPT-2 as a flat graph of the layers of Keras.

A piece gets nothing from those after it, so padding after the end of a text changes no state before it, and needs no
mask inside the blocks. As in a BERT, states are 0 after the end of a text at each point where the network can be cut.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from keras import layers

from tfl.backbones.hf.blocks import (
    BLOCK_END,
    attend,
    embed,
    end_of_embedding,
    feed_forward,
    mean_of,
    normalise,
    present,
)
from tfl.backbones.hf.options import TextOptions
from tfl.backbones.hf.tensors import Tensors


def build(options: TextOptions, pieces: Any) -> Any:
    """Return the mean of the last hidden states over the pieces of each text.

    Args:
        options: of the network.
        pieces: a Keras tensor, int32 (B, L): numbers of pieces.

    Returns:
        A Keras tensor, float32 (B, units); of a text without a piece 0.

    Reference:
        Radford et al. 2019, Language models are unsupervised multitask learners.
    """
    states = end_of_embedding(options, pieces, embed(options, pieces))
    for number in range(1, options.blocks + 1):
        states = _block(options, states, f"block{number}")
    last = normalise(options, states, "last_norm")
    return mean_of(layers.Multiply(name=f"last_norm{BLOCK_END}")([last, present(states)]))


def _block(options: TextOptions, states: Any, name: str) -> Any:
    attended = attend(options, normalise(options, states, f"{name}_attention_norm"), name, use_causal_mask=True)
    inner = layers.Add(name=f"{name}_attention_add")([states, attended])
    after = feed_forward(options, normalise(options, inner, f"{name}_norm"), name)
    whole = layers.Add(name=f"{name}_add")([inner, after])
    return layers.Multiply(name=f"{name}{BLOCK_END}")([whole, present(states)])


def weights(options: TextOptions, tensors: Tensors) -> Mapping[str, list[np.ndarray]]:
    """Return the weights of each layer, in the order of its variables; the file has kernels as (into, out)."""
    units, inner = options.units, options.inner
    found = {
        "embed_pieces": [tensors("wte.weight", options.pieces, units)],
        "embed_positions": [tensors("wpe.weight", options.positions, units)],
        "last_norm": tensors.norm("ln_f", units),
    }
    for number in range(options.blocks):
        theirs, ours = f"h.{number}", f"block{number + 1}"
        kernels = np.split(tensors(f"{theirs}.attn.c_attn.weight", units, 3 * units), 3, axis=1)
        biases = np.split(tensors(f"{theirs}.attn.c_attn.bias", 3 * units), 3)
        parts = [value for pair in zip(kernels, biases, strict=True) for value in pair]
        found |= {
            f"{ours}_attention": parts + tensors.convolution(f"{theirs}.attn.c_proj", units, units),
            f"{ours}_attention_norm": tensors.norm(f"{theirs}.ln_1", units),
            f"{ours}_wide": tensors.convolution(f"{theirs}.mlp.c_fc", inner, units),
            f"{ours}_narrow": tensors.convolution(f"{theirs}.mlp.c_proj", units, inner),
            f"{ours}_norm": tensors.norm(f"{theirs}.ln_2", units),
        }
    return found
