import subprocess
import sys

import keras
import pytest
from keras.src.applications import imagenet_utils
from keras.src.utils import file_utils

from tfl.backbones.catalog import get_backbone_spec, is_in_keras, list_backbones
from tfl.backbones.table import backbone_table
from tfl.errors import InputError

ALL = [name for name in list_backbones() if is_in_keras(name)]
ALPHAS = (0.1, 0.25, 0.35, 0.5, 0.75, 1.0, 1.3, 1.4, 2.0)


class ReachedError(Exception):
    """Keras came as far as the line in question."""


def test_every_network_of_the_installed_keras_is_in_the_catalog():
    public = vars(keras.applications)
    assert sorted(ALL) == sorted(name for name, value in public.items() if name[0].isupper() and callable(value))


@pytest.mark.parametrize("name", ALL)
def test_family_and_minimum_size_are_those_of_keras(name):
    spec = get_backbone_spec(name)
    assert spec.build.__module__.endswith("." + spec.family)
    assert spec.preprocess.__module__.endswith("." + spec.family)
    too_small = spec.minimum_size - 1
    with pytest.raises(ValueError, match=f"at least {spec.minimum_size}x"):
        spec.build(include_top=False, weights=None, input_shape=(too_small, too_small, 3))


@pytest.mark.parametrize("name", [name for name in ALL if not name.startswith("MobileNetV3")])
def test_image_size_is_the_default_of_keras(name, monkeypatch):
    def record(input_shape, default_size, **_):
        raise ReachedError(default_size)

    monkeypatch.setattr(imagenet_utils, "obtain_input_shape", record)
    with pytest.raises(ReachedError) as reached:
        get_backbone_spec(name).build(include_top=False, weights=None)
    assert reached.value.args == (get_backbone_spec(name).image_size,)


@pytest.mark.parametrize("name", [name for name in ALL if get_backbone_spec(name).has_alpha])
def test_alphas_with_weights_are_those_that_keras_admits(name, monkeypatch):
    def record(*_, **__):
        raise ReachedError

    monkeypatch.setattr(file_utils, "get_file", record)
    admitted = []
    for alpha in ALPHAS:
        try:
            get_backbone_spec(name).build(include_top=False, weights="imagenet", alpha=alpha, input_shape=(224, 224, 3))
        except ReachedError:
            admitted.append(alpha)
        except ValueError as error:
            assert "alpha" in str(error)
    assert tuple(admitted) == get_backbone_spec(name).imagenet_alphas


@pytest.mark.parametrize("name", [name for name in ALL if not get_backbone_spec(name).has_alpha])
def test_only_the_networks_with_alphas_have_the_argument(name):
    with pytest.raises(TypeError, match="alpha"):
        get_backbone_spec(name).build(include_top=False, weights=None, alpha=0.5)


def test_names_are_found_in_any_case_and_misspelt_ones_get_a_suggestion():
    assert get_backbone_spec("efficientnetv2b0").name == "EfficientNetV2B0"
    with pytest.raises(InputError, match=r"`backbone\.name`.*'ResNet500'.*Did you mean 'ResNet50'"):
        get_backbone_spec("ResNet500")


def test_list_backbones_matches_patterns_in_any_case():
    assert list_backbones("ResNet*V2") == ["ResNet101V2", "ResNet152V2", "ResNet50V2"]
    assert list_backbones("vgg??") == ["VGG16", "VGG19"]
    with pytest.raises(InputError, match=r"pattern='resnext'.*Did you mean"):
        list_backbones("resnext")


def test_the_table_has_a_row_for_each_network():
    lines = backbone_table("mobilenet*").splitlines()
    assert [line.split()[0] for line in lines] == ["name", *list_backbones("mobilenet*")]
    assert lines[2].split()[1:4] == ["224", "32", "1280"]


def test_listing_imports_no_tensorflow():
    code = "import sys, tfl.backbones as b; print(len(b.backbone_table().splitlines()), 'tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(len(list_backbones()) + 1), "False"]
