"""Bad data are reported before any file of weights is asked for, whatever the entry point."""

import dataclasses
import time

import keras
import numpy as np
import pytest

import tfl
from tfl.backbones import weights
from tfl.errors import InputError

IMAGES = np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3), np.uint8)


class FetchedError(Exception):
    """A file of weights was asked for."""


@pytest.fixture
def no_weights(monkeypatch):
    def build(spec, image_size, alpha, published):
        if published:
            raise FetchedError
        return without_weights(spec, image_size, alpha, published)

    without_weights = weights._build
    monkeypatch.setattr(weights, "_build", build)


def config(source="digits:0-2", **sections):
    return dataclasses.replace(tfl.TransferConfig(data=tfl.DataConfig(source=source)), **sections)


@pytest.fixture
def folders(tmp_path):
    """Folders that cannot be used: empty, with one class, with damaged files alone."""
    for name in ("empty", "one/ants", "damaged/ants", "damaged/bees"):
        (tmp_path / name).mkdir(parents=True)
    photo = keras.utils.array_to_img(IMAGES[0])
    photo.save(tmp_path / "one" / "ants" / "1.png")
    for name in ("ants", "bees"):
        (tmp_path / "damaged" / name / "1.jpg").write_bytes(b"no photo")
    return tmp_path


SOURCES = ("empty", "one", "damaged", "missing")


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("entry", ["transfer", "features", "pretraining", "study"])
def test_a_source_that_cannot_be_used_costs_no_download(folders, no_weights, entry, name):
    bad, output = f"folder:{folders / name}", folders / "out"
    calls = {
        "transfer": lambda: tfl.transfer(config(bad), output),
        "features": lambda: tfl.extract_features(config(bad), output),
        "pretraining": lambda: tfl.transfer(config(pretrain=tfl.PretrainConfig(source=bad)), output),
        "study": lambda: tfl.run_study(config(bad), output, seeds=2),
    }
    with pytest.raises(InputError):
        calls[entry]()


def test_labels_that_cannot_be_used_cost_no_download(tmp_path, no_weights):
    labels = np.linspace(0, 1, 12, dtype=np.float32)
    with pytest.raises(InputError, match=r"`task\.name` must fit the labels"):
        tfl.transfer(config(), tmp_path, data=(IMAGES, labels))
    for estimator, wrong in ((tfl.TransferClassifier(), np.zeros(12)), (tfl.TransferRegressor(), labels * np.nan)):
        with pytest.raises((InputError, ValueError)):
            estimator.fit(IMAGES, wrong)


def test_a_misspelt_layer_is_reported_before_a_long_look_at_the_data(tmp_path, no_weights, monkeypatch):
    monkeypatch.setattr("tfl.recipe.transfer.load_splits", time.sleep)  # would fail in another way
    with pytest.raises(InputError, match=r"`finetune\.unfreeze`"):
        tfl.transfer(config(finetune=tfl.FinetuneConfig(epochs=1, unfreeze="blok_13")), tmp_path)


def test_good_data_ask_for_the_weights(tmp_path, no_weights):
    with pytest.raises(FetchedError):
        tfl.transfer(config(), tmp_path / "run")
    assert not (tmp_path / "run" / "config.json").exists()
    with pytest.raises(FetchedError):
        tfl.extract_features(config(), tmp_path / "features")
    with pytest.raises(FetchedError):
        tfl.TransferClassifier().fit(IMAGES, np.arange(12) % 2)
