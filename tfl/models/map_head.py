"""The head for maps: every position gets logits from the activations of all stages around it.

The stages are brought to one grid, about 8 pixels wide, and stand side by side (a hypercolumn), beside their means
over 9 x 9 positions and the place in the picture. One linear layer gives logits, which are enlarged to the size of the
input. So the head is a linear classifier of positions, and can be solved like that of whole examples.

Reference:
    Hariharan et al. 2015, Hypercolumns for object segmentation and fine-grained localization, arXiv:1411.5752.
"""

from typing import Any

import keras
from keras import layers, ops

from tfl.backbones.stages import HEAD_PREFIX, CutPoint, find_maps

STRIDE = 8  # pixels of the input in a position of the grid, about
FINEST = 4  # stride of the lowest stage that is used: lower ones see only edges
CONTEXT = 9  # positions in each direction whose mean is a feature, too
FEATURES = HEAD_PREFIX + "features"


def apply_map_head(backbone: keras.Model, num_outputs: int) -> keras.KerasTensor:
    """Return maps of logits `(B, H, W, num_outputs)`, float32, at the size of the input of a backbone.

    The layer `head_features` holds the activations of the stages, `(B, h, w, D)`: what is below it is frozen while the
    head is solved. `head_logits` is the linear layer.

    Args:
        backbone: flat and functional, from one picture of fixed size to one map.
        num_outputs: logits of a position.
    """
    height, width = backbone.inputs[0].shape[1:3]
    shapes = (point.tensor.shape[1:3] for point in _points(backbone))
    grid = min(shapes, key=lambda shape: abs(shape[0] - height / STRIDE))
    logits = apply_to_cells(backbone, grid, num_outputs)
    return ops.image.resize(logits, (height, width), interpolation="bilinear")


def apply_to_cells(backbone: keras.Model, grid: tuple[int, int], num_outputs: int) -> keras.KerasTensor:
    """Return the outputs of one linear layer for each cell of a grid, `(B, h, w, num_outputs)` float32.

    Args:
        backbone: as for `apply_map_head`.
        grid: h and w.
        num_outputs: of a cell.
    """
    stages = [_to_grid(point, grid, number) for number, point in enumerate(_points(backbone), start=1)]
    features = layers.Concatenate(name=FEATURES)(stages) if len(stages) > 1 else layers.Identity(name=FEATURES)(*stages)
    return layers.Dense(num_outputs, dtype="float32", name=HEAD_PREFIX + "logits")(_widen(features))


def _points(backbone: keras.Model) -> list[CutPoint]:
    """Return the points whose activations are features: those that are not much finer than the grid."""
    height, points = backbone.inputs[0].shape[1], find_maps(backbone)
    return [point for point in points if height >= FINEST * point.resolution] or points


def _to_grid(point: CutPoint, grid: Any, number: int) -> keras.KerasTensor:
    """Bring the activations of a stage to the grid: by means of cells, or by linear interpolation."""
    name, side, wanted = f"{HEAD_PREFIX}stage{number}", point.tensor.shape[1], grid[0]
    step = -(-side // wanted)
    if side > wanted and -(-side // step) == wanted:
        return layers.AveragePooling2D(step, padding="same", name=name)(point.tensor)
    same = layers.Identity(name=name)(point.tensor)
    return same if side == wanted else ops.image.resize(same, grid, interpolation="bilinear")


def _widen(features: keras.KerasTensor) -> keras.KerasTensor:
    """Put the means of the neighbourhood and the place in the picture beside the features."""
    context = layers.AveragePooling2D(CONTEXT, strides=1, padding="same", name=HEAD_PREFIX + "context")(features)
    ones = ops.ones_like(ops.mean(features, axis=-1, keepdims=True))
    places = []
    for axis in (1, 2):
        place = 2.0 * (ops.cumsum(ones, axis=axis) - 0.5) / features.shape[axis] - 1.0
        places += [place, ops.square(place)]
    return layers.Concatenate(name=HEAD_PREFIX + "wide")([features, context, *places])
