"""The script on one process, stopped, on two workers, and on two of which one is killed: the same result."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
import warm
from warm import PATIENCE

ROOT = Path(__file__).parent.parent
CONFIG = """
from tfl.config import BackboneConfig, CheckpointConfig, DataConfig, FeaturesConfig, FinetuneConfig, TransferConfig


def get_config():
    return TransferConfig(
        data=DataConfig(source="digits:0-2", image_size=32, train_examples_per_class=25, batch_size=5),
        backbone=BackboneConfig(name="MobileNet", alpha=0.25, weights="none"),
        features=FeaturesConfig(store="none"),
        finetune=FinetuneConfig(epochs=2, unfreeze="1", learning_rate=1e-3, optimizer="sgd"),
        checkpoint=CheckpointConfig(every_steps=2),
    )
"""
TRAIN = ["scripts/train.py"]
LAUNCH = ["scripts/launch_local.py", "--workers=2", "--", "scripts/train.py"]


def flags(folder: Path) -> list[str]:
    config = folder / "config.py"
    config.write_text(CONFIG)
    return [f"--config={config}", f"--workdir={folder / 'run'}"]


def run(command: list[str], folder: Path, *options: str) -> dict:
    folder.mkdir()
    result = warm.run([*command, *flags(folder), *options], cwd=ROOT)
    assert result.returncode == 0, result.stderr[-3000:]
    return outcome(folder)


def outcome(folder: Path) -> dict:
    workdir = folder / "run"
    with (workdir / "history.csv").open() as file:
        history = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    with (workdir / "predictions.csv").open() as file:
        predictions = list(csv.DictReader(file))
    weights = keras.saving.load_model(workdir / "model.keras", compile=False).get_weights()
    return {
        "metrics": json.loads((workdir / "metrics.json").read_text()),
        "history": history,
        "predictions": predictions,
        "weights": weights,
    }


def assert_equal(one: dict, other: dict, tolerance: float) -> None:
    assert one["metrics"]["kept"] == other["metrics"]["kept"]
    for name in ("test", "validation"):
        assert one["metrics"][name]["accuracy"] == other["metrics"][name]["accuracy"]
        assert one["metrics"][name]["num_examples"] == other["metrics"][name]["num_examples"]
    assert len(one["history"]) == len(other["history"]) and "val_calibrated_loss" in one["history"][0]
    for first, second in zip(one["history"], other["history"], strict=True):
        for name in first:
            assert first[name] == pytest.approx(second[name], rel=1e-4, abs=1e-5), name
    assert [row["id"] for row in one["predictions"]] == [row["id"] for row in other["predictions"]]
    for first, second in zip(one["weights"], other["weights"], strict=True):
        np.testing.assert_allclose(first, second, atol=tolerance)


@pytest.fixture(scope="module")
def one_process(tmp_path_factory) -> dict:
    return run(TRAIN, tmp_path_factory.mktemp("one") / "w")


def test_two_logical_devices_give_the_same_run(one_process, tmp_path):
    two = run(TRAIN, tmp_path / "w", "--config.strategy=cpu:2")
    assert_equal(one_process, two, tolerance=1e-5)


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory) -> dict:
    return run(LAUNCH, tmp_path_factory.mktemp("two") / "w")


def test_two_workers_give_the_same_run(one_process, two_workers):
    assert_equal(one_process, two_workers, tolerance=1e-5)


def test_a_group_of_which_a_member_is_killed_ends_with_the_same_result(two_workers, tmp_path):
    folder = tmp_path / "killed"
    folder.mkdir()
    with (folder / "log").open("w") as log:
        group = subprocess.Popen([sys.executable, *LAUNCH, *flags(folder)], cwd=ROOT, stdout=log, stderr=log)
        while group.poll() is None and not list(folder.glob("run/checkpoints/finetune/step_*")):
            time.sleep(0.05)
        members = subprocess.run(
            ["pgrep", "-f", f"train.py.*{folder / 'run'}"], capture_output=True, text=True, check=True
        ).stdout.split()
        victims = [int(pid) for pid in members if int(pid) != group.pid and is_worker(int(pid), 1)]
        assert group.poll() is None and len(victims) == 1, (folder / "log").read_text()[-3000:]
        os.kill(victims[0], signal.SIGKILL)
        assert group.wait(PATIENCE) == 0, (folder / "log").read_text()[-3000:]
    text = (folder / "log").read_text()
    assert "continuing from step" in text and "launcher:" in text
    assert_equal(two_workers, outcome(folder), tolerance=1e-6)


def test_a_script_that_is_stopped_goes_on_to_the_same_bits(one_process, tmp_path):
    folder = tmp_path / "stopped"
    folder.mkdir()
    codes = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL):
        process = warm.Process([*TRAIN, *flags(folder)], folder / "log", cwd=ROOT)
        before = set(folder.glob("run/checkpoints/finetune/step_*"))
        while process.poll() is None and set(folder.glob("run/checkpoints/finetune/step_*")) <= before:
            time.sleep(0.02)
        process.send_signal(number)
        codes.append(process.wait())
        if not codes[-1]:
            break
    assert codes[0] == 143 and set(codes[1:]) <= {0, 130, -9}, (folder / "log").read_text()[-3000:]
    again = warm.run([*TRAIN, *flags(folder)], cwd=ROOT)
    assert again.returncode == 0, again.stderr[-3000:]
    result = outcome(folder)
    assert result["history"] == one_process["history"] and result["predictions"] == one_process["predictions"]
    for one, other in zip(result["weights"], one_process["weights"], strict=True):
        np.testing.assert_array_equal(one, other)


def test_without_a_launcher_the_other_worker_ends_with_one_clear_line(tmp_path, tf_configs):
    command = [sys.executable, *TRAIN, *flags(tmp_path), "--config.finetune.epochs=500"]
    logs = [(tmp_path / f"log{index}").open("w") for index in (0, 1)]
    workers = [
        subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | {"TF_CONFIG": config},
            stdout=log,
            stderr=log,
        )
        for config, log in zip(tf_configs(2), logs, strict=True)
    ]
    while all(w.poll() is None for w in workers) and not list(tmp_path.glob("run/checkpoints/finetune/step_*")):
        time.sleep(0.05)
    texts = [(tmp_path / f"log{index}").read_text() for index in (0, 1)]
    assert all(w.poll() is None for w in workers), texts
    workers[1].kill()
    assert workers[0].wait(PATIENCE) == 75, (tmp_path / "log0").read_text()[-3000:]  # it does not wait for ever
    assert "Another worker was lost" in (tmp_path / "log0").read_text().splitlines()[-1]


def is_worker(pid: int, index: int) -> bool:
    try:
        return f'"index": {index}' in Path(f"/proc/{pid}/environ").read_bytes().decode()
    except OSError:
        return False
