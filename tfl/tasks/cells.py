"""Boxes and the cells of a grid: which cell answers for which box, and the boxes that the outputs of cells mean.

A grid divides a picture into cells of `STRIDE` pixels. A cell whose centre is in the middle part of a box answers for
it: its logits are to name the class of the box, and its distances to reach the four sides. All other cells are
background. So a detector is a classifier and a regression of cells (without anchors).

Reference:
    Tian et al. 2019, FCOS: fully convolutional one-stage object detection, arXiv:1904.01355.
"""

import dataclasses

import tensorflow as tf

STRIDE = 8  # pixels of the input in a cell
MIDDLE = 0.5  # share of the sides of a box: cells whose centre is in this part answer for the box
SIDES = 4  # distances of a cell, or coordinates of a box
LEAST_DISTANCE = 1.0  # pixels, so that the logarithm is finite
MOST_BOXES = 100  # in an answer, as COCO counts them
LEAST_SCORE = 0.005  # of a box in an answer
OVERLAP = 0.5  # intersection over union of two boxes of one class, above which only the better one stays


@dataclasses.dataclass(frozen=True)
class Targets:
    """What the cells of some pictures are to say.

    Attributes:
        classes: `(B, h, w)` int32, the class of the box that a cell answers for; K for background.
        distances: `(B, h, w, 4)` float32, the logarithms of the distances from the centre of the cell to the left, upper,
            right and lower side of its box, in strides; 0 for background.
        boxes: `(B, h, w)` int32, the row of that box among the labels; -1 for background.
    """

    classes: tf.Tensor
    distances: tf.Tensor
    boxes: tf.Tensor


def assign(labels: tf.Tensor, height: int, width: int, num_classes: int) -> Targets:
    """Return what the cells of a grid are to say about true boxes.

    If a cell is in the middle of several boxes, it answers for the smallest one. The cell at the centre of a box is
    always in its middle.

    Args:
        labels: `(B, R, 5)` rows of x1, y1, x2, y2, class, in pixels; rows with the class -1 are no boxes.
        height: h, of the grid.
        width: w.
        num_classes: K.
    """
    boxes, classes = labels[:, None, None, :, :4], tf.cast(labels[..., 4], tf.int32)
    centres = cell_centres(height, width)[None, :, :, None, :]
    low, high = centres - boxes[..., :2], boxes[..., 2:] - centres
    size = tf.maximum(boxes[..., 2:] - boxes[..., :2], 1e-6)
    offset = tf.abs(low - high) / 2.0
    is_box = (classes >= 0)[:, None, None, :]
    in_middle = tf.reduce_all((offset <= MIDDLE / 2.0 * size) | (offset <= STRIDE / 2.0), axis=-1) & is_box
    area = tf.where(in_middle, size[..., 0] * size[..., 1], tf.float32.max)
    smallest, answers = tf.argmin(area, axis=-1, output_type=tf.int32), tf.reduce_any(in_middle, axis=-1)
    distances = tf.concat([low, high], axis=-1)
    own = tf.gather(distances, smallest, axis=3, batch_dims=3)
    logarithms = tf.math.log(tf.maximum(own, LEAST_DISTANCE) / STRIDE)
    flat = tf.reshape(smallest, (tf.shape(smallest)[0], -1))
    named = tf.reshape(tf.gather(classes, flat, batch_dims=1), tf.shape(smallest))
    return Targets(
        tf.where(answers, named, num_classes),
        tf.where(answers[..., None], logarithms, 0.0),
        tf.where(answers, smallest, -1),
    )


def cell_centres(height: int, width: int) -> tf.Tensor:
    """Return the centres of the cells, x and y in pixels, `(h, w, 2)` float32."""
    rows, columns = (STRIDE * (tf.range(side, dtype=tf.float32) + 0.5) for side in (height, width))
    return tf.stack(tf.meshgrid(columns, rows), axis=-1)


def choose_boxes(boxes: tf.Tensor, scores: tf.Tensor) -> tf.Tensor:
    """Return the boxes of an answer: the best ones of each class that do not overlap (non-maximum suppression).

    Args:
        boxes: `(B, P, 4)` x1, y1, x2, y2.
        scores: `(B, P, K)` in [0, 1].

    Returns:
        `(B, MOST_BOXES, 6)` rows of x1, y1, x2, y2, score, class, the best first; rows that are no boxes are 0, with the
        class -1.
    """
    found = tf.image.combined_non_max_suppression(
        tf.gather(boxes, [1, 0, 3, 2], axis=-1)[:, :, None, :],
        scores,
        max_output_size_per_class=MOST_BOXES,
        max_total_size=MOST_BOXES,
        iou_threshold=OVERLAP,
        score_threshold=LEAST_SCORE,
        clip_boxes=False,
    )
    places = tf.range(MOST_BOXES)[None, :]
    classes = tf.where(places < found.valid_detections[:, None], found.nmsed_classes, -1.0)
    corners = tf.gather(found.nmsed_boxes, [1, 0, 3, 2], axis=-1)
    return tf.concat([corners, found.nmsed_scores[..., None], classes[..., None]], axis=-1)
