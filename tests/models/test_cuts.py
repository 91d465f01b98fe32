"""A cut: the highest point below which nothing is trained, and two halves that are the whole."""

import keras
import numpy as np
import pytest

import tfl
from tfl.models.cuts import split_frozen


@pytest.fixture(scope="module")
def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    backbone = tfl.build_backbone("EfficientNetB0", image_size=64, weights="none")  # has dropout of its own
    return tfl.build_classifier(backbone, tfl.HeadSpec(num_outputs=3, dropout=0.5))


@pytest.mark.parametrize(
    ("what", "cut"),
    [
        ("0", "head_pool"),
        ("1", "block5c_add"),
        ("2", "block3b_add"),
        ("block5c_expand_conv", "block5b_add"),
        ("all", None),
    ],
)
def test_the_cut_is_as_high_as_it_can_be_and_the_halves_are_the_whole(network, what, cut):
    tfl.unfreeze(network, what)
    halves = split_frozen(network)
    if cut is None:  # preprocessing has nothing to train
        assert not halves.lower.weights or not any(np.ptp(w.numpy()) for w in halves.lower.trainable_weights)
    else:
        assert halves.cut == cut
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3)).astype("uint8")
    np.testing.assert_allclose(halves.upper(halves.lower(images)), network(images), atol=1e-6)
    assert [id(v) for v in halves.upper.trainable_variables] == [id(v) for v in network.trainable_variables]
    assert halves.lower.trainable_variables == []


def test_a_batch_norm_that_is_trained_is_not_below_the_cut(network):
    tfl.unfreeze(network, "1")
    network.get_layer("block2a_bn").trainable = True
    assert split_frozen(network).cut == "block2a_dwconv"
    tfl.unfreeze(network, "1")


def test_what_is_no_flat_graph_has_no_cut():
    class Own(keras.Model):
        def call(self, x):
            return x

    assert split_frozen(Own()) is None


def test_a_network_that_is_trained_from_the_first_layer_has_no_cut():
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, keras.layers.Conv2D(2, 3)(inputs))
    assert split_frozen(model) is None


def test_the_frozen_part_runs_in_inference_mode_while_training(network):
    """Dropout of frozen layers is off, so the gradient of the head is that of the plain features."""
    tfl.unfreeze(network, "0")
    network.get_layer("head_dropout").rate = 0.0
    tfl.compile(network, keras.optimizers.SGD(0.5))
    images = np.random.default_rng(0).integers(0, 256, (8, 64, 64, 3)).astype("uint8")
    labels = np.arange(8) % 3
    features = keras.ops.convert_to_numpy(split_frozen(network).lower(images))
    kernel, bias = (v.numpy() for v in network.get_layer("head_logits").weights)
    logits = features @ kernel + bias
    residual = np.exp(logits) / np.exp(logits).sum(1, keepdims=True) - np.eye(3)[labels]
    expected = kernel - 0.5 * features.T @ residual / 8
    tfl.fit(network, images, labels, batch_size=8, verbose=False)
    np.testing.assert_allclose(network.get_layer("head_logits").kernel.numpy(), expected, atol=1e-5)
