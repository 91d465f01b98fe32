"""EXIF orientation wherever Pillow finds it: other types, behind other segments and fill bytes."""

import io
import struct

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from tfl.inputs.image.decode import TURNED_JPEG, decode_image
from tfl.inputs.image.orientation import exif_orientation
from tfl.inputs.image.scan import scan_image

NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (3, 4, 3), np.uint8))
PIXELS = np.asarray(NOISE.resize((40, 30), Image.Resampling.BICUBIC))


def jpeg() -> bytes:
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, "JPEG", quality=95)
    return file.getvalue()


PLAIN = jpeg()
QUANTIZATION = PLAIN.index(b"\xff\xdb")
FRAME = PLAIN.index(b"\xff\xc0")
SCAN = PLAIN.index(b"\xff\xda")


def exif(orientation: int, order: str = ">", kind: int = 3) -> bytes:
    """An APP1 segment with the orientation as BYTE (1), SHORT (3) or LONG (4)."""
    value = struct.pack(order + {1: "B", 3: "H", 4: "I"}[kind], orientation).ljust(4, b"\0")
    head = (b"MM\0*" if order == ">" else b"II*\0") + struct.pack(order + "I", 8)
    body = head + struct.pack(order + "HHHI", 1, 0x0112, kind, 1) + value + bytes(4)
    return b"\xff\xe1" + struct.pack(">H", len(body) + 8) + b"Exif\0\0" + body


def check(encoded: bytes, orientation: int) -> None:
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(encoded))))
    np.testing.assert_array_equal(decode_image(tf.constant(encoded)).numpy(), expected)
    assert int(exif_orientation(encoded)) == orientation
    scanned = scan_image(encoded)
    assert (scanned.height, scanned.width) == expected.shape[:2]
    assert (scanned.format == TURNED_JPEG) == (orientation > 1)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [3, 4])
def test_orientation_as_short_and_as_long(orientation, order, kind):
    check(PLAIN[:2] + exif(orientation, order, kind) + PLAIN[2:], orientation)


@pytest.mark.parametrize("place", [QUANTIZATION, FRAME, SCAN])
@pytest.mark.parametrize("fill", [b"", b"\xff", b"\xff" * 700])
def test_exif_behind_other_segments_and_fill_bytes(place, fill):
    check(PLAIN[:place] + fill + exif(6) + PLAIN[place:], 6)


def test_exif_behind_the_image_data_does_not_count():
    check(PLAIN[:-2] + exif(6) + PLAIN[-2:], 1)


@pytest.mark.parametrize("length", [0, 4, 8, 9, 12, 20, 21])
def test_damaged_exif_costs_no_photo(length):
    block = b"Exif\0\0" + exif(6)[10 : 10 + length]
    encoded = PLAIN[:2] + b"\xff\xe1" + struct.pack(">H", 2 + len(block)) + block + PLAIN[2:]
    assert scan_image(encoded).format == "JPEG"


def test_the_word_exif_alone_is_no_orientation():
    comment = b"\xff\xfe" + struct.pack(">H", 2 + len(exif(6))) + exif(6)
    check(PLAIN[:2] + comment + PLAIN[2:], 1)
