"""Heads against NumPy, a classifier's halves against the whole, and what a saved file carries."""

import copy
import dataclasses
import pickle
import subprocess
import sys
import zipfile

import joblib
import keras
import numpy as np
import pytest

import tfl
from tfl.errors import InputError
from tfl.models.classifier import logits_layer, read_model_metadata, split_at_features
from tfl.models.heads import pool
from tfl.tasks import get_task

METADATA = tfl.Metadata("MobileNetV2", 0.35, 32, "multiclass", ("a", "b", "ç"))


@pytest.fixture(scope="module")
def backbone():
    keras.utils.set_random_seed(0)
    return tfl.build_backbone("MobileNetV2", image_size=32, alpha=0.35, weights="none")


def images(count=4, size=32, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3)).astype(np.uint8)


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ("avg", lambda x: x.mean(axis=(1, 2))),
        ("max", lambda x: x.max(axis=(1, 2))),
        ("gem", lambda x: np.mean(np.maximum(x, 1e-6) ** 3, axis=(1, 2)) ** (1 / 3)),
    ],
)
def test_pooling_equals_numpy(pooling, expected):
    entrance = keras.Input((5, 4, 7))
    model = keras.Model(entrance, pool(entrance, pooling))
    x = np.random.default_rng(0).normal(size=(3, 5, 4, 7)).astype(np.float32)
    np.testing.assert_allclose(model(x), expected(x.astype(np.float64)), rtol=1e-5, atol=1e-6)


def test_an_unknown_pooling_is_refused():
    with pytest.raises(InputError, match=r"`head.pooling` must be a known name. Received: 'agv'. Did you mean 'avg'"):
        pool(keras.Input((5, 4, 7)), "agv")


