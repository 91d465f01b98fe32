"""Targets are standardised inside, against scikit-learn's StandardScaler."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.preprocessing import StandardScaler

import tfl
from tfl.training.objective.units import StandardizedFeed, Units

VALUES = {
    "one": np.random.default_rng(0).normal(1000, 30, 20),
    "two": np.random.default_rng(1).normal([5, -7000], [0.1, 900], (20, 2)),
    "constant": np.stack([np.arange(20.0), np.full(20, 4.0)], axis=1),
}


@pytest.mark.parametrize("name", VALUES)
def test_labels_are_standardised_and_restored(name: str) -> None:
    values = VALUES[name]
    rows = values.reshape(20, -1)
    units, expected = Units(values), StandardScaler().fit_transform(rows)
    np.testing.assert_allclose(units.standardize(values).reshape(20, -1), expected, atol=1e-12)
    np.testing.assert_allclose(units.restore(expected), rows, rtol=1e-12)


@pytest.mark.parametrize("name", VALUES)
def test_every_form_of_batches_brings_the_same_labels(name: str) -> None:
    images, values = np.zeros((20, 8, 8, 3), np.uint8), VALUES[name].astype(np.float32)
    images[:, 0, 0, 0] = np.arange(20)
    splits = tfl.load_data(dict.fromkeys(("train", "validation", "test"), (images, values)))
    units, rows = Units(values), np.flatnonzero(splits.index.splits == "train")
    plain = tfl.EpochFeed(splits.source, rows, image_size=8, batch_size=6)
    feed = StandardizedFeed(plain, units)
    wanted = units.standardize(values).astype(np.float32)
    for batch in feed.from_batch(0, 1):
        np.testing.assert_allclose(batch["label"], wanted[np.asarray(batch["id"]) % 20], atol=1e-5)
    assert feed.num_batches == 4 and len(list(feed(0))) == 4
    shares = list(feed.shares(0, 0, range(2), 2))
    assert len(shares) == 8
    for share in shares:
        found = share.element
        np.testing.assert_allclose(found["label"], wanted[np.asarray(found["id"]) % 20], atol=1e-5)


def test_a_layer_gives_standard_deviations_within_and_the_users_values_outside() -> None:
    units, layer = Units(VALUES["two"]), keras.layers.Dense(2)
    features = tf.random.stateless_normal([7, 3], (1, 2))
    raw = layer(features).numpy()
    units.to_user(layer)
    outside = layer(features).numpy()
    np.testing.assert_allclose(outside, units.restore(raw), rtol=1e-5)
    with pytest.raises(KeyError), units.standardized(layer):
        np.testing.assert_allclose(layer(features), raw, atol=1e-4)
        raise KeyError
    np.testing.assert_allclose(layer(features), outside, rtol=1e-5)
