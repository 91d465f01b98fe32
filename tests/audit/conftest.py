"""Small data sets with made features, for the parts of the audit; no network runs."""

import numpy as np
import pytest

from tfl.audit import Material
from tfl.data import load_source
from tfl.data.splits import assign_splits
from tfl.tasks import get_task


@pytest.fixture
def make_material():
    """`make_material(images, labels, features)`: arrays as a data set with splits; features default to pixels."""

    def make(images, labels, features=None, splits=None, task="multiclass"):
        source = load_source((np.asarray(images), np.asarray(labels)))
        index = assign_splits(source.index)
        order = np.array([int(name) for name in index.ids])  # ids of arrays are positions
        if splits is not None:
            import dataclasses

            index = dataclasses.replace(index, splits=np.asarray(splits)[order])
        if features is None:
            features = np.asarray(images, np.float32).reshape(len(images), -1)
        material = Material(source.with_index(index), np.asarray(features, np.float32)[order], get_task(task))
        return material, np.argsort(order)  # the row of each position

    return make
