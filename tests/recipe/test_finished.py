"""A source in place of a config, and what can be asked of a finished run."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from finished_run import NAMES, write_finished_run
from option_runs import build_tiny, write_photos

import tfl
from tfl.config import TransferConfig, folder_recipe, source_of
from tfl.errors import InputError


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return write_finished_run(tmp_path_factory.mktemp("run") / "w")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return write_photos(tmp_path_factory.mktemp("data") / "photos", (12, 12))


def test_a_source_gets_the_recipe_of_the_config_file(photos, tmp_path, monkeypatch):
    monkeypatch.setattr("keras.applications.MobileNetV2", build_tiny)
    monkeypatch.chdir(photos.parent)
    result = tfl.transfer("photos", tmp_path / "run")
    recorded = TransferConfig.from_dict(json.loads((tmp_path / "run" / "config.json").read_text()))
    expected = folder_recipe(f"folder:{photos}").validate()
    assert recorded == expected and recorded.finetune.epochs == 8
    again = tfl.transfer(f"folder:{photos}", tmp_path / "run")  # the same run: it is finished
    assert again.metrics == result.metrics
    assert tfl.transfer(Path("photos"), tmp_path / "run").metrics == result.metrics


def test_a_path_is_a_source_only_if_there_is_a_folder(photos, tmp_path, monkeypatch):
    monkeypatch.chdir(photos.parent)
    assert source_of("photos") == "folder:photos"
    assert source_of("folder:photos") == "folder:photos"
    (photos.parent / "digits").mkdir()
    assert source_of("digits") == "digits"
    with pytest.raises(InputError, match="must be digits, folder:PATH or tfds:NAME. Received: 'photoz'"):
        tfl.transfer("photoz", tmp_path / "run")
    with pytest.raises(InputError, match="Received: 'photos'. Did you mean 'folder:photos'?"):
        tfl.transfer(tfl.TransferConfig(data=tfl.DataConfig(source="photos")), tmp_path / "run")
    with pytest.raises(InputError, match="`config` must be a TransferConfig, a source .* Received: int"):
        tfl.transfer(3, tmp_path / "run")
    with pytest.raises(InputError, match="`config` must be a TransferConfig if `data` is given"):
        tfl.transfer("photos", tmp_path / "run", data=(np.zeros((4, 8, 8)), [0, 1, 0, 1]))
    assert not (tmp_path / "run").exists()


def test_a_finished_run_is_opened_again(finished, tmp_path):
    result = tfl.load_run(finished)
    assert result.metrics == json.loads((finished / "metrics.json").read_text())
    assert result.workdir == finished and result.model.metadata.class_names == NAMES
    count = result.metrics["test"]["num_examples"]
    accuracy = f"accuracy {result.metrics['test']['accuracy']:.4f} (95 % interval "
    assert repr(result).startswith(f"TransferResult('{finished}': kept probe, test {accuracy}")
    assert repr(result).endswith(f" on {count} images)") and "\n" not in repr(result)
    html = result._repr_html_()
    assert accuracy in html and "probe (phases: probe, finetune)" in html and str(finished) in html
    with pytest.raises(InputError, match="has no config.json"):
        tfl.load_run(tmp_path)


def test_a_result_predicts_files_as_the_run_does(finished, photos, capsys):
    folder = photos / "class_0"
    (photos.parent / "no_image.png").write_bytes(b"no image")
    answers = tfl.load_run(finished).predict([folder, photos.parent / "no_image.png"], top=2)
    rows = tfl.predict_files(finished, [str(folder)], str(photos.parent / "rows.csv"))
    assert [answer["path"] for answer in answers] == [row[0] for row in rows]
    for answer, (_, name, probability, _) in zip(answers, rows, strict=True):
        best, second = answer["classes"]
        assert (best["class"], f"{best['probability']:.6f}") == (name, probability)
        assert best["probability"] >= second["probability"]
    assert "left out: " in capsys.readouterr().err
    (one,) = tfl.load_run(finished).predict(os.fspath(next(folder.iterdir())))
    assert one in tfl.load_run(finished).predict(folder, top=5)
