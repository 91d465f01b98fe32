"""A task that tfl does not have, defined here, goes the whole way with no line of tfl changed."""

import csv
import inspect
import json
from pathlib import Path

import keras
import numpy as np
import pytest
import scipy.special
import tensorflow as tf
from fastapi.testclient import TestClient
from option_runs import make_config, tiny_networks, write_photos

import tfl
from tfl.runs.evaluate import show_evaluation
from tfl.serving import ServeOptions
from tfl.serving.app import create_app
from tfl.tasks import Headline, OneClass, register_task
from tfl.tasks.convex import SigmoidCrossEntropy

PAGE = Path(__file__).resolve().parents[1] / "docs" / "how-to" / "extending.md"


class Ordinal(OneClass):
    """Ranks: logit k says whether the rank is above k (cumulative logits, McCullagh 1980)."""

    name = "ordinal"
    headline = Headline("mean_absolute_error", higher_is_better=False, is_share=False, digits=".4g")
    convex, has_temperature, smooths_labels = SigmoidCrossEntropy(), False, False

    def num_outputs(self, num_names):
        return num_names - 1

    def num_classes(self, num_outputs):
        return num_outputs + 1

    def loss(self, label_smoothing=0.0):
        return CumulativeLoss(reduction="none")

    def as_targets(self, labels, num_outputs):
        return (np.reshape(labels, (-1, 1)) > np.arange(num_outputs)).astype(np.float64)

    def scores(self, outputs, temperature=1.0):
        above = np.minimum.accumulate(scipy.special.expit(np.asarray(outputs, np.float64)), axis=1)
        return -np.diff(above, axis=1, prepend=1.0, append=0.0)

    def outputs(self, scores):
        return scipy.special.logit(np.clip(1 - np.cumsum(scores, axis=1)[:, :-1], 1e-12, 1 - 1e-12))

    def decode(self, outputs, temperature):
        each = tf.nn.sigmoid(outputs)
        above = tf.stack([tf.reduce_min(each[:, : k + 1], axis=1) for k in range(outputs.shape[1])], axis=1)
        return tf.pad(above, [[0, 0], [1, 0]], constant_values=1.0) - tf.pad(above, [[0, 0], [0, 1]])

    def predict(self, outputs):
        return (np.minimum.accumulate(np.asarray(outputs), axis=1) > 0).sum(axis=1)

    def decide(self, scores):
        return self.predict(self.outputs(scores))

    def example_metrics(self, classes, predicted):
        return {"mean_absolute_error": np.abs(predicted - classes).astype(np.float64)}


class CumulativeLoss(keras.losses.Loss):
    """Sigmoid cross-entropy of each threshold; labels are ranks."""

    def call(self, y_true, y_pred):
        above = tf.reshape(tf.cast(y_true, tf.int32), [-1, 1]) > tf.range(y_pred.shape[-1])
        return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(tf.cast(above, y_pred.dtype), y_pred), axis=1)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on four ranks of brightness, which was stopped in its second epoch and went on."""
    register_task(Ordinal())
    folder = tmp_path_factory.mktemp("ranks")
    photos = write_photos(folder / "photos", (14, 14, 14, 14))
    options = {"task.name": "ordinal", "finetune.epochs": 3, "finetune.unfreeze": "0", "finetune.learning_rate": 1e-3}
    with tiny_networks():
        config = make_config(photos, folder / "store", options)
        whole = tfl.transfer(config, folder / "whole")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("tfl.recipe.transfer.finetune", stop)
            with pytest.raises(KeyboardInterrupt):
                tfl.transfer(config, folder / "stopped")
        resumed = tfl.transfer(config, folder / "stopped")
        yield whole, resumed, photos


def stop(run, probe):
    raise KeyboardInterrupt


def test_the_task_is_short_and_stands_in_the_docs(run):
    source = inspect.getsource(Ordinal) + "\n\n" + inspect.getsource(CumulativeLoss)
    assert len([line for line in source.splitlines() if line.strip()]) <= 40
    assert source in PAGE.read_text()


def test_it_trains_and_resumes_to_the_same_bits(run):
    whole, resumed, _ = run
    assert resumed.metrics["test"] == whole.metrics["test"]
    for mine, theirs in zip(whole.model.get_weights(), resumed.model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    test = whole.metrics["test"]
    with (whole.workdir / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    number = {name: rank for rank, name in enumerate(whole.model.metadata.class_names)}
    errors = [abs(number[row["label"]] - number[row["predicted"]]) for row in rows]
    assert test["mean_absolute_error"] == pytest.approx(np.mean(errors))
    assert test["mean_absolute_error"] < 0.8  # chance is 1.25
    low, high = whole.metrics["intervals"]["mean_absolute_error"]
    assert low < test["mean_absolute_error"] < high


def test_it_evaluates_predicts_and_reports(run, tmp_path, capsys):
    whole, _, photos = run
    again = tfl.evaluate_workdir(whole.workdir)
    assert again["test"]["mean_absolute_error"] == whole.metrics["test"]["mean_absolute_error"]
    show_evaluation(again)
    assert "mean absolute error" in capsys.readouterr().err
    rows = tfl.predict_files(whole.workdir, [str(photos / "class_0")], str(tmp_path / "out.csv"))
    assert {row[1] for row in rows} <= set(whole.model.metadata.class_names)
    report = (whole.workdir / "report.html").read_text()
    assert "<h1>Mean absolute error between" in report and "mean absolute error" in report.lower()
    table = tfl.compare_runs([str(whole.workdir), str(whole.workdir.parent / "stopped")])
    assert "mean_absolute_error" in json.dumps(table, default=str)


def test_it_ships_with_a_certificate_and_is_served(run):
    whole, _, photos = run
    certificate = tfl.export_workdir(whole.workdir, tfl.ExportOptions(formats=["saved_model", "keras"]))
    assert set(certificate["artefacts"]) == {"saved_model", "model.keras"}
    for entry in certificate["artefacts"].values():
        assert entry["failures"] == []
        assert entry["max_difference"] < 1e-5
    artefact = tfl.load_artefact(whole.workdir / "export" / "saved_model")
    assert artefact.metadata.task.name == "ordinal"
    image = next((photos / "class_3").iterdir()).read_bytes()
    with TestClient(create_app(ServeOptions(str(whole.workdir / "export" / "saved_model")))) as client:
        while client.get("/readyz").status_code != 200:
            assert client.app.state.model.failure is None
        answer = client.post("/v1/models/model:classify", content=image).json()
    scores = {row["class"]: row["probability"] for row in answer["classes"]}
    expected = dict(zip(artefact.metadata.class_names, artefact.predict_bytes([image])[0].tolist(), strict=True))
    assert scores == {name: pytest.approx(value, abs=1e-6) for name, value in expected.items() if name in scores}
    assert sum(expected.values()) == pytest.approx(1.0, abs=1e-6)
