"""Augmentation: each operation against Pillow, and randomness as a pure function of (seed, epoch, content)."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps

from tfl.config import AUGMENTATIONS
from tfl.errors import InputError
from tfl.inputs.image.augment import RAND_OPS, TRIVIAL_OPS, augment, random_crop, random_erase, trivial_augment
from tfl.inputs.image.decode import resize
from tfl.inputs.image.operations import (
    adjust_brightness,
    adjust_color,
    adjust_contrast,
    adjust_sharpness,
    affine,
    as_move,
    auto_contrast,
    equalize,
    posterize,
    rotation,
    solarize,
)
from tfl.inputs.seeds import example_seed

PIXELS = np.random.default_rng(0).integers(20, 200, (24, 31, 3), dtype=np.uint8)
SMOOTH = np.asarray(Image.fromarray(PIXELS).resize((48, 40), Image.Resampling.BICUBIC))


@pytest.mark.parametrize("pixels", [PIXELS, SMOOTH, np.full((5, 4, 3), 77, np.uint8)])
@pytest.mark.parametrize(
    ("ours", "pillows", "tolerance"),
    [
        (lambda x: adjust_brightness(x, 1.7), lambda x: ImageEnhance.Brightness(x).enhance(1.7), 1),
        (lambda x: adjust_contrast(x, 0.4), lambda x: ImageEnhance.Contrast(x).enhance(0.4), 1),
        (lambda x: adjust_color(x, 1.7), lambda x: ImageEnhance.Color(x).enhance(1.7), 2),
        (lambda x: adjust_sharpness(x, 1.7), lambda x: ImageEnhance.Sharpness(x).enhance(1.7), 2),
        (auto_contrast, ImageOps.autocontrast, 1),
        (equalize, ImageOps.equalize, 0),
        (lambda x: posterize(x, 3), lambda x: ImageOps.posterize(x, 3), 0),
        (lambda x: solarize(x, 128), lambda x: ImageOps.solarize(x, 128), 0),
    ],
    ids=["brightness", "contrast", "color", "sharpness", "auto_contrast", "equalize", "posterize", "solarize"],
)
def test_operation_equals_pillow(ours, pillows, tolerance, pixels):
    actual = ours(tf.constant(pixels)).numpy()
    expected = np.asarray(pillows(Image.fromarray(pixels)))
    assert actual.dtype == np.uint8
    assert np.abs(actual.astype(int) - expected).max() <= tolerance


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_rotation_by_right_angles(turns):
    square = PIXELS[:24, :24]
    np.testing.assert_array_equal(affine(square, rotation(square, 90 * turns)), np.rot90(square, turns))


def test_affine_moves_and_fills():
    moved = affine(tf.constant(PIXELS), as_move(1, 0, 4, 0, 1, -3)).numpy()
    np.testing.assert_array_equal(moved[3:, :-4], PIXELS[:-3, 4:])
    assert (moved[:3] == 128).all() and (moved[:, -4:] == 128).all()


@pytest.mark.parametrize("name", RAND_OPS)
def test_rand_operations_change_the_image_and_keep_its_kind(name):
    for sign in (-1.0, 1.0):
        pixels = np.where(SMOOTH > 190, 240, SMOOTH).astype(np.uint8)
        changed = RAND_OPS[name](tf.constant(pixels), tf.constant(sign))
        assert changed.dtype == tf.uint8 and changed.shape == pixels.shape
        assert (name == "identity") == np.array_equal(changed, pixels)


@pytest.mark.parametrize("name", TRIVIAL_OPS)
def test_trivial_operations_change_nothing_at_strength_0_only(name):
    pixels = tf.constant(np.where(SMOOTH > 190, 240, SMOOTH).astype(np.uint8))
    none, half, whole = (TRIVIAL_OPS[name](pixels, tf.constant(strength)).numpy() for strength in (0.0, 0.5, -1.0))
    if name in ("identity", "auto_contrast", "equalize"):  # these have no strength
        np.testing.assert_array_equal(half, whole)
        return
    np.testing.assert_array_equal(none, pixels)
    changed = [np.abs(image.astype(int) - pixels.numpy()).mean() for image in (half, whole)]
    assert min(changed) > 0


@pytest.mark.parametrize("level", [0, 7, 30])
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_strengths_of_trivial_augment_are_those_of_the_paper(level, sign):
    """The "wide" space: as torchvision's TrivialAugmentWide computes its 31 bins, with Pillow's operations."""
    image, strength = Image.fromarray(SMOOTH), tf.constant(sign * level / 30, tf.float32)
    factor = 1 + sign * np.linspace(0, 0.99, 31)[level]
    bits = 8 - round(level / (30 / 6))
    expected = {
        "brightness": ImageEnhance.Brightness(image).enhance(factor),
        "contrast": ImageEnhance.Contrast(image).enhance(factor),
        "posterize": ImageOps.posterize(image, bits),
        "solarize": ImageOps.solarize(image, round(np.linspace(255, 0, 31)[level])),
    }
    for name, pillows in expected.items():
        actual = TRIVIAL_OPS[name](tf.constant(SMOOTH), strength).numpy().astype(int)
        assert np.abs(actual - np.asarray(pillows)).max() <= 1, name


def test_trivial_augment_draws_every_operation_at_one_of_31_strengths():
    strengths, found = [sign * level / 30 for level in range(31) for sign in (-1.0, 1.0)], set()
    pairs = [(name, strength) for name in TRIVIAL_OPS for strength in strengths]
    made = np.stack([TRIVIAL_OPS[name](tf.constant(PIXELS), tf.constant(strength)).numpy() for name, strength in pairs])
    for number in range(150):
        drawn = trivial_augment(tf.constant(PIXELS), tf.constant([0, number], tf.int64))[0].numpy()
        differ = (np.abs(made.astype(np.int16) - drawn) > 1).mean(axis=(1, 2, 3))  # a graph rounds in other places
        assert differ.min() < 0.02
        found.add(pairs[int(differ.argmin())][0])
    assert found == set(TRIVIAL_OPS)


def test_erasing_puts_noise_in_one_rectangle_of_half_of_the_images():
    pixels, shares, ratios = np.full((60, 80, 3), 77, np.uint8), [], []
    for i in range(200):
        erased = random_erase(tf.constant(pixels), tf.constant([1, i], tf.int64)).numpy()
        changed = (erased != 77).any(axis=2)
        if not changed.any():
            continue
        rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
        box = changed[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert box.mean() > 0.99  # noise is 77 in all channels once in 16 million pixels
        shares.append(box.size / 4800)
        ratios.append(box.shape[0] / box.shape[1])
    assert 75 <= len(shares) <= 125
    assert 0.01 < min(shares) < 0.06 and 0.27 < max(shares) < 0.35
    assert min(ratios) < 0.5 and max(ratios) > 2 and min(ratios) > 0.28 and max(ratios) < 3.6


def run(name, seed=0, epoch=0, id=0, pixels=SMOOTH, size=24):
    return augment(tf.constant(pixels), size, name, example_seed(seed, epoch, tf.constant(id, tf.int64))).numpy()


@pytest.mark.parametrize("name", [name for name in AUGMENTATIONS if name != "none"])
def test_pixels_are_a_function_of_seed_epoch_and_id(name):
    first = run(name)
    assert first.shape == (24, 24, 3) and first.dtype == np.uint8
    np.testing.assert_array_equal(first, run(name))
    others = [run(name, **change) for change in ({"seed": 1}, {"epoch": 1}, {"id": 1})]
    assert all(not np.array_equal(first, other) for other in others)


def test_none_is_the_evaluation_image():
    np.testing.assert_array_equal(run("none"), resize(tf.constant(SMOOTH), 24))


# Left half black, right half white: a flip, and nothing else that is done here, puts black on the right.
HALVES = np.repeat(np.repeat(np.array([0, 255], np.uint8), 20)[None, :, None], 40, 0).repeat(3, -1)


@pytest.mark.parametrize(("name", "flips"), [("light", True), ("shift", False)])
def test_only_light_flips(name, flips):
    flipped = [
        int(image[:, 0].mean() > image[:, -1].mean()) for image in (run(name, id=i, pixels=HALVES) for i in range(40))
    ]
    assert 10 <= sum(flipped) <= 30 if flips else sum(flipped) == 0


def test_crop_keeps_seven_tenths_or_more():
    rows = np.broadcast_to(np.arange(200, dtype=np.uint8)[:, None, None], (200, 100, 3))
    crop = tf.function(lambda seed: random_crop(tf.constant(rows), 24, seed)[0])
    areas, starts = [], set()
    for i in range(60):
        part = crop(example_seed(0, 0, tf.constant(i, tf.int64))).numpy()
        areas.append(part.shape[0] * part.shape[1] / 20000)
        starts.add(int(part[0, 0, 0]))
        np.testing.assert_array_equal(part[:, 0, 0], part[0, 0, 0] + np.arange(len(part)))
    assert 0.69 <= min(areas) < 0.78 and 0.92 < max(areas) <= 1
    assert len(starts) > 10


def test_a_one_pixel_image_is_augmented():
    assert run("light", pixels=np.full((1, 1, 3), 9, np.uint8)).shape == (24, 24, 3)


def test_unknown_name():
    with pytest.raises(InputError, match=r"Did you mean 'light'"):
        run("ligth")
