"""Training in bfloat16 and float16: near what float32 gives, and a float32 model afterwards."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfl
from tfl.models.precision import computing_in
from tfl.training import Contract
from tfl.training.loop.plan import make_trainer
from tfl.training.update.loss_scale import LossScale

POLICIES = ("mixed_bfloat16", "mixed_float16")


def build() -> keras.Model:
    keras.utils.set_random_seed(2)
    inputs = keras.Input((32, 32, 3), dtype="uint8")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1)(inputs)
    for number in (1, 2):
        x = keras.layers.Conv2D(16, 3, strides=2, use_bias=False, name=f"conv_{number}")(x)
        x = keras.layers.BatchNormalization(momentum=0.8, name=f"norm_{number}")(x)
        x = keras.layers.ReLU()(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(3, dtype="float32", name="head_logits")(x))


def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = np.arange(24) % 3
    return (rng.integers(0, 90, (24, 32, 32, 3)) + 80 * labels[:, None, None, None]).astype(np.uint8), labels


def train(precision: str, epochs: int = 6) -> tuple[keras.Model, list[float]]:
    model = build()
    tfl.compile(model, tfl.make_optimizer("adam", 1e-2), loss="multiclass")
    promise = Contract.before(model)
    with computing_in(model, precision):
        assert model.get_layer("head_logits").compute_dtype == "float32"
        history = tfl.fit(model, *data(), batch_size=8, epochs=epochs, verbose=False)
        expected = "float32" if precision == "float32" else precision.removeprefix("mixed_")
        assert model.get_layer("conv_2").compute_dtype == expected
    promise.verify(history)
    return model, history.history["loss"]


@pytest.mark.parametrize("precision", POLICIES)
def test_the_loss_falls_as_in_float32_and_the_model_is_float32_again(precision: str, tmp_path) -> None:
    _, losses = train("float32")
    model, mixed = train(precision)
    assert losses[-1] < 0.7 * losses[0]
    np.testing.assert_allclose(mixed, losses, rtol=0.2, atol=0.05)
    assert mixed != losses  # it did compute in another precision
    assert {layer.compute_dtype for layer in model._flatten_layers()} == {"float32"}
    assert all(v.dtype == "float32" for v in model.trainable_variables)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    assert {layer.compute_dtype for layer in loaded._flatten_layers()} == {"float32"}
    np.testing.assert_allclose(loaded(data()[0]), model(data()[0]), atol=1e-5)


def test_the_loss_scale_shrinks_at_an_overflow_and_grows_after_many_good_steps() -> None:
    scale = LossScale()
    start = float(scale.value())
    scale.update(finite=np.bool_(False), overflow=np.bool_(True))
    assert float(scale.value()) == start / 2
    for _ in range(2000):
        scale.update(finite=np.bool_(True), overflow=np.bool_(False))
    assert float(scale.value()) == start
    scale.update(finite=np.bool_(False), overflow=np.bool_(False))  # the fault of the data
    assert float(scale.value()) == start


def test_a_step_that_overflows_float16_is_made_again_and_counted_apart() -> None:
    """No step is lost: three steps an epoch end where they end with a scale that fits from the start."""
    weights = []
    for factor in (2.0**11, 2.0**40):  # with the second one every gradient overflows at first
        model = build()
        tfl.compile(model, tfl.make_optimizer("adam", 1e-3), loss="multiclass")
        promise = Contract.before(model)
        with computing_in(model, "mixed_float16"):
            make_trainer(model).loss_scale.factor.assign(factor)
            history = tfl.fit(model, *data(), batch_size=8, epochs=2, verbose=False, max_skipped_steps=1)
        assert history.history["skipped_steps"] == [0, 0]
        assert (history.history["overflows"][0] > 1) == (factor > 2.0**11)
        assert promise.verify(history, steps=6)["skipped_steps"] == 0
        weights.append(model.get_weights())
    for one, other in zip(*weights, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-3)


def test_generalised_mean_pooling_trains_in_float16() -> None:
    """The floor of the mean, cubed, is 0 in float16."""
    losses = {}
    for precision in ("float32", "mixed_float16"):
        keras.utils.set_random_seed(0)
        inputs = keras.Input((16, 16, 3), dtype="uint8")
        x = keras.layers.Conv2D(8, 3, strides=2, activation="relu")(keras.layers.Rescaling(1 / 255)(inputs))
        model = tfl.build_classifier(keras.Model(inputs, x), tfl.HeadSpec(3, pooling="gem", hidden_units=(4,)))
        tfl.compile(model, tfl.make_optimizer("sgd", 1e-2), loss="multiclass")
        with computing_in(model, precision):
            images, labels = data()
            history = tfl.fit(model, images[:, :16, :16], labels, batch_size=8, epochs=2, verbose=False)
        assert history.history["skipped_steps"] == [0, 0]
        losses[precision] = history.history["loss"]
    np.testing.assert_allclose(losses["mixed_float16"], losses["float32"], rtol=5e-3)


def test_an_epoch_without_an_applied_step_is_never_the_best(tmp_path) -> None:
    images, labels = data()
    model, metric = build(), keras.metrics.F1Score(name="f1")
    tfl.compile(model, tfl.make_optimizer("sgd", 10.0), loss="multiclass", metrics=["accuracy", metric])
    promise, before = Contract.before(model), model.get_weights()
    stop = keras.callbacks.EarlyStopping("val_accuracy", mode="max", patience=5, restore_best_weights=True)
    file = tmp_path / "{epoch}.weights.h5"
    saving = keras.callbacks.ModelCheckpoint(file, "val_loss", mode="min", save_best_only=True, save_weights_only=True)

    def feed(epoch: int):
        weights = np.full(len(labels), 1.0 if epoch else np.nan, np.float32)
        return tf.data.Dataset.from_tensor_slices((images, labels, weights)).batch(8)

    history = tfl.fit(
        model,
        feed,
        epochs=2,
        validation_data=(images, labels),
        callbacks=[stop, saving],
        steps_per_epoch=3,
        verbose=False,
    )
    assert history.history["skipped_steps"] == [3, 0]
    assert np.isnan(history.history["val_f1"][0]).all() and np.isfinite(history.history["val_f1"][1]).all()
    assert np.isnan(history.history["val_loss"][0]) and stop.best_epoch == 1
    assert [path.name for path in tmp_path.iterdir()] == ["2.weights.h5"]
    assert any(np.any(a != b) for a, b in zip(before, model.get_weights(), strict=True))
    promise.verify(history)


def test_weights_of_the_start_are_no_broken_contract_where_no_epoch_was_the_best() -> None:
    model = build()
    tfl.compile(model, tfl.make_optimizer("sgd", 1e-2), loss="multiclass")
    promise, before = Contract.before(model), model.get_weights()
    history = tfl.fit(model, *data(), batch_size=8, epochs=1, verbose=False)
    model.set_weights(before)
    with pytest.raises(tfl.ContractError, match="no trained variable changed"):
        promise.verify(history)
    history.history["val_loss"] = [float("nan")]
    promise.verify(history)
