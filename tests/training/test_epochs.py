"""Which examples an epoch of `tfl.fit` sees: one pass, or `steps_per_epoch` batches behind those of the last one."""

import functools
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfl
from tfl.errors import InputError
from tfl.training import CheckpointOptions

COUNT, BATCH, PASS = 23, 2, 12  # batches of a pass; the last one is short
X, IDS = np.ones((COUNT, 3), np.float32), np.arange(COUNT)


class Seen(keras.metrics.Metric):
    """How often each example was seen; the label is its number."""

    def __init__(self) -> None:
        super().__init__(name="seen")
        self.counts = self.add_variable((COUNT,), "zeros", name="counts")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        rows = tf.one_hot(tf.cast(tf.reshape(y_true, [-1]), tf.int32), COUNT)
        self.counts.assign_add(tf.reduce_sum(rows, axis=0))

    def result(self) -> Any:
        return self.counts + 0.0


class KilledError(Exception):
    """Stands for a process that ends here."""


def dataset(seed: int | None = None) -> tf.data.Dataset:
    rows = tf.data.Dataset.from_tensor_slices((X, IDS))
    return (rows if seed is None else rows.shuffle(COUNT, seed=seed)).batch(BATCH)


def generated(count: int = PASS) -> tf.data.Dataset:
    spec = (tf.TensorSpec([None, 3]), tf.TensorSpec([None], tf.int64))
    starts = range(0, count * BATCH, BATCH)
    return tf.data.Dataset.from_generator(
        lambda: ((X[i : i + BATCH], IDS[i : i + BATCH]) for i in starts), output_signature=spec
    )


