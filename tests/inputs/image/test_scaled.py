"""Large JPEG photos decoded at a part of their size: nearly the same pixels, whatever their size and orientation."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfl.inputs.image.decode import FORMATS, TURNED_JPEG, decode_image, resize
from tfl.inputs.image.orientation import upright
from tfl.inputs.image.scaled import decode_scaled, turn_margins

SIZE = 16


def photo(height, width, orientation=1, mode="RGB", **options):
    """Return a JPEG with shapes a twelfth of its size, as large photos have, and its orientation in EXIF."""
    rng = np.random.default_rng(height + width)
    coarse = Image.fromarray(rng.integers(0, 256, (9, 12, 3), np.uint8))
    exif = Image.Exif()
    exif[274] = orientation
    file = io.BytesIO()
    image = coarse.resize((width, height), Image.Resampling.BICUBIC).convert(mode)
    image.save(file, "JPEG", quality=90, exif=exif if orientation > 1 else b"", **options)
    return tf.constant(file.getvalue())


def scaled(encoded, size, formats=FORMATS):
    image, margins = decode_scaled(encoded, formats, size)
    return image.shape, resize(image, size, margins).numpy()


def apart(first, second):
    """Return the mean absolute difference in grey levels."""
    return np.abs(np.asarray(first).astype(int) - np.asarray(second).astype(int)).mean()


def difference(encoded, size):
    return apart(scaled(encoded, size)[1], resize(decode_image(encoded), size))


@pytest.mark.parametrize(("height", "width", "ratio"), [(97, 121, 2), (145, 111, 4), (301, 257, 8), (256, 320, 8)])
def test_a_photo_is_decoded_at_a_part_of_its_size(height, width, ratio):
    encoded = photo(height, width)
    size = {2: 32, 4: 16, 8: 16}[ratio]
    shape, _ = scaled(encoded, size)
    assert shape == (-(-height // ratio), -(-width // ratio), 3)
    assert difference(encoded, size) < 2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_photo_keeps_its_edges(orientation):
    """The part of a pixel beyond the edge turns with the photo: without it the photo would move by half a pixel."""
    encoded = photo(257, 289, orientation)
    assert difference(encoded, SIZE) < 1.5
    image, margins = decode_scaled(encoded, ("JPEG", TURNED_JPEG), SIZE)
    ignored = apart(resize(image, SIZE), resize(decode_image(encoded), SIZE))
    assert ignored > 1.5 * difference(encoded, SIZE)
    assert np.isclose(np.sort(margins.numpy().ravel()), [0, 0, 7 / 8, 7 / 8]).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_margins_turn_as_the_image_does(orientation):
    """An image whose border rows and columns hold their margin shows where each margin goes."""
    margins = np.array([[1, 2], [3, 4]], np.float32)
    image = np.zeros((3, 3, 1), np.float32)
    image[0, 1], image[2, 1], image[1, 0], image[1, 2] = margins.ravel()[:, None]
    turned = upright(tf.constant(image), tf.constant(orientation)).numpy()[..., 0]
    expected = [[turned[0, 1], turned[2, 1]], [turned[1, 0], turned[1, 2]]]
    np.testing.assert_array_equal(turn_margins(tf.constant(margins), tf.constant(orientation)), expected)


@pytest.mark.parametrize("options", [{"mode": "L"}, {"mode": "CMYK"}, {"progressive": True}, {"subsampling": 0}])
def test_every_kind_of_jpeg(options):
    encoded = photo(200, 230, **options)
    assert scaled(encoded, SIZE)[0] == (50, 58, 3)
    assert difference(encoded, SIZE) < 2


def test_other_images_do_not_change():
    png = tf.io.encode_png(decode_image(photo(200, 230)))
    for encoded, size in ((photo(90, 120), 32), (photo(90, 120, 6), 32), (png, 16)):
        np.testing.assert_array_equal(scaled(encoded, size)[1], resize(decode_image(encoded), size))
