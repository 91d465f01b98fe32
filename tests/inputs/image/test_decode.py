"""Every rule of the decoder against Pillow or NumPy, on images made here."""

import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from tfl.inputs.image.decode import decode_image, exif_orientation, resize

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (9, 13, 3), dtype=np.uint8)
RGBA = RNG.integers(0, 256, (9, 13, 4), dtype=np.uint8)
SMOOTH = np.asarray(Image.fromarray(RGB).resize((40, 30), Image.Resampling.BICUBIC))


def encode(image, kind, **options):
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def decode(encoded):
    pixels = decode_image(tf.constant(encoded)).numpy()
    assert pixels.dtype == np.uint8 and pixels.shape[2] == 3
    return pixels


def pillow(encoded):
    return np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB"))


def over_white(rgba):
    rgba = rgba.astype(np.float64)
    return np.floor((rgba[..., :3] * rgba[..., 3:] + 255 * (255 - rgba[..., 3:])) / 255 + 0.5).astype(np.uint8)


def chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(pixels, color_type, depth, extra=b"", width=None):
    """Write a PNG by hand: Pillow writes neither 16-bit colour nor 16-bit alpha."""
    height, width = len(pixels), width or pixels.shape[1]
    rows = pixels.astype(">u2" if depth == 16 else "u1").reshape(height, -1)
    body = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    header = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("options", [{"quality": 90}, {"quality": 50, "progressive": True}])
def test_jpeg_equals_pillow(mode, options):
    encoded = encode(Image.fromarray(SMOOTH).convert(mode), "JPEG", **options)
    tolerance = 1 if mode == "CMYK" else 0  # two roundings of k * c / 255
    assert np.abs(decode(encoded).astype(int) - pillow(encoded)).max() <= tolerance


def test_ycck_jpeg_equals_pillow():
    encoded = bytearray(encode(Image.fromarray(SMOOTH).convert("CMYK"), "JPEG", quality=95))
    adobe = encoded.index(b"Adobe") + 11  # the transform byte: 0 is CMYK, 2 is YCCK
    assert encoded[adobe] == 0
    encoded[adobe] = 2
    assert np.abs(decode(bytes(encoded)).astype(int) - pillow(bytes(encoded))).max() <= 2
    assert not np.array_equal(pillow(bytes(encoded)), SMOOTH)


def tiff(orientation, order, before=0):
    """An EXIF block with `before` other entries ahead of the orientation."""
    big = order == "big"
    head = b"MM\0*\0\0\0\x08" if big else b"II*\0\x08\0\0\0"
    e = ">" if big else "<"
    entries = b"".join(struct.pack(e + "HHII", 0x0100 + i, 4, 1, 0x0112) for i in range(before))
    entries += struct.pack(e + "HHIHH", 0x0112, 3, 1, orientation, 0)
    return head + struct.pack(e + "H", before + 1) + entries + b"\0\0\0\0"


def segment(code, body):
    return bytes([0xFF, code]) + struct.pack(">H", len(body) + 2) + body


def insert(encoded, *segments, after_jfif=False):
    at = 20 if after_jfif else 2
    return encoded[:at] + b"".join(segments) + encoded[at:]


PLAIN = encode(SMOOTH, "JPEG", quality=95)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", ["big", "little"])
@pytest.mark.parametrize("before", [0, 3])
def test_exif_orientation_is_applied_as_pillow_does(orientation, order, before):
    encoded = insert(PLAIN, segment(0xE1, b"Exif\0\0" + tiff(orientation, order, before)))
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(encoded))))
    np.testing.assert_array_equal(decode(encoded), expected)
    assert int(exif_orientation(encoded)) == orientation
    assert (orientation == 1) == np.array_equal(decode(encoded), pillow(PLAIN))


@pytest.mark.parametrize("after_jfif", [False, True])
@pytest.mark.parametrize(
    "ahead",
    [
        (),
        (segment(0xE2, b"ICC_PROFILE\0" + bytes(500)),),
        (segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x/>"), segment(0xED, b"Photoshop 3.0\0" + bytes(60000))),
        tuple(segment(0xE2, bytes(65533)) for _ in range(5)),
        (segment(0xFE, b"a comment with Exif\0\0 in it"),),
    ],
)
def test_exif_is_found_behind_other_segments(ahead, after_jfif):
    exif = segment(0xE1, b"Exif\0\0" + tiff(6, "big", 2))
    assert int(exif_orientation(insert(PLAIN, *ahead, exif, after_jfif=after_jfif))) == 6
    assert int(exif_orientation(insert(PLAIN, *ahead, after_jfif=after_jfif))) == 1


@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"II*\0",
        tiff(9, "little"),
        tiff(0, "big"),
        b"MM\0*\xff\xff\xff\xff",
        b"II*\0\xff\xff\xff\x7f\x01\0",
        tiff(6, "little")[:12],
        b"II*\0\x08\0\0\0\xff\xff",
    ],
)
def test_damaged_exif_leaves_the_image_upright(block):
    encoded = insert(PLAIN, segment(0xE1, b"Exif\0\0" + block))
    np.testing.assert_array_equal(decode(encoded), pillow(PLAIN))


