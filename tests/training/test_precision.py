"""Training in bfloat16 and float16: near what float32 gives, and a float32 model afterwards."""

import keras
import numpy as np
import pytest

import tfl
from tfl.models.precision import computing_in
from tfl.training import Contract
from tfl.training.loss_scale import LossScale
from tfl.training.plan import make_trainer

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


def test_an_overflow_of_float16_is_skipped_and_training_goes_on() -> None:
    model = build()
    tfl.compile(model, tfl.make_optimizer("adam", 1e-3), loss="multiclass")
    with computing_in(model, "mixed_float16"):
        trainer = make_trainer(model)
        trainer.loss_scale.factor.assign(2.0**60)  # every gradient overflows at first
        history = tfl.fit(model, *data(), batch_size=8, epochs=20, verbose=False)
    skipped = history.history["skipped_steps"]
    assert skipped[0] == 3 and skipped[-1] == 0
    assert all(np.isfinite(values).all() for values in model.get_weights())
