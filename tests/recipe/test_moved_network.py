"""A finished run knows its network by content: the folder of the network may move, or be gone."""

import dataclasses
import json
import shutil

import pytest
from texts import TINY, text_config, write_table

import tfl
from tfl.checks import check_config
from tfl.config import with_options
from tfl.errors import InputError
from tfl.report import remake_report


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a finished run, whose network has moved from `old` to `new`."""
    folder = tmp_path_factory.mktemp("moved")
    shutil.copytree(TINY, folder / "old")
    tfl.transfer(config_of(folder, "old"), folder / "run")
    shutil.move(folder / "old", folder / "new")
    return folder


def config_of(folder, network):
    table = folder / "films.tsv"
    config = text_config(f"csv:{table if table.exists() else write_table(table)}")
    return dataclasses.replace(config, backbone=tfl.BackboneConfig(name=f"hf:{folder / network}"))


def test_the_report_does_not_need_the_network(place, capsys):
    (place / "run" / "report.html").unlink()
    remake_report(place / "run")
    assert "without texts" not in capsys.readouterr().err
    assert "film" in (place / "run" / "report.html").read_text(encoding="utf-8")


def test_evaluation_does_not_need_the_network(place):
    recorded = json.loads((place / "run" / "metrics.json").read_text())
    assert tfl.evaluate_workdir(place / "run")["test"]["accuracy"] == recorded["test"]["accuracy"]


def test_the_same_network_in_another_place_finds_the_run_finished(place, capsys):
    again = tfl.transfer(config_of(place, "new"), place / "run")
    assert "this run is finished" in capsys.readouterr().err and "accuracy" in again.metrics["test"]


def test_the_weights_of_the_run_fit_the_network_in_another_place(place):
    config = with_options(config_of(place, "new"), {"backbone.weights": str(place / "run")})
    assert check_config(config).backbone.sha256


@pytest.fixture(scope="module")
def other(place):
    """A network of the same sizes with other weights, in a folder `other`."""
    shutil.copytree(place / "new", place / "other")
    content = bytearray((place / "other" / "model.safetensors").read_bytes())
    content[-4] ^= 1
    (place / "other" / "model.safetensors").write_bytes(content)
    return place


def test_another_network_is_refused(other):
    with pytest.raises(InputError, match=r"differs in backbone\.name"):
        tfl.transfer(config_of(other, "other"), other / "run")
    config = with_options(config_of(other, "other"), {"backbone.weights": str(other / "run")})
    with pytest.raises(InputError, match=r"`backbone\.weights` must be a run of the same network"):
        check_config(config)


def test_without_a_digest_in_an_older_run_the_path_counts(place, tmp_path):
    shutil.copytree(place / "run", tmp_path / "run")
    file = tmp_path / "run" / "config.json"
    recorded = json.loads(file.read_text())
    del recorded["backbone"]["sha256"]
    file.write_text(json.dumps(recorded))
    with pytest.raises(InputError, match=r"differs in backbone\.name"):
        tfl.transfer(config_of(place, "new"), tmp_path / "run")
