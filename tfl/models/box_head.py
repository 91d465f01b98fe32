"""The head for boxes: every cell of one grid gets logits of the classes, and the sides of a box around its centre.

The features are those of the head for maps, on a grid of `STRIDE` pixels. One linear layer gives the logits of the
classes, that of the background, and the logarithms of the distances to the four sides. So both the classifier and the
regression of cells can be solved.
"""

import keras
from keras import ops

from tfl.models.map_head import apply_to_cells
from tfl.tasks.cells import SIDES, STRIDE

LARGEST = 8.0  # logarithm of a distance: no box is 3,000 strides wide


def apply_box_head(backbone: keras.Model, num_outputs: int) -> keras.KerasTensor:
    """Return what each cell says, `(B, h, w, num_outputs)` float32: logits of the classes and of background, and a box.

    The box is x1, y1, x2, y2 in pixels of the input of a backbone.

    Args:
        backbone: flat and functional, from one picture of fixed size to one map.
        num_outputs: K + 5 for K classes.
    """
    height, width = backbone.inputs[0].shape[1:3]
    outputs = apply_to_cells(backbone, (-(-height // STRIDE), -(-width // STRIDE)), num_outputs)
    logits, low, high = ops.split(outputs, [num_outputs - SIDES, num_outputs - SIDES // 2], axis=-1)
    ones = ops.ones_like(ops.mean(logits, axis=-1, keepdims=True))
    places = [STRIDE * (ops.cumsum(ones, axis=axis) - 0.5) for axis in (2, 1)]
    centre = ops.concatenate(places, axis=-1)
    near, far = (STRIDE * ops.exp(ops.clip(part, -LARGEST, LARGEST)) for part in (low, high))
    limit = ops.concatenate([width * ones, height * ones], axis=-1)
    corners = [ops.minimum(ops.maximum(corner, 0.0), limit) for corner in (centre - near, centre + far)]
    return ops.concatenate([logits, *corners], axis=-1)
