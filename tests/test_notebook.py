"""What a notebook shows: short texts and tables for results, one line for a user's error, the public names alone."""

import re
import sys
import traceback

import numpy as np
import pytest

import tfl
from tfl.errors import InputError
from tfl.notebook import ROWS, html_table


def cells(html):
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"<tr>(.*?)</tr>", html)]


def test_a_table_escapes_its_texts_and_counts_the_rows_it_leaves_out():
    html = html_table(("<a>", "n"), [("x & y", 1234), ("z", 0.5)] + [("", 0)] * ROWS, "A > B")
    assert cells(html)[:3] == [["&lt;a&gt;", "n"], ["x &amp; y", "1,234"], ["z", "0.5000"]]
    assert "<caption>A &gt; B</caption>" in html and "and 2 more" in html
    assert len(cells(html)) == 1 + ROWS + 1


def test_splits_show_their_classes():
    splits = tfl.load_data("digits:0-2")
    counts = [len(rows) for rows in (splits.train, splits.validation, splits.test)]
    expected = f"Splits({sum(counts)} images: train {counts[0]}, validation {counts[1]}, test {counts[2]}; 3 classes)"
    assert repr(splits) == expected
    header, everything, *classes = cells(splits._repr_html_())
    assert header == ["class", "train", "validation", "test"]
    assert everything == ["all", *map(str, counts)]
    assert [row[0] for row in classes] == ["0", "1", "2"]
    assert [sum(int(row[place]) for row in classes) for place in (1, 2, 3)] == counts


def test_predictions_show_their_main_metric_and_rows():
    logits = np.array([[2.0, 0.0], [1.0, 0.0]])
    table = tfl.Predictions(np.arange(2), np.array([0, 1]), logits, "multiclass")
    assert repr(table) == "Predictions(2 examples, multiclass, accuracy 0.5000)"
    assert cells(table._repr_html_())[1:] == [["0", "0", "0", "0.8808", "0.1192"], ["1", "1", "0", "0.7311", "0.2689"]]
    values = tfl.Predictions(np.arange(2), np.array([0.5, 1.0]), np.array([[0.5], [0.0]]), "regression")
    assert repr(values) == "Predictions(2 examples, regression, mean absolute error 0.5)"
    assert cells(values._repr_html_())[1] == ["0", "0.5", "[0.5]", "0.5000"]
    empty = table.take(np.zeros(0, int))
    assert repr(empty) == "Predictions(0 examples, multiclass)" and len(cells(empty._repr_html_())) == 1


def test_the_table_of_stages_is_a_table(tmp_path):
    backbone = tfl.build_backbone("MobileNet", alpha=0.25, image_size=32, weights="none")
    table = tfl.unfreeze(tfl.build_classifier(backbone, tfl.HeadSpec(3)), 1)
    rows = cells(table._repr_html_())
    assert rows[0] == ["stage", "layers", "number", "parameters", "trainable", "batch norm"]
    assert [row[0] for row in rows[1:]] == [row.stage for row in table.rows] + ["total"]
    assert rows[-1][3:5] == [f"{table.parameters:,}", f"{table.trainable:,}"]
    top = table.rows[-2].stage
    assert repr(table) == f"FreezeTable(trains {top}, head: {table.trainable:,} of {table.parameters:,} parameters)"
    header = str(table).splitlines()[0]
    assert header.split() == ["stage", "layers", "number", "parameters", "trainable", "batch", "norm"]


def test_a_users_error_is_one_line_in_a_notebook():
    """IPython shows the lines of this method in place of a traceback; the traceback of Python stays."""
    with pytest.raises(InputError) as caught:
        tfl.build_backbone("ResNet500")
    (line,) = caught.value._render_traceback_()
    assert line == f"InputError: {caught.value}" and "Did you mean 'ResNet50'?" in line
    assert "build_backbone" in "".join(traceback.format_exception(caught.value))


def test_only_public_names_are_listed():
    assert dir(tfl) == sorted([*tfl.__all__, "__version__"])
    assert {"TransferClassifier", "load_run", "transfer"} <= set(dir(tfl))
    assert "tfl.estimators" not in sys.modules or "TransferClassifier" in dir(tfl)
