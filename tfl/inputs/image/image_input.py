"""An image as an example: bytes or pixels in, a square of uint8 RGB out."""

import dataclasses
from collections.abc import Sequence

import tensorflow as tf

from tfl.inputs.image.augment import augment
from tfl.inputs.image.decode import FORMATS, decode_image, resize

FACTS = ("width", "height")  # of an image, in pixels as displayed; 0 if unknown


@dataclasses.dataclass(frozen=True)
class ImageInput:
    """An image of one size; see `tfl.inputs.input.Input`.

    Attributes:
        image_size: pixels per side.
        bit_depth: number of bits that 16-bit PNG files really use.
        formats: possible formats of the files; fewer formats make a smaller graph.

    Example:
        >>> ImageInput(224).prepare(tf.io.read_file("ant.jpg")).shape
        TensorShape([224, 224, 3])
    """

    image_size: int
    bit_depth: int = 16
    formats: Sequence[str] = FORMATS

    @property
    def spec(self) -> tf.TensorSpec:
        """uint8 (image_size, image_size, 3)."""
        return tf.TensorSpec((self.image_size, self.image_size, 3), tf.uint8)

    def prepare(self, raw: tf.Tensor) -> tf.Tensor:
        """Return the whole image, resized: uint8 (image_size, image_size, 3) RGB in [0, 255].

        Args:
            raw: the bytes of a file, a scalar string; or pixels (H, W, 3), (H, W, 1) or (H, W).
        """
        return resize(to_pixels(raw, self.formats, self.bit_depth), self.image_size)

    def augment(self, raw: tf.Tensor, name: str, seed: tf.Tensor) -> tf.Tensor:
        """Return an augmented version with the same shape; see `tfl.inputs.image.augment`."""
        return augment(to_pixels(raw, self.formats, self.bit_depth), self.image_size, name, seed)


def to_pixels(image: tf.Tensor, formats: Sequence[str], bit_depth: int = 16) -> tf.Tensor:
    """Convert an undecoded example to uint8 (H, W, 3): decode bytes, round float pixels, repeat grey three times."""
    if image.dtype == tf.string:
        return decode_image(image, formats, bit_depth)
    if image.dtype != tf.uint8:
        image = tf.saturate_cast(tf.round(tf.cast(image, tf.float32)), tf.uint8)
    if image.shape.rank is None:  # never a scalar: the index was made from images
        image = tf.cond(tf.equal(tf.rank(image), 2), lambda: image[:, :, None], lambda: image)
    image = tf.ensure_shape(image[:, :, None] if image.shape.rank == 2 else image, (None, None, None))
    return tf.ensure_shape(tf.broadcast_to(image, tf.concat([tf.shape(image)[:2], [3]], axis=0)), (None, None, 3))
