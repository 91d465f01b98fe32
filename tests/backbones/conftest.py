"""One network of each family, built once for all tests of the room."""

import functools
from pathlib import Path

import keras
import pytest

from tfl.backbones.catalog import get_backbone_spec
from tfl.backbones.weights import build_backbone


@functools.cache
def _build(name: str) -> keras.Model:
    keras.utils.set_random_seed(0)
    return build_backbone(name, image_size=max(64, get_backbone_spec(name).minimum_size), weights="none")


@pytest.fixture
def built():
    """`built(name)`: the network with random weights, at a small size; not to be changed."""
    return _build


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Free the networks after the last test of this folder."""
    folder = Path(__file__).parent
    if folder in item.path.parents and (nextitem is None or folder not in nextitem.path.parents):
        _build.cache_clear()


@pytest.fixture
def add_head():
    """`add_head(backbone)`: the plainest classifier on it."""

    def build(backbone: keras.Model, num_classes: int = 3) -> keras.Model:
        features = keras.layers.GlobalAveragePooling2D(name="head_pool")(backbone.output)
        return keras.Model(backbone.input, keras.layers.Dense(num_classes, name="head_logits")(features))

    return build
