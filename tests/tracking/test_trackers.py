"""A tracker of a user: what a run tells it, and what happens if it fails. No package is needed."""

import csv
import json
import sys

import numpy as np
import pytest
from option_runs import make_config, tiny_networks, write_photos

import tfl
from tfl import tracking
from tfl.errors import InputError
from tfl.tracking import TrackedRun, Tracker, get_tracker, register_tracker
from tfl.tracking.guard import Tracking
from tfl.version import install_command
from tfl.workdir import Workdir

TUNED = {"finetune.epochs": 2, "probe.solver": "none", "finetune.learning_rate": 1e-3, "tracking": "recorder"}


class Recorded(TrackedRun):
    """A run of `Recorder`: keeps what it is told."""

    def __init__(self, folder, before, parent):
        self.record = {"name": folder.path.name, "starts": before.get("starts", 0) + 1}
        self.parent, self.epochs, self.ends = parent, [], []

    def log_epoch(self, epoch, values):
        if Recorder.broken == "log_epoch":
            raise OSError("the pencil\nbroke")
        self.epochs.append((epoch, dict(values)))

    def finish(self, model):
        self.ends.append(model.metadata.num_outputs)

    def stop(self, error):
        self.ends.append(type(error))


class Recorder(Tracker):
    """Keeps runs in memory."""

    name = "recorder"
    broken = ""

    def __init__(self):
        self.runs = []

    def begin(self, folder, record, parent):
        if Recorder.broken == "begin":
            raise OSError("there is no pencil.")
        self.runs.append(Recorded(folder, record, parent))
        return self.runs[-1]


@pytest.fixture
def recorder():
    tracker = register_tracker(Recorder())
    yield tracker
    del tracking._TRACKERS["recorder"]
    tracking.TRACKERS.remove("recorder")
    Recorder.broken = ""


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trackers")
    with tiny_networks():
        yield write_photos(folder / "photos", (14, 14, 8))


def history(workdir):
    with (workdir / "history.csv").open() as file:
        rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    return [(int(row.pop("epoch")), row) for row in rows]


def test_a_regression_tells_its_errors_in_the_units_of_the_user(recorder, photos, tmp_path):
    options = TUNED | {"task.name": "regression"}
    rng = np.random.default_rng(0)
    data = (rng.integers(0, 256, (30, 32, 32, 3), np.uint8), rng.normal(500, 90, 30).astype(np.float32))
    tfl.transfer(make_config(photos, tmp_path / "store", options), tmp_path / "run", data)
    (run,) = recorder.runs
    assert run.epochs == history(tmp_path / "run")
    assert run.epochs[0][1]["mean_absolute_error"] > 10  # standardised it would be near 1
    assert run.ends == [1]


def test_the_same_command_gets_the_record_back(recorder, photos, tmp_path):
    config = make_config(photos, tmp_path / "store", TUNED | {"finetune.epochs": 0, "probe.solver": "lbfgs"})
    (tmp_path / "run").mkdir()
    with Workdir.open(tmp_path / "run", config.to_dict()) as folder, pytest.raises(KeyboardInterrupt):
        folder.begin(config.to_dict())
        with Tracking("recorder", folder) as guard:
            guard.begin()
            raise KeyboardInterrupt
    assert recorder.runs[0].ends == [KeyboardInterrupt]
    tfl.transfer(config, tmp_path / "run")
    assert json.loads((tmp_path / "run" / "tracking.json").read_text()) == {
        "tracker": "recorder",
        "finished": True,
        "record": {"name": "run", "starts": 2},
    }
    tfl.transfer(config, tmp_path / "run")  # it is finished
    assert len(recorder.runs) == 2


def test_a_broken_tracker_is_a_warning_and_the_same_command_makes_up_for_it(recorder, photos, tmp_path, capsys):
    Recorder.broken = "begin"
    config = make_config(photos, tmp_path / "store", TUNED)
    result = tfl.transfer(config, tmp_path / "run")
    said = capsys.readouterr().err
    assert said.count("Warning: recorder could not record this run: there is no pencil. The run goes on") == 1
    assert said.count("Warning: recorder could not record this run: there is no pencil. The run is finished") == 1
    assert result.metrics["test"]["num_examples"] > 0
    Recorder.broken = ""
    tfl.transfer(config, tmp_path / "run")
    (run,) = recorder.runs
    assert run.ends == [3]


def test_an_epoch_that_is_not_recorded_is_one_warning(recorder, tmp_path, capsys):
    Recorder.broken = "log_epoch"
    with Tracking("recorder", Workdir(tmp_path)) as guard:
        guard.begin()
        guard.log_epoch(0, {"loss": 1.0})
        guard.log_epoch(1, {"loss": 0.5})
    assert capsys.readouterr().err.count("Warning: recorder could not record this run: the pencil broke. The run") == 1


def test_only_the_chief_tells_anything(recorder, tmp_path, monkeypatch, tf_configs):
    monkeypatch.setenv("TF_CONFIG", tf_configs(2)[1])
    with Tracking("recorder", Workdir(tmp_path)) as guard:
        guard.check()
        guard.begin()
        guard.log_epoch(0, {"loss": 1.0})
    assert recorder.runs == [] and not (tmp_path / "tracking.json").exists()


def test_names_of_trackers(recorder):
    assert get_tracker("Recorder") is recorder
    assert tfl.TransferConfig(tracking="RECORDER").validate().tracking == "recorder"
    with pytest.raises(InputError, match=r"^`tracking` must be a known name\..*Did you mean 'mlflow'\?$"):
        tfl.TransferConfig(tracking="mlfow").validate()
    for taken in ("none", "mlflow"):
        other = type("Other", (Recorder,), {"name": taken})()
        with pytest.raises(InputError, match=r"^`tracker` must have a name"):
            register_tracker(other)


def test_a_missing_package_is_named_before_anything_slow(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    (tmp_path / "photos").mkdir()
    with pytest.raises(InputError) as error:
        tfl.transfer(make_config(tmp_path / "photos", tmp_path, {"tracking": "mlflow"}), tmp_path / "run")
    assert install_command("mlflow") in str(error.value)
    assert not (tmp_path / "run").exists()
