"""Networks with more than three channels: equal channels give the features of a grey image, names and stages stay."""

import keras
import numpy as np
import pytest

from tfl.backbones.channels import SCALE_NAME, widen
from tfl.backbones.stages import find_stages
from tfl.backbones.weights import build_backbone
from tfl.errors import InputError


def first_convolution(model):
    return next(layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D))


def trained_names(model):
    return [layer.name for layer in model.layers if layer.weights and not isinstance(layer, keras.layers.Normalization)]


def test_a_grey_image_gives_the_same_maps(family, built):
    model = built(family)
    wide = widen(model, 5)
    grey = np.random.default_rng(0).uniform(0, 255, (2, *model.input.shape[1:3], 1)).astype(np.float32)
    maps = []
    for network, channels in ((model, 3), (wide, 5)):
        entrance = keras.Model(network.inputs, first_convolution(network).output)
        maps.append(np.asarray(entrance(np.repeat(grey, channels, axis=-1))))
    # Where the preprocessing is the same for each colour, so are the maps; else its factors and offsets are averaged.
    same = "mobilenet" in family.lower() or "nasnet" in family.lower() or "inception" in family.lower()
    assert np.abs(maps[0] - maps[1]).max() <= (1e-4 if same else 0.1) * np.abs(maps[0]).max()
    assert wide.output.shape == model.output.shape and wide.input.shape[-1] == 5
    assert trained_names(wide) == trained_names(model)
    assert [stage.name for stage in find_stages(wide)] == [stage.name for stage in find_stages(model)]
    assert sum(layer.name == SCALE_NAME for layer in wide.layers) == 1
    others = [
        layer for layer in model.layers if layer is not first_convolution(model) and layer.name in trained_names(model)
    ]
    for layer in others:
        for old, new in zip(layer.weights, wide.get_layer(layer.name).weights, strict=True):
            assert np.array_equal(old, new)


def test_each_channel_has_the_mean_kernel(built):
    model = built("MobileNetV2")
    kernel, wide = (np.asarray(first_convolution(network).kernel) for network in (model, widen(model, 4)))
    assert np.allclose(wide, np.repeat(kernel.mean(axis=2, keepdims=True), 4, axis=2) * 0.75)


def test_published_weights_are_widened(keras_home):
    wide = build_backbone("MobileNetV2", alpha=0.35, image_size=64, channels=6)
    plain = build_backbone("MobileNetV2", alpha=0.35, image_size=64)
    grey = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 1)).astype(np.float32)
    expected, found = (np.asarray(net(np.repeat(grey, c, axis=-1))) for net, c in ((plain, 3), (wide, 6)))
    assert np.allclose(found, expected, atol=1e-3)


def test_a_network_of_other_examples_has_three_channels():
    spec_of_own = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(2)])
    with pytest.raises(InputError, match="must be 3 for a network that does not begin with a convolution"):
        widen(spec_of_own, 5)
