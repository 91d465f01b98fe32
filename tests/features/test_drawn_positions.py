"""Positions of maps that a head is solved on: which are drawn, and what is held while masks are read."""

import tracemalloc

import keras
import numpy as np
import pytest
import scipy.stats
from masks import VOID, write_masks

from tfl.data import load_source
from tfl.features.positions import rows_of_positions
from tfl.inputs import get_input
from tfl.models.classifier import build_classifier
from tfl.models.heads import HeadSpec
from tfl.models.inference import Outputs

SIDE, GRID, CLASSES = 32, 16, 3


class Computed:
    """Maps that are not in memory: of each number a map that names it and its positions."""

    def __init__(self, count, shape):
        self.shape = (count, *shape)

    def __getitem__(self, numbers):
        numbers = np.asarray(numbers, np.float32)
        return numbers[:, None, None, None] + np.zeros((len(numbers), *self.shape[1:]), np.float32)


@pytest.fixture(scope="module")
def model():
    inputs = keras.Input((SIDE, SIDE, 3))
    tensor = keras.layers.Conv2D(2, 3, 2, padding="same", name="conv")(inputs)
    backbone = keras.Model(inputs, keras.layers.ReLU(name="relu")(tensor))
    return build_classifier(backbone, HeadSpec(CLASSES, stands_on="map"))


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = write_masks(tmp_path_factory.mktemp("masks"), {"train": 8})
    return load_source(f"masks:{folder}", 1.0, kind=get_input("image").sized(SIDE), ignore_label=VOID)


def drawn(model, source, times, most, seed=0):
    """Return the rows of `times` copies of all maps."""
    ids = np.tile(np.arange(len(source.index)), times)
    maps = Computed(len(ids), model.get_layer("head_features").output.shape[1:])
    return rows_of_positions(Outputs(maps, ids, ids), source, model, most=most, seed=seed)


def test_drawn_rows_are_those_of_all_positions(model, source):
    every = drawn(model, source, 2, 10**9)
    width = every.values.shape[1]
    some = drawn(model, source, 2, 100 * width)
    assert (len(every), len(some)) == (16 * GRID**2, 100)
    places = some.values.positions
    assert np.all(np.diff(places) > 0)
    np.testing.assert_array_equal(some.labels, every.labels[places])
    np.testing.assert_array_equal(some.weights, every.weights[places])
    np.testing.assert_array_equal(some.ids, every.ids[places])
    np.testing.assert_allclose(some.values[:], every.values[:][places])


def test_every_position_is_drawn_equally_often(model, source):
    """A chi-square test of the places in the map and of the maps, over many seeds."""
    width = drawn(model, source, 1, 10**9).values.shape[1]
    counts = np.zeros((8, GRID**2))
    for seed in range(60):
        np.add.at(counts.reshape(-1), drawn(model, source, 1, 512 * width, seed).values.positions, 1)
    assert counts.sum() == 60 * 512
    for sums in (counts.sum(axis=0), counts.sum(axis=1), counts.ravel()):
        assert scipy.stats.chisquare(sums).pvalue > 1e-3


def test_memory_does_not_grow_with_the_number_of_masks(model, source):
    """A share of each class at each position takes 3 kB a mask: 4.9 MB for 1,600 masks more; their paths 0.6 MB."""
    width = drawn(model, source, 1, 10**9).values.shape[1]
    peaks = []
    for times in (40, 240):
        tracemalloc.start()
        drawn(model, source, times, 64 * width)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 200 * 8 * GRID**2 * CLASSES * 4 / 2
