"""`Geometry`: masks and boxes move as the pixels do, shown on images whose pixels encode their place."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tfl.config import AUGMENTATIONS
from tfl.inputs import Geometry, get_input
from tfl.inputs.image.augment import RAND_MOVES, RAND_OPS, TRIVIAL_MOVES, TRIVIAL_OPS, augment_with_places
from tfl.inputs.seeds import example_seed

SIZE, VOID, GREY = 48, 255, 128
PLACES = np.arange(40 * 60).reshape(40, 60)
ENCODED = np.stack([PLACES // 60, PLACES % 60, np.full_like(PLACES, 200)], axis=-1).astype(np.uint8)


def seed_of(number):
    return example_seed(0, number, tf.constant(number, tf.int64))


def square(rows, columns, top, left, bottom, right):
    image = np.zeros((rows, columns, 3), np.uint8)
    image[top:bottom, left:right] = 255
    return image


@pytest.mark.parametrize(("ops", "moves"), [(RAND_OPS, RAND_MOVES), (TRIVIAL_OPS, TRIVIAL_MOVES)])
@pytest.mark.parametrize("strength", [-1.0, 0.7, 1.0])
def test_each_operation_moves_a_mask_exactly_as_its_pixels(ops, moves, strength):
    pixels = np.resize(ENCODED, (SIZE, SIZE, 3)).copy()
    pixels[:, :, 0], pixels[:, :, 1] = np.mgrid[:SIZE, :SIZE]
    for name in ops:
        moved = ops[name](tf.constant(pixels), tf.constant(strength)).numpy()
        if name not in moves:
            continue
        geometry = Geometry.whole(SIZE).moved(moves[name](pixels, tf.constant(strength))[None])
        for channel in (0, 1):
            mask = geometry.move_mask(tf.constant(pixels[:, :, channel]), VOID).numpy()
            uncovered = moved[:, :, 2] == GREY
            assert 0 < uncovered.mean() < 1, name
            np.testing.assert_array_equal(mask, np.where(uncovered, VOID, moved[:, :, channel]), err_msg=name)
    assert set(moves) == {name for name in ops if name.partition("_")[0] in ("rotate", "shear", "translate")}


@pytest.mark.parametrize("name", [name for name in AUGMENTATIONS if name not in ("none", "erase")])
def test_a_moved_mask_is_the_mask_of_the_moved_image(name):
    """Of a white square on black, whatever is changed, cropped, mirrored, turned and resized."""
    image = square(40, 60, 9, 11, 33, 37)
    wrong, moved, kept = [], 0, 0
    for number in range(40):
        changed, places = augment_with_places(tf.constant(image), SIZE, name, seed_of(number))
        mask = places.move_mask(tf.constant(image[:, :, 0] // 255), VOID).numpy()
        grey = changed.numpy().astype(float).mean(axis=2)
        inside, outside = grey[mask == 1], grey[mask == 0]
        if abs(np.median(inside) - np.median(outside)) < 20:  # posterize and solarize may leave one colour
            continue
        middle = (np.median(inside) + np.median(outside)) / 2
        bright = (grey > middle) == (np.median(inside) > middle)
        counted = mask != VOID
        wrong.append(np.mean(bright[counted] != (mask[counted] == 1)))
        moved += not np.array_equal(mask, Geometry.whole(SIZE).move_mask(image[:, :, 0] // 255, VOID).numpy())
        kept += 1
    assert kept > 30 and moved > 30
    assert np.max(wrong) < 0.06, "only pixels at the edge of the square may be of the other half"
    assert np.median(wrong) < 0.015


@pytest.mark.parametrize("name", [name for name in AUGMENTATIONS if name != "none"])
def test_moved_boxes_are_those_around_the_moved_mask(name):
    """The box around the moved pixels of a square; a turn may add room, a border may take it."""
    image = square(40, 60, 9, 11, 33, 37)
    mask, box = tf.constant(image[:, :, 0]), tf.constant([[11.0, 9.0, 37.0, 33.0]])
    for number in range(20):
        _, places = augment_with_places(tf.constant(image), SIZE, name, seed_of(number))
        (moved,) = places.move_boxes(box, tf.constant([40, 60])).numpy()
        rows, columns = np.nonzero(places.move_mask(mask, 0).numpy() == 255)
        if not len(rows):
            continue
        around = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
        slack = 1.01 if name in ("light", "shift", "erase") else 14
        assert (moved[:2] <= around[:2] + 1.01).all() and (moved[2:] >= around[2:] - 1.01).all(), number
        assert np.abs(moved - around).max() <= slack, number
        assert (moved >= 0).all() and (moved <= SIZE).all()


def test_the_whole_image_is_only_resized():
    geometry = Geometry.whole(20)
    mask = tf.constant((PLACES % 256).astype(np.uint8))
    expected = tf.image.resize(mask[:, :, None], (20, 20), "nearest")[:, :, 0]
    np.testing.assert_array_equal(geometry.move_mask(mask, VOID), expected)
    boxes = geometry.move_boxes(tf.constant([[6.0, 4.0, 30.0, 40.0]]), tf.constant([40, 60])).numpy()
    np.testing.assert_allclose(boxes, [[2, 2, 10, 20]], rtol=1e-6)


def test_a_box_outside_of_the_crop_has_no_area_and_none_stay_none():
    geometry = Geometry.crop(10, tf.constant([0.0, 0.5]), tf.constant([1.0, 1.0]))
    boxes = tf.constant([[0.0, 0.0, 4.0, 8.0], [2.0, 2.0, 8.0, 4.0]])
    outside, cut = geometry.move_boxes(boxes, tf.constant([8, 8])).numpy()
    assert outside[0] == outside[2]
    np.testing.assert_allclose(cut, [0, 2.5, 10, 5])
    assert geometry.move_boxes(tf.zeros((0, 4)), tf.constant([8, 8])).shape == (0, 4)


def test_a_shift_moves_a_box_by_as_many_pixels():
    shift = Geometry.whole(10).moved(tf.constant([[1.0, 0, -3, 0, 1, 2]]))  # to the right by 3, up by 2
    boxes = shift.move_boxes(tf.constant([[1.0, 4, 5, 9]]), tf.constant([10, 10])).numpy()
    np.testing.assert_allclose(boxes, [[4, 2, 8, 7]], rtol=1e-6)


@pytest.mark.parametrize("scaled", [False, True])
def test_the_input_gives_its_pixels_with_their_places(scaled):
    """A mask has the size of the photo, also if the photo is decoded at a part of its size."""
    photo = square(301, 403, 60, 80, 200, 300)
    encoded = tf.io.encode_jpeg(photo, quality=100, chroma_downsampling=False)
    kind = dataclasses.replace(get_input("image").sized(32), scaled_decoding=scaled)
    wrong = []
    for number in range(10):
        pixels, places = kind.augment_with_places(encoded, "light", seed_of(number))
        np.testing.assert_array_equal(pixels, kind.augment(encoded, "light", seed_of(number)))
        mask = places.move_mask(tf.constant(photo[:, :, 0] // 255), VOID).numpy()
        grey, counted = pixels.numpy().mean(axis=2), mask != VOID
        bright = grey > (grey.min() + grey.max()) / 2
        assert counted.mean() > 0.96
        wrong.append(np.mean(bright[counted] != mask[counted]))
    assert np.mean(wrong) < 0.01


def test_images_of_several_channels_have_places_too():
    values = np.dstack([square(20, 30, 5, 5, 15, 20), np.zeros((20, 30, 1))]).astype(np.float32)
    kind = get_input("bands:4").sized(16)
    pixels, places = kind.augment_with_places(tf.constant(values), "light", seed_of(1))
    mask = places.move_mask(tf.constant((values[:, :, 0] > 0).astype(np.uint8)), VOID).numpy()
    assert np.mean((pixels.numpy()[:, :, 0] > 110) != mask) < 0.05