@pytest.mark.parametrize("length", [2, 3, 4, 5, 6, 8, 11, 20, 21, 22, 23])
def test_orientation_of_a_cut_header_is_upright(length):
    exif = insert(PLAIN, segment(0xE1, b"Exif\0\0" + tiff(6, "big")))
    assert int(exif_orientation(exif[:length])) == 1
    assert int(exif_orientation(PLAIN[:length])) == 1


@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P"])
def test_opaque_png_equals_pillow(mode):
    encoded = encode(Image.fromarray(RGB).convert(mode), "PNG")
    np.testing.assert_array_equal(decode(encoded), pillow(encoded))


@pytest.mark.parametrize("colors", [2, 4, 16, 256])
def test_palette_png_of_any_depth(colors):
    encoded = encode(Image.fromarray(RGB).quantize(colors), "PNG")
    np.testing.assert_array_equal(decode(encoded), pillow(encoded))


@pytest.mark.parametrize("depth", [1, 2, 4])
@pytest.mark.parametrize("transparent", [None, 1])
def test_grey_png_of_few_bits(depth, transparent):
    values = RNG.integers(0, 2**depth, (9, 16), dtype=np.uint8)
    bits = (values[..., None] >> np.arange(depth - 1, -1, -1)) & 1
    extra = b"" if transparent is None else chunk(b"tRNS", struct.pack(">H", transparent))
    encoded = png(np.packbits(bits.reshape(9, -1), axis=1), 0, depth, extra, width=16)
    grey = np.round(values * (255 / (2**depth - 1))).astype(np.uint8)
    expected = np.where(values == transparent, 255, grey) if transparent is not None else grey
    np.testing.assert_array_equal(decode(encoded), np.repeat(expected[..., None], 3, axis=-1))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_alpha_goes_over_white(mode, kind):
    image = Image.fromarray(RGBA).convert(mode)
    encoded = encode(image, kind, **({"lossless": True, "exact": True} if kind == "WEBP" else {}))
    np.testing.assert_array_equal(decode(encoded), over_white(np.asarray(image.convert("RGBA"))))
    white = Image.new("RGBA", image.size, "white")
    composed = np.asarray(Image.alpha_composite(white, image.convert("RGBA")).convert("RGB"))
    assert np.abs(decode(encoded).astype(int) - composed).max() <= 1


@pytest.mark.parametrize("mode", ["P", "L", "RGB"])
def test_transparency_chunk_goes_over_white(mode):
    image = Image.fromarray(RGB).convert(mode) if mode != "P" else Image.fromarray(RGB).quantize(16)
    value = image.getpixel((2, 3))
    encoded = encode(image, "PNG", transparency=value)
    expected = over_white(np.asarray(Image.open(io.BytesIO(encoded)).convert("RGBA")))
    assert (expected[3, 2] == 255).all()
    np.testing.assert_array_equal(decode(encoded), expected)


