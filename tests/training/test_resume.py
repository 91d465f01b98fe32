"""An interrupted training ends with the weights, the steps and the history of one that was left alone, to the bit."""

import contextlib
import os
import random
import signal
import time
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
import warm
from resume_program import BATCH, CASES, EPOCHS, build, train

import tfl
from tfl.checkpoints.store import Checkpoint, CheckpointStore
from tfl.errors import InputError
from tfl.training import CheckpointOptions
from tfl.training.loop.scalars import StepScalars

PROGRAM = Path(__file__).with_name("resume_program.py")


class KilledError(Exception):
    """Stands for a process that ends here."""


class KillAt(keras.callbacks.Callback):
    """End training after some epoch, in a way that nobody catches."""

    def __init__(self, epoch: int) -> None:
        super().__init__()
        self.at = (epoch,)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if (epoch,) == self.at:
            raise KilledError


def start(folder: Path, case: str) -> warm.Process:
    folder.mkdir(exist_ok=True)
    return warm.Process([PROGRAM, folder, case], folder / "log")


def result(folder: Path) -> dict[str, np.ndarray]:
    with np.load(folder / "result.npz") as values:
        return dict(values)


def assert_same(folder: Path, undisturbed: Path) -> None:
    one, other = result(undisturbed), result(folder)
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(other[name], one[name], err_msg=f"{name}: {(folder / 'log').read_text()[-800:]}")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> dict[str, Path]:
    base = tmp_path_factory.mktemp("undisturbed")
    folders = {case: base / case for case in CASES}
    for case, folder in folders.items():
        assert start(folder, case).wait() == 0, (folder / "log").read_text()
    return folders


@pytest.mark.parametrize("case", CASES)
def test_a_second_start_of_a_finished_training_repeats_nothing(undisturbed, tmp_path, case) -> None:
    folder = tmp_path / case
    assert start(folder, case).wait() == 0
    assert_same(folder, undisturbed[case])
    before = time.time_ns()
    assert start(folder, case).wait() == 0
    assert (folder / "result.npz").stat().st_mtime_ns > before
    assert_same(folder, undisturbed[case])
    assert "continuing from step" in (folder / "log").read_text()


@pytest.mark.parametrize("case", CASES)
def test_what_is_stopped_by_a_signal_goes_on_to_the_bit(undisturbed, tmp_path, case) -> None:
    folder = tmp_path / case
    codes = []
    for number in (signal.SIGTERM, signal.SIGINT):
        process = start(folder, case)
        stop_once_a_checkpoint_is_written(process, folder, number)
        codes.append(process.wait())
    while codes[-1]:
        codes.append(start(folder, case).wait())
    assert codes[0] == 128 + signal.SIGTERM and codes[1] in (0, 128 + signal.SIGINT), (folder / "log").read_text()
    assert_same(folder, undisturbed[case])


def stop_once_a_checkpoint_is_written(process: warm.Process, folder: Path, number: signal.Signals) -> None:
    def newest() -> float:
        # What is being written has a name that begins with a dot, and may be gone when it is asked for.
        return max((file.stat().st_mtime for file in folder.glob("checkpoints/[!.]*")), default=0.0)

    before = newest()
    while process.poll() is None and newest() <= before:
        time.sleep(0.01)
    if process.poll() is None:
        process.send_signal(number)


def kill_at_random_moments(folder: Path, case: str, kills: int, seed: int) -> int:
    """Kill and start again until `kills` are made and a start is left to end; return how many hit a running one."""
    rng, hits = random.Random(seed), 0
    for _ in range(kills):
        process = start(folder, case)
        stop_once_a_checkpoint_is_written(process, folder, signal.SIGCONT)  # imports take most of the time: not here
        time.sleep(rng.uniform(0, 0.6))
        hits += process.poll() is None
        process.kill()
        process.wait()
        if (folder / "result.npz").exists():
            break
    assert start(folder, case).wait() == 0, (folder / "log").read_text()
    return hits


@pytest.mark.parametrize("case", CASES)
def test_kill_9_changes_nothing(undisturbed, tmp_path, case) -> None:
    assert kill_at_random_moments(tmp_path / case, case, kills=4, seed=1) >= 1
    assert_same(tmp_path / case, undisturbed[case])


@pytest.mark.slow
@pytest.mark.skipif("TFL_SOAK" not in os.environ, reason="200 kills take half an hour: set TFL_SOAK=1")
@pytest.mark.parametrize("seed", range(20))
def test_kill_9_often_changes_nothing(undisturbed, tmp_path, seed) -> None:
    case = list(CASES)[seed % len(CASES)]
    kill_at_random_moments(tmp_path / case, case, kills=10, seed=seed)
    assert_same(tmp_path / case, undisturbed[case])


