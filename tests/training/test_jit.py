"""XLA compiles the forward and backward pass: the same training."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import warm

import tfl


def trained_weights(jit_compile: bool, accumulate: int, images: np.ndarray, labels: np.ndarray) -> tuple:
    keras.utils.set_random_seed(3)
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, use_bias=False)(inputs)
    x = keras.layers.BatchNormalization(momentum=0.8)(x)
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.ReLU()(x))
    model = keras.Model(inputs, keras.layers.Dense(3)(x))
    tfl.regularize(model, head_l2=1e-3)
    tfl.compile(model, tfl.make_optimizer("sgd", 0.05), "multiclass", accumulate=accumulate, jit_compile=jit_compile)
    history = tfl.fit(model, images, labels, batch_size=16, epochs=3, verbose=False)
    return model.get_weights(), history.history


@pytest.mark.parametrize("accumulate", [1, 2])
def test_weights_are_those_without_it(accumulate, caplog):
    rng = np.random.default_rng(0)
    images, labels = rng.normal(size=(43, 8, 8, 3)).astype(np.float32), rng.integers(0, 3, 43)
    images[5, 2, 2, 0] = np.nan  # a step that is skipped
    plain, history = trained_weights(False, accumulate, images, labels)
    compiled, other = trained_weights(True, accumulate, images, labels)
    for one, two in zip(plain, compiled, strict=True):
        np.testing.assert_allclose(one, two, atol=2e-5)
    assert "Their examples: 5." in caplog.text and "," not in caplog.text.split("Their examples:")[1].splitlines()[0]
    assert history["skipped_steps"] == other["skipped_steps"] == [1, 1, 1]
    np.testing.assert_allclose(history["loss"], other["loss"], rtol=1e-4)


def test_the_pass_is_really_compiled(monkeypatch):
    asked = []
    function = tf.function
    monkeypatch.setattr(tf, "function", lambda *a, **k: asked.append(k.get("jit_compile")) or function(*a, **k))
    rng = np.random.default_rng(0)
    trained_weights(True, 1, rng.normal(size=(16, 8, 8, 3)).astype(np.float32), rng.integers(0, 3, 16))
    assert True in asked


REFUSED = """
import keras, numpy, tfl
from tfl.distribution.strategy import make_strategy
with make_strategy("cpu:2").scope():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
tfl.compile(model, jit_compile=True)
try:
    tfl.fit(model, numpy.zeros((4, 4), "float32"), numpy.zeros(4, int))
except tfl.InputError as error:
    print(error)
"""


def test_several_replicas_are_refused():
    result = warm.run(["-c", REFUSED])
    assert result.stdout.startswith("`jit_compile` must be False with several replicas")
