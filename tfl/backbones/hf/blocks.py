"""The parts of a transformer block as layers of Keras, with names that are the same in every kind of network."""

from typing import Any

from keras import layers, ops

from tfl.backbones.hf.options import BlockOptions, TextOptions

BLOCK_END = "_end"  # of the name of the layer that ends a block


def embed(options: TextOptions, pieces: Any) -> Any:
    """Return the sum of the embeddings of pieces, of positions and, for pairs, of segments, (B, L, width)."""
    words = layers.Embedding(options.pieces, options.units, name="embed_pieces")(pieces)
    numbers = ops.cumsum(ops.ones_like(pieces), axis=1) - 1
    places = layers.Embedding(options.positions, options.units, name="embed_positions")(numbers)
    if not options.has_second_segment:
        return layers.Add(name="embed_add")([words, places])
    ends = ops.cast(ops.equal(pieces, options.end), "int32")
    is_second = ops.minimum(ops.cumsum(ends, axis=1) - ends, 1)  # 1 from the piece after the first end
    segments = layers.Embedding(2, options.units, name="embed_segments")(is_second)
    return layers.Add(name="embed_add")([words, places, segments])


def end_of_embedding(options: TextOptions, pieces: Any, states: Any) -> Any:
    """Return states that are 0 where the text has ended."""
    is_piece = ops.cast(ops.expand_dims(ops.not_equal(pieces, options.padding), -1), states.dtype)
    return layers.Multiply(name=f"embed{BLOCK_END}")([states, is_piece])


def present(states: Any) -> Any:
    """Return 1 where a text has a piece and 0 after its end, (B, L, 1)."""
    return ops.cast(ops.any(ops.not_equal(states, 0), axis=-1, keepdims=True), states.dtype)


def attend(options: BlockOptions, states: Any, name: str, **how: Any) -> Any:
    """Return what each position takes from the positions; `how`: arguments of the layer of Keras, such as a mask."""
    attention = layers.MultiHeadAttention(options.heads, options.units // options.heads, name=f"{name}_attention")
    return attention(states, states, **how)


def normalise(options: BlockOptions, states: Any, name: str) -> Any:
    """Return the states with mean 0 and variance 1 at each position, scaled and shifted."""
    return layers.LayerNormalization(epsilon=options.epsilon, name=name)(states)


def feed_forward(options: BlockOptions, states: Any, name: str) -> Any:
    """Return two linear layers of each state with the activation between them."""
    wide = _activate(options.activation, layers.Dense(options.inner, name=f"{name}_wide")(states), name)
    return layers.Dense(options.units, name=f"{name}_narrow")(wide)


def mean_of(states: Any, name: str = "mean_of_states") -> Any:
    """Return the mean over the pieces of each text, (B, width); of a text without a piece 0."""
    lengths = ops.maximum(ops.sum(present(states), axis=1), 1)
    return layers.Identity(name=name)(ops.sum(states, axis=1) / lengths)


def _activate(activation: str, states: Any, name: str) -> Any:
    if activation in ("gelu_new", "gelu_pytorch_tanh"):
        return ops.gelu(states, approximate=True)
    return layers.Activation(activation, name=f"{name}_activation")(states)
