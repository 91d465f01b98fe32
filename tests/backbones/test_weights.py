import json
import shutil
import subprocess
import sys
import urllib.request

import h5py
import keras
import numpy as np
import pytest
from keras.src.utils import file_utils

from tfl.backbones.catalog import get_backbone_spec
from tfl.backbones.stages import backbone_layers
from tfl.backbones.weights import build_backbone, weights_fingerprint
from tfl.errors import InputError

RISKY = ["ConvNeXtTiny", "MobileNetV3Small", "VGG16"]  # own layers, functional activations, stacked channels
LOAD = """
import sys, numpy as np, keras
for name in sys.argv[2:]:
    model = keras.saving.load_model(f"{sys.argv[1]}/{name}.keras")
    inputs = np.load(f"{sys.argv[1]}/{name}.npz")
    print(name, np.abs(model(inputs["images"], training=False).numpy() - inputs["logits"]).max())
assert not any(name.split(".")[0] == "tfl" for name in sys.modules)
"""


def random_images(image: keras.KerasTensor, count: int = 2) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, *image.shape[1:]), dtype=np.uint8)


def first_layer_input(model: keras.Model):
    return next(layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)).input


def randomize(model: keras.Model) -> None:
    """Give every weight another value than it starts with, and keep the activations of a sane size."""
    generator = np.random.default_rng(1)
    for weight in model.weights:
        if weight.dtype == "float32":
            weight.assign(
                keras.ops.convert_to_numpy(weight) + generator.uniform(0, 0.1, weight.shape) / max(weight.shape[-2:])
            )


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_preprocessing_inside_equals_that_of_the_family(family, dtype, built):
    model = built(family)
    images = random_images(model.input).astype(dtype)
    pixels = keras.Model(model.input, first_layer_input(model))(images)
    expected = get_backbone_spec(family).preprocess(images.astype("float32"))
    np.testing.assert_allclose(pixels, expected, atol=1e-4)


def test_the_graph_is_flat_and_plain(family, built):
    model = built(family)
    assert type(model).__name__ == "Functional" and model.input.shape[-1] == 3 and len(model.output.shape) == 4
    assert not any(hasattr(layer, "layers") or isinstance(layer, keras.layers.Lambda) for layer in model.layers)
    assert all(layer.output._keras_history.operation is layer for layer in model.layers)
    keras.Model(model.input, [layer.output for layer in model.layers])  # raises where a layer is of another graph


def test_layer_names_do_not_depend_on_what_was_built_before(built):
    names = [layer.name for layer in built("InceptionV3").layers]
    again = build_backbone("InceptionV3", image_size=75, weights="none")
    assert [layer.name for layer in again.layers] == names and "conv2d" in names
    keras.Model(again.input, keras.layers.Conv2D(1, 1)(again.output))  # a new unnamed layer gets a name of its own


@pytest.mark.parametrize("name, alpha", [("MobileNetV2", 0.35), ("MobileNet", 0.25)])
def test_features_of_real_weights_are_those_of_keras_by_hand(name, alpha, keras_home, shared):
    model = build_backbone(name, alpha=alpha)
    photos = sorted((shared / "data" / "hymenoptera" / "val" / "bees").glob("*.jpg"))[:2]
    images = np.stack([keras.utils.img_to_array(keras.utils.load_img(path, target_size=(224, 224))) for path in photos])
    spec = get_backbone_spec(name)
    file = next(keras_home.rglob("mobilenet_v2*_0.35_*" if name == "MobileNetV2" else "mobilenet_2_5*no_top.h5"))
    by_hand = spec.build(input_shape=(224, 224, 3), alpha=alpha, include_top=False, weights=str(file))
    expected = by_hand.predict(spec.preprocess(images.copy()), verbose=0)
    np.testing.assert_allclose(model.predict(images, verbose=0), expected, atol=1e-4)
    assert expected.std() > 0.1


