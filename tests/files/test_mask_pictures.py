"""Masks as PNG files: at the size of their photos as displayed, also of photos that lie on their side."""

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps

from tfl.files.mask_pictures import palette, write_masks


@pytest.mark.parametrize("ending", ["jpg", "png", "webp"])
@pytest.mark.parametrize("orientation", [None, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
def test_a_mask_has_the_size_at_which_its_photo_is_displayed(tmp_path, orientation, ending):
    photo, exif = Image.new("RGB", (6, 4)), Image.Exif()
    if orientation is not None:
        exif[ExifTags.Base.Orientation] = orientation
    photo.save(tmp_path / f"photo.{ending}", exif=exif)
    mask = np.array([[[0, 1], [2, 3]]], np.uint8)
    (written,) = write_masks(str(tmp_path / "masks"), [str(tmp_path / f"photo.{ending}")], mask)
    with Image.open(tmp_path / f"photo.{ending}") as opened, Image.open(written) as found:
        assert found.size == ImageOps.exif_transpose(opened).size
        assert found.mode == "P" and sorted(set(np.asarray(found).ravel().tolist())) == [0, 1, 2, 3]
        assert np.array_equal(np.reshape(found.getpalette(), (-1, 3))[:4], palette()[:4])


def test_a_photo_that_cannot_be_read_gives_a_mask_of_the_size_of_the_model(tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"no photo")
    (written,) = write_masks(str(tmp_path), [str(tmp_path / "photo.jpg")], np.zeros((1, 3, 5), np.uint8))
    with Image.open(written) as found:
        assert found.size == (5, 3)
