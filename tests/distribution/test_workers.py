"""Two worker processes sum, gather, and solve one head between them: what one process finds."""

import os
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import warm
from workers_program import TARGETS, solve

from tfl.distribution.workers import Workers

PROGRAM = Path(__file__).with_name("workers_program.py")


@pytest.fixture(scope="module")
def found(tmp_path_factory, tf_configs) -> list[dict[str, np.ndarray]]:
    """Run the program on two workers, and return what each of them wrote."""
    folder = tmp_path_factory.mktemp("workers")
    processes = [
        warm.Process([PROGRAM, folder], folder / "log", env=os.environ | {"TF_CONFIG": config})
        for config in tf_configs(2)
    ]
    assert [process.wait() for process in processes] == [0, 0], (folder / "log").read_text()
    return [dict(np.load(folder / f"{index}.npz")) for index in range(2)]


def test_sums_and_means_are_of_all_workers(found):
    parts = [np.random.default_rng(index).normal(size=(30, 50)) for index in range(2)]
    np.testing.assert_array_equal(found[0]["sum"], parts[0] + parts[1])
    np.testing.assert_array_equal(found[0]["mean"], [0.5, 3.0])


def test_what_is_gathered_is_whole_and_to_the_bit(found):
    numbers = np.random.default_rng(5).normal(size=(77, 3)).astype(np.float32)
    for worker in found:
        np.testing.assert_array_equal(worker["gathered"], numbers)
        np.testing.assert_array_equal(worker["of one alone"], numbers[:5])
        assert worker["gathered"].dtype == np.float32


def test_all_workers_have_the_same_bits(found):
    for name, values in found[0].items():
        np.testing.assert_array_equal(values, found[1][name], err_msg=name)


@pytest.mark.parametrize("target", TARGETS)
def test_a_head_solved_between_workers_is_that_of_one_process(found, target):
    alone = solve(target, None)
    assert found[0][f"{target} l2"] == pytest.approx(alone["l2"], rel=1e-6)
    path = found[0][f"{target} path"]
    np.testing.assert_allclose(path[:, :2], alone["path"][:, :2], rtol=2e-4)  # not converged
    np.testing.assert_allclose(path[:, 2], alone["path"][:, 2], rtol=5e-2)
    for name, closeness in (("kernel", 2e-4), ("bias", 1e-3)):  # sums in float32 against float64
        scale = np.abs(alone[name]).max()
        np.testing.assert_allclose(found[0][f"{target} {name}"], alone[name], atol=closeness * scale, rtol=0)


def test_shares_are_whole_batches_and_together_everything():
    shares = []
    for index in range(3):
        workers = Workers(tf.distribute.get_strategy())
        workers.number, workers.index = 3, index
        shares.append(workers.share(100, 32))
    assert sorted(np.concatenate(shares)) == list(range(100))
    np.testing.assert_array_equal(shares[0], [*range(32), *range(96, 100)])
    assert [len(share) for share in shares] == [36, 32, 32]