def test_the_number_of_steps_is_exact(undisturbed) -> None:
    steps = -(-int(result(undisturbed["adam"])["train"]) // BATCH)
    assert steps > 5  # saved in the middle of epochs
    assert result(undisturbed["adam"])["steps"] == EPOCHS * steps
    stopped = result(undisturbed["stopping"])
    assert stopped["steps"] == len(stopped["epochs"]) * steps and len(stopped["epochs"]) < EPOCHS


@pytest.mark.parametrize("epoch", range(EPOCHS))
def test_the_end_of_an_epoch_is_a_place_to_go_on_from(undisturbed, tmp_path, epoch) -> None:
    """In one process, so that every epoch can be hit; what is compared was made in another one."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "log").touch()
    with pytest.raises(KilledError):
        train(folder, CASES["average"], callbacks=[KillAt(epoch)])
    train(folder, CASES["average"], callbacks=[KillAt(-1)])
    assert_same(folder, undisturbed["average"])


def test_the_epoch_of_the_lowest_validation_loss_is_kept_beside_the_newest(tmp_path) -> None:
    model = build()
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (24, 16, 16, 3), np.uint8)
    tfl.compile(model, tfl.make_optimizer("sgd", 0.2), loss="multiclass")
    checkpoint = CheckpointOptions(tmp_path, every_seconds=0, keep=1)
    options = {"batch_size": 8, "verbose": False, "checkpoint": checkpoint}
    validation = (rng.integers(0, 256, (30, 16, 16, 3), np.uint8), np.arange(30) % 3)
    history = tfl.fit(model, images, np.arange(24) % 3, epochs=5, validation_data=validation, **options)
    best = int(np.argmin(history.history["val_loss"]))
    store = CheckpointStore(tmp_path)
    assert best < 4, "the last epoch is the best: this test could not fail"
    assert store.load().state["epoch"] == 5 and store.load_best().state["epoch"] == best + 1


def test_a_checkpoint_that_fit_did_not_write_is_refused(tmp_path) -> None:
    CheckpointStore(tmp_path).save(Checkpoint(3, {"w": np.zeros(2)}, {"epoch": 1}))
    model = build()
    tfl.compile(model, tfl.make_optimizer("sgd", 0.1), loss="multiclass")
    images = np.zeros((8, 16, 16, 3), np.uint8)
    with pytest.raises(InputError, match=r"must hold checkpoints of `tfl.fit`.*'batch' is missing"):
        tfl.fit(model, images, np.arange(8) % 3, epochs=1, checkpoint=CheckpointOptions(tmp_path), verbose=False)


def test_another_training_is_refused_by_name(tmp_path) -> None:
    train(tmp_path, CASES["adam"])
    with pytest.raises(InputError, match=r"differs in seed=1 \(recorded: 0\)"):
        train(tmp_path, CASES["adam"], fingerprint={"seed": 1})
    with pytest.raises(InputError, match="checkpoints of this model"):
        train(tmp_path, CASES["average"])


def test_what_an_object_store_refuses_is_one_line(tmp_path, monkeypatch) -> None:
    def refuse(*arguments) -> None:
        raise tf.errors.PermissionDeniedError(None, None, "no access\nto this bucket")

    monkeypatch.setattr(CheckpointStore, "load", refuse)
    with pytest.raises(InputError, match=r"`checkpoint\.folder` must be a usable folder.*no access to this bucket\.$"):
        train(tmp_path, CASES["adam"])


def test_too_many_skipped_steps_end_training_and_name_the_examples(tmp_path) -> None:
    model = build()
    images = np.random.default_rng(0).uniform(0, 255, (12, 16, 16, 3)).astype(np.float32)
    images[7] = np.nan
    for layer in model.layers:
        layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
    tfl.compile(model, "adam", loss="multiclass")
    names = [f"photo_{number}.jpg" for number in range(12)]
    options = {"batch_size": 12, "verbose": False, "names": names, "max_skipped_steps": 2}
    checkpoint = CheckpointOptions(tmp_path, every_steps=1)
    before = model.get_weights()
    with pytest.raises(InputError, match=r"more than 2 steps in a row.*examples: photo_7\.jpg\. Did"):
        tfl.fit(model, images, np.arange(12) % 3, epochs=9, checkpoint=checkpoint, **options)
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_nothing_that_is_not_finite_is_ever_saved_or_the_best(tmp_path) -> None:
    model = build()
    images = np.random.default_rng(0).uniform(0, 255, (24, 16, 16, 3)).astype(np.float32)
    images[3, 0, 0, 0] = np.inf
    tfl.compile(model, tfl.make_optimizer("sgd", 1e20), loss="multiclass")
    stop = keras.callbacks.EarlyStopping(patience=9, restore_best_weights=True)
    seen = []

    class Look(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
            newest = CheckpointStore(tmp_path).load()
            seen.append(all(np.isfinite(v).all() for name, v in newest.arrays.items() if name.startswith("model/")))

    tfl.fit(
        model,
        images,
        np.arange(24) % 3,
        batch_size=4,
        epochs=4,
        validation_data=(images[10:], np.arange(14) % 3),
        callbacks=[stop, Look()],
        checkpoint=CheckpointOptions(tmp_path, every_steps=1),
        verbose=False,
    )
    assert len(seen) == 4 and all(seen)
    assert all(np.isfinite(values).all() for values in model.get_weights())


def test_out_of_memory_in_the_first_step_divides_the_batch(capsys) -> None:
    """A layer that cannot take more than 4 examples at once stands for a device that is full."""

    class Full(keras.layers.Layer):
        def call(self, x):
            return tf.ensure_shape(tf.numpy_function(self._check, [x], tf.float32), x.shape)

        @staticmethod
        def _check(x: np.ndarray) -> np.ndarray:
            if len(x) > 4:
                raise MemoryError
            return x

    def network(with_limit: bool) -> keras.Model:
        keras.utils.set_random_seed(0)
        inputs = keras.Input((5,))
        features = Full()(inputs) if with_limit else inputs
        return keras.Model(inputs, keras.layers.Dense(3, name="head_logits")(features))

    x, y = np.random.default_rng(0).normal(size=(32, 5)).astype(np.float32), np.arange(32) % 3
    weights = []
    for with_limit in (True, False):
        model = network(with_limit)
        tfl.compile(model, "adam", loss="multiclass")
        tfl.fit(model, x, y, batch_size=16, epochs=2, verbose=False)
        weights.append(model.get_weights())
    assert "into 4 parts" in capsys.readouterr().err
    for limited, free in zip(*weights, strict=True):
        np.testing.assert_allclose(limited, free, atol=1e-6)


def test_tensorboard_tells_every_step_once_also_after_an_interruption(tmp_path) -> None:
    for folder, kill in ((tmp_path / "whole", -1), (tmp_path / "killed", 1)):
        folder.mkdir()
        for attempt in (kill, -1):
            scalars = StepScalars(folder / "scalars")
            with contextlib.suppress(KilledError):
                model = train(folder, CASES["adam"], callbacks=[scalars, KillAt(attempt)])
    steps = {}
    for name in ("whole", "killed"):
        events = [
            e
            for file in (tmp_path / name / "scalars").glob("*")
            for e in tf.compat.v1.train.summary_iterator(str(file))
        ]
        values = {(e.step, v.tag): tf.make_ndarray(v.tensor).item() for e in events for v in e.summary.value}
        steps[name] = values
    assert steps["whole"] == steps["killed"]
    assert max(step for step, _ in steps["whole"]) == int(model.optimizer.iterations)
    assert {tag for _, tag in steps["whole"]} == {
        f"step/{n}" for n in ("loss", "gradient_norm", "learning_rate", "images_seen")
    }


@pytest.mark.parametrize("threads", [1, 2])
def test_the_threads_that_prepare_images_change_nothing(threads) -> None:
    images = np.random.default_rng(0).integers(0, 256, (60, 16, 16, 3), np.uint8)
    splits = tfl.load_data({"train": (images, np.arange(60) % 3), "test": (images[:9], np.arange(9) % 3)})
    feed = tfl.EpochFeed(splits.source, splits.train, image_size=16, batch_size=8, augmentation="rand", seed=3)
    options = tf.data.Options()
    options.threading.private_threadpool_size = threads
    models = []
    for change in (lambda dataset: dataset, lambda dataset: dataset.with_options(options)):
        model = build()
        tfl.compile(model, "adam", loss="multiclass")
        tfl.fit(model, lambda epoch, change=change: change(feed(epoch)), epochs=3, verbose=False)
        models.append(model.get_weights())
    for one, other in zip(*models, strict=True):
        np.testing.assert_array_equal(one, other)
