"""Every callback of keras.callbacks in `tfl.fit` against `keras.Model.fit`: the same calls, logs and outcome."""

import csv
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfl
from tfl.errors import InputError

C = keras.callbacks
RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 4)).astype(np.float32)
Y = RNG.integers(0, 3, 20)
HELD = RNG.normal(size=(11, 4)).astype(np.float32), RNG.integers(0, 3, 11)
EPOCHS, BATCH = 4, 8
HOOKS = [name for name in vars(C.Callback) if name.startswith("on_")]
ABSENT = {"OrbaxCheckpoint": "orbax"}  # needs a package that tfl does not install
ALL = [name for name, found in vars(C).items() if isinstance(found, type)]
MADE: dict[str, Callable[[Path], C.Callback]] = {
    "BackupAndRestore": lambda folder: C.BackupAndRestore(folder / "backup", delete_checkpoint=False),
    "BackupAndRestore by steps": lambda folder: C.BackupAndRestore(folder / "backup", save_freq=2),
    "Callback": lambda folder: C.Callback(),
    "CallbackList": lambda folder: C.Callback(),
    "CSVLogger": lambda folder: C.CSVLogger(folder / "log.csv"),
    "EarlyStopping": lambda folder: C.EarlyStopping("val_accuracy", 0.5, patience=1, restore_best_weights=True),
    "EarlyStopping by loss": lambda folder: C.EarlyStopping("val_loss", 9.0, patience=2, restore_best_weights=True),
    "History": lambda folder: C.History(),
    "LambdaCallback": lambda folder: C.LambdaCallback(on_epoch_end=lambda epoch, logs: None),
    "LearningRateScheduler": lambda folder: C.LearningRateScheduler(lambda epoch, rate: rate / 2),
    "ModelCheckpoint": lambda folder: C.ModelCheckpoint(folder / "{epoch}.keras", "val_accuracy", save_best_only=True),
    "ModelCheckpoint by steps": lambda folder: C.ModelCheckpoint(
        folder / "{epoch}-{batch}.weights.h5", save_weights_only=True, save_freq=2
    ),
    "ProgbarLogger": lambda folder: C.ProgbarLogger(),
    "ReduceLROnPlateau": lambda folder: C.ReduceLROnPlateau("val_accuracy", 0.5, patience=1, min_delta=1.0),
    "RemoteMonitor": lambda folder: C.RemoteMonitor(send_as_json=True),
    "SwapEMAWeights": lambda folder: C.SwapEMAWeights(),
    "SwapEMAWeights by epochs": lambda folder: C.SwapEMAWeights(swap_on_epoch=True),
    "TensorBoard": lambda folder: C.TensorBoard(folder, histogram_freq=1),
    "TensorBoard by steps": lambda folder: C.TensorBoard(folder, update_freq=1, write_graph=False),
    "TerminateOnNaN": lambda folder: C.TerminateOnNaN(),
}


class Recorder(C.Callback):
    """Writes down every call, with the logs as they are then."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, Any, dict[str, float]]] = []


def _record(hook: str) -> Callable[..., None]:
    def record(self: Recorder, *at: Any, logs: Any = None) -> None:
        if hook.startswith(("on_train_begin", "on_train_end", "on_test_begin", "on_test_end")):
            at, logs = (), at[0] if at else logs
        elif len(at) == 2:
            at, logs = at[:1], at[1]
        self.calls.append((hook, at, {k: v for k, v in (logs or {}).items() if k != "skipped_steps"}))

    return record


for _hook in HOOKS:
    if "predict" not in _hook and not _hook.startswith("on_batch"):
        setattr(Recorder, _hook, _record(_hook))


@functools.cache
def network(ours: bool, average: bool) -> tuple[keras.Model, list[np.ndarray]]:
    """One model for all tests, so that its graph is traced once."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="logits")], name="network")
    optimizer = keras.optimizers.SGD(0.3, momentum=0.9, use_ema=average, ema_momentum=0.5)
    if ours:
        tfl.compile(model, optimizer)
    else:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer, loss, metrics=["accuracy"])
    optimizer.build(model.trainable_variables)
    return model, [v.numpy() for v in [*model.variables, *optimizer.variables]]


