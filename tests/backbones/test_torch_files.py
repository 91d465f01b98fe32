"""Networks of torchvision and timm: the same logits as there, and one clear line for a file that cannot be used."""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file
from torch_state import images, make_state

import tfl
from tfl.backbones.catalog import get_backbone_spec
from tfl.backbones.names import parse_backbone
from tfl.backbones.torch_files.known import find_network
from tfl.backbones.torch_files.state import open_arrays
from tfl.errors import InputError

ORACLES = Path(__file__).parents[1] / "oracles"
ANSWERS = np.load(ORACLES / "torch_networks.npz")
HEADS = ("fc", "head.fc", "classifier.2", "classifier.1", "classifier")
NETWORKS = sorted(name for name in ANSWERS.files if not name.endswith(" facts"))


def state_of(name: str) -> dict[str, np.ndarray]:
    facts = json.loads(str(ANSWERS[f"{name} facts"]))
    return make_state(facts["shapes"], facts["moments"])


def build(file: Path, size: int = 65) -> keras.Model:
    return tfl.build_backbone(f"torch:{file}", image_size=size)


def classified(features: np.ndarray, state: dict[str, np.ndarray]) -> np.ndarray:
    """Return the logits of a classifier: a linear layer, below it in a ConvNeXt a layer normalisation."""
    norm = next((name for name in ("classifier.0", "head.norm") if f"{name}.weight" in state), "")
    if norm:
        spread = np.sqrt(features.var(1, keepdims=True) + 1e-6)
        features = (features - features.mean(1, keepdims=True)) / spread
        features = features * state[f"{norm}.weight"] + state[f"{norm}.bias"]
    linear = next(name for name in HEADS if f"{name}.weight" in state)
    return features @ state[f"{linear}.weight"].T + state[f"{linear}.bias"]


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("torch") / "mobilenet_v2.safetensors"
    save_file(state_of("mobilenet_v2"), file)
    return file


@pytest.mark.parametrize("name", NETWORKS)
def test_the_logits_are_those_of_torch(name, tmp_path):
    state, file = state_of(name), tmp_path / f"{name}-0123abcd.safetensors"
    save_file(state, file)
    features = np.asarray(build(file)(images(), training=False)).mean((1, 2))
    if name.startswith("vgg"):
        np.testing.assert_allclose(features, ANSWERS[name], atol=1e-4 * np.abs(ANSWERS[name]).max())
        return
    logits, expected = classified(features, state), ANSWERS[name]
    share = 3e-6 if name.startswith("convnext") else 1e-4  # another epsilon of its normalisation gives 8e-6
    np.testing.assert_allclose(logits, expected, atol=share * np.abs(expected).max())
    assert np.abs(expected[0] - expected[1]).max() > 0.02 * np.abs(expected).max()  # they depend on the picture


def test_real_weights_of_timm_give_the_recorded_logits(shared):
    folder = shared / "weights" / "timm_tf_efficientnet_lite0"
    file = folder / "tf_efficientnet_lite0_f16.safetensors"
    if not file.exists():
        pytest.skip("the weights are not there")
    with Image.open(shared / "data" / "imagenet_photos" / "parrot.jpg") as photo:
        side = 0.875 * min(photo.size)
        left, top = ((length - side) / 2 for length in photo.size)
        box = (left, top, left + side, top + side)
        pixels = np.asarray(photo.convert("RGB").crop(box).resize((224, 224), Image.Resampling.BILINEAR))
    features = np.asarray(build(file, 224)(pixels[None], training=False)).mean((1, 2))
    with open_arrays(file) as read:
        logits = classified(features, {name: read(name) for name in ("classifier.weight", "classifier.bias")})
    np.testing.assert_allclose(logits, np.load(folder / "parrot_logits_f16weights.npy")[None], atol=1e-3)
    assert logits.argmax() == 88  # macaw


