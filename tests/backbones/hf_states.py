"""Compare the hidden states of a network from a folder with those that transformers computed."""

import keras
import numpy as np

import tfl
from tfl.backbones.hf.known import find_network

TOLERANCE = 1e-5


def hidden_states(model: keras.Model) -> keras.Model:
    """Return the model of the hidden states as transformers has them: those that the first block gets, then the others.

    A last normalisation stands in for the end of the last block.
    """
    ends = [layer for layer in model.layers if layer.name.endswith("_end")]
    if ends[-1].name == "last_norm_end":
        del ends[-2]
    return keras.Model(model.input, [layer.output for layer in ends])


def largest_difference(folder, file=None) -> float:
    """Return the largest difference from the hidden states in a file, at the pieces of the texts, and from their mean.

    The states of the file may be the last ones only. Texts must have different states, or nothing would be compared.
    """
    expected = np.load(file or folder / "hidden_states.npz")
    pieces = expected["pieces"]
    mask = (pieces != find_network(f"hf:{folder}").options.padding)[None, ..., None]
    model = tfl.build_backbone(f"hf:{folder}", image_size=pieces.shape[1])
    found = np.stack([np.asarray(state) for state in hidden_states(model)(pieces)])
    assert not (found * ~mask).any()
    states = expected["states"]
    mean = (states[-1] * mask[0]).sum(axis=1) / mask[0].sum(axis=1)
    assert np.ptp(mean, axis=0).mean() > 0.1
    of_mean = np.abs(np.asarray(model(pieces)) - mean).max()
    return max(of_mean, np.abs((found[-len(states) :] - states) * mask).max())


def weights_without_effect(model: keras.Model, example: np.ndarray) -> list[str]:
    """Return the names of the weights whose change does not change the answer."""
    before, rng, found = np.asarray(model(example)), np.random.default_rng(0), []
    for weight in model.weights:
        value = weight.numpy()
        weight.assign(value + rng.normal(0, 0.3, value.shape))
        if np.abs(np.asarray(model(example)) - before).max() < 1e-3:
            found.append(weight.path)
        weight.assign(value)
    return found
