"""Boxes and the cells of a grid: which cell answers for which box, and the boxes that the outputs of cells mean.

A grid divides a picture into cells of `STRIDE` pixels. A cell whose centre is in the middle part of a box answers for
it: its logits are to name the class of the box, and its distances to reach the four sides. All other cells are
background. So a detector is a classifier and a regression of cells (without anchors).

Reference:
    Tian et al. 2019, FCOS: fully convolutional one-stage object detection, arXiv:1904.01355.
"""

import dataclasses

import tensorflow as tf

from tfl.data.boxes.text import PADDING

STRIDE = 8  # pixels of the input in a cell
MIDDLE = 0.5  # share of the sides of a box: cells whose centre is in this part answer for the box
SIDES = 4  # distances of a cell, or coordinates of a box
LEAST_DISTANCE = 1.0  # pixels, so that the logarithm is finite
MOST_BOXES = 100  # in an answer, as COCO counts them
LEAST_SCORE = 0.01  # of a box in an answer
OVERLAP = 0.4  # intersection over union of two boxes of one class, above which only the better one stays
VOTING = 0.5  # intersection over union from which a box has a vote on the corners of a better one
CANDIDATES = 1000  # cells of the highest scores, which are looked at


@dataclasses.dataclass(frozen=True)
class Targets:
    """What the cells of some pictures are to say.

    Attributes:
        classes: `(B, h, w)` int32, the class of the box that a cell answers for; K for background.
        distances: `(B, h, w, 4)` float32, the logarithms of the distances from the centre of the cell to the left,
            upper, right and lower side of its box, in strides; 0 for background.
        boxes: `(B, h, w)` int32, the row of that box among the labels; -1 for background.
        weights: `(B, h, w)` float32, how much a cell counts. The cells of a box share the square root of their number:
            if a large box had the weight of all its cells, small ones would hardly be found. Background counts 1, and
            in a crowd 0.
    """

    classes: tf.Tensor
    distances: tf.Tensor
    boxes: tf.Tensor
    weights: tf.Tensor


