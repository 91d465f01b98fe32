"""Streams are read more than once: they must end, and give the same examples again, whatever their form."""

import numpy as np
import pytest
import tensorflow as tf

from tfl.data import load_data, make_dataset
from tfl.errors import InputError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (40, 6, 5, 3), dtype=np.uint8)
LABELS = np.arange(40) % 2


def pairs():
    return tf.data.Dataset.from_tensor_slices((IMAGES, LABELS))


def generator(count, signature=None):
    def examples():
        row = 0
        while row < count:
            yield IMAGES[row % 40], LABELS[row % 40]
            row += 1

    signature = signature or (tf.TensorSpec((6, 5, 3), tf.uint8), tf.TensorSpec((), tf.int64))
    return tf.data.Dataset.from_generator(examples, output_signature=signature)


def noisy(image, label):
    return tf.cast(image, tf.float32) * tf.random.uniform((), 0.5, 1.0), label


CHANGING = {
    "shuffled": lambda folder: pairs().shuffle(40),
    "random operation": lambda folder: pairs().map(noisy),
    "random flip of one class": lambda folder: tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).map(
        lambda image, label: (tf.image.random_flip_left_right(image), label)
    ),
    "list_files": lambda folder: tf.data.Dataset.list_files(f"{folder}/*.png").map(
        lambda path: (tf.io.read_file(path), tf.strings.to_number(tf.strings.split(path, "_")[-2], tf.int64))
    ),
}


@pytest.mark.parametrize("name", CHANGING)
def test_a_stream_that_changes_is_refused_at_once(name, tmp_path):
    tf.random.set_seed(None)  # with a seed, which other tests set, random operations are the same on every pass
    for row in range(40):
        (tmp_path / f"{row:02d}_{row % 2}_.png").write_bytes(tf.io.encode_png(IMAGES[row]).numpy())
    with pytest.raises(InputError, match=r"the same examples in the same order on every pass") as caught:
        load_data(CHANGING[name](tmp_path))
    assert "\n" not in str(caught.value)


def test_a_stream_that_changes_later_is_caught_by_its_pixels():
    """The labels are in order; two images with the same label have changed places."""
    images = tf.Variable(IMAGES)
    splits = load_data(tf.data.Dataset.range(40).map(lambda row: (images[row], tf.constant(LABELS)[row])))
    rows = splits.train
    list(make_dataset(splits.source, rows, image_size=4, batch_size=8))
    changed = IMAGES.copy()
    first, second = (int(splits.index.ids[row]) for row in rows[splits.index.labels[rows] == 1][:2])
    changed[[first, second]] = IMAGES[[second, first]]
    images.assign(changed)
    with pytest.raises(tf.errors.InvalidArgumentError, match="another example than before"):
        list(make_dataset(splits.source, rows, image_size=4, batch_size=8))


@pytest.mark.parametrize(
    "dataset",
    [
        lambda: pairs().repeat(),
        lambda: pairs().repeat().map(lambda image, label: (image, label)).prefetch(2),
        lambda: pairs().repeat().filter(lambda image, label: label < 3),
        lambda: generator(40).repeat(),
        lambda: {"train": pairs(), "test": pairs().repeat()},
    ],
)
def test_endless_streams_are_refused(dataset):
    with pytest.raises(InputError, match=r"must end, because tfl reads all of it"):
        load_data(dataset())


def test_a_generator_without_end_is_noticed():
    with pytest.raises(InputError, match="1000 examples so far, of which 40 differ"):
        load_data(generator(float("inf")))


@pytest.mark.parametrize(
    "dataset",
    [
        lambda: pairs().repeat().filter(lambda image, label: label < 3).take(40),
        lambda: generator(40),
        lambda: pairs().repeat(2).take(40),
    ],
)
def test_streams_that_end_are_read(dataset):
    assert len(load_data(dataset()).index) == 40


@pytest.mark.parametrize(
    "dataset",
    [
        lambda: pairs().map(lambda image, label: (tf.io.decode_image(tf.io.encode_png(image)), label)),
        lambda: generator(40, (tf.TensorSpec(None, tf.uint8), tf.TensorSpec(None, tf.int64))),
        lambda: generator(40, (tf.TensorSpec((None, None, None), tf.uint8), tf.TensorSpec((), tf.int64))),
    ],
)
def test_shapes_that_only_reading_tells(dataset):
    splits = load_data(dataset())
    (batch,) = make_dataset(splits.source, splits.test, image_size=5, batch_size=40).as_numpy_iterator()
    known = load_data((IMAGES, LABELS))
    (expected,) = make_dataset(known.source, splits.test, image_size=5, batch_size=40).as_numpy_iterator()
    order, reference = np.argsort(batch["id"]), np.argsort(expected["id"])
    np.testing.assert_array_equal(batch["input"][order], expected["input"][reference])
    np.testing.assert_array_equal(batch["label"][order], expected["label"][reference])


@pytest.mark.parametrize("ranks", [(2, 3), (3, 2)])
def test_grey_and_colour_in_one_stream(ranks):
    def examples():
        for row in range(12):
            yield IMAGES[row] if ranks[row % 2] == 3 else IMAGES[row, :, :, 0], row // 2 % 2

    signature = (tf.TensorSpec(None, tf.uint8), tf.TensorSpec((), tf.int64))
    splits = load_data(tf.data.Dataset.from_generator(examples, output_signature=signature))
    for batch in make_dataset(splits.source, splits.train, image_size=4, batch_size=4).as_numpy_iterator():
        grey = (np.ptp(batch["input"].astype(int), axis=-1) == 0).all(axis=(1, 2))
        rows = splits.index.ids[batch["id"]].astype(int)
        np.testing.assert_array_equal(grey, np.array(ranks)[rows % 2] == 2)


@pytest.mark.parametrize("shape", [(2, 4, 4, 3), (4, 4, 2)])
def test_batches_and_odd_channels_of_unknown_rank(shape):
    def examples():
        yield np.zeros(shape, np.uint8), 0

    signature = (tf.TensorSpec(None, tf.uint8), tf.TensorSpec((), tf.int64))
    with pytest.raises(InputError, match=r"single images|1 or 3 channels"):
        load_data(tf.data.Dataset.from_generator(examples, output_signature=signature))