def test_a_file_by_its_path_gives_the_same_weights(keras_home, shared):
    published = weights_fingerprint(build_backbone("MobileNetV2", alpha=0.35))
    folder = shared / "weights" / "mobilenet_v2_0.35_224_no_top"
    by_path = [*folder.glob("*.weights.h5"), *(keras_home / "models").glob("mobilenet_v2*_0.35_*.h5")]
    models = [build_backbone("MobileNetV2", alpha=0.35, image_size=96, weights=str(path)) for path in by_path]
    assert len(models) == 2 and [weights_fingerprint(model) for model in models] == [published] * 2
    random = build_backbone("MobileNetV2", alpha=0.35, image_size=96, weights="none")
    assert weights_fingerprint(random) != published


def test_efficientnet_by_path_gives_what_imagenet_would(tmp_path, monkeypatch):
    def features(model):  # low ones: random weights let little through to the top
        return keras.Model(model.input, model.get_layer("block1a_project_bn").output).predict(images, verbose=0)

    plain = keras.applications.EfficientNetB0(include_top=False, weights=None, input_shape=(64, 64, 3))
    randomize(plain)
    images, path = random_images(plain.inputs[0]), str(tmp_path / "published.weights.h5")
    plain.save_weights(path)
    monkeypatch.setattr(file_utils, "get_file", lambda *_, **__: path)
    keras_own = keras.applications.EfficientNetB0(include_top=False, weights="imagenet", input_shape=(64, 64, 3))
    expected = features(keras_own)
    model = build_backbone("EfficientNetB0", image_size=64, weights=path)
    np.testing.assert_allclose(features(model), expected, rtol=1e-4, atol=1e-4)
    assert np.abs(features(plain) - expected).max() > 0.1  # the trap is there
    model.save(tmp_path / "model.keras")
    again = build_backbone("EfficientNetB0", image_size=64, weights=str(tmp_path / "model.keras"))
    np.testing.assert_allclose(features(again), expected, rtol=1e-4, atol=1e-4)


def test_convnext_reads_what_keras_saved_and_what_tfl_saved(tmp_path, built):
    nested = keras.applications.ConvNeXtTiny(include_top=False, weights=None, input_shape=(64, 64, 3))
    randomize(nested)
    nested.save_weights(tmp_path / "keras.weights.h5")
    model = build_backbone("ConvNeXtTiny", image_size=64, weights=str(tmp_path / "keras.weights.h5"))
    images = random_images(model.input)
    np.testing.assert_allclose(model.predict(images, verbose=0), nested.predict(images, verbose=0), atol=1e-4)
    model.save_weights(tmp_path / "flat.weights.h5")
    again = build_backbone("ConvNeXtTiny", image_size=64, weights=str(tmp_path / "flat.weights.h5"))
    assert weights_fingerprint(again) == weights_fingerprint(model)


@pytest.fixture
def workdir(tmp_path, add_head):
    """The part of a finished run that matters here."""
    keras.utils.set_random_seed(3)
    backbone = build_backbone("MobileNetV2", alpha=0.35, image_size=64, weights="none")
    add_head(backbone).save(tmp_path / "model.keras")
    (tmp_path / "config.json").write_text(json.dumps({"backbone": {"name": "mobilenetv2", "alpha": 0.35}}))
    (tmp_path / "metrics.json").write_text("{}")  # written last: the run is finished
    return tmp_path, weights_fingerprint(backbone)


def test_a_workdir_or_its_model_gives_its_backbone_at_any_size(workdir):
    folder, fingerprint = workdir
    for weights in (folder, folder / "model.keras"):
        model = build_backbone("MobileNetV2", alpha=0.35, image_size=96, weights=str(weights))
        assert weights_fingerprint(model) == fingerprint and model.input.shape == (None, 96, 96, 3)


def test_weights_of_another_network_are_refused_in_one_line(workdir, tmp_path, keras_home):
    folder, _ = workdir
    file = next((keras_home / "models").glob("mobilenet_2_5*_no_top.h5"))
    garbage = tmp_path / "garbage.h5"
    garbage.write_bytes(b"no weights")
    (tmp_path / "empty").mkdir()
    for name, weights, expected in [
        ("ResNet50", folder, "has mobilenetv2 with alpha 0.35.*backbone.name='ResNet50'"),
        ("MobileNetV2", folder, "alpha 0.35.*backbone.alpha=1"),
        ("MobileNetV2", folder / "model.keras", r"\(3, 3, 3, 16\) in the file and \(3, 3, 3, 32\) in this network"),
        ("MobileNetV2", file, "must hold weights that fit MobileNetV2"),
        ("MobileNetV2", garbage, "must hold weights that fit MobileNetV2"),
        ("MobileNetV2", folder / "config.json", "a weights file"),
        ("MobileNetV2", "imagnet", "'imagenet'.*'imagnet', which does not exist"),
        ("MobileNetV2", tmp_path / "empty", "no model.keras"),
    ]:
        with pytest.raises(InputError, match=expected) as raised:
            build_backbone(name, image_size=64, weights=str(weights))
        assert "\n" not in str(raised.value) and "`backbone.weights`" in str(raised.value)