def fresh(ours: bool, average: bool = False) -> keras.Model:
    model, start = network(ours, average)
    for variable, value in zip([*model.variables, *model.optimizer.variables], start, strict=True):
        variable.assign(value)
    return model


def fit(model: keras.Model, callbacks: Any, x: np.ndarray = X, epochs: int = EPOCHS) -> keras.callbacks.History:
    run = tfl.fit if hasattr(model, "_tfl_plan") else keras.Model.fit
    return run(
        model,
        x,
        Y,
        batch_size=BATCH,
        epochs=epochs,
        shuffle=False,
        validation_data=HELD,
        callbacks=callbacks,
        verbose=0,
    )


def poisoned() -> np.ndarray:
    x = X.copy()
    x[10] = np.nan
    return x


def outcome(folder: Path, callback: C.Callback) -> dict[str, Any]:
    """Return what a callback leaves behind: its numbers, its files, rows of tables, scalars of TensorBoard."""
    left: dict[str, Any] = {
        name: value
        for name, value in vars(callback).items()
        # Of TensorBoard: a count of steps, and whether Keras' train function was drawn, which tfl does not have.
        if isinstance(value, (bool, int, float)) and "time" not in name and not name.startswith(("_global", "_should"))
    }
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        if file.suffix == ".csv":
            with file.open() as table:
                rows = list(csv.DictReader(table))
            left |= {f"{n} {k}": float(v) for n, row in enumerate(rows) for k, v in row.items() if "skipped" not in k}
        elif "events" in file.name:
            for event in tf.compat.v1.train.summary_iterator(str(file)):
                for value in event.summary.value:
                    if "skipped" not in value.tag and value.metadata.plugin_data.plugin_name == "scalars":
                        left[f"{file.parent.name} {value.tag} {event.step}"] = tf.make_ndarray(value.tensor).item()
                    elif "skipped" not in value.tag:
                        left[f"{file.parent.name} {value.tag} {event.step}"] = 1
        else:
            left[str(file.relative_to(folder))] = json.loads(file.read_text()) if file.suffix == ".json" else 1
    return left


def assert_same(ours: dict[str, Any], theirs: dict[str, Any], where: str) -> None:
    assert ours.keys() == theirs.keys(), where
    for name, value in theirs.items():
        assert ours[name] == pytest.approx(value, rel=2e-4, abs=1e-5, nan_ok=True), f"{where}: {name}"


def test_every_callback_of_keras_is_in_this_contract() -> None:
    assert {name.partition(" ")[0] for name in MADE} | set(ABSENT) == set(ALL) and len(ALL) >= 16
    for name, package in ABSENT.items():
        with pytest.raises(ImportError, match=package):
            getattr(C, name)("folder")


