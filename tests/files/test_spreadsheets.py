"""Texts that a spreadsheet would run as formulas: written as texts, and read back as they were."""

import csv
import re
from pathlib import Path

import numpy as np
import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tfl.files.reading import read_csv
from tfl.files.spreadsheets import guard_cells, unguard_cells
from tfl.models.classifier import Metadata, save_model
from tfl.runs.predict import predict_files
from tfl.workdir import write_csv

FORMULAS = [
    "=1+1",
    "+1-1",
    "-2+3",
    "@SUM(1)",
    "\t=1",
    "\r=1",
    "=HYPERLINK(A1)",
    "-",
    "-1|=1",
    "-.",
    "+49 151",
    "-1_0",
    "-ants",
]
NUMBERS = ["-1", "+2.5", "-1e-07", "-.5", "-3.", "-inf", "nan", "-1.5|-2", "0.25", "-1|nan"]


@pytest.mark.parametrize("text", FORMULAS)
def test_what_a_spreadsheet_would_run_is_written_as_text(text):
    assert list(guard_cells([[text]])) == [["'" + text]]


@pytest.mark.parametrize("text", [*NUMBERS, "ants", "", "1-2", "'", "''a", "a=b", " =1", "ä", -3, 2.5, None])
def test_numbers_and_other_texts_stay_as_they_are(text):
    assert list(guard_cells([[text]])) == [[text]]


@given(st.lists(st.lists(st.text(alphabet="'=+-@\t\r\n1.e|a,\"") | st.text(), min_size=1)))
def test_every_text_comes_back_and_none_is_a_formula(rows):
    guarded = list(guard_cells(rows))
    assert list(unguard_cells(guarded)) == rows
    for cell in (cell for row in guarded for cell in row):
        assert not re.match(r"[=@\t\r]", cell)
        if cell[:1] in ("+", "-"):
            assert all(np.isreal(float(part)) for part in cell.split("|"))


def test_tables_of_tfl_are_read_as_they_were_written(tmp_path):
    header, rows = ["id", "=label", "p_-"], [["=1.jpg", "-2+3", "-0.5"], ["@a", "NA", "007"]]
    write_csv(tmp_path / "table.csv", header, rows)
    assert [list(row.values()) for row in read_csv(tmp_path / "table.csv")] == rows
    assert list(read_csv(tmp_path / "table.csv")[0]) == header
    with (tmp_path / "table.csv").open(newline="") as file:
        assert next(csv.reader(file)) == ["id", "'=label", "p_-"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model whose classes spreadsheets and pandas take for something else."""
    import keras

    path = tmp_path_factory.mktemp("model") / "model.keras"
    image = keras.Input((8, 8, 3))
    bias = keras.initializers.Constant([2.0, 1.0, 0.5, 0.0])
    output = keras.layers.Dense(4, bias_initializer=bias)(keras.layers.GlobalAveragePooling2D()(image))
    network = keras.Model(image, output)
    network.layers[-1].kernel.assign(np.zeros((3, 4)))
    network.metadata = Metadata("MobileNetV2", 1.0, 8, "multiclass", ("=cmd|' /C calc'!A0", "NA", "07", "None"), 1.0)
    save_model(network, path)
    return path


def test_predict_writes_no_formula_to_a_file_or_the_screen(model, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (8, 8)).save("=1+1.png")
    predict_files(model, ["=1+1.png"], "out.csv")
    predict_files(model, ["=1+1.png"])
    text = Path("out.csv").read_text()
    assert capsys.readouterr().out.endswith(text)
    (row,) = csv.DictReader(text.splitlines())
    assert (row["path"], row["class"]) == ("'=1+1.png", "'=cmd|' /C calc'!A0")
    assert row["top_5"].startswith("'=cmd")
    assert read_csv("out.csv")[0]["path"] == "=1+1.png"


def test_pandas_reads_classes_as_the_docs_say(tmp_path):
    (tmp_path / "table.csv").write_text(
        "path,class,probability\na.jpg,NA,0.5\nb.jpg,07,0.6\nc.jpg,None,0.7\nd.jpg,'=1,1.0\n"
    )
    docs = (Path(__file__).parents[2] / "docs" / "explanation" / "evaluation.md").read_text()
    (example,) = re.findall(r"```python\nimport pandas as pd\n(.*?)```", docs, re.DOTALL)
    names = {"pd": pandas, "__name__": "docs"}
    exec(example.replace("predictions.csv", str(tmp_path / "table.csv")), names)
    assert list(names["table"]["class"]) == ["NA", "07", "None", "=1"]
    assert names["table"]["probability"].dtype == np.float64
