"""The first frame of a GIF against Pillow: transparent colours, frames that leave part of the canvas, damage."""

import io
import itertools
import struct

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfl.inputs.image.decode import decode_image
from tfl.inputs.image.gif import gif_frames, gif_size
from tfl.inputs.image.scan import BadImageError, scan_image

RNG = np.random.default_rng(0)
PALETTE = RNG.integers(0, 256, (16, 3), dtype=np.uint8)
INDICES = RNG.integers(0, 16, (9, 13), dtype=np.uint8)
COMMENT = b"\x21\xfe\x05hello\x03abc\0"
NETSCAPE = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\0\0\0"


def decode(encoded: bytes) -> np.ndarray:
    return decode_image(tf.constant(encoded)).numpy()


def pillow_over_white(encoded: bytes) -> np.ndarray:
    rgba = Image.open(io.BytesIO(encoded)).convert("RGBA")
    return np.asarray(Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB"))


def image_data(indices: np.ndarray) -> bytes:
    """The compressed pixels of a frame, as Pillow writes them."""
    image = Image.fromarray(indices, "P")
    image.putpalette(PALETTE.tobytes())
    file = io.BytesIO()
    image.save(file, "GIF", optimize=False)
    encoded = file.getvalue()
    start = encoded.index(b"\x2c\0\0\0\0") + 10
    start += 3 << (encoded[start - 1] & 7) + 1 if encoded[start - 1] & 0x80 else 0
    return encoded[start:-1]


DATA = image_data(INDICES)


def control(transparent: int | None) -> bytes:
    return b"\x21\xf9\x04" + struct.pack("<BHB", transparent is not None, 10, transparent or 0) + b"\0"


def gif(canvas, place=(0, 0), transparent=None, tables="global", ahead=b"", later=b"") -> bytes:
    """Write a GIF by hand, with a frame anywhere on its canvas."""
    table = PALETTE.tobytes()
    own = table if tables != "global" else b""
    shared = table if tables == "global" else PALETTE[::-1].tobytes() if tables == "both" else b""
    screen = b"GIF89a" + struct.pack("<HHBBB", *canvas, 0xF3 if shared else 0x70, 0, 0) + shared
    head = b"\x2c" + struct.pack("<HHHHB", *place, 13, 9, 0x83 if own else 0) + own
    return screen + ahead + control(transparent) + head + DATA + later + b"\x3b"


@pytest.mark.parametrize(
    ("canvas", "place"), [((13, 9), (0, 0)), ((20, 15), (4, 2)), ((20, 9), (7, 0)), ((5, 5), (1, 2)), ((0, 0), (0, 0))]
)
@pytest.mark.parametrize("tables", ["global", "own", "both"])
@pytest.mark.parametrize("transparent", [None, 0, 7])
def test_the_first_frame_is_laid_on_its_canvas_as_pillow_does(canvas, place, tables, transparent):
    encoded = gif(canvas, place, transparent, tables)
    expected = pillow_over_white(encoded)
    np.testing.assert_array_equal(decode(encoded), expected)
    scanned = scan_image(encoded)
    assert (scanned.height, scanned.width) == expected.shape[:2] == gif_size(encoded)[::-1]
    white = (transparent == INDICES).sum()
    assert white == 0 or (expected == 255).all(axis=-1).sum() >= white


@pytest.mark.parametrize("ahead", [COMMENT, NETSCAPE + COMMENT, b"\x21\xfe\xff" + b"\x21\xf9\x04" * 85 + b"\0"])
def test_extensions_before_the_frame_are_stepped_over(ahead):
    encoded = gif((20, 15), (4, 2), 3, ahead=ahead)
    np.testing.assert_array_equal(decode(encoded), pillow_over_white(encoded))


def test_a_transparent_colour_of_a_later_frame_does_not_count():
    second = control(5) + b"\x2c" + struct.pack("<HHHHB", 0, 0, 13, 9, 0) + DATA
    encoded = gif((13, 9), transparent=2, later=second)
    np.testing.assert_array_equal(decode(encoded), pillow_over_white(encoded))
    assert list(gif_frames(encoded)) == [(0, 0, 13, 9)] * 2


@pytest.mark.parametrize(("interlace", "mode"), itertools.product([0, 1], ["P", "L", "1", "RGBA"]))
def test_gifs_that_pillow_writes(interlace, mode):
    image = Image.fromarray(RNG.integers(0, 256, (31, 24, 4), dtype=np.uint8))
    image = image.convert(mode) if mode != "P" else image.convert("RGB").quantize(30)
    file = io.BytesIO()
    image.save(file, "GIF", interlace=interlace, **({"transparency": 1} if mode in "PL" else {}))
    np.testing.assert_array_equal(decode(file.getvalue()), pillow_over_white(file.getvalue()))


@pytest.mark.parametrize("length", [6, 9, 12, 13, 40, 61, 65, 69, 75, 79, 85])
def test_a_gif_that_is_cut_off_is_left_out(length):
    with pytest.raises(BadImageError, match="broken or truncated GIF"):
        scan_image(gif((20, 15), (4, 2), 3)[:length])
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode(gif((20, 15), (4, 2), 3)[:length])


def test_a_gif_without_frames_is_left_out():
    with pytest.raises(BadImageError, match="a GIF must have a frame"):
        scan_image(b"GIF89a" + struct.pack("<HHBBB", 9, 9, 0x70, 0, 0) + NETSCAPE + b"\x3b")


def test_a_frame_far_off_a_small_canvas_is_refused_before_it_is_decoded():
    with pytest.raises(BadImageError, match=r"65548 x 65544 pixels are more than"):
        scan_image(gif((1, 1), (65535, 65535)))