@functools.cache
def network() -> keras.Model:
    """One for all tests: its graph is traced once."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    tfl.compile(model, "sgd", loss="regression", metrics=[Seen()])
    return model


def fit(x: Any, y: Any = None, **options: Any) -> keras.callbacks.History:
    model = network()
    model.set_weights([np.ones((3, 1)), np.zeros(1)])
    for variable in model.optimizer.variables:
        variable.assign(keras.ops.zeros_like(variable) if variable is not model.optimizer._learning_rate else 0.01)
    return tfl.fit(model, x, y, **({"batch_size": BATCH, "verbose": False, "shuffle": False} | options))


def seen(history: keras.callbacks.History) -> np.ndarray:
    return np.array(history.history["seen"]).astype(int)


def expected(steps: int, epochs: int, first: int = 0) -> np.ndarray:
    counts = np.zeros((epochs, COUNT), int)
    for step in range(steps * epochs):
        start = (first + step) % PASS * BATCH
        counts[step // steps, start : start + BATCH] += 1
    return counts


FORMS = {
    "arrays": lambda: (X, IDS),
    "dataset": lambda: (dataset(),),
    "repeated": lambda: (dataset().repeat(),),
    "of unknown length": lambda: (dataset().repeat().filter(lambda x, y: y[0] >= 0),),
    "generator": lambda: (generated(),),
}


@pytest.mark.parametrize("every_step", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_an_epoch_goes_on_where_the_last_one_stopped(form: str, every_step: bool) -> None:
    """Also over the end of the data, and where an epoch is longer than a pass."""
    ends: list[int] = []
    callback = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: ends.append(batch))
    for steps in (5, 30) if form in ("arrays", "generator") else (5,):
        history = fit(*FORMS[form](), steps_per_epoch=steps, epochs=4, callbacks=[callback] * every_step)
        np.testing.assert_array_equal(seen(history), expected(steps, 4))
        assert history.steps == 4 * steps and history.params["steps"] == steps
    assert not every_step or ends[:5] == [0, 1, 2, 3, 4]


def test_a_first_epoch_that_is_not_zero_goes_on_too() -> None:
    for form in ("arrays", "repeated"):
        history = fit(*FORMS[form](), steps_per_epoch=5, initial_epoch=3, epochs=5)
        np.testing.assert_array_equal(seen(history), expected(5, 2, first=15))


def test_arrays_in_random_order_are_seen_once_in_each_pass() -> None:
    counts = seen(fit(X, IDS, shuffle=True, steps_per_epoch=3, epochs=8))
    np.testing.assert_array_equal(counts[:4].sum(axis=0), 1)
    np.testing.assert_array_equal(counts[4:].sum(axis=0), 1)
    assert np.any(counts[:4] != counts[4:])


def test_an_epoch_feed_goes_on_from_pass_to_pass() -> None:
    images = np.broadcast_to(np.arange(40, dtype=np.uint8)[:, None, None, None], (40, 4, 4, 3))
    splits = tfl.load_data({"train": (images, np.arange(40) % 2), "test": (images[:8], np.arange(8) % 2)})
    feed = tfl.EpochFeed(splits.source, splits.train, image_size=4, batch_size=8, seed=1)
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Flatten(), keras.layers.Dense(2)])
    models = [model, keras.models.clone_model(model)]
    models[1].set_weights(model.get_weights())
    for model, options in zip(models, ({"epochs": 3}, {"epochs": 4, "steps_per_epoch": 3}), strict=True):
        assert feed.num_batches == 4
        tfl.compile(model, tfl.make_optimizer("sgd", 1e-6))
        tfl.fit(model, feed, verbose=False, **options)
    for one, other in zip(models[0].get_weights(), models[1].get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_callable_says_what_each_epoch_begins_with() -> None:
    asked: list[int] = []

    def by_epoch(epoch: int) -> tf.data.Dataset:
        asked.append(epoch)
        return dataset().skip(epoch)

    counts = seen(fit(by_epoch, steps_per_epoch=2, epochs=3))
    np.testing.assert_array_equal(counts, np.concatenate([expected(2, 1, first=epoch) for epoch in range(3)]))
    assert asked == [0, 1, 2]
    np.testing.assert_array_equal(seen(fit(by_epoch, steps_per_epoch=PASS + 1))[0], expected(PASS + 1, 1)[0])


@pytest.mark.parametrize("form", ["arrays", "shuffled stream", "generator"])
def test_training_goes_on_in_the_data_after_an_interruption(form: str, tmp_path: Path) -> None:
    """A stream that is shuffled with a seed gives its order again from the beginning, so each start makes it anew."""
    data = {
        "arrays": lambda: (X, IDS),
        "shuffled stream": lambda: (dataset(3).repeat(),),
        "generator": FORMS["generator"],
    }
    options = {"steps_per_epoch": 5, "epochs": 6, "shuffle": True}

    def kill(batch: int, logs: Any) -> None:
        killed.append(batch)
        if len(killed) == 13:
            raise KilledError

    killed: list[int] = []
    undisturbed = fit(*data[form](), **options)
    checkpoint = CheckpointOptions(tmp_path, every_steps=1)
    killer = keras.callbacks.LambdaCallback(on_train_batch_end=kill)
    with pytest.raises(KilledError):
        fit(*data[form](), checkpoint=checkpoint, callbacks=[killer], **options)
    resumed = fit(*data[form](), checkpoint=checkpoint, **options)
    assert len(resumed.epoch) == 6
    np.testing.assert_array_equal(seen(resumed), seen(undisturbed))
    assert resumed.history["loss"] == undisturbed.history["loss"]


def test_checkpoints_start_at_the_first_epoch_that_was_asked_for(tmp_path: Path) -> None:
    assert fit(X, IDS, initial_epoch=2, epochs=4, checkpoint=CheckpointOptions(tmp_path)).epoch == [2, 3]


@pytest.mark.parametrize("steps", [None, 5])
@pytest.mark.parametrize("x", [lambda: dataset().take(0), lambda: generated(0), lambda: lambda epoch: generated(0)])
def test_data_without_a_batch_is_refused(x: Any, steps: int | None) -> None:
    with pytest.raises(InputError, match="`x` must have at least one batch"):
        fit(x(), steps_per_epoch=steps)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"x": dataset().repeat()}, "`steps_per_epoch` must be given if `x` repeats for ever"),
        ({"x": dataset().repeat().filter(lambda x, y: y[0] >= 0)}, "`steps_per_epoch` must be given"),
        ({"x": lambda epoch: dataset().repeat()}, "`steps_per_epoch` must be given"),
        ({"validation_data": dataset().repeat()}, "`validation_data` must end"),
        ({"validation_data": lambda epoch: generated().repeat()}, "`validation_data` must end"),
        ({"validation_data": generated(0)}, "`validation_data` must have at least one batch"),
        ({"steps_per_epoch": 2.5}, "`steps_per_epoch` must be a whole number, at least 1"),
        ({"steps_per_epoch": -1}, "`steps_per_epoch` must be a whole number"),
        ({"epochs": 0}, "`epochs` must be a whole number, at least 1"),
        ({"initial_epoch": -1}, "`initial_epoch` must be a whole number, at least 0"),
        (
            {"validation_split": 0.1},
            r"`validation_split` must be an option of tfl\.fit: .*Did you mean validation_data=",
        ),
        ({"validation_steps": 3}, r"Did you mean validation_data=dataset\.take"),
        ({"step_per_epoch": 3}, "Did you mean 'steps_per_epoch'"),
    ],
)
def test_what_cannot_be_walked_is_refused_in_one_line(options: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError, match=line) as caught:
        fit(**({"x": dataset()} | options))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ask", [tfl.evaluate, lambda model, data: tfl.evaluation.predict(model, data, "multiclass")])
def test_evaluation_of_an_endless_set_is_refused(ask: Any) -> None:
    endless = dataset().map(lambda x, y: {"image": x, "label": y, "id": y}).repeat()
    with pytest.raises(InputError, match="`dataset` must end, because tfl reads all of it"):
        ask(keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]), endless)
