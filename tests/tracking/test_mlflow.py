"""Runs recorded with MLflow in a folder, and read back through its client: all numbers equal to the bit."""

import csv
import json
import os
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from option_runs import make_config, tiny_networks, write_photos

import tfl
from tfl.config import flatten
from tfl.errors import InputError
from tfl.tracking import MlflowTracker, mlflow_run
from tfl.tracking.guard import Tracking
from tfl.workdir import Workdir, write_json

mlflow = pytest.importorskip("mlflow", reason="MLflow is not installed: pip install mlflow-skinny pandas")

TUNED = {
    "finetune.epochs": 3,
    "finetune.unfreeze": "all",
    "probe.solver": "none",
    "finetune.learning_rate": 1e-3,
    "tracking": "mlflow",
}
NOT_THERE = "http://me:secret@127.0.0.1:9"  # nothing answers at port 9


@pytest.fixture(scope="module", autouse=True)
def place(tmp_path_factory):
    """A folder with photos and a store of MLflow, for all tests here."""
    folder = tmp_path_factory.mktemp("mlflow")
    write_photos(folder / "photos", (14, 14, 8))
    with pytest.MonkeyPatch.context() as patch, tiny_networks():
        patch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
        patch.setenv("MLFLOW_TRACKING_URI", (folder / "store").as_uri())
        for name in ("MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID"):
            patch.delenv(name, raising=False)
        yield folder


def train(place, name, **options):
    named = {option.replace("__", "."): value for option, value in options.items()}
    return tfl.transfer(make_config(place / "photos", place / "features", TUNED | named), place / name)


@pytest.fixture(scope="module")
def run(place):
    """A finished run, and a run from scratch inside it."""
    return train(place, "run", scratch__epochs=1)


def client():
    return mlflow.MlflowClient()


def run_of(workdir):
    return client().get_run(json.loads((Path(workdir) / "tracking.json").read_text())["record"]["run_id"])


def points(workdir):
    """Return all values of each metric: name -> [(step, value)] in the order in which they were sent."""
    recorded = run_of(workdir)
    sent = {name: client().get_metric_history(recorded.info.run_id, name) for name in recorded.data.metrics}
    return {name: [(metric.step, metric.value) for metric in metrics] for name, metrics in sent.items()}


def history(workdir):
    with (Path(workdir) / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    names = rows[0].keys() - {"epoch"}
    return {name: [(int(row["epoch"]), float(row[name])) for row in rows] for name in names}


def curves(workdir):
    return {name: values for name, values in points(workdir).items() if name in history(workdir)}


def test_every_epoch_is_there_once_to_the_bit(run):
    assert curves(run.workdir) == history(run.workdir)
    assert [step for step, _ in curves(run.workdir)["val_loss"]] == [1, 2, 3]


def test_the_results_and_their_intervals_are_there_to_the_bit(run):
    metrics, found = run.metrics, run_of(run.workdir).data.metrics
    for split in ("test", "validation"):
        assert {name: found[f"{split}_{name}"] for name in metrics[split]} == metrics[split]
    low, high = metrics["intervals"]["accuracy"]
    assert (found["test_accuracy_low"], found["test_accuracy_high"]) == (low, high)
    assert low < found["test_accuracy"] < high


def test_options_tags_and_the_name_of_the_run(run):
    recorded = run_of(run.workdir)
    options = flatten(json.loads((run.workdir / "config.json").read_text()))
    assert recorded.data.params == {name: str(value) for name, value in options.items()}
    tags = recorded.data.tags
    assert (tags["tfl.version"], tags["tfl.kept"]) == (tfl.__version__, run.metrics["kept"])
    assert (tags["tfl.source"], tags["tfl.workdir"]) == (options["data.source"], str(run.workdir))
    assert (recorded.info.run_name, recorded.info.status) == ("run", "FINISHED")
    assert client().get_experiment(recorded.info.experiment_id).name == "tfl"
    assert mlflow.active_run() is None


def test_the_files_of_the_workdir_are_there(run):
    info = run_of(run.workdir).info
    names = {file.path for file in client().list_artifacts(info.run_id)}
    assert names == set(mlflow_run.FILES)
    for name in names:
        copy = Path(client().download_artifacts(info.run_id, name))
        assert copy.read_bytes() == (run.workdir / name).read_bytes()


def test_the_model_loads_back_with_its_signature_and_predicts_the_same(run):
    address = f"runs:/{run_of(run.workdir).info.run_id}/model"
    images = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), np.uint8)
    expected = keras.saving.load_model(run.workdir / "model.keras", compile=False).predict(images, verbose=0)
    model = mlflow.pyfunc.load_model(address)
    assert np.array_equal(model.predict(images), expected)
    assert np.array_equal(mlflow.keras.load_model(address).predict(images, verbose=0), expected)
    (inputs,), (outputs,) = model.metadata.signature.inputs, model.metadata.signature.outputs
    assert (inputs.shape, inputs.type) == ((-1, 32, 32, 3), np.uint8)
    assert (outputs.shape, outputs.type) == ((-1, 3), np.float32)
    assert model.metadata.metadata["tfl"]["class_names"] == list(run.model.metadata.class_names)
    with pytest.raises(mlflow.exceptions.MlflowException):
        model.predict(images[:, :16])


