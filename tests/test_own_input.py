"""Rows of a table, an input that tfl does not have: the code of docs/how-to/extending.md, in memory and in files.

tests/test_every_task_and_input.py takes the same input through the whole contract, with every task.
"""

import dataclasses
import json

import numpy as np
import pytest
import sklearn.datasets
from doc_blocks import code_under, import_code, lines_of
from option_runs import make_config

import tfl
from tfl.errors import InputError
from tfl.models.metadata import Metadata

(CODE,) = code_under("An input of your own")
OPTIONS = {"backbone.name": "Columns", "backbone.weights": "none", "data.augmentation": "none", "data.image_size": 0}


@pytest.fixture(scope="module", autouse=True)
def code(tmp_path_factory):
    """The code of the docs, which registers its input and its backbone."""
    return import_code(CODE, tmp_path_factory.mktemp("code"), "row_input")


@pytest.fixture(scope="module")
def digits():
    """1,797 rows of 64 numbers from 0 to 16, and their labels."""
    rows, labels = sklearn.datasets.load_digits(return_X_y=True)
    return rows.astype(np.float32), labels


@pytest.fixture(scope="module")
def run(tmp_path_factory, digits):
    """A frozen run on the rows."""
    folder = tmp_path_factory.mktemp("rows")
    config = make_config(folder, folder / "store", OPTIONS | {"finetune.epochs": 0})
    return tfl.transfer(config, folder / "run", data=digits)


def test_the_code_is_short():
    assert lines_of(CODE) <= 40


def test_rows_in_memory_are_learned_and_evaluated_again(run, digits):
    assert run.metrics["test"]["accuracy"] > 0.9  # chance is 0.1
    assert tfl.evaluate_workdir(run.workdir, data=digits)["test"] == run.metrics["test"]
    assert set(json.loads((run.workdir / "evaluation.json").read_text()).get("slices", {})) == set()


def test_every_format_takes_rows(run, digits):
    options = tfl.ExportOptions(formats=["saved_model", "litert", "onnx", "keras"], max_images=40)
    certificate = tfl.export_workdir(run.workdir, options, data=digits)
    assert set(certificate["artefacts"]) == {"saved_model", "model.tflite", "model.onnx", "model.keras"}
    rows = digits[0][:5]
    encoded = [",".join(map(str, row.tolist())).encode() for row in rows]
    expected = run.model.metadata.task.scores(run.model(rows).numpy(), run.model.metadata.temperature)
    for name, entry in certificate["artefacts"].items():
        assert entry["failures"] == [] and entry["max_difference"] <= 1e-5, name
        assert {part["input"] for part in entry["latency"]} <= {"values", "bytes"}
        artefact = tfl.load_artefact(run.workdir / "export" / name)
        np.testing.assert_allclose(artefact.predict_prepared(rows), expected, atol=1e-5)
        np.testing.assert_allclose(artefact.predict_bytes(encoded), expected, atol=1e-5)
        with pytest.raises(InputError, match=r"`rows` must be float32 of shape \(N, 64\)"):
            artefact.predict_prepared(rows[:, :3])
        with pytest.raises(InputError, match=r"`rows` must be undamaged row files\. Received: number 1"):
            artefact.predict_bytes([encoded[0], b"1,x"])


def test_the_model_file_keeps_the_kind_and_that_of_images_stays_as_it_was(run):
    metadata = tfl.load_model(run.workdir).metadata
    assert metadata.kind == "row" and metadata.input.size == 64
    assert metadata.to_dict()["kind"] == "row" and Metadata.from_dict(metadata.to_dict()) == metadata
    image = dataclasses.replace(metadata, kind="image")
    assert "kind" not in image.to_dict() and Metadata.from_dict(image.to_dict()) == image
    with pytest.raises(InputError, match="`kind` must be a known name"):
        dataclasses.replace(metadata, kind="raw")


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda rows: rows[:, :63], r"`source` must have rows of shape \(64,\)\. Received: float32 of shape \(63,\)"),
        (lambda rows: np.where(rows > 15, np.nan, rows), r"finite values\. Received: NaN or infinity at row "),
        (lambda rows: rows.astype(str), r"rows of shape \(64,\)\. Received: <U"),
        (lambda rows: rows[:-1], "one label for each row, and at least one row"),
    ],
)
def test_other_values_are_refused_in_one_line(change, line, digits, tmp_path):
    rows, labels = digits
    with pytest.raises(InputError, match=line):
        tfl.transfer(make_config(tmp_path, tmp_path / "s", OPTIONS), tmp_path / "run", data=(change(rows), labels))
    assert not (tmp_path / "run").exists()


def test_an_augmentation_that_the_input_does_not_have_is_refused(digits, tmp_path):
    config = make_config(tmp_path, tmp_path / "s", OPTIONS | {"data.augmentation": "light", "finetune.epochs": 1})
    with pytest.raises(InputError, match=r"`data\.augmentation` must be one of none for rows\. Received: .*'light'"):
        tfl.transfer(config, tmp_path / "run", data=digits)


def test_a_broken_file_is_left_out_and_named(digits, tmp_path):
    rows, labels = digits
    for number, (row, label) in enumerate(zip(rows[:60], labels[:60] % 2, strict=True)):
        file = tmp_path / "rows" / f"class_{label}" / f"{number}.csv"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(",".join(map(str, row.tolist())))
    (tmp_path / "rows" / "class_0" / "broken.csv").write_text("1,2,three")
    config = make_config(tmp_path / "rows", tmp_path / "store", OPTIONS | {"finetune.epochs": 0})
    result = tfl.transfer(config, tmp_path / "run")
    quarantine = (result.workdir / "quarantine.csv").read_text().splitlines()
    assert len(quarantine) == 2 and "broken.csv" in quarantine[1] and "not a whole row" in quarantine[1]
    predicted = tfl.predict_files(result.workdir, [str(tmp_path / "rows")])
    assert len(predicted) == 60
