"""Pixels that are not in [0, 255] are refused by image and by split, with their range and what to do."""

import numpy as np
import pytest
import tensorflow as tf

from tfl.data import load_data, make_dataset
from tfl.errors import InputError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (96, 6, 5, 3)).astype(np.float32)
LABELS = np.arange(96) % 3


def one_scaled():
    images = IMAGES.copy()
    images[41] /= 255
    return images


def cubic():
    return tf.image.resize(IMAGES / 255, (9, 9), method="bicubic").numpy().clip(0, 1.0005)


BAD = {
    "a little above 1": (cubic(), r"image 0 in \[0, 1\.0005\]\. Did you mean 255 \* images"),
    "up to 1.2": (IMAGES / 255 * 1.2, r"\[0, 1\.2\]\. Did you mean 255 \* images"),
    "one of 96": (one_scaled(), r"image 41 in \[0\.\d+, 0?1?\.\d+\]\. Did you mean 255 \* images"),
    "booleans": (IMAGES > 127, r"no pixel above 1\. Did you mean 255 \* images"),
    "zeros and ones": ((IMAGES > 127).astype(np.uint8), r"no pixel above 1\. Did you mean 255 \* images"),
    "-1 to 1": (IMAGES / 127.5 - 1, r"\[-1, 1\]\. Did you mean 127\.5 \* \(images \+ 1\)"),
    "standardised": ((IMAGES - 120) / 50, "before they were normalised"),
    "12 bits": (np.round(IMAGES * (4095 / 255)), r"4095\]\. Did you mean images \* \(255 / 4095\)"),
    "16 bits": (np.round(IMAGES * 257).astype(np.uint16), r"images \* \(255 / 65535\)"),
    "NaN": (np.where(IMAGES > 250, np.nan, IMAGES), "NaN or infinity"),
    "text": (np.full((96, 4, 4), "x"), "pixels that are numbers"),
}


@pytest.mark.parametrize(("images", "match"), BAD.values(), ids=BAD)
def test_bad_pixels_of_arrays(images, match):
    with pytest.raises(InputError, match=match):
        load_data((images, LABELS))


@pytest.mark.parametrize("name", ["a little above 1", "up to 1.2", "one of 96", "booleans", "zeros and ones", "NaN"])
def test_bad_pixels_of_streams(name):
    images, match = BAD[name]
    with pytest.raises(InputError, match=match):
        load_data(tf.data.Dataset.from_tensor_slices((images, LABELS)))


@pytest.mark.parametrize("make", [lambda x, y: (x, y), lambda x, y: tf.data.Dataset.from_tensor_slices((x, y))])
def test_each_split_is_judged_for_itself(make):
    for scaled, match in ((IMAGES / 255, r"image test/0 in \[0, 1\]"), ((IMAGES > 9) * 1, "no pixel above 1 in test")):
        with pytest.raises(InputError, match=match):
            load_data({"train": make(IMAGES, LABELS), "test": make(scaled, LABELS)})


def test_black_frames_and_dark_splits(capsys):
    images = IMAGES.copy()
    images[3], images[4] = 0, RNG.integers(0, 2, images[4].shape)
    load_data((images, LABELS))
    assert "nearly black" not in capsys.readouterr().err
    load_data((np.round(IMAGES / 16), LABELS))
    assert "no pixel is above 16 of 255, so the images are nearly black. Did you mean 15.94 * images?" in (
        capsys.readouterr().err
    )


def test_images_of_several_sizes():
    """A list of arrays, grey and colour: every pixel comes through under its own label."""
    images = [RNG.integers(0, 256, (4 + row % 3, 7 - row % 2, *((), (1,), (3,))[row % 3])) for row in range(12)]
    splits = load_data((images, [f"k{row % 2}" for row in range(12)]))
    for example in splits.source.examples(splits.train).as_numpy_iterator():
        row = int(splits.index.ids[example["id"]])
        expected = images[row].reshape(*images[row].shape[:2], -1)
        np.testing.assert_array_equal(example["input"], np.broadcast_to(expected, (*expected.shape[:2], 3)))
        assert splits.class_names[example["label"]] == f"k{row % 2}"
        facts = splits.index.facts
        assert (facts["height"][example["id"]], facts["width"][example["id"]]) == expected.shape[:2]
    (batch,) = make_dataset(splits.source, splits.train, image_size=5, batch_size=12)
    assert batch["input"].shape == (len(splits.train), 5, 5, 3)


@pytest.mark.parametrize(
    "images", [[np.zeros((4, 4, 2))] * 4, [np.zeros(4)] * 4, ["a.jpg"] * 4, [np.zeros((0, 4))] * 4]
)
def test_lists_that_hold_no_images(images):
    with pytest.raises(InputError, match="must have images"):
        load_data((images, [0, 1, 0, 1]))
