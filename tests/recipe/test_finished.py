"""A source in place of a config, and what can be asked of a finished run."""

import importlib.util
import json
import os
from pathlib import Path

import numpy as np
import pytest
from finished_run import NAMES, write_finished_run
from option_runs import write_photos

import tfl
from tfl.config import absolute_paths, left_to_tfl
from tfl.errors import InputError
from tfl.evaluation import wilson_interval

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return write_finished_run(tmp_path_factory.mktemp("run") / "w")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return write_photos(tmp_path_factory.mktemp("data") / "photos", (12, 12))


def test_a_source_gets_the_recipe_of_the_config_file(photos, tmp_path, monkeypatch):
    """The run itself is that of docs/how-to/python.md, which a test runs."""
    ran = []
    monkeypatch.setattr("tfl.recipe.transfer._run", lambda config, *_: ran.append(config))
    monkeypatch.setattr("tfl.recipe.transfer.say_result", lambda result: None)
    monkeypatch.chdir(photos.parent)
    for source in ("photos", Path("photos"), f"folder:{photos}", tfl.load_recipe("folder", photos)):
        tfl.transfer(source, tmp_path / "run")
    spec = importlib.util.spec_from_file_location("folder", ROOT / "configs" / "folder.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    expected = module.get_config()
    assert ran == [absolute_paths(expected.validate())] * 4
    assert left_to_tfl(ran[0]) and ran[0].data.source == f"folder:{photos}"


def test_a_wrong_source_is_answered(photos, tmp_path, monkeypatch):
    monkeypatch.chdir(photos.parent)
    with pytest.raises(InputError, match=r"`source` must be a folder of photos, .*'photoz'.* Did you mean 'photos'?"):
        tfl.transfer("photoz", tmp_path / "run")
    with pytest.raises(InputError, match=r"Received: 'photos'. Did you mean 'folder:photos'?"):
        tfl.transfer(tfl.TransferConfig(data=tfl.DataConfig(source="photos")), tmp_path / "run")
    with pytest.raises(InputError, match=r"`config` must be a TransferConfig, a source .* Received: int"):
        tfl.transfer(3, tmp_path / "run")
    with pytest.raises(InputError, match=r"`config` must be a TransferConfig if `data` is given"):
        tfl.transfer("photos", tmp_path / "run", data=(np.zeros((4, 8, 8)), [0, 1, 0, 1]))
    assert not (tmp_path / "run").exists()


def test_a_finished_run_is_opened_again(finished, tmp_path):
    result = tfl.load_run(finished)
    assert result.metrics == json.loads((finished / "metrics.json").read_text())
    assert result.workdir == finished and result.model.metadata.class_names == NAMES
    count = result.metrics["test"]["num_examples"]
    right = round(result.metrics["test"]["accuracy"] * count)
    low, high = wilson_interval(right, count)
    accuracy = f"accuracy between {low:.2f} and {high:.2f} (95 % interval; {right} of {count} images right)"
    assert repr(result).startswith(f"TransferResult('{finished}': kept probe, test {accuracy}")
    assert repr(result).endswith("right))") and "\n" not in repr(result)
    html = result._repr_html_()
    assert accuracy in html and "probe (phases: probe, finetune)" in html and str(finished) in html
    with pytest.raises(InputError, match=r"has no config.json"):
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
    html = answers._repr_html_()
    assert html.count("<tr>") == 1 + len(answers) and html.count('<img src="data:image/jpeg;base64,') == len(answers)
    assert f"<td>{answers[0]['path']}</td><td>{rows[0][1]}</td><td>{rows[0][2]}</td>" in html
    (one,) = tfl.load_run(finished).predict(os.fspath(next(folder.iterdir())))
    assert one in tfl.load_run(finished).predict(folder, top=5)
