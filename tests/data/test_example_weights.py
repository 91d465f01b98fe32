"""The weights of examples: read from a table, in every batch, in the solved head, in the loop, and in no metric."""

import keras
import numpy as np
import pytest
from option_runs import make_config, tiny_networks, write_photos
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

import tfl
from tfl.data import EpochFeed, load_data, load_source, make_dataset
from tfl.data.index import read_splits
from tfl.data.table.weights import normal_weights
from tfl.errors import InputError
from tfl.features.reuse import StoredPhase
from tfl.features.view import PLAIN
from tfl.models.inference import Outputs
from tfl.runs.evaluate import evaluate_workdir

COUNT = 20  # images of each of two classes


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    write_photos(folder / "photos", (COUNT, COUNT))
    return folder


def write(folder, name, weights, column="weight", labels=None):
    """Write a table of all images with splits and weights; `labels` replaces the class of some files."""
    files = [f"photos/class_{label}/{number}.png" for label in (0, 1) for number in range(COUNT)]
    lines = [f"path,label,split,{column}"]
    for number, (file, weight) in enumerate(zip(files, weights, strict=True)):
        label = (labels or {}).get(number, file.split("/")[1])
        lines.append(f"{file},{label},{('train', 'train', 'train', 'val', 'test')[number % 5]},{weight}")
    (folder / name).write_text("\n".join(lines) + "\n")
    return f"csv:{folder / name}"


def by_id(source):
    return dict(zip(source.index.ids.tolist(), source.index.weights.tolist(), strict=True))


def test_only_the_ratios_of_weights_matter(folder, capsys):
    weights = np.arange(1, 2 * COUNT + 1)
    one = by_id(load_source(write(folder, "one.csv", weights)))
    many = by_id(load_source(write(folder, "many.csv", weights * 1000, "Sample_Weight")))
    assert one == many and np.isclose(np.mean(list(one.values())), 1)
    assert one["photos/class_0/1.png"] == pytest.approx(2 * one["photos/class_0/0.png"])
    assert "The column 'Sample_Weight' says how much each example counts" in "".join(capsys.readouterr())
    assert load_source(f"folder:{folder}/photos").index.weights_of(np.arange(3)).tolist() == [1, 1, 1]


def test_a_column_of_labels_is_no_column_of_weights(folder):
    index = load_source(write(folder, "kg.csv", np.arange(2 * COUNT) + 0.5), columns="label=weight").index
    assert len(index.weights) == 0 and index.value_names == ("weight",)


@pytest.mark.parametrize("cell", ["", "-1", "heavy", "nan", "inf"])
def test_a_wrong_weight_costs_its_row(folder, cell):
    source = load_source(write(folder, "wrong.csv", [cell, *[1] * (2 * COUNT - 1)]))
    assert [place for place, _ in source.quarantine] == ["wrong.csv:2"] and "weight" in source.quarantine[0][1]


def test_weights_of_zero_only_are_refused():
    with pytest.raises(InputError, match=r"a weight above 0\. Received: t\.csv with weights of 0 only"):
        normal_weights([0, 0], "t.csv")


def test_every_feed_has_the_weights_of_the_index(folder, tmp_path):
    splits = load_data(write(folder, "feeds.csv", np.random.default_rng(0).uniform(0, 3, 2 * COUNT)))
    inputs = keras.Input((32, 32, 3))
    lower = keras.Model(inputs, keras.layers.AveragePooling2D(8)(inputs))
    extractor = tfl.Extractor(lower, splits.source, 32)
    feeds = [
        make_dataset(splits.source, splits.train, image_size=32, batch_size=5),
        EpochFeed(splits.source, splits.train, 32, 5)(0),
        StoredPhase(extractor, splits.train, PLAIN, 5, seed=0)(0),
    ]
    for feed in feeds:
        ids, weights = (np.concatenate([batch[name] for batch in feed]) for name in ("id", "weight"))
        assert sorted(ids) == splits.train.tolist() and np.array_equal(weights, splits.index.weights[ids])


@pytest.fixture(scope="module")
def runs(folder, tmp_path_factory):
    """Two runs on a table with one wrong label in three: with weights of 0 for these rows, and without the rows."""
    wrong = {number: f"class_{1 - number // COUNT}" for number in range(0, 2 * COUNT, 3) if number % 5 < 3}
    workdir = tmp_path_factory.mktemp("runs")
    weights = [0 if number in wrong else 2 for number in range(2 * COUNT)]
    write(folder, "zero.csv", weights, labels=wrong)
    lines = (folder / "zero.csv").read_text().splitlines(keepends=True)
    (folder / "without.csv").write_text("".join(line for line in lines if not line.endswith(",0\n")))
    results = []
    with tiny_networks():
        for name in ("zero", "without"):
            options = {"data.source": f"csv:{folder}/{name}.csv", "probe.l2": 1e-3, "finetune.epochs": 0}
            results.append(tfl.transfer(make_config(folder / "photos", workdir / "store", options), workdir / name))
    return workdir, results


def test_a_weight_of_zero_leaves_an_example_out_of_the_head(runs):
    workdir, (zero, without) = runs
    assert {row["weight"] for row in read_splits(workdir / "zero" / "splits.csv")} > {"0.0"}
    assert zero.metrics["test"]["num_examples"] == without.metrics["test"]["num_examples"] == 8
    assert zero.metrics["test"]["loss"] == pytest.approx(without.metrics["test"]["loss"], rel=1e-4)


def test_weights_that_change_are_other_data(folder, runs):
    workdir, _ = runs
    text = (folder / "zero.csv").read_text()
    (folder / "zero.csv").write_text(text.replace("test,2\n", "test,3\n"))
    with tiny_networks(), pytest.raises(InputError, match=r"examples that differ from its splits\.csv: .* changed"):
        tfl.audit_data(workdir / "zero", workdir / "audit")


def test_an_evaluation_counts_every_example_once(folder, runs):
    workdir, _ = runs
    with tiny_networks():
        plain, heavy = (
            evaluate_workdir(workdir / "without", source=write(folder, "heavy.csv", weights))
            for weights in (np.ones(2 * COUNT), np.arange(1, 2 * COUNT + 1))
        )
    assert plain["test"] == heavy["test"]


def test_a_head_that_is_solved_with_weights_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    features, labels, weights = rng.normal(size=(60, 4)), rng.integers(0, 2, 60), rng.uniform(0, 2, 60)
    held = Outputs(features, labels, np.arange(60))
    result = tfl.choose_head(held, held, l2=0.01, weights=weights, validation_weights=weights, target="binary")
    peer = LogisticRegression(C=1 / (2 * 0.01 * weights.sum()), tol=1e-10, max_iter=1000)
    peer.fit(features, labels, sample_weight=weights)
    assert np.allclose(result.chosen.kernel[:, 0], peer.coef_[0], atol=1e-5)
    expected = log_loss(labels, peer.predict_proba(features), sample_weight=weights)
    assert result.path[0].validation_loss == pytest.approx(expected, abs=1e-6)
