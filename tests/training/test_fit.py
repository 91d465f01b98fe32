"""What `tfl.fit` promises around the step: guard, freezing, seeds, data forms, callbacks, exact figures."""

import logging as python_logging
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tfl
from tfl.errors import InputError


def network(dropout: float = 0.3) -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 3, strides=2, use_bias=False, name="conv")(inputs)
    x = layers.BatchNormalization(name="bn", momentum=0.9)(x)
    x = layers.ReLU(name="relu")(x)
    x = layers.GlobalAveragePooling2D(name="head_pool")(x)
    x = layers.Dropout(dropout, name="head_dropout")(x)
    return keras.Model(inputs, layers.Dense(4, name="head_logits")(x))


def compiled(dropout: float = 0.3, **options: Any) -> keras.Model:
    model = network(dropout)
    tfl.compile(model, "adam", **options)
    return model


def data(count: int = 21) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.normal(size=(count, 8, 8, 3)).astype(np.float32), rng.integers(0, 4, count)


def fit(model: keras.Model, *arguments: Any, **options: Any) -> keras.callbacks.History:
    return tfl.fit(model, *(arguments or data()), **({"batch_size": 8, "verbose": False} | options))


def state(model: keras.Model) -> list[np.ndarray]:
    return [v.numpy() for v in [*model.variables, *model.optimizer.variables]]


def assert_same(left: list[np.ndarray], right: list[np.ndarray]) -> None:
    for a, b in zip(left, right, strict=True):
        np.testing.assert_array_equal(a, b)


def test_same_seed_same_weights_to_the_bit_and_another_seed_others() -> None:
    runs = []
    for seed in (5, 5, 6):
        model = compiled()
        keras.utils.set_random_seed(len(runs))  # what else happens in the process must not matter
        fit(model, epochs=2, seed=seed, mixup=0.4, cutmix=0.4)
        runs.append(model.get_weights())
    assert_same(runs[0], runs[1])
    assert any(np.any(a != b) for a, b in zip(runs[0], runs[2], strict=True))


def test_a_poisoned_batch_changes_nothing_and_is_named(caplog: pytest.LogCaptureFixture) -> None:
    images, labels = data(8)
    model = compiled()
    fit(model, images, labels)
    before = state(model)
    images[3, 2, 2, 1] = np.nan
    python_logging.getLogger("absl").propagate = True
    with caplog.at_level("WARNING", logger="absl"):
        history = fit(model, images, labels, shuffle=False)
    assert history.history["skipped_steps"] == [1] and history.steps == 1
    seeds = [v.name == "seed_generator_state" for v in [*model.variables, *model.optimizer.variables]]
    after = state(model)
    assert_same(*([value for value, seed in zip(s, seeds, strict=True) if not seed] for s in (before, after)))
    assert "Their examples: 3." in caplog.text
    assert np.isnan(history.history["loss"][0])


def test_good_batches_around_a_poisoned_one_train_as_if_it_were_not_there() -> None:
    images, labels = data(24)
    poisoned = images.copy()
    poisoned[9] = np.inf
    model, reference = compiled(dropout=0.0), compiled(dropout=0.0)
    history = fit(model, poisoned, labels, shuffle=False)
    keep = np.r_[0:8, 16:24]
    expected = fit(reference, images[keep], labels[keep], shuffle=False)
    assert_same(model.get_weights(), reference.get_weights())
    assert history.history["skipped_steps"] == [1]
    assert history.history["loss"] == expected.history["loss"]


def test_an_infinite_weight_stops_nothing_and_spreads_nowhere() -> None:
    model = compiled()
    fit(model)
    model.get_layer("conv").kernel.assign(np.full((3, 3, 3, 6), np.inf))
    before = model.get_weights()
    assert fit(model, epochs=2).history["skipped_steps"] == [3, 3]
    assert_same(before, model.get_weights())


def test_freezing_between_fits_takes_effect_and_frozen_batchnorm_stays() -> None:
    model = compiled()
    fit(model)
    for name in ("conv", "bn"):
        model.get_layer(name).trainable = False
    frozen = [v.numpy() for name in ("conv", "bn") for v in model.get_layer(name).weights]
    head = model.get_layer("head_logits").kernel.numpy()
    fit(model)
    assert_same(frozen, [v.numpy() for name in ("conv", "bn") for v in model.get_layer(name).weights])
    assert np.any(head != model.get_layer("head_logits").kernel.numpy())
    model.get_layer("conv").trainable = True  # and back again: the optimizer is new, the learning rate is not
    model.optimizer.learning_rate = 0.25
    fit(model)
    assert np.any(frozen[0] != model.get_layer("conv").kernel.numpy())
    assert float(model.optimizer.learning_rate) == 0.25
    model.trainable = False
    with pytest.raises(InputError, match="everything is frozen"):
        fit(model)


