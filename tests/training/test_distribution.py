"""One process, two logical devices and two worker processes train the same network: everything must be equal."""

import os
from pathlib import Path

import numpy as np
import pytest
import warm
from distributed_program import CASES, EPOCHS

PROGRAM = Path(__file__).with_name("distributed_program.py")
EXACT = [name for name in CASES if name not in ("dropout", "bfloat16")]


def start(way: str, cases: list[str], folder: Path, **environment: str) -> warm.Process:
    folder.mkdir(exist_ok=True)
    log = folder / f"{way}-{len(list(folder.glob('*.log')))}.log"
    log.touch()
    return warm.Process([PROGRAM, way, "|".join(cases), folder], log, env=os.environ | environment)


@pytest.fixture(scope="module")
def runs(tmp_path_factory, tf_configs) -> dict[str, Path]:
    """Train every case in every way, each way in its own processes, and return the folders of what they wrote."""
    base, cases = tmp_path_factory.mktemp("distribution"), list(CASES)
    folders = {way: base / way.replace(":", "") for way in ("one", "cpu:2", "workers")}
    processes = [start(way, cases, folders[way]) for way in ("one", "cpu:2")]
    processes += [start("workers", cases, folders["workers"], TF_CONFIG=config) for config in tf_configs(2)]
    codes = [process.wait() for process in processes]
    logs = "\n".join(log.read_text()[-2000:] for folder in folders.values() for log in folder.glob("*.log"))
    assert codes == [0] * len(codes), logs
    return folders


def read(folder: Path, case: str, index: int = 0) -> dict[str, np.ndarray]:
    with np.load(folder / f"{case}-{index}.npz") as values:
        return dict(values)


@pytest.mark.parametrize("way", ["cpu:2", "workers"])
@pytest.mark.parametrize("case", EXACT)
def test_weights_optimizer_and_history_are_those_of_one_process(runs: dict[str, Path], case: str, way: str) -> None:
    one, other = read(runs["one"], case), read(runs[way], case)
    assert one.keys() == other.keys() and len(one["history loss"]) == EPOCHS
    for name in one:
        np.testing.assert_allclose(other[name], one[name], atol=1e-6, rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("way", ["cpu:2", "workers"])
def test_batch_norm_sees_all_replicas_in_half_precision_too(runs: dict[str, Path], way: str) -> None:
    one, other = read(runs["one"], "bfloat16"), read(runs[way], "bfloat16")
    for name in one:
        if "norm_1/moving" in name:
            np.testing.assert_allclose(other[name], one[name], rtol=1e-2, atol=2e-3, err_msg=name)


@pytest.mark.parametrize("case", CASES)
def test_workers_and_replicas_end_equal_to_the_bit(runs: dict[str, Path], case: str) -> None:
    first, second = (read(runs["workers"], case, index) for index in (0, 1))
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)
    assert read(runs["cpu:2"], case)["apart"] == 0


def test_accuracy_is_counted_over_every_example_once(runs: dict[str, Path]) -> None:
    for way in runs:
        history = read(runs[way], "batch norm")
        for name, count in (("accuracy", 45), ("val_accuracy", 29)):
            hits = history[f"history {name}"] * count
            np.testing.assert_allclose(hits, np.round(hits), atol=1e-4, err_msg=f"{way} {name}")


def test_two_workers_and_two_devices_draw_the_same_dropout_and_not_that_of_one(runs: dict[str, Path]) -> None:
    one, devices, workers = (read(runs[way], "dropout") for way in ("one", "cpu:2", "workers"))
    name = next(name for name in one if "head_logits/kernel" in name and name.startswith("weight"))
    np.testing.assert_allclose(devices[name], workers[name], atol=1e-6)
    assert np.abs(devices[name] - one[name]).max() > 1e-3


def test_a_step_that_is_not_finite_is_skipped_by_all(runs: dict[str, Path]) -> None:
    for way in runs:
        result = read(runs[way], "nan")
        np.testing.assert_array_equal(result["history skipped_steps"], 1)
        assert all(np.isfinite(values).all() for name, values in result.items() if name.startswith("weight"))