def test_a_model_is_saved_and_opened_by_keras_alone(small, tmp_path):
    model = tfl.build_classifier(build(small, 32), tfl.HeadSpec(3))
    tfl.save_model(model, tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    pixels = images()[:, :32, :32]
    np.testing.assert_array_equal(np.asarray(again(pixels)), np.asarray(model(pixels)))


@pytest.mark.parametrize(
    ("name", "resolutions"), [("convnext_nano", [16, 8, 4, 2]), ("efficientnet_v2_s", [32, 16, 8, 4, 2])]
)
def test_a_stage_is_what_has_one_resolution_and_keras_alone_opens_the_network(name, resolutions, tmp_path):
    save_file(state_of(name), tmp_path / f"{name}.safetensors")
    model = build(tmp_path / f"{name}.safetensors", 64)
    assert [stage.resolution for stage in tfl.find_stages(model)] == resolutions
    assert {type(layer).__module__.split(".")[0] for layer in model.layers} == {"keras"}
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    pixels = images()[:, :64, :64]
    np.testing.assert_array_equal(np.asarray(again(pixels)), np.asarray(model(pixels)))


def test_stages_and_freezing_work(small):
    backbone = build(small, 64)
    stages = tfl.find_stages(backbone)
    assert [stage.resolution for stage in stages] == [32, 16, 8, 4, 2]
    assert backbone.output_shape == (None, 2, 2, get_backbone_spec(f"torch:{small}").num_features)


@pytest.mark.parametrize(
    ("name", "size", "scaled_by_half"),
    [
        ("efficientnet_b0_rwightman", 224, False),
        ("efficientnet_b7_lukemelas", 600, False),
        ("efficientnet_v2_s", 384, False),
        ("efficientnet_v2_l", 480, True),
        ("convnext_tiny", 224, False),
    ],
)
def test_sizes_and_scaling_of_torchvision_follow_from_the_name(name, size, scaled_by_half, tmp_path):
    file = tmp_path / f"{name}-0123abcd.safetensors"
    save_file(state_of(name), file)
    found = find_network(f"torch:{file}")
    assert (found.image_size, found.mean == (0.5, 0.5, 0.5)) == (size, scaled_by_half)


def test_networks_of_clip_have_its_scaling(tmp_path):
    file = tmp_path / "convnext_base.clip_laion2b_augreg.safetensors"
    save_file(state_of("convnext_nano"), file)
    assert find_network(f"torch:{file}").mean[0] == pytest.approx(0.4815, abs=1e-4)


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("convnext_nano_ols", {"stem.0.weight": (8, 3, 3, 3)}, "patches of 4 x 4"),
        ("convnext_atto_rms", {"stem.1.bias": None}, "whose arrays fit the network"),
        ("convnext_nano", {"stages.0.blocks.0.mlp.grn.weight": (32,)}, "belong to no layer"),
        ("convnext_xxlarge", {}, "must name the network"),
    ],
)
def test_a_convnext_of_another_kind_is_refused(file, change, message, tmp_path):
    state = state_of("convnext_nano")
    for name, shape in change.items():
        state.pop(name, None)
        if shape:
            state[name] = np.ones(shape, np.float32)
    save_file(state, tmp_path / f"{file}.safetensors")
    with pytest.raises(InputError, match=message):
        build(tmp_path / f"{file}.safetensors")


def without(state, *names):
    return {key: values for key, values in state.items() if key not in names}


