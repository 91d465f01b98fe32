"""The table of predictions on disk says what the metrics say, and comes back."""

import csv
import sys

import numpy as np
import pytest

from tfl.errors import InputError
from tfl.evaluation import Predictions, read_predictions, write_predictions

CLASSES = ("a", "b,c", "ä")


def drawn(target):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(40, 1 if target == "binary" else 3)).astype(np.float32) * 4
    labels = {
        "multiclass": rng.integers(0, 3, 40),
        "binary": rng.integers(0, 2, 40),
        "multilabel": rng.integers(0, 2, (40, 3)).astype(np.float32),
        "regression": rng.normal(size=(40, 3)).astype(np.float32),
    }[target]
    return Predictions(np.arange(40)[::-1], labels, logits, target)


def test_the_table_on_disk_says_what_the_metrics_say(tmp_path):
    table = drawn("multiclass")
    names = [f"bild-ä{row}.jpg" for row in range(40)]
    write_predictions(table, tmp_path / "predictions.csv", names, CLASSES)
    with (tmp_path / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == names[::-1]
    assert np.mean([row["label"] == row["predicted"] for row in rows]) == pytest.approx(table.metrics()["accuracy"])
    for row, probabilities in zip(rows, table.probabilities, strict=True):
        np.testing.assert_allclose([float(row[f"p_{name}"]) for name in CLASSES], probabilities, rtol=1e-8)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("target", ["multiclass", "binary", "multilabel", "regression"])
def test_a_table_comes_back_and_has_the_same_metrics(tmp_path, target, ending):
    table, file = drawn(target), tmp_path / f"p.{ending}"
    names, classes = [f"{row}.jpg" for row in range(40)], CLASSES[:2] if target == "binary" else CLASSES
    write_predictions(table, file, names, classes)
    for told in (target, ""):
        again, found = read_predictions(file, told)
        assert found == classes
        assert again.task.name == ("multiclass" if (target, told) == ("binary", "") else target)
        assert list(again.ids) == names[::-1]
        np.testing.assert_allclose(again.labels, table.labels, rtol=1e-8)
        np.testing.assert_allclose(again.probabilities, table.probabilities, rtol=1e-8)
        metrics = again.metrics()
        assert metrics == pytest.approx({name: table.metrics()[name] for name in metrics}, rel=1e-6)


def test_labels_named_by_numbers_need_to_be_told(tmp_path):
    table = Predictions(np.arange(2), np.array([[1.0, 0.0], [1.0, 1.0]]), np.array([[3.0, -3.0]] * 2), "multilabel")
    write_predictions(table, tmp_path / "p.csv", ["x", "y"], ("0", "1"))
    np.testing.assert_array_equal(read_predictions(tmp_path / "p.csv", "multilabel")[0].labels, table.labels)


def test_multilabel_and_regression_tables(tmp_path):
    table = Predictions(np.array([0]), np.array([[1.0, 0.0, 1.0]]), np.array([[3.0, -3.0, -3.0]]), "multilabel")
    write_predictions(table, tmp_path / "p.csv", ["x"], ("a", "b", "c"))
    assert (tmp_path / "p.csv").read_text().splitlines()[1].startswith("x,a|c,a,")
    table = Predictions(np.array([0]), np.array([1.5]), np.array([[1.25]]), "regression")
    write_predictions(table, tmp_path / "p.csv", ["x"], ("height",))
    assert (tmp_path / "p.csv").read_text().splitlines()[1] == "x,1.5,1.25,1.25"
    assert read_predictions(tmp_path / "p.csv")[0].labels.shape == (1,)


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        ("id,label\nx,a\n", "must have rows of id, label, p_CLASS"),
        ("id,label,predicted,p_a,p_b\n", "must have rows of id, label, p_CLASS"),
        ("id,label,predicted,p_a,p_b\nx,a,a,0.5,half\n", "labels and numbers of the classes a, b"),
        ("id,label,predicted,p_a,p_b\nx,c,a,0.5,0.5\n", "labels and numbers of the classes a, b"),
    ],
)
def test_other_files_are_refused(tmp_path, content, rule):
    (tmp_path / "p.csv").write_text(content)
    with pytest.raises(InputError, match=rule):
        read_predictions(tmp_path / "p.csv")
    with pytest.raises(InputError, match="does not exist"):
        read_predictions(tmp_path / "q.csv")


def test_parquet_without_pyarrow_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"tfl-transfer\[parquet\]"):
        write_predictions(drawn("binary"), tmp_path / "p.parquet", [str(row) for row in range(40)], ("a", "b"))
