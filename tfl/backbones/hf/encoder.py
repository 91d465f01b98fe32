"""BERT and its relatives as a flat graph of the layers of Keras.

Each hidden state is 0 at the positions after the end of a text. So a block finds the mask of its attention in what it
gets, no mask goes past the blocks, and the network can be cut after each of them.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from keras import layers, ops

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
from tfl.backbones.hf.tensors import PartNames, Tensors, weights_of_block

BERT: PartNames = {
    "block": "encoder.layer",
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "out": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "wide": "intermediate.dense",
    "narrow": "output.dense",
    "norm": "output.LayerNorm",
}
DISTILBERT: PartNames = {
    "block": "transformer.layer",
    "query": "attention.q_lin",
    "key": "attention.k_lin",
    "value": "attention.v_lin",
    "out": "attention.out_lin",
    "attention_norm": "sa_layer_norm",
    "wide": "ffn.lin1",
    "narrow": "ffn.lin2",
    "norm": "output_layer_norm",
}


def build(options: TextOptions, pieces: Any) -> Any:
    """Return the mean of the last hidden states over the pieces of each text.

    Args:
        options: of the network.
        pieces: a Keras tensor, int32 (B, L): numbers of pieces.

    Returns:
        A Keras tensor, float32 (B, width).

    Reference:
        Devlin et al. 2019, BERT: Pre-training of deep bidirectional transformers, arXiv:1810.04805; Sanh et al. 2019,
        DistilBERT, arXiv:1910.01108; Liu et al. 2019, RoBERTa, arXiv:1907.11692; the mean: Reimers and Gurevych 2019,
        Sentence-BERT, arXiv:1908.10084.
    """
    states = end_of_embedding(options, pieces, normalise(options, embed(options, pieces), "embed_norm"))
    for number in range(1, options.blocks + 1):
        states = _block(options, states, f"block{number}")
    return mean_of(states)


def _block(options: TextOptions, states: Any, name: str) -> Any:
    is_piece = present(states)
    attended = attend(options, states, name, attention_mask=ops.cast(ops.swapaxes(is_piece, 1, 2), "bool"))
    inner = layers.Add(name=f"{name}_attention_add")([states, attended])
    inner = normalise(options, inner, f"{name}_attention_norm")
    after = layers.Add(name=f"{name}_add")([inner, feed_forward(options, inner, name)])
    return layers.Multiply(name=f"{name}{BLOCK_END}")([normalise(options, after, f"{name}_norm"), is_piece])


def weights(names: PartNames, options: TextOptions, tensors: Tensors) -> Mapping[str, list[np.ndarray]]:
    """Return the weights of each layer, in the order of its variables."""
    width = options.units
    rows = options.skipped_positions + options.positions
    places = tensors("embeddings.position_embeddings.weight", rows, width)[options.skipped_positions :]
    found: dict[str, list[np.ndarray]] = {}
    if options.segments:
        segments = tensors("embeddings.token_type_embeddings.weight", options.segments, width)
        if options.has_second_segment:
            found["embed_segments"] = [segments[:2]]
        else:  # the embedding of the first segment is part of every position
            places = places + segments[0]
    found |= {
        "embed_pieces": [tensors("embeddings.word_embeddings.weight", options.pieces, width)],
        "embed_positions": [places],
        "embed_norm": tensors.norm("embeddings.LayerNorm", width),
    }
    for number in range(options.blocks):
        found |= weights_of_block(names, options, tensors, number)
    return found
