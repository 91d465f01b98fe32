"""From the bytes that a client sent to the pixels that the network takes, without trusting the bytes."""

import contextlib
import dataclasses
import struct
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from tfl.errors import BadImageError
from tfl.inputs.image.gif import gif_frames
from tfl.inputs.image.image_input import ImageInput
from tfl.inputs.image.jpeg import PASSES_OF_PHOTO, count_work
from tfl.inputs.image.photos import decode_photo, encode_png, needs_pillow
from tfl.inputs.image.scan import BROKEN, first_line, read_header
from tfl.inputs.image.whole import check_whole
from tfl.serving.limits import RequestError

TAKES_TURNS = 12_000_000  # pixels from which images are decoded one after the other: each may take 30 bytes a pixel


@dataclasses.dataclass(frozen=True)
class CheckedImage:
    """An image file that may be decoded.

    Attributes:
        encoded: the file.
        content: the same as a tensor.
        kind: its format.
        work: for how many pixels decoding it costs time; those of a JPEG with more than 10 passes count several times.
    """

    encoded: bytes
    content: tf.Tensor
    kind: str
    work: int

    @property
    def takes_turns(self) -> bool:
        """Whether it is so large that only one such image should be decoded at a time."""
        return self.work > TAKES_TURNS


class Decoder:
    """The decoder of training behind a check of how much work an image will be; threads may share it.

    Args:
        image_size: pixels per side of the result.
        max_pixels: what an image may have at most.
        bit_depth: so many bits PNG files of 16 bits hold; a file with more is refused.
    """

    def __init__(self, image_size: int, max_pixels: int, bit_depth: int = 16) -> None:
        self._max_pixels, image_input = max_pixels, ImageInput(image_size, bit_depth)
        self._decode = tf.function(
            image_input.prepare,
            input_signature=[tf.TensorSpec((), tf.string)],
        ).get_concrete_function()
        self._resize = tf.function(image_input.prepare, input_signature=[tf.TensorSpec((None, None, 3), tf.uint8)])

    def check(self, encoded: bytes) -> CheckedImage:
        """Look at the header of an image file; nothing is decoded yet.

        Raises:
            RequestError: 415 for other than an image, 413 for one that is too much work, 400 for a broken one.
        """
        content = tf.constant(encoded)
        with _refusing(otherwise=415):
            kind, width, height = read_header(encoded, content)
        pixels = max(width * height, _hidden_pixels(encoded, kind))
        if pixels > self._max_pixels:
            raise RequestError(
                413, f"An image must have at most {self._max_pixels:,} pixels. Received: a {kind} with {pixels:,}."
            )
        with _refusing(otherwise=413):
            work = count_work(encoded, pixels) if kind == "JPEG" else pixels
        if work > self._max_pixels:
            raise RequestError(
                413,
                f"A JPEG must have at most {self._max_pixels:,} pixels, counted once for every {PASSES_OF_PHOTO} "
                f"passes. Received: {work:,}.",
            )
        return CheckedImage(encoded, content, kind, work)

    def decode(self, image: CheckedImage) -> np.ndarray:
        """Return the pixels of an image file, uint8 `(image_size, image_size, 3)`.

        Raises:
            RequestError: 400 for a broken one, 415 for one that this installation cannot decode.
        """
        try:
            with _refusing(otherwise=400):
                check_whole(image.encoded, image.kind)
            with _refusing(otherwise=415):
                if needs_pillow(image.encoded, image.kind):
                    pixels = decode_photo(image.encoded, image.kind)
                    if pixels.dtype == np.uint16:  # the graph knows how many of the bits count
                        return self._decode(tf.constant(encode_png(pixels))).numpy()
                    return self._resize(tf.constant(pixels)).numpy()
            return self._decode(image.content).numpy()
        except BROKEN as error:
            raise RequestError(400, f"The image is broken or truncated {image.kind}: {first_line(error)}.") from error


@contextlib.contextmanager
def _refusing(otherwise: int) -> Iterator[None]:
    """Turn what is wrong with an image into an answer: 400 where it is damaged, else another status."""
    try:
        yield
    except BadImageError as error:
        raise RequestError(400 if str(error).startswith("broken") else otherwise, f"The image is {error}.") from error


def _hidden_pixels(encoded: bytes, kind: str) -> int:
    """Return how many pixels the decoder will make where the header tells of fewer."""
    try:
        if kind == "GIF":
            # All frames are decoded before the first is taken.
            return sum(width * height for _, _, width, height in gif_frames(encoded))
        if kind == "WebP" and encoded[12:16] == b"VP8X":
            return _webp_frame_pixels(encoded)
    except (IndexError, struct.error):  # cut off: what is there counts, and decoding will fail
        pass
    return 0


def _webp_frame_pixels(encoded: bytes) -> int:
    """Return the size of the first frame of an animation, which may be larger than its canvas."""
    at = 12
    while at + 8 <= len(encoded):
        name, size = struct.unpack_from("<4sI", encoded, at)
        if name == b"ANMF":
            sides = encoded[at + 14 : at + 20]
            return (1 + int.from_bytes(sides[:3], "little")) * (1 + int.from_bytes(sides[3:], "little"))
        at += 8 + (size + 1) // 2 * 2
    return 0
