"""Comparing finished runs: what is said, and which runs are refused."""

import csv
import json
import re

import numpy as np
import pytest

import tfl
from tfl.data.index import COLUMNS
from tfl.errors import InputError
from tfl.evaluation import Predictions, write_predictions
from tfl.evaluation.pairs import mcnemar
from tfl.evaluation.tables import read_column
from tfl.inputs import ImageInput
from tfl.runs.compare import compare_runs
from tfl.workdir import write_csv, write_json

LABELS = np.random.default_rng(7).integers(0, 3, 200)
CLASSES = ("a", "b", "c")


def right_on(count, seed=0):
    """Logits that are right on so many of the 200 images."""
    logits = np.eye(3)[LABELS] + np.random.default_rng(seed).random((200, 3)) / 2
    logits[count:] = -logits[count:]
    return logits


def write_run(folder, logits, labels=LABELS, classes=CLASSES, target="multiclass", ids=None, seed=0):
    """What a finished run leaves for the comparison, its images in an order of their own."""
    ids = np.array([f"{n}.jpg" for n in range(len(labels))] if ids is None else ids)
    order = np.random.default_rng(seed).permutation(len(labels))
    config = tfl.TransferConfig(task=tfl.TaskConfig(name=target))
    write_json(folder / "config.json", config.to_dict())
    write_json(folder / "metrics.json", {})
    table = Predictions(order, np.asarray(labels)[order], np.asarray(logits)[order], target)
    write_predictions(table, folder / "predictions.csv", ids, classes)
    texts = read_column(folder / "predictions.csv", "label")
    rows = [(name, "", texts[name], "test", f"digest of {name}", 0, 0) for name in ids]
    write_csv(folder / "splits.csv", (*COLUMNS, *ImageInput.facts), rows)
    return str(folder)


def test_the_better_run_is_named_with_how_much_and_whether_by_chance(tmp_path, capsys):
    best = write_run(tmp_path / "best", right_on(190, 1), seed=1)
    near = write_run(tmp_path / "near", right_on(187, 2), seed=2)
    far = write_run(tmp_path / "far", right_on(150, 3), seed=3)
    rows = compare_runs([far, best, near], str(tmp_path / "out.csv"))
    assert [row["run"] for row in rows] == [best, near, far]
    assert [row["accuracy"] for row in rows] == [0.95, 0.935, 0.75]
    assert [row.get("only_best") for row in rows] == [None, 3, 40]
    assert rows[2]["p_value"] == pytest.approx(mcnemar(40, 0))
    assert rows[2]["p_holm"] == pytest.approx(2 * mcnemar(40, 0))
    assert rows[1]["p_holm"] == rows[1]["p_value"] == 0.25
    assert rows[2]["difference"] == pytest.approx(-0.2)
    assert rows[2]["difference_low"] < -0.2 < rows[2]["difference_high"] < 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["run", "accuracy"]
    assert f"{best} is ahead of {near}: accuracy by 0.0150" in lines[4]
    assert "may be chance (McNemar, p = 0.25 after Holm for 2)" in lines[4]
    assert f"{best} is better than {far}: accuracy by 0.2000" in lines[5]
    assert "more than chance" in lines[5]
    with (tmp_path / "out.csv").open() as file:
        assert [row["run"] for row in csv.DictReader(file)] == [best, near, far]
    assert compare_runs([best, near, far], str(tmp_path / "out.json")) == rows  # whatever the order
    assert json.loads((tmp_path / "out.json").read_text())["runs"] == rows


def test_runs_that_say_the_same_are_equal(tmp_path, capsys):
    one, other = (write_run(tmp_path / name, right_on(150), seed=len(name)) for name in ("one", "three"))
    assert compare_runs([one, other])[1]["p_value"] == 1.0
    assert "are right and wrong on the same 200 images" in capsys.readouterr().out


