"""`Geometry`: what augmentation did to the places of a picture, so that masks and boxes move with the pixels."""

import dataclasses

import tensorflow as tf

_SAME = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


@dataclasses.dataclass(frozen=True)
class Geometry:
    """Where each pixel of a prepared picture was in the original; a value of tensors, made and used in a graph.

    A part of the original is cut out, mirrored perhaps, and resized to a square. Then the square may be moved several
    times: turned, sheared or shifted. What such a move pushes beyond the border is lost, as it is in the pixels.

    Attributes:
        size: pixels per side of the prepared picture.
        window: float32 `(4,)`, the part that is cut out: left, top, right and bottom as shares of the original, in
            [0, 1]. In a mirrored picture left is larger than right. A window may extend beyond the original by a part
            of a pixel.
        moves: float32 `(M, 6)`, in order: a move with (a, b, c, d, e, f) fills pixel (x, y) from the nearest pixel to
            (a x + b y + c, d x + e y + f). The numbers of pixels count from 0 at the left and the top.

    Example:
        >>> mirrored = Geometry.whole(2).flipped(tf.constant(True))
        >>> mirrored.move_mask(tf.constant([[1, 2], [3, 4]], tf.uint8), 255).numpy().tolist()
        [[2, 1], [4, 3]]
        >>> mirrored.move_boxes(tf.constant([[0.0, 0.0, 5.0, 10.0]]), tf.constant([10, 10])).numpy().tolist()
        [[1.0, 0.0, 2.0, 2.0]]
    """

    size: int
    window: tf.Tensor
    moves: tf.Tensor

    @classmethod
    def whole(cls, size: int) -> "Geometry":
        """Return the geometry of a whole picture that is resized to a square."""
        return cls.crop(size, tf.zeros(2), tf.ones(2))

    @classmethod
    def crop(cls, size: int, start: tf.Tensor, end: tf.Tensor) -> "Geometry":
        """Return the geometry of a part that is resized to a square.

        Args:
            size: pixels per side of the prepared picture.
            start: float32 `(2,)`, top and left as shares of the original.
            end: float32 `(2,)`, bottom and right.
        """
        return cls(size, tf.concat([start[::-1], end[::-1]], axis=0), tf.zeros((0, 6)))

    def flipped(self, is_flipped: tf.Tensor) -> "Geometry":
        """Return the geometry of a picture that was also mirrored left and right, if the bool scalar is true.

        It must not have been moved before.
        """
        left, top, right, bottom = tf.unstack(self.window)
        mirrored = tf.stack([right, top, left, bottom])
        return dataclasses.replace(self, window=tf.where(is_flipped, mirrored, self.window))

    def within(self, margins: tf.Tensor) -> "Geometry":
        """Return the same geometry for an original that had margins, which belong to no pixel of it.

        Args:
            margins: float32 `(2, 2)`, shares of the sides with margins: (top, bottom) and (left, right).
        """
        before = tf.tile(margins[::-1, 0], (2,))
        inside = tf.tile(1.0 - tf.reduce_sum(margins, axis=1)[::-1], (2,))
        return dataclasses.replace(self, window=(self.window - before) / inside)

    def moved(self, moves: tf.Tensor) -> "Geometry":
        """Return the geometry of a picture that was moved further; float32 `(M, 6)`, see `moves`."""
        return dataclasses.replace(self, moves=tf.concat([self.moves, moves], axis=0))

    def move_mask(self, mask: tf.Tensor, void: int) -> tf.Tensor:
        """Move a mask as the pixels were moved: each pixel gets the value of the nearest one.

        Args:
            mask: uint8 `(H, W)`, of the original or of a smaller or larger copy.
            void: value of pixels that lie outside of the original.

        Returns:
            uint8 `(size, size)`.
        """
        left, top, right, bottom = tf.unstack(self.window)
        rows, columns = tf.unstack(tf.cast(tf.shape(mask), tf.float32))

        across, down = (right - left) * columns / self.size, (bottom - top) * rows / self.size
        cut = (across, 0.0, left * columns + across / 2 - 0.5, 0.0, down, top * rows + down / 2 - 0.5)
        moved = fill_from_nearest(mask[:, :, None], tf.stack([tf.cast(n, tf.float32) for n in cut]), self.size, void)
        for move in tf.unstack(self.moves):
            moved = fill_from_nearest(moved, move, self.size, void)
        return tf.ensure_shape(moved[:, :, 0], (self.size, self.size))

    def move_boxes(self, boxes: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
        """Move boxes as the pixels were moved, and clip them to the prepared picture.

        A box of a turned or sheared picture is the smallest one around the moved corners.

        Args:
            boxes: float32 `(N, 4)`, corners x1, y1, x2, y2 in pixels of the original; the first pixel is from 0 to 1.
            shape: `(2,)`, rows and columns of pixels of the original that the boxes count in.

        Returns:
            float32 `(N, 4)`, in pixels of the prepared picture, in [0, size]. A box that lies outside of it has no
            area: x1 equals x2, or y1 equals y2.
        """
        sides = tf.cast(shape, tf.float32)[::-1]
        start, end = self.window[:2], self.window[2:]
        corners = tf.reshape(tf.cast(boxes, tf.float32), (-1, 2, 2))
        corners = (corners / sides - start) / (end - start) * self.size
        for move in tf.unstack(self.moves):
            corners = _moved_corners(self._clipped(corners), move)
        return tf.reshape(self._clipped(corners), (-1, 4))

    def _clipped(self, points: tf.Tensor) -> tf.Tensor:
        """Return the smallest box around points `(N, P, 2)` inside the picture, as corners `(N, 2, 2)`."""
        box = tf.stack([tf.reduce_min(points, axis=1), tf.reduce_max(points, axis=1)], axis=1)
        return tf.clip_by_value(box, 0.0, float(self.size))


def unmoved() -> tf.Tensor:
    """Return the move that leaves every pixel where it is, float32 `(6,)`."""
    return tf.constant(_SAME)


def fill_from_nearest(pixels: tf.Tensor, move: tf.Tensor, size: int | tf.Tensor, fill: float) -> tf.Tensor:
    """Fill pixel (x, y) of a square from the nearest pixel to (a x + b y + c, d x + e y + f).

    Args:
        pixels: `(H, W, C)`.
        move: float32 `(6,)`: a to f.
        size: pixels per side of the result; or int32 `(2,)`, its rows and columns.
        fill: value of pixels outside.

    Returns:
        `(size, size, C)` of the same type.
    """
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=pixels[None],
        transforms=tf.concat([move, tf.zeros(2)], axis=0)[None],
        output_shape=size * tf.ones(2, tf.int32),
        fill_value=float(fill),
        interpolation="NEAREST",
        fill_mode="CONSTANT",
    )
    return moved[0]


def _moved_corners(box: tf.Tensor, move: tf.Tensor) -> tf.Tensor:
    """Return where a move puts the four corners of boxes `(N, 2, 2)`, as `(N, 4, 2)`.

    A move says where a pixel comes from; its centre is half a pixel from its corner.
    """
    a, b, c, d, e, f = tf.unstack(move)
    matrix, shift = tf.stack([[a, b], [d, e]]), tf.stack([c, f])
    (x1, y1), (x2, y2) = (tf.unstack(corner, axis=-1) for corner in tf.unstack(box, axis=1))
    corners = tf.stack([tf.stack(point, axis=-1) for point in ((x1, y1), (x2, y1), (x1, y2), (x2, y2))], axis=1)
    back = tf.linalg.matmul(corners - 0.5 - shift, tf.linalg.inv(matrix), transpose_b=True)
    return back + 0.5
