"""Balanced epochs: equal parts of the classes, by seed and epoch alone; a repetition shows other pixels."""

import numpy as np
import pytest
import tensorflow as tf

import tfl
from tfl.data.order import epoch_order, split_draws
from tfl.errors import InputError
from tfl.features.reuse import StoredPhase
from tfl.models.inference import Outputs

ROWS = np.arange(100, 122)
CLASSES = np.repeat([0, 1, 2], [15, 5, 2])


@pytest.fixture(scope="module")
def splits() -> tfl.Splits:
    """Two classes of 12 and 3 images that all differ."""
    images = np.random.default_rng(0).integers(0, 256, (18, 8, 8, 3), np.uint8)
    labels = np.array([0] * 12 + [1] * 3 + [0, 0, 1])
    return tfl.load_data(
        {"train": (images[:15], labels[:15]), "test": (images[15:], labels[15:])}, split=(0.7, 0.1, 0.2)
    )


def test_every_class_has_its_part_and_repeats_only_what_it_must() -> None:
    extras = set()
    for epoch in range(20):
        rows, again = split_draws(epoch_order(ROWS, 3, epoch, CLASSES))
        counts = np.bincount(CLASSES[rows - 100])
        assert len(rows) == len(ROWS) and sorted(counts) == [7, 7, 8]
        extras.add(int(counts.argmax()))
        for one in range(3):
            members = ROWS[one == CLASSES]
            times = [np.sum(rows == member) for member in members]
            assert max(times) - min(times) <= 1  # no example a second time before each was drawn once
        for row in np.unique(rows):
            assert sorted(again[rows == row]) == list(range(np.sum(rows == row)))
    assert extras == {0, 1, 2}  # chance decides which class gets the one that is left


def test_an_epoch_is_a_function_of_seed_and_epoch() -> None:
    first = epoch_order(ROWS, 3, 5, CLASSES)
    np.testing.assert_array_equal(epoch_order(ROWS, 3, 5, CLASSES), first)
    assert not np.array_equal(epoch_order(ROWS, 3, 6, CLASSES), first)
    assert not np.array_equal(epoch_order(ROWS, 4, 5, CLASSES), first)
    seen = {int(row) for epoch in range(20) for row in split_draws(epoch_order(ROWS, 3, epoch, CLASSES))[0]}
    assert seen == set(ROWS)
    np.testing.assert_array_equal(np.sort(epoch_order(ROWS, 3, 5)), ROWS)


def read(dataset: tf.data.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return ids and pixels of all batches."""
    batches = list(dataset.as_numpy_iterator())
    return tuple(np.concatenate([batch[name] for batch in batches]) for name in ("id", "input"))


def test_a_repeated_example_is_augmented_in_another_way(splits: tfl.Splits) -> None:
    feed = tfl.EpochFeed(splits.source, splits.train, 8, 4, "light", seed=1, sampling="balanced")
    plain = tfl.EpochFeed(splits.source, splits.train, 8, 4, "light", seed=1)
    ids, pixels = read(feed(0))
    labels = splits.index.labels[ids]
    assert abs(np.bincount(labels)[0] - np.bincount(labels)[1]) <= 1
    versions = {pixels[place].tobytes() for place in range(len(ids))}
    assert len(versions) == len(ids) > len(np.unique(ids))
    once = dict(zip(*(part.tolist() for part in read(plain(0))), strict=True))
    for row in np.unique(ids):  # one of its versions is that of an epoch without repetitions
        assert once[int(row)] in pixels[ids == row].tolist()


def test_an_epoch_goes_on_at_any_batch_and_is_divided_among_replicas(splits: tfl.Splits) -> None:
    feed = tfl.EpochFeed(splits.source, splits.train, 8, 4, "light", seed=1, sampling="Balanced")
    ids, pixels = read(feed(2))
    later, rest = read(feed.from_batch(2, 1))
    np.testing.assert_array_equal(later, ids[4:])
    np.testing.assert_array_equal(rest, pixels[4:])
    parts = [share.element["input"].numpy()[: int(share.count)] for share in feed.shares(2, 0, range(2), 2)]
    np.testing.assert_array_equal(np.concatenate(parts), pixels)


class FakeExtractor:
    """Features of a source that tell the row and the view."""

    image_size = 8

    def __init__(self, source: tfl.data.source.Source) -> None:
        self.source = source

    def __call__(self, rows: np.ndarray, views: list, description: str) -> Outputs:
        del description
        ids = np.tile(rows, len(views))
        values = np.stack([ids, np.repeat(np.arange(len(views)), len(rows))], axis=1).astype(np.float32)
        return Outputs(values, self.source.index.labels[ids], ids)


def test_stored_views_are_drawn_alike_and_a_repetition_takes_the_next_view(splits: tfl.Splits) -> None:
    phase = StoredPhase(FakeExtractor(splits.source), splits.train, [None] * 3, 4, 1, "balanced")
    feed = tfl.EpochFeed(splits.source, splits.train, 8, 4, seed=1, sampling="balanced")
    ids, values = read(phase(1))
    np.testing.assert_array_equal(ids, read(feed(1))[0])
    rare, counts = np.unique(ids, return_counts=True)
    row = rare[counts.argmax()]
    views = values[ids == row, 1]
    assert set(views) == {(1 + number) % 3 for number in range(len(views))}


def test_what_has_no_classes_or_no_random_access_cannot_be_drawn_by_class(splits: tfl.Splits) -> None:
    with pytest.raises(InputError, match=r"`sampling` must be a known name\. Received: 'balancd'"):
        tfl.EpochFeed(splits.source, splits.train, 8, 4, sampling="balancd")
    images = np.random.default_rng(0).integers(0, 256, (18, 8, 8, 3), np.uint8)
    stream = tf.data.Dataset.from_tensor_slices((images, np.arange(18) % 2))
    streamed = tfl.load_data(stream)
    with pytest.raises(InputError, match="`sampling` must be 'uniform' for a source that is read in its own order"):
        tfl.EpochFeed(streamed.source, streamed.train, 8, 4, sampling="balanced")
    values = tfl.load_data((images, np.arange(18) / 2))
    with pytest.raises(InputError, match="`sampling` must be 'uniform' if an example does not have exactly one class"):
        tfl.EpochFeed(values.source, values.train, 8, 4, sampling="balanced")
