"""State dicts of random numbers that torch_networks.py and the tests make alike, from shapes and a seed."""

from collections.abc import Mapping, Sequence

import numpy as np

State = dict[str, np.ndarray]


def make_state(shapes: Mapping[str, Sequence[int]], moments: Mapping[str, Sequence[float]]) -> State:
    """Return float32 arrays for names and shapes.

    Args:
        shapes: of the arrays, in the order of the file.
        moments: mean and variance of what a batch normalisation gets, by its name; without them 0 and 1. With them the
            outputs of a deep network depend on its input: a wrong network gives other ones.
    """
    rng, state = np.random.default_rng(0), State()
    for name, shape in shapes.items():
        prefix, _, role = name.rpartition(".")
        mean, variance = moments.get(prefix, (0.0, 1.0))
        noise = rng.normal(size=shape)
        if role == "running_mean":
            values = mean + 0.2 * np.sqrt(variance) * noise
        elif role == "running_var":
            values = variance * (1 + 0.5 * np.tanh(noise))
        elif role == "weight" and len(shape) == 1:
            values = 1 + 0.2 * np.tanh(noise)
        elif role == "bias":
            values = 0.1 * noise
        else:
            values = noise * np.sqrt(2 / max(1, np.prod(shape[1:])))
        state[name] = np.asarray(values, np.float32)
    return state


def images() -> np.ndarray:
    """Return two pictures of smooth noise, uint8 `(2, 65, 65, 3)`: an odd side shows where a padding is wrong."""
    coarse = np.random.default_rng(1).integers(0, 256, (2, 13, 13, 3))
    return np.kron(coarse, np.ones((1, 5, 5, 1))).astype(np.uint8)