def test_regularize_between_fits_takes_effect() -> None:
    model, reference = compiled(dropout=0.0), compiled(dropout=0.0)
    fit(model)
    fit(reference)
    tfl.regularize(model, head_l2=1.0)
    with_penalty, without = fit(model).history["loss"][0], fit(reference).history["loss"][0]
    assert with_penalty > without + 0.1


def test_weight_decay_spares_all_but_kernels() -> None:
    model = network(0.0)
    tfl.compile(model, keras.optimizers.SGD(0.5, weight_decay=0.5))
    images, labels = data()
    before = {v.path: v.numpy() for v in model.trainable_variables}
    tfl.fit(model, images, labels, sample_weight=np.zeros(len(labels)), batch_size=21, verbose=False)
    for variable in model.trainable_variables:  # no gradient: what moved was moved by decay
        factor = 0.75 if variable.path.endswith("kernel") else 1.0
        np.testing.assert_allclose(variable.numpy(), factor * before[variable.path], rtol=1e-6)


def as_dicts(images: np.ndarray, labels: np.ndarray) -> tf.data.Dataset:
    rows = {"image": images, "label": labels, "id": np.arange(len(labels)), "weight": np.ones(len(labels), np.float32)}
    return tf.data.Dataset.from_tensor_slices(rows).batch(8)


def unknown_length(images: np.ndarray, labels: np.ndarray) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices((images, labels)).filter(lambda x, y: True).batch(8)


FORMS = {
    "pairs": lambda x, y: tf.data.Dataset.from_tensor_slices((x, y)).batch(8),
    "triples": lambda x, y: tf.data.Dataset.from_tensor_slices((x, y, np.ones(len(y)))).batch(8),
    "dicts": as_dicts,
    "unknown length": unknown_length,
    "by epoch": lambda x, y: lambda epoch: as_dicts(x, y),
    "one-hot": lambda x, y: tf.data.Dataset.from_tensor_slices((x, np.eye(4, dtype=np.float32)[y])).batch(8),
    "repeated": lambda x, y: tf.data.Dataset.from_tensor_slices((x, y)).batch(8).repeat(),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_data_trains_alike(form: str) -> None:
    reference, model = compiled(), compiled()
    expected = fit(reference, epochs=2, shuffle=False, validation_data=data())
    dataset = FORMS[form](*data())
    steps = {"steps_per_epoch": 3} if form == "repeated" else {}
    history = tfl.fit(model, dataset, epochs=2, validation_data=None if steps else dataset, verbose=False, **steps)
    for mine, other in zip(model.get_weights(), reference.get_weights(), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-5, atol=1e-6)
    for name, values in history.history.items():
        np.testing.assert_allclose(values, expected.history[name], rtol=1e-5)


def test_a_callable_is_asked_once_per_epoch() -> None:
    asked: list[int] = []

    def dataset(epoch: int) -> tf.data.Dataset:
        asked.append(epoch)
        return as_dicts(*data())

    fit(compiled(), dataset, epochs=4, initial_epoch=1)
    assert asked == [1, 2, 3]


def test_figures_are_over_examples_not_means_of_batches() -> None:
    images, labels = data(21)  # batches of 8, 8, 5
    model = compiled()
    history = fit(model, validation_data=(images, labels), callbacks=[])
    logits = model.predict(images, verbose=0).astype(np.float64)
    losses = np.logaddexp.reduce(logits, axis=1) - logits[np.arange(21), labels]
    assert history.history["val_loss"] == [pytest.approx(losses.mean(), rel=1e-5)]
    assert history.history["val_accuracy"] == [pytest.approx(np.mean(logits.argmax(1) == labels), abs=1e-7)]
    assert history.epoch == [0] and model.history is history
    assert set(history.history) == {"loss", "accuracy", "skipped_steps", "val_loss", "val_accuracy"}


def test_real_callbacks_work(tmp_path: Path) -> None:
    seen: list[tuple[int, set[str]]] = []
    ends: list[int] = []
    callbacks = [
        keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: seen.append((epoch, set(logs))),
            on_train_batch_end=lambda batch, logs: ends.append(batch),
        ),
        keras.callbacks.ReduceLROnPlateau(monitor="val_loss", min_delta=100.0, patience=1, factor=0.5),
        keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras"),
        keras.callbacks.TensorBoard(tmp_path / "tensorboard"),
        keras.callbacks.CSVLogger(tmp_path / "log.csv"),
    ]
    model = compiled()
    fit(model, epochs=3, validation_data=data(), callbacks=callbacks)
    names = {"loss", "accuracy", "skipped_steps", "val_loss", "val_accuracy"}
    assert [epoch for epoch, _ in seen] == [0, 1, 2] and all(names <= logs for _, logs in seen)
    assert ends == [0, 1, 2] * 3
    assert float(model.optimizer.learning_rate) == pytest.approx(1e-3 / 4)
    last = keras.saving.load_model(tmp_path / "3.keras")
    assert_same(last.get_weights(), model.get_weights())
    assert list((tmp_path / "tensorboard").rglob("events*")) and len((tmp_path / "log.csv").read_text().split()) == 4


