"""Decode the images that clients of the service send to pixels; the bytes are not trusted."""

import contextlib
import dataclasses
import struct
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from tfl.errors import BadImageError
from tfl.inputs.image.gif import gif_frames
from tfl.inputs.image.jpeg import PASSES_OF_PHOTO, count_work
from tfl.inputs.image.photos import check_all_bits, decode_photo, encode_png, needs_pillow
from tfl.inputs.image.scan import BROKEN, read_header
from tfl.inputs.image.whole import check_whole
from tfl.inputs.untrusted import RefusedError, first_line

TAKES_TURNS = 12_000_000  # larger images (pixels) are decoded one at a time: each may need 30 bytes per pixel


@dataclasses.dataclass(frozen=True)
class CheckedImage:
    """An image file that passed the checks and may be decoded.

    Attributes:
        encoded: the bytes of the file.
        content: the same bytes as a tensor.
        kind: the format of the file.
        work: the cost of decoding, in pixels; the pixels of a JPEG with more than 10 passes count several times.
    """

    encoded: bytes
    content: tf.Tensor
    kind: str
    work: int

    @property
    def takes_turns(self) -> bool:
        """Whether it is so large that only one such image should be decoded at a time."""
        return self.work > TAKES_TURNS


class ImageDecoder:
    """The decoder of training, with a check of each image's cost before it; threads may share it.

    Args:
        prepare: from the bytes of a file, or pixels, to the pixels of the model; see `ImageInput.prepare`.
        max_pixels: the largest number of pixels in an image.
        keeps_files: whether `prepare` does more with a file than with the same pixels, as a window does.
    """

    def __init__(
        self, prepare: Callable[[tf.Tensor], tf.Tensor], max_pixels: int, *, keeps_files: bool = False
    ) -> None:
        self._max_pixels, self._keeps_files = max_pixels, keeps_files
        self._decode = tf.function(prepare, input_signature=[tf.TensorSpec((), tf.string)]).get_concrete_function()
        self._resize = tf.function(prepare, input_signature=[tf.TensorSpec((None, None, 3), tf.uint8)])

    def check(self, encoded: bytes) -> CheckedImage:
        """Check the header of an image file, without decoding it.

        Raises:
            RefusedError: 415 if it is not an image, 413 if decoding would cost too much, 400 if it is broken.
        """
        content = tf.constant(encoded)
        with _refusing(otherwise=415):
            kind, width, height = read_header(encoded)
        pixels = max(width * height, _hidden_pixels(encoded, kind))
        if pixels > self._max_pixels:
            raise RefusedError(
                413, f"An image must have at most {self._max_pixels:,} pixels. Received: a {kind} with {pixels:,}."
            )
        with _refusing(otherwise=413):
            work = count_work(encoded, pixels) if kind == "JPEG" else pixels
        if work > self._max_pixels:
            raise RefusedError(
                413,
                f"A JPEG must have at most {self._max_pixels:,} pixels, counted once for every {PASSES_OF_PHOTO} "
                f"passes. Received: {work:,}.",
            )
        return CheckedImage(encoded, content, kind, work)

    def decode(self, image: CheckedImage) -> np.ndarray:
        """Return the pixels of an image file, uint8 `(image_size, image_size, 3)`.

        Raises:
            RefusedError: 400 if the image is broken, 415 if this installation cannot decode it.
        """
        try:
            with _refusing(otherwise=400):
                check_whole(image.encoded, image.kind)
            with _refusing(otherwise=415):
                if needs_pillow(image.encoded, image.kind):
                    if self._keeps_files:
                        check_all_bits(image.encoded, image.kind)
                    pixels = decode_photo(image.encoded, image.kind)
                    if pixels.dtype == np.uint16 or self._keeps_files:  # the graph knows how many bits are used
                        return self._decode(tf.constant(encode_png(pixels))).numpy()
                    return self._resize(tf.constant(pixels)).numpy()
            return self._decode(image.content).numpy()
        except BROKEN as error:
            raise RefusedError(400, f"The image is broken or truncated {image.kind}: {first_line(error)}.") from error


@contextlib.contextmanager
def _refusing(otherwise: int) -> Iterator[None]:
    """Turn an error about an image into a response: 400 if the image is broken, otherwise another status."""
    try:
        yield
    except BadImageError as error:
        raise RefusedError(400 if str(error).startswith("broken") else otherwise, f"The image is {error}.") from error


def _hidden_pixels(encoded: bytes, kind: str) -> int:
    """Return the number of pixels that the decoder will make, if the header of the file gives fewer; otherwise 0."""
    try:
        if kind == "GIF":
            # The decoder decodes all frames, although only the first is used.
            return sum(width * height for _, _, width, height in gif_frames(encoded))
        if kind == "WebP" and encoded[12:16] == b"VP8X":
            return _webp_frame_pixels(encoded)
    except (IndexError, struct.error):  # the file is truncated: decoding will fail later
        pass
    return 0


def _webp_frame_pixels(encoded: bytes) -> int:
    """Return the number of pixels in the first frame of an animation, which may be larger than the canvas."""
    at = 12
    while at + 8 <= len(encoded):
        name, size = struct.unpack_from("<4sI", encoded, at)
        if name == b"ANMF":
            sides = encoded[at + 14 : at + 20]
            return (1 + int.from_bytes(sides[:3], "little")) * (1 + int.from_bytes(sides[3:], "little"))
        at += 8 + (size + 1) // 2 * 2
    return 0
