"""BERT as a flat graph of the layers of Keras, with the weights of a folder of the library transformers.

Each hidden state is 0 at the positions after the end of a text. So a block finds the mask of its attention in what it
gets, no mask goes past the blocks, and the network can be cut after each of them.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from tfl.backbones.hf.folder import WEIGHTS, BertOptions, refuse
from tfl.extras import check_extra

BLOCK_END = "_end"  # of the name of the layer that ends a block


def bert(options: BertOptions, pieces: Any) -> Any:
    """Return the mean of the last hidden states over the pieces of each text.

    Args:
        options: of the network.
        pieces: a Keras tensor, int32 (B, L): numbers of word pieces.

    Returns:
        A Keras tensor, float32 (B, width).

    Reference:
        Devlin et al. 2019, BERT: Pre-training of deep bidirectional transformers, arXiv:1810.04805; the mean: Reimers
        and Gurevych 2019, Sentence-BERT, arXiv:1908.10084.
    """
    states = _embed(options, pieces)
    for number in range(1, options.blocks + 1):
        states = _block(options, states, f"block{number}")
    lengths = ops.sum(_present(states), axis=1)
    return layers.Identity(name="mean_of_states")(ops.sum(states, axis=1) / lengths)


def hidden_states(model: keras.Model) -> keras.Model:
    """Return the model of the hidden states (B, L, width): those that the first block gets, then those after each."""
    ends = [layer for layer in model.layers if layer.name.endswith(BLOCK_END)]
    return keras.Model(model.input, [layer.output for layer in ends])


def _embed(options: BertOptions, pieces: Any) -> Any:
    """Return the sum of the embeddings of pieces and positions, normalised; 0 where the text has ended."""
    words = layers.Embedding(options.pieces, options.width, name="embed_pieces")(pieces)
    numbers = ops.cumsum(ops.ones_like(pieces), axis=1) - 1
    places = layers.Embedding(options.positions, options.width, name="embed_positions")(numbers)
    parts = [words, places]
    if options.has_second_segment:
        ends = ops.cast(ops.equal(pieces, options.end), "int32")
        is_second = ops.cast(ops.cumsum(ends, axis=1) - ends > 0, "int32")  # from the piece after the first end
        parts.append(layers.Embedding(2, options.width, name="embed_segments")(is_second))
    total = layers.Add(name="embed_add")(parts)
    normal = layers.LayerNormalization(epsilon=options.epsilon, name="embed_norm")(total)
    present = ops.cast(ops.expand_dims(ops.not_equal(pieces, options.padding), -1), normal.dtype)
    return layers.Multiply(name=f"embed{BLOCK_END}")([normal, present])


def _present(states: Any) -> Any:
    """Return 1 where a text has a piece and 0 after its end, (B, L, 1)."""
    return ops.cast(ops.any(ops.not_equal(states, 0), axis=-1, keepdims=True), states.dtype)


def _block(options: BertOptions, states: Any, name: str) -> Any:
    present = _present(states)
    mask = ops.cast(ops.swapaxes(present, 1, 2), "bool")
    attention = layers.MultiHeadAttention(options.heads, options.width // options.heads, name=f"{name}_attention")
    attended = attention(states, states, attention_mask=mask)
    inner = layers.Add(name=f"{name}_attention_add")([states, attended])
    inner = layers.LayerNormalization(epsilon=options.epsilon, name=f"{name}_attention_norm")(inner)
    wide = _activate(options.activation, layers.Dense(options.inner, name=f"{name}_wide")(inner), name)
    narrow = layers.Dense(options.width, name=f"{name}_narrow")(wide)
    after = layers.LayerNormalization(epsilon=options.epsilon, name=f"{name}_norm")(
        layers.Add(name=f"{name}_add")([inner, narrow])
    )
    return layers.Multiply(name=f"{name}{BLOCK_END}")([after, present])


def _activate(activation: str, states: Any, name: str) -> Any:
    if activation in ("gelu_new", "gelu_pytorch_tanh"):
        return ops.gelu(states, approximate=True)
    return layers.Activation(activation, name=f"{name}_activation")(states)


def load_weights(options: BertOptions, folder: Path, model: keras.Model) -> None:
    """Copy the weights of a folder into a network from `bert`.

    Raises:
        InputError: a weight is missing or has another shape, or the file cannot be read.
    """
    tensors = _Tensors(folder, _read(folder))
    for layer_name, values in _weights_of_layers(options, tensors).items():
        layer = model.get_layer(layer_name)
        for variable, value in zip(layer.weights, values, strict=True):
            variable.assign(np.reshape(value, variable.shape))


def _read(folder: Path) -> Mapping[str, np.ndarray]:
    check_extra("backbone.name=hf:FOLDER", "safetensors", "text")
    import safetensors.numpy

    try:
        return safetensors.numpy.load_file(folder / WEIGHTS)
    except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
        raise refuse(folder, f"{WEIGHTS} cannot be read ({' '.join(str(error).split())[:120]})") from error


class _Tensors:
    """The tensors of a file by their names, with or without the name of the model before them."""

    def __init__(self, folder: Path, tensors: Mapping[str, np.ndarray]) -> None:
        self._folder = folder
        self._tensors = {name.removeprefix("bert."): value for name, value in tensors.items()}

    def __call__(self, name: str, *shape: int) -> np.ndarray:
        older = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        value = self._tensors.get(name, self._tensors.get(older))
        if value is None:
            raise refuse(self._folder, f"{WEIGHTS} has no tensor {name!r}")
        if value.shape != shape:
            raise refuse(self._folder, f"{name} of {WEIGHTS} must have the shape {shape}, and has {value.shape}")
        return value.astype(np.float32)


def _weights_of_layers(options: BertOptions, tensor: Callable[..., np.ndarray]) -> dict[str, list[np.ndarray]]:
    """Return the weights of each layer, in the order of its variables."""
    width, inner = options.width, options.inner

    def linear(name: str, out: int, into: int) -> list[np.ndarray]:
        return [tensor(f"{name}.weight", out, into).T, tensor(f"{name}.bias", out)]

    def norm(name: str) -> list[np.ndarray]:
        return [tensor(f"{name}.LayerNorm.weight", width), tensor(f"{name}.LayerNorm.bias", width)]

    # The embedding of the first segment is part of every position, unless there is a second one.
    segments = tensor("embeddings.token_type_embeddings.weight", options.segments, width)
    places = tensor("embeddings.position_embeddings.weight", options.positions, width)
    if options.has_second_segment:
        found = {"embed_positions": [places], "embed_segments": [segments[:2]]}
    else:
        found = {"embed_positions": [places + segments[0]]}
    found |= {
        "embed_pieces": [tensor("embeddings.word_embeddings.weight", options.pieces, width)],
        "embed_norm": norm("embeddings"),
    }
    for number in range(options.blocks):
        theirs, ours = f"encoder.layer.{number}", f"block{number + 1}"
        parts = [linear(f"{theirs}.attention.self.{part}", width, width) for part in ("query", "key", "value")]
        parts.append(linear(f"{theirs}.attention.output.dense", width, width))
        found |= {
            f"{ours}_attention": [value for part in parts for value in part],
            f"{ours}_attention_norm": norm(f"{theirs}.attention.output"),
            f"{ours}_wide": linear(f"{theirs}.intermediate.dense", inner, width),
            f"{ours}_narrow": linear(f"{theirs}.output.dense", width, inner),
            f"{ours}_norm": norm(f"{theirs}.output"),
        }
    return found
