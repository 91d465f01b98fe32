"""The classifier of the source is found where a file has it above the same weights, and nowhere else."""

import keras
import numpy as np
import pytest
from option_runs import tiny_networks

import tfl
from tfl.backbones.catalog import get_backbone_spec, is_in_keras, list_backbones
from tfl.backbones.imagenet import imagenet_accuracy
from tfl.backbones.names import files_at_hand
from tfl.backbones.source_head import read_source_head
from tfl.config import BackboneConfig


def test_the_published_classifier_gives_the_predictions_of_keras(keras_home):
    name, alpha = "MobileNet", 0.25
    backbone = tfl.build_backbone(name, alpha=alpha)
    images = np.random.default_rng(0).uniform(0, 255, (3, 224, 224, 3)).astype(np.float32)
    features = keras.ops.mean(backbone(images), axis=(1, 2))
    head = read_source_head(BackboneConfig(name, alpha), backbone)
    whole = keras.applications.MobileNet(alpha=alpha, weights=str(files_at_hand(top=True)[f"{name}:{alpha}"]))
    expected = whole(keras.applications.mobilenet.preprocess_input(images.copy()))
    np.testing.assert_allclose(head.probabilities(features), expected, rtol=1e-3, atol=1e-6)
    assert read_source_head(BackboneConfig("MobileNetV2", 0.35), backbone) is None  # its file with top is not there
    last = [layer for layer in backbone.layers if layer.weights][-1]
    last.set_weights([weight + 0.1 for weight in last.get_weights()])
    assert read_source_head(BackboneConfig(name, alpha), backbone) is None  # not the weights that it was trained with


@pytest.mark.parametrize("hidden", [0, 5])
def test_a_weights_file_with_one_linear_layer_on_top_has_a_classifier(tmp_path, hidden):
    with tiny_networks():
        backbone = tfl.build_backbone("MobileNet", alpha=0.5, image_size=32, weights="none")
    tensor = keras.layers.GlobalAveragePooling2D()(backbone.output)
    tensor = keras.layers.Dense(hidden)(tensor) if hidden else tensor
    model = keras.Model(backbone.input, keras.layers.Dense(7, activation="softmax")(tensor))
    file = str(tmp_path / "whole.h5")
    model.save(file)
    images = np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 3)).astype(np.float32)
    found = read_source_head(BackboneConfig("MobileNet", 0.5, file), backbone)
    if hidden:
        assert found is None
        return
    features = np.asarray(backbone(images)).mean(axis=(1, 2))
    np.testing.assert_allclose(found.probabilities(features), model(images), rtol=1e-4, atol=1e-7)
    assert read_source_head(BackboneConfig("MobileNet", 0.5, "none"), backbone) is None


def test_every_network_of_keras_has_its_published_accuracy():
    for name in filter(is_in_keras, list_backbones()):
        for alpha in get_backbone_spec(name).imagenet_alphas or (1.0,):
            accuracy = imagenet_accuracy(BackboneConfig(name, alpha))
            assert accuracy is not None and 0.5 < accuracy < 0.9
    assert imagenet_accuracy(BackboneConfig("ResNet50", 1.0, "none")) is None


def test_files_are_those_for_the_size_of_the_images(tmp_path):
    for name in ("mobilenet_2_5_224_tf_no_top.h5", "mobilenet_5_0_128_tf_no_top.h5", "mobilenet_5_0_128_tf.h5"):
        (tmp_path / name).touch()
    assert list(files_at_hand(tmp_path)) == list(files_at_hand(tmp_path, image_size=100)) == ["MobileNet:0.25"]
    assert list(files_at_hand(tmp_path, image_size=128)) == ["MobileNet:0.5"]
    assert list(files_at_hand(tmp_path, image_size=128, top=True)) == ["MobileNet:0.5"]