@pytest.mark.parametrize(
    "options, expected",
    [
        ({"name": "InceptionV3", "image_size": 74}, r"`data\.image_size` must be at least 75.*data\.image_size=74"),
        ({"name": "ResNet50", "alpha": 0.5}, r"`backbone\.alpha` must be 1 for ResNet50"),
        ({"name": "MobileNetV2", "alpha": 0.3}, r"one of 0\.35, 0\.5, 0\.75, 1, 1\.3, 1\.4 .*backbone\.alpha=0\.3"),
        ({"name": "MobileNetV4"}, "Did you mean 'MobileNetV2'"),
        ({"name": "MobileNet", "alpha": 0.01, "weights": "none"}, "backbone.alpha=0.01"),
    ],
)
def test_options_that_a_network_does_not_admit_are_refused(options, expected):
    with pytest.raises(InputError, match=expected) as raised:
        build_backbone(**options)
    assert "\n" not in str(raised.value)


def test_a_random_start_follows_the_seed():
    fingerprints = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(seed)
        model = build_backbone("MobileNetV2", alpha=0.35, image_size=32, weights="none")
        fingerprints.append(weights_fingerprint(model))
    assert fingerprints[0] == fingerprints[1] != fingerprints[2]


def test_the_fingerprint_sees_one_changed_bit():
    model = build_backbone("MobileNet", alpha=0.25, image_size=32, weights="none")
    before = weights_fingerprint(model)
    moving_variance = model.weights[-1]
    value = keras.ops.convert_to_numpy(moving_variance).copy()
    moving_variance.assign(np.nextafter(value, 2, dtype="float32"))
    changed = weights_fingerprint(model)
    moving_variance.assign(value)
    assert changed != before == weights_fingerprint(model)


def check_fresh_process(names: list[str], folder, built, add_head) -> None:
    for name in names:
        model = add_head(built(name))
        images = random_images(model.input)
        model.save(folder / f"{name}.keras")
        np.savez(folder / f"{name}.npz", images=images, logits=model(images, training=False).numpy())
    command = [sys.executable, "-c", LOAD, str(folder), *names]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr[-2000:]
    differences = dict(line.split() for line in done.stdout.splitlines())
    assert list(differences) == names and all(float(difference) <= 1e-5 for difference in differences.values())


def test_a_saved_classifier_needs_only_keras(tmp_path, built, add_head):
    check_fresh_process(RISKY, tmp_path, built, add_head)


@pytest.mark.slow
def test_a_saved_classifier_of_every_other_family_needs_only_keras(tmp_path, built, add_head, families):
    check_fresh_process([name for name in families if name not in RISKY], tmp_path, built, add_head)


# Keras' own files --------------------------------------------------------------------------------------------


@pytest.fixture
def asked_of_keras(monkeypatch):
    """What Keras itself asks its `get_file` for: (file name, address), hash."""

    def ask(name: str, **options):
        requests = []

        def record(fname, origin, cache_subdir, file_hash=None):
            requests.append((fname, origin, file_hash))
            raise KeyboardInterrupt

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(file_utils, "get_file", record)
            get_backbone_spec(name).build(include_top=False, weights="imagenet", **options)
        return requests[0]

    return ask


@pytest.fixture
def offline(monkeypatch, tmp_path):
    def refuse(address, timeout):
        raise urllib.error.URLError(f"no route after {timeout} s")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras_home"))
    return tmp_path / "keras_home" / "models"