def test_class_names_that_are_equal_after_normalisation_are_the_same_classes(tmp_path):
    one = write_run(tmp_path / "one", right_on(170), classes=("a", "b", "K\u00e4fer"))
    other = write_run(tmp_path / "other", right_on(160), classes=("a", "b", "Ka\u0308fer"))
    assert [row["accuracy"] for row in compare_runs([one, other])] == [0.85, 0.8]


def test_classes_in_another_order_are_the_same_classes(tmp_path):
    logits, places = right_on(170), [2, 0, 1]
    one = write_run(tmp_path / "one", logits)
    labels = np.argsort(places)[LABELS]
    other = write_run(tmp_path / "other", logits[:, places], labels, tuple(CLASSES[k] for k in places))
    rows = compare_runs([one, other])
    assert [row["accuracy"] for row in rows] == [0.85, 0.85]
    assert rows[1]["only_best"] == rows[1]["only_this"] == 0


def test_one_logit_and_two_columns_of_two_classes_compare(tmp_path):
    labels, logit = LABELS % 2, np.random.default_rng(0).normal(size=(200, 1))
    one = write_run(tmp_path / "one", logit, labels, ("a", "b"), "binary")
    other = write_run(tmp_path / "other", np.hstack([-logit / 2, logit / 2]), labels, ("a", "b"))
    rows = compare_runs([one, other])
    assert rows[1]["only_best"] == rows[1]["only_this"] == 0
    assert rows[0]["loss"] == pytest.approx(rows[1]["loss"])


def test_values_and_sets_of_labels_compare(tmp_path, capsys):
    values = np.random.default_rng(0).normal(size=200)
    noise = np.random.default_rng(1).normal(size=200)
    near, far = (
        write_run(tmp_path / f"{scale}", (values + scale * noise)[:, None], values, ("value",), "regression")
        for scale in (0.1, 0.3)
    )
    rows = compare_runs([far, near])
    assert rows[0]["run"] == near
    assert rows[1]["difference"] == pytest.approx(2 * rows[0]["mean_absolute_error"], rel=1e-3)
    assert "closer on 200 images" in capsys.readouterr().out
    labels = np.random.default_rng(2).integers(0, 2, (200, 3))
    good, bad = 2.0 * labels - 1, np.ones((200, 3))
    runs = [write_run(tmp_path / n, x, labels, CLASSES, "multilabel") for n, x in (("good", good), ("bad", bad))]
    rows = compare_runs(runs)
    assert [row["accuracy"] for row in rows] == [1.0, np.mean(labels.all(axis=1))]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"labels": np.where(np.arange(200) == 5, (LABELS + 1) % 3, LABELS)}, "1 have another label (first: 5.jpg)"),
        ({"classes": ("a", "b", "d")}, "the class 'c' is in .*one alone"),
        ({"ids": [f"{n + 1}.jpg" for n in range(200)]}, "1 of 200 are in .*one alone (first: 0.jpg)"),
        ({"labels": np.eye(3)[LABELS], "target": "multilabel"}, "task.name is 'multiclass' and 'multilabel'"),
    ],
)
def test_runs_of_other_images_are_refused_by_name(tmp_path, change, problem):
    one = write_run(tmp_path / "one", right_on(150))
    other = write_run(tmp_path / "other", right_on(140), **change)
    pattern = problem.replace("(", r"\(").replace(")", r"\)")
    with pytest.raises(InputError, match=f"must be of the same test images. Received: .*{pattern}"):
        compare_runs([one, other])


def test_images_of_one_name_and_another_content_are_refused(tmp_path):
    one, other = (write_run(tmp_path / name, right_on(150)) for name in ("one", "other"))
    text = (tmp_path / "other" / "splits.csv").read_text()
    (tmp_path / "other" / "splits.csv").write_text(text.replace("digest of 17.jpg", "digest of a new 17.jpg"))
    with pytest.raises(InputError, match=r"1 have another content \(first: 17.jpg\)"):
        compare_runs([one, other])