FAULTS: dict[str, tuple[Any, str]] = {
    "no such file": (None, "which does not exist"),
    "another ending": (("weights.txt", b"x"), "with a file that ends with .safetensors, .pt"),
    "not safetensors": (("weights.safetensors", b"\x00" * 100), "must name a whole safetensors file"),
    "cut short": (("weights.safetensors", "half"), "must name a whole safetensors file"),
    "empty": ({}, "without arrays"),
    "another network": ({"a.weight": np.ones((2, 2), np.float32)}, "of a network that tfl builds, of the families"),
    "whole numbers": (lambda s: s | {"features.0.0.weight": np.ones((32, 3, 3, 3), np.int32)}, "has the type I32"),
    "NaN": (lambda s: s | {"features.0.0.weight": np.full((32, 3, 3, 3), np.nan, np.float32)}, "NaN or infinity in"),
    "one array less": (lambda s: without(s, "features.5.conv.1.0.weight"), "must name a file with features.5.conv"),
    "one array more": (lambda s: s | {"features.5.extra.weight": np.ones(3, np.float32)}, "belong to no layer"),
    "a wrong size": (lambda s: s | {"features.0.1.bias": np.ones(3, np.float32)}, "whose arrays fit the network"),
    "a wrong rank": (lambda s: s | {"features.0.0.weight": np.ones(3, np.float32)}, "an array of 4 dimensions"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_file_that_cannot_be_used_is_one_clear_line(fault, small, tmp_path):
    given, message = FAULTS[fault]
    file = tmp_path / "weights.safetensors"
    if callable(given):
        save_file(given(state_of("mobilenet_v2")), file)
    elif isinstance(given, dict):
        save_file(given, file)
    elif given is not None:
        file = tmp_path / given[0]
        whole = small.read_bytes()
        file.write_bytes(whole[: len(whole) // 2] if given[1] == "half" else given[1])
    with pytest.raises(InputError, match=message) as caught:
        build(file)
    assert "\n" not in str(caught.value)


def test_the_name_of_the_network_is_asked_for_where_nothing_says_it(tmp_path):
    file = tmp_path / "model.safetensors"
    save_file(state_of("efficientnet_lite0"), file)
    with pytest.raises(InputError, match=r"`backbone\.torch_name` must name the network"):
        find_network(f"torch:{file}")
    with pytest.raises(InputError, match="must name a network of the family of tf_efficientnet_lite0"):
        find_network(f"torch:resnet50@{file}")
    config = tfl.TransferConfig(backbone=tfl.BackboneConfig(name=f"torch:{file}", torch_name="tf_efficientnet_lite0"))
    name = config.validate().backbone.name
    assert name == f"torch:tf_efficientnet_lite0@{file}" and find_network(name).name == "tf_efficientnet_lite0"
    (tmp_path / "config.json").write_text(
        json.dumps({"architecture": "tf_efficientnet_lite0", "pretrained_cfg": {"mean": [0, 0, 0], "std": [1, 1, 1]}})
    )
    found = find_network(f"torch:{file}")
    assert (found.name, found.mean, found.std) == ("tf_efficientnet_lite0", (0, 0, 0), (1, 1, 1))


@pytest.mark.parametrize(
    "facts", [{"mean": 0.5}, {"std": [0, 1, 1]}, {"mean": ["a", 0, 0]}, {"input_size": [3, 224]}, {"std": None}]
)
def test_a_config_file_with_other_values_is_named(facts, small, tmp_path):
    file = tmp_path / "model.safetensors"
    file.write_bytes(small.read_bytes())
    (tmp_path / "config.json").write_text(json.dumps({"architecture": "mobilenet_v2", "pretrained_cfg": facts}))
    with pytest.raises(InputError, match=f"has three numbers as '{next(iter(facts))}'"):
        find_network(f"torch:{file}")


def test_a_wrapped_state_dict_is_the_same(small, tmp_path):
    wrapped = tmp_path / "mobilenet_v2.safetensors"
    save_file({f"module.{name}": values for name, values in state_of("mobilenet_v2").items()}, wrapped)
    for one, other in zip(build(wrapped).get_weights(), build(small).get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_ranking_takes_it_by_its_name(small):
    spec, alpha = parse_backbone(f"torch:{small}")
    assert (spec.name, alpha) == (f"torch:mobilenet_v2@{small}", 1.0)


def test_a_link_keeps_its_name(small, tmp_path):
    """The cache of a hub has links with names to files without."""
    blob = tmp_path / "blobs" / "0123abcd"
    blob.parent.mkdir()
    blob.write_bytes(small.read_bytes())
    (tmp_path / "mobilenet_v2.safetensors").symlink_to(blob)
    name = get_backbone_spec(f"torch:{tmp_path / 'mobilenet_v2.safetensors'}").name
    assert get_backbone_spec(name).name == name


@pytest.mark.parametrize(
    ("name", "half"),
    [
        ("tf_efficientnet_lite0", True),
        ("efficientnet_lite0", False),
        ("tf_efficientnet_b0.ap_in1k", True),
        ("efficientnet_b0.ra4_e3600_r224_in1k", True),
        ("efficientnet_b1_pruned.in1k", True),
        ("tf_efficientnet_b0.ns_jft_in1k", False),
    ],
)
def test_pixels_are_scaled_as_in_timm(name, half, tmp_path):
    file = tmp_path / f"{name}.safetensors"
    save_file({"conv_stem.weight": np.ones((8, 3, 3, 3), np.float32), **state_of_head()}, file)
    assert (find_network(f"torch:{file}").mean == (0.5, 0.5, 0.5)) is half


def state_of_head() -> dict[str, np.ndarray]:
    shapes = {"blocks.1.0.conv_pwl.weight": (8, 8, 1, 1), "conv_head.weight": (16, 8, 1, 1)}
    return {name: np.ones(shape, np.float32) for name, shape in shapes.items()}


DAMAGES = {
    "left out": lambda values: None,
    "a number": lambda values: np.ones((), np.float32),
    "empty": lambda values: np.ones((0, *values.shape[1:]), np.float32),
    "one axis less": lambda values: np.array(values[0]),
    "one row more": lambda values: np.concatenate([values, values[:1]]),
    "one axis more": lambda values: values[None],
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["convnext_tiny", "efficientnet_v2_s"])
def test_an_array_that_is_damaged_is_one_clear_line(name, damage, tmp_path):
    whole = state_of(name)
    body = sorted(key for key in whole if not key.startswith("classifier"))
    for key in np.random.default_rng(len(damage)).choice(body, 3, replace=False):
        values = DAMAGES[damage](whole[key])
        state = whole | {key: values} if values is not None else without(whole, key)
        save_file(state, tmp_path / f"{name}.safetensors")
        with pytest.raises(InputError, match="Received") as caught:
            build(tmp_path / f"{name}.safetensors")
        assert "\n" not in str(caught.value), key


def test_a_resnet_of_another_kind_is_not_built_as_a_plain_one(tmp_path):
    state = state_of("resnet18")
    save_file(state, tmp_path / "resnetaa18.safetensors")
    with pytest.raises(InputError, match=r"`backbone\.torch_name` must name the network"):
        build(tmp_path / "resnetaa18.safetensors")
    save_file(state | {"conv1.weight": np.ones((64, 3, 3, 3), np.float32)}, tmp_path / "resnet18.safetensors")
    with pytest.raises(InputError, match="whose conv1 is 7 x 7"):
        build(tmp_path / "resnet18.safetensors")