@pytest.mark.parametrize("name", MADE)
def test_calls_logs_params_and_outcome_are_those_of_keras(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(keras.src.callbacks.remote_monitor, "requests", type("", (), {"post": send_to(sent)}))
    x, average = (poisoned() if name == "TerminateOnNaN" else X), name.startswith("SwapEMA")
    recorders, left, weights = [], [], []
    for way in ("theirs", "ours", "ours without hooks for steps"):
        folder = tmp_path / way
        folder.mkdir()
        model, callback, recorder = fresh(way != "theirs", average), MADE[name](folder), Recorder()
        callbacks: Any = [callback, recorder] if way in ("theirs", "ours") else callback
        if name == "CallbackList":
            callbacks = C.CallbackList([recorder], add_history=True, model=model, epochs=EPOCHS, steps=3, verbose=0)
        history = fit(model, callbacks, x)
        assert history.params == {"epochs": EPOCHS, "steps": 3, "verbose": 0}
        recorders.append(recorder)
        left.append(outcome(folder, callback))
        weights.append(model.get_weights())
    theirs, ours = recorders[:2]
    assert ours.params == theirs.params
    assert [call[:2] for call in ours.calls] == [call[:2] for call in theirs.calls]
    assert [list(call[2]) for call in ours.calls] == [list(call[2]) for call in theirs.calls]
    assert len(sent) % 3 == 0 and [list(logs) for logs in sent[: len(sent) // 3]] == [
        [key for key in logs if key != "skipped_steps"] for logs in sent[len(sent) // 3 : 2 * len(sent) // 3]
    ]
    if name == "TerminateOnNaN":
        assert ours.calls[-1][0] == "on_train_end" and np.isfinite(weights[1][0]).all()
        return
    for mine, other in zip(ours.calls, theirs.calls, strict=True):
        assert_same(mine[2], other[2], f"{mine[:2]}")
    for values, found in zip(weights[1:], left[1:], strict=True):
        assert_same(found, left[0], name)
        for mine, other in zip(values, weights[0], strict=True):
            np.testing.assert_allclose(mine, other, rtol=2e-4, atol=2e-5)


def send_to(sent: list[dict[str, Any]]) -> Callable[..., None]:
    return staticmethod(lambda url, json, headers: sent.append(json))


class KilledError(Exception):
    """Stands for a process that ends here."""


def test_backup_and_restore_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    def kill(epoch: int, logs: Any) -> None:
        if epoch == 2:
            raise KilledError

    expected = fit(fresh(True), None)
    weights = fresh(True) and network(True, False)[0].get_weights()
    with pytest.raises(KilledError):
        fit(fresh(True), [C.BackupAndRestore(tmp_path), C.LambdaCallback(on_epoch_begin=kill)])
    model = fresh(True)
    history = fit(model, C.BackupAndRestore(tmp_path))
    assert history.epoch == [2, 3] and len(expected.epoch) == 4 and weights
    for name, values in history.history.items():
        assert values == expected.history[name][2:]
    assert fit(model, None, epochs=1).epoch == [0]  # what was restored counts once


def test_modes_are_known_for_metrics_that_stock_keras_does_not_get() -> None:
    model, _ = network.__wrapped__(True, False)
    tfl.compile(model, "sgd", metrics=["accuracy", keras.metrics.AUC(name="auc"), own])
    stop = C.EarlyStopping("val_auc")
    fit(model, stop, epochs=1)
    assert stop.mode == "max" and stop.best == model.history.history["val_auc"][0]
    assert C.EarlyStopping("val_own", mode="min").mode == "min"
    for monitor, hint in (("val_own", ""), ("val_acurracy", "Did you mean 'accuracy'"), ("f1", "")):
        with pytest.raises(InputError, match=f"`mode` of EarlyStopping must be 'min' or 'max'.*{monitor}.*{hint}"):
            fit(model, C.EarlyStopping(monitor))


def own(y_true: Any, y_pred: Any) -> Any:
    return y_pred[:, 0]


@pytest.mark.parametrize(
    ("callback", "options", "line"),
    [
        (lambda: "EarlyStopping", {}, "`callbacks` must be Keras callbacks. Received: 'EarlyStopping'"),
        (C.Callback, {"call": True}, "`callbacks` must be Keras callbacks"),
        (C.SwapEMAWeights, {}, "`callbacks` must not have SwapEMAWeights if the optimizer has no average"),
        (lambda: C.BackupAndRestore("folder"), {"ema": 0.5}, "BackupAndRestore if weights are averaged"),
        (
            lambda: C.ReduceLROnPlateau(),
            {"schedule": True},
            "ReduceLROnPlateau if a schedule sets the learning rate",
        ),
        (lambda: C.LearningRateScheduler(abs), {"schedule": True}, "LearningRateScheduler if a schedule"),
    ],
)
def test_what_would_go_wrong_is_refused_in_one_line(callback: Any, options: dict[str, Any], line: str) -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    rate = tfl.make_schedule("cosine", 0.1, 12) if options.get("schedule") else 0.1
    tfl.compile(model, keras.optimizers.SGD(rate), ema=options.get("ema", 0.0))
    with pytest.raises(InputError, match=line) as caught:
        fit(model, [callback if options.get("call") else callback()])
    assert "\n" not in str(caught.value)