def test_the_script_says_what_is_wrong_in_one_line(run_script, tmp_path):
    one = write_run(tmp_path / "one", right_on(150))
    other = write_run(tmp_path / "other", right_on(140))
    good = run_script("scripts/compare_runs.py", one, other)
    assert good.returncode == 0, good.stderr
    assert f"{one} is better than {other}" in good.stdout
    unfinished = write_run(tmp_path / "unfinished", right_on(140))
    (tmp_path / "unfinished" / "predictions.csv").unlink()
    for arguments, rule in (
        ((one,), "two or more different runs"),
        ((one, one), "two or more different runs"),
        ((one, f"{one}/"), "two or more different runs"),
        ((one, tmp_path), "no config.json"),
        ((one, unfinished), "must be a finished run"),
        ((f"--output={one}/config.json/x.csv", one, other), "`output` must be"),
    ):
        wrong = run_script("scripts/compare_runs.py", *arguments)
        assert (wrong.returncode, rule in wrong.stderr, wrong.stderr.count("\n")) == (2, True, 1), wrong.stderr


def test_of_errors_the_smaller_is_better_and_its_interval_has_the_same_sign(tmp_path, capsys):
    values, rng = np.random.default_rng(0).normal(size=200), np.random.default_rng(1)
    noise = np.abs(rng.normal(size=200)) + 0.1
    near, far = (
        write_run(tmp_path / name, (values + scale * noise)[:, None], values, ("value",), "regression")
        for name, scale in (("near", 0.1), ("far", 0.3))
    )
    row = compare_runs([near, far])[1]
    assert 0 < row["difference_low"] < row["difference"] < row["difference_high"]  # the other is further off
    said = capsys.readouterr().out
    gain, low, high = map(
        float, re.search(r"error by ([\d.]+) \(95 % interval ([+-][\d.]+) to ([+-][\d.]+)\)", said).groups()
    )
    assert 0 < low < gain < high
    assert gain == pytest.approx(np.mean(0.2 * noise), abs=1e-4)


def test_equal_accuracy_is_not_said_to_be_ahead(tmp_path, capsys):
    one = write_run(tmp_path / "one", right_on(150))
    other = right_on(150, 1)
    other[:3], other[150:153] = -other[:3], -other[150:153]  # wrong on three others
    rows = compare_runs([one, write_run(tmp_path / "other", other)])
    assert rows[0]["accuracy"] == rows[1]["accuracy"]
    said = capsys.readouterr().out
    assert "have the same accuracy" in said and "ahead" not in said and "better" not in said


def test_the_best_of_many_is_said_to_be_picked_on_these_images(tmp_path, capsys):
    runs = [write_run(tmp_path / str(n), right_on(150 + n, n)) for n in range(3)]
    compare_runs(runs[:2])
    assert "picked" not in capsys.readouterr().out
    compare_runs(runs)
    assert "was picked on these 200 images: its own figure is a little too good" in capsys.readouterr().out


def test_groups_of_the_splits_are_compared_as_groups(tmp_path, capsys):
    runs = [write_run(tmp_path / name, right_on(count, count)) for name, count in (("best", 190), ("far", 170))]
    alone = compare_runs(runs)
    for run in runs:
        table = tmp_path / run / "splits.csv"
        lines = table.read_text().splitlines()
        rows = [f"{line},g{int(line.partition('.')[0]) // 10}" for line in lines[1:]]
        table.write_text("\n".join([f"{lines[0]},group", *rows]))
    grouped = compare_runs(runs)
    assert "sign flips of groups" in capsys.readouterr().out
    assert grouped[1]["difference"] == alone[1]["difference"] and grouped[1]["p_value"] > alone[1]["p_value"]
    assert grouped[1]["p_value"] == 0.5  # the errors are in two of the 20 groups
    assert grouped[0]["high"] - grouped[0]["low"] > alone[0]["high"] - alone[0]["low"]