@pytest.mark.parametrize("ema", [0.0, 0.5])
def test_early_stopping_restores_the_best_epoch(ema: float) -> None:
    kept: list[list[np.ndarray]] = []
    model = compiled(ema=ema)
    recorder = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: kept.append(model.get_weights()))
    stop = keras.callbacks.EarlyStopping(monitor="loss", mode="max", patience=2, restore_best_weights=True)
    history = fit(model, epochs=9, callbacks=[recorder, stop])
    best = int(np.argmax(history.history["loss"]))
    assert len(kept) < 9 and model.stop_training
    assert_same(model.get_weights(), kept[best])


def test_stop_training_within_an_epoch() -> None:
    model = compiled()
    callback = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: setattr(model, "stop_training", batch == 1)
    )
    history = fit(model, epochs=5, callbacks=[callback])
    assert history.steps == 2 and int(model.optimizer.iterations) == 2


def test_any_keras_metric_and_stock_evaluate() -> None:
    metrics = ["accuracy", keras.metrics.SparseTopKCategoricalAccuracy(2, name="top2")]
    model = compiled(metrics=metrics)
    history = fit(model, validation_data=data())
    stock = model.evaluate(*data(), batch_size=8, verbose=0, return_dict=True)
    for name in ("loss", "accuracy", "top2"):
        assert history.history[f"val_{name}"][0] == pytest.approx(stock[name], rel=1e-5)


def test_fused_batchnorm_leaves_no_trace_on_the_layers() -> None:
    model = compiled()
    fit(model)
    assert "call" not in model.get_layer("bn").__dict__


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fit(network()), "must be compiled with tfl.compile"),
        (lambda: fit(compiled(), sead=3), "`sead` must be an option of tfl.fit.*Did you mean 'seed'"),
        (lambda: fit(compiled(), data()[0]), "`y` must be given"),
        (lambda: fit(compiled(), data()[0], data()[1][:-1]), "`y` must be as long as `x`"),
        (lambda: fit(compiled(), as_dicts(*data()), data()[1]), "`y` must be None"),
        (lambda: fit(compiled(), batch_size=0), "`batch_size` must be at least 1"),
        (lambda: fit(compiled(), as_dicts(*data()).repeat()), "`steps_per_epoch` must be given"),
        (lambda: fit(compiled(), mixup=-1.0), "`mixup` and `cutmix` must be at least 0"),
        (lambda: fit(compiled(), as_dicts(*data()).map(lambda row: row["image"])), "`x` must be a dataset of"),
        (lambda: compiled(layer_decay=0.0), "`layer_decay` must be in"),
        (lambda: compiled(loss="multi"), "`loss` must be a target.*Did you mean"),
        (lambda: compiled(metrics=["acuracy"]), "`metrics` must be Keras metrics"),
        (lambda: tfl.compile(network(), "adamm"), "Did you mean 'adam"),
    ],
)
def test_bad_input_is_one_clear_line(call: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_real_photos_are_learned(shared: Path) -> None:
    folder = shared / "data" / "hymenoptera" / "train"
    images, labels = [], []
    for label, name in enumerate(("ants", "bees")):
        for path in sorted((folder / name).glob("*.jpg"))[:12]:
            pixels = tf.io.decode_jpeg(path.read_bytes(), channels=3)
            images.append(tf.cast(tf.round(tf.image.resize(pixels, (32, 32), antialias=True)), tf.uint8))
            labels.append(label)
    keras.utils.set_random_seed(0)
    inputs = keras.Input((32, 32, 3), dtype="uint8")
    x = layers.Rescaling(1 / 127.5, offset=-1)(inputs)
    x = layers.Conv2D(16, 3, strides=2, activation="relu")(x)
    x = layers.Flatten(name="head_pool")(x)
    model = keras.Model(inputs, layers.Dense(2, name="head_logits")(x))
    tfl.compile(model, "adam")
    x, y = np.stack(images), np.array(labels)
    history = tfl.fit(model, x, y, batch_size=10, epochs=15, validation_data=(x, y), verbose=False)
    assert history.history["val_accuracy"][-1] == 1.0