def test_the_run_inside_is_below_the_other(run):
    inner = run_of(run.workdir / "scratch")
    assert inner.data.tags["mlflow.parentRunId"] == run_of(run.workdir).info.run_id
    assert "mlflow.parentRunId" not in run_of(run.workdir).data.tags
    assert curves(run.workdir / "scratch") == history(run.workdir / "scratch")


def test_the_same_command_again_adds_nothing(run, place):
    before, models = points(run.workdir), run_of(run.workdir).outputs.model_outputs
    train(place, "run", scratch__epochs=1)
    assert points(run.workdir) == before
    assert len(run_of(run.workdir).outputs.model_outputs) == len(models) == 1


class KilledError(BaseException):
    """Stands for SIGKILL."""


def test_a_killed_run_continues_in_the_same_run_without_double_points(run, place, monkeypatch):
    send = mlflow_run.MlflowRun.log_epoch

    def killed_after_the_second(self, epoch, values):
        send(self, epoch, values)
        if epoch == 2:  # before the checkpoint of this epoch is written: the next start repeats it
            raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(mlflow_run.MlflowRun, "log_epoch", killed_after_the_second)
        patch.setattr(mlflow_run.MlflowRun, "stop", lambda self, error: None)
        with pytest.raises(KilledError):
            train(place, "killed")
    before = run_of(place / "killed")
    assert before.info.status == "RUNNING"
    assert [step for step, _ in points(place / "killed")["loss"]] == [1, 2]
    train(place, "killed", checkpoint__keep=3)  # this option may differ between two starts
    assert run_of(place / "killed").info.run_id == before.info.run_id
    assert run_of(place / "killed").data.params == before.data.params
    assert run_of(place / "killed").info.status == "FINISHED"
    assert curves(place / "killed") == history(place / "killed") == history(run.workdir)


@pytest.fixture
def unrecorded(run, tmp_path):
    """The workdir of the finished run, as it would be without tracking."""
    shutil.copytree(run.workdir, tmp_path / "copy")
    (tmp_path / "copy" / "tracking.json").unlink()
    return tmp_path / "copy"


def test_a_lost_server_is_one_warning_and_the_end_sends_what_is_missing(run, unrecorded, monkeypatch, capsys):
    asked = []

    def lost_after_the_first(store):
        asked.append(store)
        if len(asked) == 2:
            raise ConnectionError("the server does not answer")

    monkeypatch.setattr(mlflow_run, "check_alive", lost_after_the_first)
    with Tracking("mlflow", Workdir(unrecorded)) as tracking:
        tracking.begin()
        for epoch in (1, 2, 3):
            tracking.log_epoch(epoch, {name: values[epoch - 1][1] for name, values in history(run.workdir).items()})
        assert [step for step, _ in points(unrecorded)["loss"]] == [1]
        tracking.finish(run.model)
    warnings = [line for line in capsys.readouterr().err.splitlines() if line.startswith("Warning")]
    assert warnings == [
        "Warning: mlflow could not record this run: the server does not answer. The run goes on, and tries again at "
        "its end."
    ]
    assert len(asked) == 3  # the third epoch did not ask again
    assert curves(unrecorded) == history(unrecorded)