def assign(labels: tf.Tensor, height: int, width: int, num_classes: int) -> Targets:
    """Return what the cells of a grid are to say about true boxes.

    If a cell is in the middle of several boxes, it answers for the smallest one. The cell at the centre of a box is
    always in its middle.

    Args:
        labels: `(B, R, 5)` rows of x1, y1, x2, y2, class, in pixels; rows with the class -1 are no boxes, and lower
            classes are crowds.
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
    in_crowd = tf.reduce_all((low > 0) & (high > 0), axis=-1) & (classes < PADDING)[:, None, None, :]
    area = tf.where(in_middle, size[..., 0] * size[..., 1], tf.float32.max)
    smallest, answers = tf.argmin(area, axis=-1, output_type=tf.int32), tf.reduce_any(in_middle, axis=-1)
    distances = tf.concat([low, high], axis=-1)
    own = tf.gather(distances, smallest, axis=3, batch_dims=3)
    logarithms = tf.math.log(tf.maximum(own, LEAST_DISTANCE) / STRIDE)
    flat = tf.reshape(smallest, (tf.shape(smallest)[0], -1))
    named = tf.reshape(tf.gather(classes, flat, batch_dims=1), tf.shape(smallest))
    own_box = tf.where(answers, smallest, -1)
    background = tf.cast(~tf.reduce_any(in_crowd, axis=-1), tf.float32)
    return Targets(
        tf.where(answers, named, num_classes),
        tf.where(answers[..., None], logarithms, 0.0),
        own_box,
        tf.where(answers, _shares(own_box, labels.shape[1]), background),
    )


def _shares(boxes: tf.Tensor, most: int) -> tf.Tensor:
    """Return 1 over the square root of the number of cells that answer for the same box, `(B, h, w)` float32.

    Args:
        boxes: `(B, h, w)` int32, the row of the box of each cell; -1 is none.
        most: the number of rows.
    """
    counts = tf.reduce_sum(tf.one_hot(boxes, most), axis=(1, 2))
    flat = tf.reshape(tf.maximum(boxes, 0), (tf.shape(boxes)[0], -1))
    own = tf.reshape(tf.gather(counts, flat, batch_dims=1), tf.shape(boxes))
    return tf.math.rsqrt(tf.maximum(own, 1.0))


def cell_centres(height: int, width: int) -> tf.Tensor:
    """Return the centres of the cells, x and y in pixels, `(h, w, 2)` float32."""
    rows, columns = (STRIDE * (tf.range(side, dtype=tf.float32) + 0.5) for side in (height, width))
    return tf.stack(tf.meshgrid(columns, rows), axis=-1)


def choose_boxes(boxes: tf.Tensor, scores: tf.Tensor) -> tf.Tensor:
    """Return the boxes of an answer: the best ones of each class that do not overlap, each at its mean place.

    Of boxes of one class that overlap, only the best one stays (non-maximum suppression). Its corners become the mean
    of all boxes around it, weighted by their scores of its class (box voting): so the errors of the cells of an object
    cancel.

    Args:
        boxes: `(B, P, 4)` x1, y1, x2, y2.
        scores: `(B, P, K)` in [0, 1].

    Returns:
        `(B, MOST_BOXES, 6)` rows of x1, y1, x2, y2, score, class, the best first; rows that are no boxes are 0, with
        the class -1.

    Reference:
        Gidaris and Komodakis 2015, Object detection via a multi-region and semantic segmentation-aware CNN model,
        arXiv:1505.01749.
    """
    most = min(CANDIDATES, boxes.shape[1])
    best = tf.math.top_k(tf.reduce_max(scores, axis=-1), most).indices
    boxes, scores = (tf.gather(values, best, batch_dims=1) for values in (boxes, scores))
    numbers, classes, found = _suppress(boxes, scores)
    votes = tf.gather(tf.transpose(scores, [0, 2, 1]), classes, batch_dims=1)
    votes = tf.where(overlaps(tf.gather(boxes, numbers, batch_dims=1), boxes) >= VOTING, votes, 0.0)
    mean = tf.math.divide_no_nan(votes @ boxes, tf.reduce_sum(votes, axis=-1, keepdims=True))
    rows = tf.concat([mean, found[..., None], tf.cast(classes, tf.float32)[..., None]], axis=-1)
    return tf.where(found[..., None] > LEAST_SCORE, rows, tf.constant([0.0, 0.0, 0.0, 0.0, 0.0, -1.0]))


def _suppress(boxes: tf.Tensor, scores: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Return number, class and score of the best boxes that do not overlap with a better one of their class.

    In each turn every picture gives the best pair of a box and a class that is left, and the boxes around it lose this
    class. Only operations that LiteRT and ONNX have are used.

    Args:
        boxes: `(B, P, 4)`.
        scores: `(B, P, K)`.

    Returns:
        `(B, MOST_BOXES)` int32, int32 and float32, the best first; scores up to `LEAST_SCORE` are no boxes.
    """
    count, num_classes = boxes.shape[1], scores.shape[-1]

    def is_left(turn: tf.Tensor, rest: tf.Tensor, *chosen: tf.Tensor) -> tf.Tensor:
        return (turn < MOST_BOXES) & (tf.reduce_max(rest) > LEAST_SCORE)

    def choose(turn: tf.Tensor, rest: tf.Tensor, places: tf.Tensor, values: tf.Tensor) -> tuple[tf.Tensor, ...]:
        flat = tf.reshape(rest, (-1, count * num_classes))
        place, value = tf.argmax(flat, axis=-1, output_type=tf.int32), tf.reduce_max(flat, axis=-1)
        number = place // num_classes
        near = overlaps(tf.gather(boxes, number, batch_dims=1)[:, None], boxes)[:, 0] > OVERLAP
        gone = (near | (tf.range(count) == number[:, None]))[..., None]
        same = tf.range(num_classes) == (place - number * num_classes)[:, None]
        is_now = tf.range(MOST_BOXES)[None] == turn
        places, values = tf.where(is_now, place[:, None], places), tf.where(is_now, value[:, None], values)
        return turn + 1, tf.where(gone & same[:, None], 0.0, rest), places, values

    blank = tf.zeros_like(scores[:, :1, 0]) * tf.zeros((1, MOST_BOXES))
    state = (tf.constant(0), scores, tf.cast(blank, tf.int32), blank)
    shapes = (tf.TensorShape([]), scores.shape, blank.shape, blank.shape)
    _, _, places, values = tf.while_loop(is_left, choose, state, shape_invariants=shapes)
    return places // num_classes, places % num_classes, values


def overlaps(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """Return the intersection over union of each pair of boxes, `(B, N, M)`.

    Args:
        first: `(B, N, 4)` x1, y1, x2, y2.
        second: `(B, M, 4)`.

    Example:
        >>> overlaps(tf.constant([[[0.0, 0, 2, 2]]]), tf.constant([[[1.0, 0, 3, 2]]])).numpy().round(3)
        array([[[0.333]]], dtype=float32)
    """
    (a, b), (c, d) = (tf.split(boxes, 2, axis=-1) for boxes in (first[:, :, None], second[:, None]))
    shared = tf.reduce_prod(tf.maximum(tf.minimum(b, d) - tf.maximum(a, c), 0.0), axis=-1)
    union = tf.reduce_prod(b - a, axis=-1) + tf.reduce_prod(d - c, axis=-1) - shared
    return tf.math.divide_no_nan(shared, union)
