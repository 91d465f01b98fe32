"""What a model file says of itself is read whatever version of tfl wrote it."""

import json
import zipfile

import keras
import numpy as np
import pytest
from finished_run import edit_archive

import tfl
from tfl.errors import InputError
from tfl.export import load_artefact
from tfl.export.saved_model import write_saved_model
from tfl.models.classifier import read_model_metadata
from tfl.models.metadata import VERSION

METADATA = tfl.Metadata("MobileNetV2", 1.0, 8, "multiclass", ("a", "b", "ç"), temperature=1.5, bit_depth=16)
SAID = json.loads(json.dumps(METADATA.to_dict()))
VERSIONS = {
    "older, without version and bit_depth": {k: SAID[k] for k in SAID.keys() - {"version", "bit_depth"}},
    "this": SAID,
    "newer": SAID | {"version": VERSION + 1, "made by": {"a": ["newer tfl"]}},
    "much newer": SAID | {"version": 10**9, "colour": None},
}


@pytest.fixture
def model():
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3))
    return tfl.build_classifier(keras.Model(image, keras.layers.Conv2D(4, 3)(image)), tfl.HeadSpec(3), METADATA)


def say(file, values):
    """Let a `.keras` file say something else of itself, in both of its places."""

    def change(text):
        config = json.loads(text)
        assert config["config"]["tfl"] == SAID
        config["config"]["tfl"] = values
        return json.dumps(config)

    edit_archive(file, "tfl.json", lambda _: json.dumps(values))
    edit_archive(file, "config.json", change)


def written_in(file):
    with zipfile.ZipFile(file) as archive:
        return json.loads(archive.read("tfl.json")), json.loads(archive.read("config.json"))["config"]["tfl"]


def test_a_file_says_its_version_in_both_places(model, tmp_path):
    tfl.save_model(model, tmp_path / "model.keras")
    assert VERSION == 1
    assert written_in(tmp_path / "model.keras") == (SAID, SAID)
    assert SAID["version"] == 1


@pytest.mark.parametrize("version", VERSIONS)
def test_a_model_of_any_version_opens(model, tmp_path, capsys, version):
    file, images = tmp_path / "model.keras", np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), np.uint8)
    tfl.save_model(model, file)
    say(file, VERSIONS[version])
    loaded = tfl.load_model(file)
    assert loaded.metadata == read_model_metadata(file) == METADATA
    np.testing.assert_array_equal(loaded(images), model(images))
    assert capsys.readouterr().err == ""
    tfl.save_model(loaded, file)  # in the version of who wrote it last
    assert written_in(file) == (SAID, SAID)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_saved_model_of_any_version_opens(model, tmp_path, version):
    write_saved_model(model, METADATA, tmp_path / "saved_model")
    file = tmp_path / "saved_model" / "assets" / "tfl.json"
    assert json.loads(file.read_text()) == SAID
    file.write_text(json.dumps(VERSIONS[version]))
    assert load_artefact(tmp_path / "saved_model").metadata == METADATA


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        (
            {"temperatur": 2.0},
            r"`metadata` must have the entries .*Received: 'temperatur'\.",
        ),  # else its value would be lost
        ({"version": 0, "temperatur": 2.0}, r"`metadata` must have the entries .*Received: 'temperatur'\."),
        ({"version": "2"}, "`version` of the metadata must be a whole number"),
        ({"version": 2.0}, "`version` of the metadata must be a whole number"),
        ({"version": True}, "`version` of the metadata must be a whole number"),
        ({"version": -1}, "`version` of the metadata must be a whole number"),
        ({"version": 2, "temperature": 0}, "`temperature` must be"),
    ],
)
def test_what_no_version_has_is_refused(model, tmp_path, changes, rule):
    file = tmp_path / "model.keras"
    tfl.save_model(model, file)
    say(file, SAID | changes)
    for read in (tfl.load_model, read_model_metadata):
        with pytest.raises(InputError, match=rule):
            read(file)


@pytest.mark.parametrize("name", ["backbone", "alpha", "image_size", "target", "class_names"])
def test_what_every_version_has_must_be_there(name):
    for values in VERSIONS.values():
        with pytest.raises(InputError, match=f"`metadata` must have the entries .* Received: no '{name}'"):
            tfl.Metadata.from_dict({key: value for key, value in values.items() if key != name})