@pytest.mark.parametrize(("color_type", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_16_bit_png_is_scaled_by_257(color_type, channels):
    deep = RNG.integers(0, 65536, (9, 13, channels), dtype=np.uint16)
    deep[0, :8, 0] = (0, 128, 129, 257, 385, 386, 65535, 65406)
    eight = np.round(deep / 257).astype(np.uint8)
    alpha = eight[..., -1:] if channels in (2, 4) else np.full((9, 13, 1), 255, np.uint8)
    rgb = eight[..., :3] if channels >= 3 else np.repeat(eight[..., :1], 3, axis=-1)
    np.testing.assert_array_equal(decode(png(deep, color_type, 16)), over_white(np.concatenate([rgb, alpha], -1)))


def test_16_bit_grey_png_written_by_pillow():
    deep = RNG.integers(0, 65536, (9, 13), dtype=np.uint16)
    expected = np.repeat(np.round(deep / 257).astype(np.uint8)[..., None], 3, axis=-1)
    np.testing.assert_array_equal(decode(encode(deep, "PNG")), expected)


@pytest.mark.parametrize("crop", [(0, 0, 13, 9), (2, 2, 6, 6)])
def test_first_gif_frame(crop):
    later = [Image.fromarray(255 - RGB).crop(crop), Image.fromarray(RGBA[..., :3])]
    encoded = encode(RGB, "GIF", save_all=True, append_images=later)
    assert Image.open(io.BytesIO(encoded)).n_frames == 3
    np.testing.assert_array_equal(decode(encoded), pillow(encoded))


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA"])
def test_bmp(mode):
    image = Image.fromarray(RGBA).convert("RGB").quantize(30) if mode == "P" else Image.fromarray(RGBA).convert(mode)
    encoded = encode(image, "BMP")
    np.testing.assert_array_equal(decode(encoded), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("options", [{"lossless": True}, {"quality": 80}])
def test_webp_equals_pillow(options):
    encoded = encode(RGB, "WEBP", **options)
    np.testing.assert_array_equal(decode(encoded), pillow(encoded))


def test_lossy_webp_with_alpha():
    encoded = encode(RGBA, "WEBP", quality=80)
    expected = over_white(np.asarray(Image.open(io.BytesIO(encoded)).convert("RGBA")))
    np.testing.assert_array_equal(decode(encoded), expected)


def animation(frames, width, height, offset=(0, 0), extra=b""):
    """Write an animated WebP by hand, with frames of any place and size."""

    def chunk(name, body):
        return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)

    def triple(*values):
        return b"".join(value.to_bytes(3, "little") for value in values)

    body = chunk(b"VP8X", b"\x02\0\0\0" + triple(width - 1, height - 1)) + extra + chunk(b"ANIM", bytes(6))
    for frame in frames:
        size = Image.open(io.BytesIO(frame)).size
        place = triple(offset[0] // 2, offset[1] // 2, size[0] - 1, size[1] - 1, 100)
        start = 30 if frame[12:16] == b"VP8X" else 12
        body += chunk(b"ANMF", place + b"\0" + frame[start:])
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


@pytest.mark.parametrize("options", [{"lossless": True}, {"quality": 80}])
@pytest.mark.parametrize("first", [RGB, RGBA])
def test_first_webp_frame(options, first):
    still = encode(first, "WEBP", **options)
    encoded = animation([still, encode(255 - first, "WEBP", **options)], 13, 9)
    np.testing.assert_array_equal(decode(encoded), decode(still))


def test_first_webp_frame_is_laid_on_a_white_canvas():
    extra = b"ICCP" + struct.pack("<I", 3) + b"abc\0"
    encoded = animation([encode(RGB, "WEBP", lossless=True)], 20, 15, offset=(4, 2), extra=extra)
    expected = np.full((15, 20, 3), 255, np.uint8)
    expected[2:11, 4:17] = RGB
    np.testing.assert_array_equal(decode(encoded), expected)


def test_animated_webp_of_pillow():
    encoded = encode(RGB, "WEBP", save_all=True, append_images=[Image.fromarray(255 - RGB)], lossless=True)
    np.testing.assert_array_equal(decode(encoded), RGB)


@pytest.mark.parametrize("encoded", [b"", b"\xff", b"not an image at all", b"RIFF\0\0\0\0WEBP", b"BM", b"\x89PNG"])
def test_what_is_no_image_fails(encoded):
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode_image(tf.constant(encoded))


def test_decoder_works_in_a_graph_and_knows_its_channels():
    dataset = tf.data.Dataset.from_tensors(encode(RGBA, "PNG")).map(decode_image)
    assert dataset.element_spec.shape.as_list() == [None, None, 3]
    np.testing.assert_array_equal(next(iter(dataset)), over_white(RGBA))


def test_resize_averages_what_it_shrinks():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    # Without antialiasing, every kept pixel would be one of two neighbours, at random black or white.
    inner = resize(tf.constant(stripes), 8).numpy()[:, 1:-1]
    assert np.abs(inner.astype(int) - 128).max() <= 2


@pytest.mark.parametrize(("shape", "size"), [((30, 40), 16), ((30, 40), 64), ((16, 16), 16)])
def test_resize_equals_pillow_bilinear(shape, size):
    image = Image.fromarray(SMOOTH).resize(shape[::-1])
    expected = np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))
    actual = resize(tf.constant(np.asarray(image)), size)
    assert actual.dtype == tf.uint8 and actual.shape == (size, size, 3)
    assert np.abs(actual.numpy().astype(int) - expected).max() <= 1