@pytest.mark.parametrize("name", ["VGG16", "MobileNetV3Small"])
def test_offline_one_line_names_file_address_and_folder(name, offline, asked_of_keras):
    fname, origin, _ = asked_of_keras(name)
    with pytest.raises(InputError, match="no route after 10 s") as raised:
        build_backbone(name)
    assert f"Download {origin} and put it as {fname} into {offline}." in str(raised.value) and "\n" not in str(
        raised.value
    )
    assert not list(offline.iterdir())


def test_offline_the_line_names_the_size_and_width_that_need_the_file(offline, asked_of_keras):
    fname, origin, _ = asked_of_keras("MobileNetV2", alpha=0.35, input_shape=(96, 96, 3))
    assert "_0.35_96_" in fname
    with pytest.raises(InputError) as raised:
        build_backbone("MobileNetV2", alpha=0.35, image_size=96)
    line = str(raised.value)
    assert f"Download {origin} and put it as {fname} into {offline}. It is the file for" in line and "\n" not in line
    assert "backbone.alpha=0.35 and data.image_size=96; another width or size may need another file." in line


def test_a_damaged_file_is_never_used(offline, asked_of_keras):
    fname, _, file_hash = asked_of_keras("VGG16")
    offline.mkdir(parents=True)
    (offline / fname).write_bytes(b"cut short")
    assert file_hash
    with pytest.raises(InputError, match=f"the file at .*{fname} is damaged"):
        build_backbone("VGG16")


def test_a_file_cut_short_is_seen_without_a_hash_too(offline, keras_home):
    whole = next((keras_home / "models").glob("mobilenet_2_5*_no_top.h5"))
    offline.mkdir(parents=True)
    (offline / whole.name).write_bytes(whole.read_bytes()[:-1000])
    with pytest.raises(InputError, match="damaged"):
        build_backbone("MobileNet", alpha=0.25)


def test_a_file_is_fetched_once_and_checked(monkeypatch, tmp_path, keras_home):
    from tfl.backbones.published import fetch

    whole = shutil.copy(next((keras_home / "models").glob("mobilenet_2_5*_no_top.h5")), tmp_path)
    origin, file_hash = f"file://{whole}", file_utils.hash_file(whole)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    path = fetch("weights.h5", origin, file_hash=file_hash)
    assert path == str(tmp_path / "home" / "models" / "weights.h5") and file_utils.hash_file(path) == file_hash
    monkeypatch.setattr(urllib.request, "urlopen", None)  # what is there is not fetched again
    assert fetch("weights.h5", origin, file_hash=file_hash) == path == fetch("weights.h5", origin)
    monkeypatch.undo()
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    with pytest.raises(InputError, match="does not have the published hash"):
        fetch("other.h5", origin, file_hash="0" * 64)
    with h5py.File(path, "a") as file:
        file.attrs["changed"] = 1
    fetch("weights.h5", origin, file_hash=file_hash)  # damaged on disk: fetched anew
    assert file_utils.hash_file(path) == file_hash
    assert [file.name for file in (tmp_path / "home" / "models").iterdir()] == ["weights.h5"]


def test_a_cache_that_cannot_be_written_is_named(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "file"))
    with pytest.raises(InputError, match=f"into {tmp_path / 'file'}/models"):
        build_backbone("MobileNetV2")


@pytest.mark.parametrize("name", ["ConvNeXtTiny", "ResNet50V2"])
def test_keras_reads_its_file_through_the_check(name, monkeypatch, tmp_path):
    """The file that Keras asks for is loaded by Keras itself, and the graph comes out the same."""
    from tfl.backbones import published

    spec = get_backbone_spec(name)
    plain = spec.build(include_top=False, weights=None, input_shape=(64, 64, 3))
    randomize(plain)
    plain.save_weights(tmp_path / "published.weights.h5")
    monkeypatch.setattr(published, "fetch", lambda *_, **__: str(tmp_path / "published.weights.h5"))
    model = build_backbone(name, image_size=64)
    weights = [weight for layer in backbone_layers(model) for weight in layer.weights]
    assert sum(float(keras.ops.sum(w)) for w in weights) == pytest.approx(
        sum(float(keras.ops.sum(w)) for w in plain.weights), rel=1e-5
    )
    assert file_utils.get_file is not published.fetch
