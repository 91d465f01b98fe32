"""A network that keras.applications does not have, registered here, goes the whole way with no line of tfl changed."""

import dataclasses

import pytest
from keras import layers

import tfl
from tfl.backbones import BackboneSpec, catalog, register_backbone, weights_fingerprint
from tfl.errors import InputError


def small_net(image):
    """Four blocks of a strided convolution and a residual convolution, from RGB in [0, 255]."""
    x = layers.Rescaling(1 / 127.5, -1)(image)
    for filters in (16, 32, 64, 96):
        x = layers.Conv2D(filters, 3, strides=2, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
        y = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.Add()([x, layers.BatchNormalization()(y)]))
    return x


SPEC = BackboneSpec("SmallNet", "own", image_size=64, minimum_size=16, num_features=96, network=small_net)


@pytest.fixture(scope="module", autouse=True)
def _registered():
    register_backbone(SPEC)


def test_it_stands_in_the_table_and_is_built_under_its_name():
    assert tfl.list_backbones("small*") == ["SmallNet"]
    model = tfl.build_backbone("smallnet", weights="none")
    assert model.output.shape == (None, 4, 4, 96)
    assert [stage.resolution for stage in tfl.find_stages(model)] == [32, 16, 8, 4]


@pytest.mark.parametrize("name", ["saved.weights.h5", "saved.keras"])
def test_its_weights_come_from_a_file(name, tmp_path):
    model = tfl.build_backbone("SmallNet", weights="none")
    model.save_weights(tmp_path / name) if name.endswith(".h5") else model.save(tmp_path / name)
    again = tfl.build_backbone("SmallNet", image_size=32, weights=str(tmp_path / name))
    assert weights_fingerprint(again) == weights_fingerprint(model)
    assert weights_fingerprint(tfl.build_backbone("SmallNet", weights="none")) != weights_fingerprint(model)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"`backbone\.weights` must be 'none', a weights file or a tfl workdir for SmallNet: .*='imagenet'\.$"),
        ({"weights": "none", "image_size": 8}, r"`data\.image_size` must be at least 16 for SmallNet"),
        ({"weights": "none", "alpha": 0.5}, r"`backbone\.alpha` must be 1 for SmallNet"),
    ],
)
def test_options_that_it_does_not_have_are_refused_in_one_line(options, message):
    with pytest.raises(InputError, match=message):
        tfl.build_backbone("SmallNet", **options)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "vgg16"}, r"`name` must be one that keras\.applications does not use\. Received: 'vgg16'\.$"),
        ({"network": None}, r"`network` must be a function from images to a feature map\. Received: None\.$"),
    ],
)
def test_a_specification_that_cannot_work_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        register_backbone(dataclasses.replace(SPEC, **changes))


@pytest.mark.parametrize(
    ("network", "received"),
    [(small_net, r"\(None, 4, 4, 96\)"), (lambda image: layers.Flatten()(image), r"\(None, 12288\)"), (id, "int")],
)
def test_a_network_that_does_not_give_its_feature_map_is_refused(network, received, monkeypatch):
    monkeypatch.setitem(catalog._BY_NAME, "Other", SPEC)  # undone after the test
    register_backbone(dataclasses.replace(SPEC, name="Other", num_features=95, network=network))
    with pytest.raises(InputError, match=rf"`network` of Other must .*\(B, h, w, 95\).* Received: {received}\.$"):
        tfl.build_backbone("Other", weights="none")


def test_registered_again_it_replaces_the_earlier_one(monkeypatch):
    monkeypatch.setitem(catalog._BY_NAME, "Again", SPEC)
    register_backbone(dataclasses.replace(SPEC, name="Again", image_size=48))
    register_backbone(dataclasses.replace(SPEC, name="AGAIN", image_size=32))
    assert tfl.list_backbones("again") == ["AGAIN"]
    assert tfl.get_backbone_spec("again").image_size == 32
    del catalog._BY_NAME["AGAIN"]
