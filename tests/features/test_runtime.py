import importlib.util

import keras
import numpy as np
import pytest
from keras import layers

from tfl.backbones.catalog import get_backbone_spec
from tfl.backbones.weights import build_backbone
from tfl.errors import InputError
from tfl.features import runtime
from tfl.features.runtime import TOLERANCE, Forward, make_forward

needs_openvino = pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="without the extra fast-cpu")
INSTALLED = ["tensorflow", pytest.param("openvino", marks=needs_openvino)]


@pytest.fixture
def said(monkeypatch) -> list[str]:
    """The lines that a person would see."""
    lines: list[str] = []
    monkeypatch.setattr(runtime, "say", lines.append)
    return lines


@pytest.fixture(scope="module")
def small() -> keras.Model:
    return pooled(backbone("MobileNetV2", alpha=0.35))


def backbone(name: str, **options) -> keras.Model:
    """A network whose norms do something: those of a random start leave everything as it is."""
    keras.utils.set_random_seed(0)
    size = max(64, get_backbone_spec(name).minimum_size)
    model = build_backbone(name, image_size=size, weights="none", **options)
    disturb_norms(model)
    return model


def disturb_norms(model: keras.Model) -> None:
    rng = np.random.default_rng(1)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            for variable in layer.variables:
                is_factor = variable.path.endswith(("gamma", "variance"))
                low, high = (0.7, 1.4) if is_factor else (-0.3, 0.3)
                variable.assign(rng.uniform(low, high, variable.shape))


def pooled(model: keras.Model) -> keras.Model:
    return keras.Model(model.input, layers.GlobalAveragePooling2D()(model.output))


def noise(count: int, size: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), np.uint8)


def difference(features: np.ndarray, expected) -> float:
    expected = keras.ops.convert_to_numpy(expected)
    assert features.shape == expected.shape and features.dtype == np.float32
    return np.abs(features - expected).max() / np.abs(expected).max()


def check_rows(forward: Forward, images: np.ndarray) -> None:
    """The features of an image are the same bits at every place and in every company."""
    whole = forward(images)
    np.testing.assert_array_equal(forward(images[::-1])[::-1], whole)
    for start in range(len(images)):
        np.testing.assert_array_equal(forward(images[start:]), whole[start:])


def test_every_family_gives_the_features_of_the_plain_model(family, said):
    model = pooled(backbone(family))
    images = noise(3, model.input.shape[1])
    expected = model(images.astype(np.float32), training=False)
    for name in ["tensorflow", "openvino"] if importlib.util.find_spec("openvino") else ["tensorflow"]:
        forward = make_forward(model, name, batch_size=4, sample=images)
        assert forward.name == name and not said
        assert difference(forward(images), expected) < TOLERANCE
        check_rows(forward, images)
