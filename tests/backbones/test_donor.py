"""The backbone of a network that users fine-tuned in plain Keras is found in every form that they save it in."""

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from tfl.backbones.weights import build_backbone
from tfl.errors import InputError

SIZE = 32


def make_base() -> keras.Model:
    return keras.applications.MobileNetV2(alpha=0.35, weights=None, include_top=False, input_shape=(SIZE, SIZE, 3))


def guide(base: keras.Model) -> keras.Model:
    """As the Keras guide on transfer learning has it: the base is one layer."""
    image = keras.Input((SIZE, SIZE, 3))
    tensor = layers.Rescaling(1 / 127.5, -1)(layers.RandomFlip("horizontal")(image))
    tensor = layers.GlobalAveragePooling2D()(base(tensor, training=False))
    return keras.Model(image, layers.Dense(3)(layers.Dropout(0.2)(tensor)))


def sequential(base: keras.Model) -> keras.Model:
    return keras.Sequential([keras.Input((SIZE, SIZE, 3)), base, layers.GlobalAveragePooling2D(), layers.Dense(2)])


def flat(base: keras.Model) -> keras.Model:
    return keras.Model(base.input, layers.Dense(5)(layers.GlobalAveragePooling2D()(base.output)))


def deeper(base: keras.Model) -> keras.Model:
    return keras.Sequential([keras.Input((SIZE, SIZE, 3)), sequential(base), layers.Dense(4)])


NETWORKS = {"guide": guide, "sequential": sequential, "flat": flat, "deeper": deeper}
FORMS = ("model.keras", "model.h5", "model.weights.h5")


@pytest.fixture(scope="module")
def base():
    keras.utils.set_random_seed(3)
    found = make_base()
    for weight in found.weights:  # as after some training: no two alike
        weight.assign(keras.random.normal(weight.shape, stddev=0.1))
    return found


@pytest.fixture(scope="module")
def files(base, tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    for name, build in NETWORKS.items():
        network = build(base)
        for form in FORMS:
            save = network.save_weights if "weights" in form else network.save
            save(folder / f"{name}_{form}")
    return folder


def check_same(model: keras.Model, base: keras.Model) -> None:
    for mine, theirs in zip(model.weights, base.weights, strict=True):
        np.testing.assert_array_equal(mine, theirs, err_msg=mine.path)


@pytest.mark.filterwarnings("error::UserWarning")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", NETWORKS)
def test_the_backbone_is_found_and_the_head_dropped(name, form, files, base):
    model = build_backbone("MobileNetV2", alpha=0.35, image_size=SIZE, weights=str(files / f"{name}_{form}"))
    check_same(model, base)


@pytest.mark.parametrize("frozen", [True, False])
def test_weights_that_keras_2_saved_of_a_nested_model_are_found(frozen, base, tmp_path):
    """Keras 2 wrote all weights of a nested model in one group: those that were trainable first."""
    kinds = [[w for w in base.weights if "moving" not in w.path], [w for w in base.weights if "moving" in w.path]]
    ordered = base.weights if frozen else [*kinds[0], *kinds[1]]
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        file.attrs["layer_names"] = [b"input_1", b"mobilenetv2", b"dense"]
        for name in ("input_1", "mobilenetv2", "dense"):
            file.create_group(name).attrs["weight_names"] = []
        file["mobilenetv2"].attrs["weight_names"] = [f"{w.path}:0".encode() for w in ordered]
        for weight in ordered:
            file["mobilenetv2"][f"{weight.path}:0"] = weight.numpy()
        file["dense"].attrs["weight_names"] = [b"dense/kernel:0"]
        file["dense"]["dense/kernel:0"] = np.zeros((1280, 3))
    model = build_backbone("MobileNetV2", alpha=0.35, image_size=SIZE, weights=str(tmp_path / "weights.h5"))
    check_same(model, base)


def test_two_such_networks_in_one_are_refused(base, tmp_path):
    image = keras.Input((SIZE, SIZE, 3))
    twin = make_base()
    twin.name = "twin"
    pair = layers.Concatenate()([layers.GlobalAveragePooling2D()(network(image)) for network in (base, twin)])
    keras.Model(image, layers.Dense(2)(pair)).save(tmp_path / "pair.keras")
    with pytest.raises(InputError, match=r"must hold weights that fit MobileNetV2.*it holds 2 networks that fit"):
        build_backbone("MobileNetV2", alpha=0.35, image_size=SIZE, weights=str(tmp_path / "pair.keras"))


@pytest.mark.parametrize("form", FORMS)
def test_another_network_is_refused_in_one_line(form, files):
    with pytest.raises(InputError, match=r"`backbone\.weights` must hold weights that fit MobileNet with") as caught:
        build_backbone("MobileNet", alpha=0.25, image_size=SIZE, weights=str(files / f"guide_{form}"))
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=r"`backbone\.weights` must hold weights that fit MobileNetV2 with"):
        build_backbone("MobileNetV2", alpha=0.5, image_size=SIZE, weights=str(files / f"guide_{form}"))
