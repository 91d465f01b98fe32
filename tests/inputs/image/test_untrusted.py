"""Image files that lie about their size, that are broken, and that are none."""

import io
import struct
import sys
import zlib

import numpy as np
import pytest
from jpegs import with_passes
from PIL import Image

from tfl.inputs import ImageInput
from tfl.inputs.image.decode import decode_image, resize
from tfl.inputs.untrusted import RefusedError

LIMIT = 10_000


@pytest.fixture(scope="module")
def decode():
    decoder = ImageInput(16).decoder(LIMIT)
    return lambda encoded: decoder.decode(decoder.check(encoded))


def draw(format, size=(50, 40), **options):
    file = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(pixels).save(file, format, **options)
    return file.getvalue()


def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png_header(width, height):
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def many_frames(format, count, size=(50, 40)):
    frames = [Image.new("RGB", size, (37 * n % 256, 0, 99)) for n in range(count)]
    file = io.BytesIO()
    frames[0].save(file, format, save_all=True, append_images=frames[1:])
    return file.getvalue()


def refusal(decode, encoded):
    with pytest.raises(RefusedError) as caught:
        decode(encoded)
    assert "\n" not in caught.value.message
    return caught.value.status, caught.value.message


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "BMP", "WebP"])
def test_pixels_are_those_of_training(decode, format):
    encoded = draw(format)
    np.testing.assert_array_equal(decode(encoded), resize(decode_image(encoded), 16).numpy())


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "BMP", "WebP"])
def test_an_image_may_have_as_many_pixels_as_the_limit_says(decode, format):
    assert decode(draw(format, (100, 100))).shape == (16, 16, 3)
    status, message = refusal(decode, draw(format, (100, 101)))
    assert status == 413
    assert message == f"An image must have at most 10,000 pixels. Received: a {format} with 10,100."


def test_a_header_that_claims_much_is_believed_before_anything_is_decoded(decode):
    status, message = refusal(decode, png_header(30_000, 30_000))
    assert (status, "900,000,000" in message) == (413, True)
    jpeg = bytearray(draw("JPEG"))
    at = jpeg.index(b"\xff\xc0") + 5
    jpeg[at : at + 4] = struct.pack(">HH", 60_000, 60_000)
    assert refusal(decode, bytes(jpeg))[0] == 413


def test_passes_of_a_jpeg_count_as_well_as_its_pixels(decode):
    assert decode(draw("JPEG", (100, 100), progressive=True)).shape == (16, 16, 3)
    assert decode(with_passes(10, 96)).shape == (16, 16, 3)
    assert decode(with_passes(100, 24)).shape == (16, 16, 3)  # ten times 576 pixels
    assert decode(draw("JPEG", (100, 100), progressive=True)).shape == (16, 16, 3)
    status, message = refusal(decode, with_passes(11, 96))
    assert status == 413
    assert message.endswith("at most 10,000 pixels, counted once for every 10 passes. Received: 18,432.")
    assert refusal(decode, with_passes(5000, 8)) == (413, "The image is a JPEG with more than 100 passes.")


def test_a_jpeg_that_is_damaged_in_the_middle_is_refused(decode):
    status, message = refusal(decode, draw("JPEG").replace(b"\n", b"\r\n"))  # as a copy in text mode does
    assert (status, "broken" in message) == (400, True)


def test_frames_of_a_gif_count_also_where_its_screen_is_small(decode):
    gif = bytearray(draw("GIF", (200, 200)))
    gif[6:10] = struct.pack("<HH", 10, 10)
    status, message = refusal(decode, bytes(gif))
    assert (status, "40,000" in message) == (413, True)
    assert decode(many_frames("GIF", 4)).shape == (16, 16, 3)  # 8,000 pixels
    assert refusal(decode, many_frames("GIF", 6))[0] == 413


def test_the_frame_of_a_webp_animation_counts_also_where_its_canvas_is_small(decode):
    assert decode(many_frames("WebP", 30)).shape == (16, 16, 3)  # only the first is decoded
    webp = bytearray(many_frames("WebP", 2, (200, 200)))
    at = webp.index(b"VP8X") + 12
    webp[at : at + 6] = struct.pack("<I", 9)[:3] * 2
    status, message = refusal(decode, bytes(webp))
    assert (status, "40,000" in message) == (413, True)


@pytest.mark.parametrize("encoded", [b"", b"\0" * 100, b"%PDF-1.7 and so on", b"RIFF0000WAVE", b"<svg></svg>"])
def test_what_is_no_image_is_of_an_unsupported_type(decode, encoded):
    assert refusal(decode, encoded)[0] == 415


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "BMP", "WebP"])
def test_an_image_cut_anywhere_is_refused(decode, format):
    encoded = draw(format)
    for length in (13, 20, 31, len(encoded) // 2, len(encoded) - 60):
        status, message = refusal(decode, encoded[:length])
        assert status in (400, 413, 415), message


def test_random_damage_is_refused_or_decoded_but_never_anything_else(decode):
    rng = np.random.default_rng(0)
    files = [draw(format) for format in ("JPEG", "PNG", "GIF", "BMP", "WebP")] + [many_frames("WebP", 3)]
    outcomes = set()
    for number in range(600):
        damaged = np.frombuffer(files[number % len(files)], np.uint8).copy()
        places = rng.integers(0, min(len(damaged), rng.choice([40, 400, 10_000])), rng.integers(1, 6))
        damaged[places] = rng.integers(0, 256, len(places))
        try:
            assert decode(damaged.tobytes()).shape == (16, 16, 3)
            outcomes.add(200)
        except RefusedError as error:
            outcomes.add(error.status)
    assert outcomes == {200, 400, 413, 415}


@pytest.mark.parametrize("format", ["AVIF", "TIFF", "JPEG2000"])
def test_photos_that_the_graph_cannot_decode_are_those_of_training_too(decode, format):
    encoded = draw(format)
    pixels = np.asarray(Image.open(io.BytesIO(encoded)))
    np.testing.assert_array_equal(decode(encoded), resize(pixels, 16).numpy())
    assert refusal(decode, draw(format, (101, 100)))[0] == 413
    status, message = refusal(decode, encoded[: len(encoded) // 2])
    assert status == 400 and "broken or truncated" in message


def test_a_photo_without_a_decoder_is_refused_by_the_name_of_its_extra(decode, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    status, message = refusal(decode, b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40))
    assert status == 415 and message.endswith(
        "HEIC, whose decoder is not installed: pip install 'tfl-transfer[photos]'."
    )
