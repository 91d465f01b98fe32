"""A metric that tfl does not have, defined in docs/how-to/extending.md, is measured, bounded and shown everywhere."""

import csv
import json

import keras
import numpy as np
import pytest
from doc_blocks import code_under, import_code, lines_of
from option_runs import make_config, tiny_networks, write_photos

import tfl
from tfl import tasks
from tfl.config import TARGETS

OF_EXAMPLES, OF_KERAS = code_under("A metric of your own")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on two classes, with the costs of the docs."""
    folder = tmp_path_factory.mktemp("costs")
    import_code(OF_EXAMPLES, folder, "costs")
    photos = write_photos(folder / "photos", (40, 40))
    with tiny_networks():
        yield tfl.transfer(make_config(photos, folder / "store", {"task.name": "costs"}), folder / "run")
    TARGETS.remove("costs")
    del tasks._TASKS["costs"]


@pytest.mark.parametrize("code", [OF_EXAMPLES, OF_KERAS], ids=["of examples", "of Keras"])
def test_the_code_is_short(code):
    assert lines_of(code) <= 40


def test_the_mean_cost_is_measured_with_an_interval(run):
    with (run.workdir / "predictions.csv").open() as file:
        rows = [(row["label"], row["predicted"]) for row in csv.DictReader(file)]
    false_alarms, missed = rows.count(("class_0", "class_1")), rows.count(("class_1", "class_0"))
    assert false_alarms + missed  # else every cost would be 0
    cost = (false_alarms + 10 * missed) / len(rows)
    evaluation = json.loads((run.workdir / "evaluation.json").read_text())
    assert evaluation["test"]["mean_cost"] == run.metrics["test"]["mean_cost"] == pytest.approx(cost)
    low, high = evaluation["intervals"]["mean_cost"]
    assert low < cost < high
    assert evaluation["headline"] == "accuracy"


def test_it_stands_in_the_report_and_in_comparisons(run):
    report = (run.workdir / "report.html").read_text()
    assert "Mean cost" in report and f"{run.metrics['test']['mean_cost']:.3f}" in report
    again = tfl.evaluate_workdir(run.workdir)
    assert again["test"]["mean_cost"] == run.metrics["test"]["mean_cost"]


def test_compile_takes_a_metric_of_keras(tmp_path):
    module = import_code(OF_KERAS, tmp_path, "margin")
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 10)
    images = np.clip(rng.normal(80 * labels[:, None, None, None], 30, (30, 16, 16, 3)), 0, 255).astype(np.uint8)
    image = keras.Input((16, 16, 3))
    maps = keras.layers.Conv2D(8, 5, 4, activation="relu")(keras.layers.Rescaling(1 / 128, -1)(image))
    model = tfl.build_classifier(keras.Model(image, maps), tfl.HeadSpec(3))
    history = module.train(model, images, labels, (images, labels))
    logits = np.sort(model.predict(images, verbose=0), axis=1), model.predict(images, verbose=0)
    own = logits[1][np.arange(30), labels]
    others = np.where(own == logits[0][:, -1], logits[0][:, -2], logits[0][:, -1])
    assert history["val_margin"][-1] == pytest.approx(float(np.mean(own - others)), abs=1e-5)
    assert history["val_margin"][-1] > history["val_margin"][0]
