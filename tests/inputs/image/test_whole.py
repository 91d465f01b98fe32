"""What decoders pass over in other formats than JPEG: joined files, and copies in text mode."""

import io

import numpy as np
import pytest
from PIL import Image

from tfl.errors import BadImageError
from tfl.inputs.image.scan import ScannedImage, scan_image
from tfl.inputs.image.whole import check_whole


def draw(kind, seed=0, **options):
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


KINDS = [("PNG", {}), ("GIF", {}), ("BMP", {}), ("WebP", {"quality": 80}), ("WebP", {"lossless": True})]


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_a_copy_in_text_mode_is_named_in_every_format(kind, options):
    content = draw(kind, **options)
    assert isinstance(scan_image(content), ScannedImage)
    with pytest.raises(BadImageError):
        scan_image(content.replace(b"\n", b"\r\n"))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "WebP"])
def test_two_files_joined_are_named(kind):
    with pytest.raises(BadImageError, match=kind):
        scan_image(draw(kind) + draw(kind, seed=1))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WebP"])
@pytest.mark.parametrize("size", [80, 81])
def test_padding_and_notes_of_other_programs_are_no_damage(kind, size):
    content = draw(kind, exif=b"Exif\0\0" + b"MM\0*\0\0\0\x08" + bytes(size))
    check_whole(content, kind)
    check_whole(content + bytes(1000), kind)
    if kind != "WebP":
        check_whole(content + b"notes of another program", kind)