def test_a_run_that_was_not_recorded_is_recorded_by_the_same_command(run, place, unrecorded, monkeypatch, capsys):
    again = {"scratch__epochs": 1}
    with monkeypatch.context() as patch:
        patch.setattr(mlflow_run.MlflowRun, "_log_model", lambda self, model: 1 / 0)
        result = train(place, unrecorded, **again)
    assert result.metrics == run.metrics
    said = capsys.readouterr().err
    assert "could not record this run: division by zero. The run is finished; the same command tries again." in said
    assert run_of(unrecorded).info.status == "FAILED"
    train(place, unrecorded, **again)
    assert run_of(unrecorded).info.status == "FINISHED"
    assert points(unrecorded) == points(run.workdir)


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        (NOT_THERE, "'http://127.0.0.1:9': the server does not answer (ConnectionError)."),
        ("htp://tracking:5000", "'htp://tracking:5000': MLflow has no such store."),
        ("file:/dev/null/store", "'file:/dev/null/store': "),
    ],
)
def test_a_store_that_cannot_be_used_is_refused_in_one_line(uri, reason, monkeypatch, tmp_path):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(
        InputError, match=r"^`MLFLOW_TRACKING_URI` must name a tracking store that can be used"
    ) as error:
        Tracking("mlflow", Workdir(tmp_path)).check()
    assert reason in str(error.value)
    assert "\n" not in str(error.value) and "secret" not in str(error.value)


def test_the_command_refuses_before_it_begins(run_script, tmp_path):
    command = ["-m", "tfl", "train", "digits", "--config.tracking=mlflow", f"--workdir={tmp_path / 'run'}"]
    result = run_script(*command, MLFLOW_TRACKING_URI=NOT_THERE)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1 and "the server does not answer" in result.stderr
    assert not (tmp_path / "run").exists()


def unbegun(folder, **options):
    """Return a workdir that has a config only."""
    write_json(folder / "config.json", tfl.TransferConfig().to_dict() | options)
    return Workdir(folder)


def test_many_and_long_options_stay_within_the_limits_of_mlflow(tmp_path):
    options = {f"option{number}": number for number in range(250)}
    begun = MlflowTracker().begin(unbegun(tmp_path, long="x" * 10_000, **options), {}, {})
    sent = client().get_run(begun.id).data.params
    assert {name: sent[name] for name in options} == {name: str(value) for name, value in options.items()}
    assert sent["long"] == "x" * 6000


def test_another_store_or_a_deleted_run_begins_a_new_run(tmp_path):
    tracker, folder = MlflowTracker(), unbegun(tmp_path)
    first = tracker.begin(folder, {}, {})
    assert tracker.begin(folder, first.record, {}).id == first.id
    client().delete_run(first.id)
    second = tracker.begin(folder, first.record, {})
    assert second.id != first.id
    assert tracker.begin(folder, dict(second.record) | {"uri": "http://elsewhere"}, {}).id not in (first.id, second.id)


def test_an_interrupted_run_does_not_stay_active(tmp_path):
    for error, status in ((KeyboardInterrupt(), "KILLED"), (ValueError(), "FAILED")):
        begun = MlflowTracker().begin(unbegun(tmp_path), {}, {})
        begun.stop(error)
        assert client().get_run(begun.id).info.status == status


def test_the_experiment_of_the_environment_is_used(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "insects")
    begun = MlflowTracker().begin(unbegun(tmp_path), {}, {})
    assert client().get_experiment(begun.experiment).name == "insects"
    client().delete_experiment(begun.experiment)
    with pytest.raises(InputError, match=r"^`MLFLOW_EXPERIMENT_NAME` must not name a deleted experiment"):
        MlflowTracker().check()
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "0")
    assert MlflowTracker().begin(unbegun(tmp_path), {}, {}).experiment == "0"


def test_a_global_run_of_the_user_is_left_alone(tmp_path):
    with mlflow.start_run() as active:
        MlflowTracker().begin(unbegun(tmp_path), {}, {}).log_epoch(0, {"loss": 1.0})
        assert mlflow.active_run().info.run_id == active.info.run_id
    assert client().get_run(active.info.run_id).data.metrics == {}
    assert os.environ.get("MLFLOW_RUN_ID") is None