@pytest.mark.parametrize("pooling", ["avg", "max", "gem"])
@pytest.mark.parametrize("hidden_units", [(), (8,), (8, 6)])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_the_two_halves_are_the_whole(backbone, pooling, hidden_units, dropout):
    model = tfl.build_classifier(backbone, tfl.HeadSpec(3, pooling, hidden_units, dropout))
    extractor, head = split_at_features(model)
    whole = model(images(), training=False)
    np.testing.assert_allclose(head(extractor(images(), training=False), training=False), whole, atol=1e-5)
    assert whole.shape == (4, 3)
    names = [layer.name for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    assert len(names) == ((len(hidden_units) + 1) if dropout else 0)


def test_the_model_is_flat_and_takes_pixels_of_both_kinds(backbone):
    model = tfl.build_classifier(backbone, tfl.HeadSpec(3))
    assert not [layer for layer in model.layers if isinstance(layer, keras.Model)]
    np.testing.assert_allclose(model(images()), model(images().astype(np.float32)), atol=1e-6)


@pytest.mark.parametrize(
    ("target", "num_classes", "expected"),
    [("multiclass", 5, 5), ("binary", 2, 1), ("multilabel", 5, 5), ("regression", 1, 1)],
)
def test_number_of_logits_by_target(target, num_classes, expected):
    assert get_task(target).num_outputs(num_classes) == expected


def test_binary_needs_two_classes():
    with pytest.raises(InputError, match=r"`task.name` must be 'multiclass' for 3 classes"):
        get_task("binary").num_outputs(3)


@pytest.mark.parametrize("pooling", ["avg", "gem"])
def test_a_saved_model_gives_the_same_logits_without_tfl(backbone, tmp_path, pooling):
    model = tfl.build_classifier(backbone, tfl.HeadSpec(3, pooling, (8,), 0.2), METADATA)
    tfl.regularize(model, head_l2=0.1, l2_sp=0.1)
    tfl.save_model(model, tmp_path / "model.keras")
    np.save(tmp_path / "x.npy", images())
    code = (
        "import sys, numpy as np, keras\n"
        f"model = keras.saving.load_model({str(tmp_path / 'model.keras')!r})\n"
        f"np.save({str(tmp_path / 'y.npy')!r}, model(np.load({str(tmp_path / 'x.npy')!r})))\n"
        "assert not [name for name in sys.modules if name.split('.')[0] == 'tfl']\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), model(images()), atol=1e-5)


def test_a_saved_model_has_no_optimizer_and_plain_keras_trains_it_again(backbone, tmp_path, recwarn):
    model = tfl.build_classifier(backbone, tfl.HeadSpec(3), METADATA)
    tfl.save_model(model, tmp_path / "untrained.keras")
    tfl.compile(model, "adam")
    tfl.fit(model, images(), np.array([0, 1, 2, 0]), epochs=1, verbose=False)
    tfl.save_model(model, tmp_path / "trained.keras")
    model.save(tmp_path / "with_optimizer.keras")
    sizes = [(tmp_path / f"{name}.keras").stat().st_size for name in ("untrained", "trained", "with_optimizer")]
    assert sizes[1] == pytest.approx(sizes[0], rel=0.01) and sizes[2] > 2 * sizes[1]
    assert model.compiled and int(model.optimizer.iterations.numpy()) == 1  # the model itself trains on
    recwarn.clear()
    loaded = keras.models.load_model(tmp_path / "trained.keras")
    assert not recwarn.list and not loaded.compiled
    np.testing.assert_array_equal(loaded.predict(images(), verbose=0), model.predict(images(), verbose=0))
    loaded.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    assert np.isfinite(loaded.fit(images(), np.array([0, 1, 2, 0]), verbose=0).history["loss"]).all()
    assert tfl.load_model(tmp_path / "trained.keras").metadata == METADATA


def test_class_names_travel_inside_the_file(backbone, tmp_path):
    model = tfl.build_classifier(backbone, tfl.HeadSpec(3), METADATA)
    tfl.save_model(model, tmp_path / "model.keras")
    assert read_model_metadata(tmp_path / "model.keras") == METADATA
    loaded = tfl.load_model(tmp_path / "model.keras")
    assert loaded.metadata.class_names == ("a", "b", "ç")
    np.testing.assert_array_equal(loaded(images()), model(images()))
    np.testing.assert_array_equal(logits_layer(loaded).kernel, logits_layer(model).kernel)
    assert tfl.load_model(tmp_path).metadata == METADATA  # a folder that holds model.keras


def through_keras(model, folder):
    model.save(folder / "copy.keras")
    return tfl.load_model(folder / "copy.keras")


def through_joblib(model, folder):
    joblib.dump(model, folder / "copy.joblib")
    return joblib.load(folder / "copy.joblib")


COPIES = {
    "deepcopy": lambda model, _: copy.deepcopy(model),
    "copy": lambda model, _: copy.copy(model),
    "pickle": lambda model, _: pickle.loads(pickle.dumps(model)),
    "joblib": through_joblib,
    "model.save": through_keras,
    "clone_model": lambda model, _: keras.models.clone_model(model),
    "from_config": lambda model, _: type(model).from_config(model.get_config()),
}


@pytest.mark.parametrize("way", list(COPIES))
def test_every_copy_of_a_model_says_what_its_outputs_are(backbone, tmp_path, way):
    model = tfl.build_classifier(backbone, tfl.HeadSpec(3), METADATA)
    model.metadata = dataclasses.replace(METADATA, temperature=1.7)  # as a run does once it is fitted
    copied = COPIES[way](model, tmp_path)
    assert copied.metadata == model.metadata
    assert COPIES[way](copied, tmp_path).metadata == model.metadata  # and a copy's copy
    assert copied.get_weights()[0] is not model.get_weights()[0]
    if way not in ("clone_model", "from_config"):  # which begin with new weights
        np.testing.assert_array_equal(copied(images(), training=False), model(images(), training=False))


def test_a_copy_of_a_compiled_model_trains_on(backbone):
    model = tfl.build_classifier(backbone, tfl.HeadSpec(3), METADATA)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    copied = pickle.loads(pickle.dumps(model))
    copied.fit(images(), np.array([0, 1, 2, 0]), verbose=0)
    assert keras.models.clone_model(model).compiled
    assert model.name == copied.name == "classifier"


def test_what_model_save_wrote_loads_in_plain_keras_as_an_ordinary_model(backbone, tmp_path):
    model = tfl.build_classifier(backbone, tfl.HeadSpec(3), METADATA)
    model.save(tmp_path / "model.keras")
    plain = keras.saving.load_model(tmp_path / "model.keras")
    assert type(plain) is type(keras.Model(model.input, model.output))
    np.testing.assert_array_equal(plain(images(), training=False), model(images(), training=False))


def test_a_file_of_plain_keras_loads_without_metadata(backbone, tmp_path):
    tfl.build_classifier(backbone, tfl.HeadSpec(3)).save(tmp_path / "plain.keras")
    assert tfl.load_model(tmp_path / "plain.keras").metadata is None


def test_a_lambda_in_a_foreign_file_is_not_run(tmp_path):
    entrance = keras.Input((4,))
    keras.Model(entrance, keras.layers.Lambda(lambda x: x + 1)(entrance)).save(tmp_path / "evil.keras")
    with pytest.raises(InputError, match=r"without Python code\. Received: '.*', which has a `Lambda` layer\.$"):
        tfl.load_model(tmp_path / "evil.keras")


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 cut short"])
def test_a_broken_file_is_one_line(tmp_path, content):
    (tmp_path / "model.keras").write_bytes(content)
    with pytest.raises(InputError, match=r"must be a \.keras file"):
        tfl.load_model(tmp_path)
    with pytest.raises(InputError, match=r"must be a finished workdir or a \.keras file"):
        tfl.load_model(tmp_path / "absent")


def test_a_failed_save_keeps_the_old_file(backbone, tmp_path, monkeypatch):
    model = tfl.build_classifier(backbone, tfl.HeadSpec(3), METADATA)
    tfl.save_model(model, tmp_path / "model.keras")
    before = (tmp_path / "model.keras").read_bytes()

    def full(self, *args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "writestr", full)
    with pytest.raises(InputError, match="`workdir` must be on a disk with free space"):
        tfl.save_model(model, tmp_path / "model.keras")
    assert (tmp_path / "model.keras").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["model.keras"]


def conv_layers():
    return [keras.layers.Conv2D(4, 3, strides=2, activation="relu"), keras.layers.Conv2D(4, 3, strides=2)]


def functional(*more):
    image = tensor = keras.Input((16, 16, 3))
    for layer in (*conv_layers(), *more):
        tensor = layer(tensor)
    return keras.Model(image, tensor, name="mine")


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.conv = keras.layers.Conv2D(4, 3)

    def call(self, image):
        return self.conv(image)


def test_a_sequential_backbone_is_as_good_as_a_functional_one():
    backbone = keras.Sequential([keras.Input((16, 16, 3)), *conv_layers()])
    model = tfl.build_classifier(backbone, tfl.HeadSpec(num_outputs=3))
    lower, upper = split_at_features(model)
    images = np.random.default_rng(0).uniform(0, 255, (2, 16, 16, 3)).astype(np.float32)
    pooled = np.asarray(backbone(images)).mean(axis=(1, 2))
    np.testing.assert_allclose(lower(images), pooled, rtol=1e-5)
    np.testing.assert_allclose(model(images), upper(lower(images)), rtol=1e-5)


@pytest.mark.parametrize(
    "make, received",
    [
        (lambda: functional(keras.layers.GlobalAveragePooling2D()), r"outputs of shape \(None, 4\)"),
        (lambda: keras.Sequential(conv_layers()), "Keras does not know yet.*keras.Input"),
        (lambda: keras.Sequential([keras.Input((16, 16, 3)), functional()]), r"'mine' nested.*get_layer\('mine'\)"),
        (lambda: 3, "int"),
        (Subclassed, "Subclassed.*a functional model"),
    ],
)
def test_backbones_that_cannot_be_looked_into_are_refused(make, received):
    with pytest.raises(InputError, match="`backbone` must be a flat functional or Sequential.*" + received):
        tfl.build_classifier(make(), tfl.HeadSpec(num_outputs=3))


def test_a_backbone_of_two_outputs_is_refused():
    one = functional()
    with pytest.raises(InputError, match=r"`backbone` must be a flat.*outputs of shape"):
        tfl.build_classifier(keras.Model(one.input, [one.output, one.layers[1].output]), tfl.HeadSpec(num_outputs=3))
