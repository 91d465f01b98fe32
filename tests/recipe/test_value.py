"""The worth of pre-training is measured cell by cell; a repeated command goes on, and test labels choose nothing."""

import json

import numpy as np
import pytest
from option_runs import make_config, tiny_networks, write_photos

import tfl
from tfl.errors import InputError
from tfl.recipe import value, value_cells


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("value")
    write_photos(folder / "photos", (24, 16))
    with tiny_networks():
        pretrained = make_config(folder / "photos", folder / "store", {"finetune.epochs": 1})
        tfl.transfer(pretrained, folder / "pretrained")
    return folder


@pytest.fixture(autouse=True)
def networks(monkeypatch):
    monkeypatch.setattr(value_cells, "FEWEST_STEPS", 4)
    monkeypatch.setattr(value_cells, "VERSIONS", 2)
    with tiny_networks():
        yield


def config_of(folder, **more):
    options = {"backbone.weights": str(folder / "pretrained"), "finetune.epochs": 1, "scratch.epochs": 1, **more}
    return make_config(folder / "photos", folder / "store", options)


def test_every_cell_is_measured_once_and_a_repeated_command_goes_on(folder, monkeypatch):
    config, output, asked = config_of(folder), folder / "value", []
    measure = value.measure

    def counted(material, cell):
        if len(asked) == 5:
            raise KeyboardInterrupt
        asked.append(cell)
        return measure(material, cell)

    monkeypatch.setattr(value, "measure", counted)
    with pytest.raises(KeyboardInterrupt):
        value.measure_value(config, output, sizes=[1, 5], seeds=2)
    assert not (output / "value.json").exists()
    monkeypatch.setattr(value, "measure", lambda material, cell: (asked.append(cell), measure(material, cell))[1])
    result = value.measure_value(config, output, sizes=[1, 5], seeds=2)
    assert len(asked) == len(set(asked)) == 3 * 3 * 2
    again = value.measure_value(config, output, sizes=[1, 5], seeds=2)
    assert len(asked) == 18 and again.summary == result.summary

    points = result.summary.points
    largest = max(point.size for point in points)
    assert [point.size for point in points if point.way == "frozen"] == [1, 5, largest]
    assert points[0].labels == 1 and all(0 <= one.low <= one.accuracy <= one.high <= 1 for one in points)
    cell = json.loads((output / "cells" / "frozen-5-1.json").read_text())
    frozen = next(point for point in points if (point.way, point.size) == ("frozen", 5))
    other = json.loads((output / "cells" / "frozen-5-0.json").read_text())
    assert frozen.accuracy == pytest.approx((cell["accuracy"] + other["accuracy"]) / 2)
    assert len((output / "value.csv").read_text().splitlines()) == 1 + len(points)
    written = json.loads((output / "value.json").read_text())
    assert [one["way"] for one in written["points"]] == [point.way for point in points]
    page = (output / "value.html").read_text()
    assert result.summary.kept and all(0 <= one <= 1 + 1e-9 for one in result.summary.kept.values())
    assert "Accuracy over labels" in page and "<polyline" in page and result.summary.sentences[0] in page

    with pytest.raises(InputError, match=r"^`output` must .*finetune\.learning_rate"):
        value.measure_value(config_of(folder, **{"finetune.learning_rate": 0.5}), output, sizes=[1], seeds=2)


def test_labels_of_test_and_of_unlabelled_examples_change_no_head(folder, monkeypatch):
    """The head of a cell is the same to the bit if all labels that it was not given are wrong."""
    config = value.prepared(value._config(config_of(folder)))
    splits = value.load_splits(config)
    features = np.random.default_rng(0).normal(size=(len(splits.index), 5))
    material = value_cells.Material(config, config, splits, features)
    cell = value_cells.Cell("frozen", 5, 0)
    rows = material.rows(cell)
    before = value_cells.solve(material, cell, rows)
    assert not np.isin(rows, splits.test).any() and len(rows) == 10
    others = np.setdiff1d(np.arange(len(splits.index)), rows)
    splits.index.labels[others] = 1 - splits.index.labels[others]
    after = value_cells.solve(material, cell, rows)
    assert np.array_equal(before.kernel, after.kernel) and before.l2 == after.l2


def test_one_rare_class_does_not_fix_the_penalty_of_all(folder, recwarn):
    """With 2 and 14 labels λ is cross-validated; only if most classes have fewer than three is it fixed."""
    config = value.prepared(value._config(config_of(folder)))
    splits = value.load_splits(config)
    features = np.random.default_rng(0).normal(size=(len(splits.index), 5))
    material = value_cells.Material(config, config, splits, features)
    labels, pool = splits.index.labels[material.pool], material.pool
    for counts, is_fixed in (((2, 14), False), ((2, 2), True)):
        rows = np.sort(np.concatenate([pool[labels == number][:count] for number, count in enumerate(counts)]))
        head = value_cells.solve(material, value_cells.Cell("frozen", 14, 0), rows)
        fixed = value_cells.FIXED_L2 * features[rows].var(axis=0).sum()
        assert (head.l2 == pytest.approx(fixed)) == is_fixed
    assert not [one for one in recwarn if "least populated" in str(one.message)]


@pytest.mark.parametrize(
    ("options", "arguments", "message"),
    [
        ({"backbone.weights": "none"}, {}, "`backbone.weights` must be pretrained weights"),
        ({"task.name": "regression"}, {}, "`task.name` must be a task with one class"),
        ({"task.name": "multilabel"}, {}, "`task.name` must be a task with one class"),
        ({"head.hidden_units": (4,)}, {}, "`head.hidden_units` must be empty"),
        ({}, {"sizes": [0]}, "`sizes` must be whole numbers from 1"),
        ({}, {"sizes": [500]}, "`sizes` must be at most 20, the images of the largest class"),
        ({}, {"ways": ["frosen"]}, "Did you mean 'frozen'"),
        ({}, {"ways": []}, "`ways` must name at least one"),
        ({}, {"seeds": 1}, "`seeds` must be"),
    ],
)
def test_what_cannot_be_measured_is_one_line(folder, options, arguments, message):
    with pytest.raises(InputError, match=message):
        value.measure_value(config_of(folder, **options), folder / "refused", **arguments)
    assert not (folder / "refused" / "config.json").exists()
