"""EXIF orientation wherever Pillow finds it: other types, behind other segments and fill bytes."""

import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from tfl.inputs.image.decode import TURNED, TURNED_JPEG, decode_image
from tfl.inputs.image.orientation import exif_orientation
from tfl.inputs.image.photos import decode_photo, needs_pillow
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


def chunk(name: bytes, body: bytes) -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def saved(kind: str, mode: str = "RGB", **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(PIXELS).convert(mode).save(file, kind, **options)
    return file.getvalue()


def tiff(orientation: int) -> bytes:
    return exif(orientation)[10:]


def check_turned(encoded: bytes, kind: str, orientation: int, mode: str = "RGB") -> None:
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(encoded))).convert(mode))[:, :, :3]
    np.testing.assert_array_equal(decode_image(tf.constant(encoded)).numpy(), expected)
    scanned = scan_image(encoded)
    assert (scanned.height, scanned.width) == expected.shape[:2]
    assert scanned.format == (TURNED[kind] if orientation > 1 else kind)
    np.testing.assert_array_equal(decode_image(tf.constant(encoded), (scanned.format,)).numpy(), expected)
    assert not needs_pillow(encoded, kind)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("WebP", {"lossless": True})])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_png_and_webp_are_turned_as_pillow_does(orientation, kind, options, mode):
    check_turned(saved(kind, mode, exif=tiff(orientation), **options), kind, orientation, mode)


def test_a_chunk_of_png_counts_wherever_it_stands():
    plain, block = saved("PNG"), chunk(b"eXIf", tiff(6))
    header, end = 8 + 25, len(plain) - 12
    for place in (header, end):
        check_turned(plain[:place] + block + plain[place:], "PNG", 6)
    comment = chunk(b"tEXt", b"Comment\0eXIf")
    check_turned(plain[:header] + comment + plain[header:], "PNG", 1)
    check_turned(plain[:header] + comment + block + plain[header:], "PNG", 6)


def test_the_first_frame_of_a_webp_film_is_turned():
    film = saved("WebP", save_all=True, append_images=[Image.fromarray(255 - PIXELS)], lossless=True, exif=tiff(8))
    check_turned(film, "WebP", 8)


def test_a_png_of_16_bits_is_turned_too():
    deep = np.random.default_rng(1).integers(0, 65536, (3, 5, 3), np.uint16)
    plain = tf.io.encode_png(deep).numpy()
    turned = plain[:33] + chunk(b"eXIf", tiff(6)) + plain[33:]
    upright = decode_image(tf.constant(plain)).numpy()
    np.testing.assert_array_equal(decode_image(tf.constant(turned)).numpy(), np.rot90(upright, -1))
    assert (scan_image(turned).format, scan_image(turned).peak) == (TURNED["PNG"], int(deep.max()))


@pytest.mark.parametrize("length", [0, 1, 8, 12, 21])
def test_a_damaged_orientation_in_png_or_webp_costs_no_photo(length):
    plain = saved("PNG")
    assert scan_image(plain[:33] + chunk(b"eXIf", tiff(6)[:length]) + plain[33:]).format == "PNG"
    if length:
        assert scan_image(saved("WebP", lossless=True, exif=tiff(6)[:length])).format == "WebP"


def test_an_orientation_that_only_pillow_finds_goes_by_pillow():
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
    plain = saved("PNG")
    encoded = plain[:33] + chunk(b"iTXt", b"XML:com.adobe.xmp" + bytes(5) + xmp) + plain[33:]
    assert needs_pillow(encoded, "PNG") and not needs_pillow(plain, "PNG")
    np.testing.assert_array_equal(decode_photo(encoded, "PNG"), np.rot90(PIXELS, -1))
