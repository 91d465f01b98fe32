"""Pictures for the tests of the audit."""

import numpy as np


def picture(rng, side=48):
    """A picture with shapes of several sizes, so that a part of it is unlike other pictures."""
    image = np.zeros((side, side, 3))
    for cell in (3, 6, 12, 24):
        grid = rng.uniform(0, 255, (side // cell + 1, side // cell + 1, 3))
        image += np.kron(grid, np.ones((cell, cell, 1)))[:side, :side]
    return (image / 4).astype(np.uint8)
