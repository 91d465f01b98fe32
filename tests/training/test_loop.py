"""The loop against `keras.Model.fit` and against formulas written out in NumPy."""

import keras
import numpy as np
import pytest
from keras import layers

import tfl


def small_network(seed: int = 0, dropout: float = 0.0, batch_norm: bool = True) -> keras.Model:
    """A convolutional network with BatchNorm, dropout and a head by name.

    A bias below BatchNorm has no gradient but rounding, which Adam would blow up: hence none there.
    """
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 3, strides=2, use_bias=not batch_norm, name="conv")(inputs)
    if batch_norm:
        x = layers.BatchNormalization(name="bn", momentum=0.9)(x)
    x = layers.ReLU(name="relu")(x)
    x = layers.GlobalAveragePooling2D(name="head_pool")(x)
    if dropout:
        x = layers.Dropout(dropout, name="head_dropout")(x)
    return keras.Model(inputs, layers.Dense(4, name="head_logits")(x))


def examples(count: int = 42, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, 8, 8, 3)).astype(np.float32), rng.integers(0, 4, count)


OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(0.1, momentum=0.9),
    "nesterov": lambda: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "adam": lambda: keras.optimizers.Adam(0.01),
    "rmsprop": lambda: keras.optimizers.RMSprop(0.01),
    "schedule": lambda: keras.optimizers.Adam(tfl.make_schedule("cosine", 0.01, 21)),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_equals_keras_fit_on_even_and_uneven_batches(name: str) -> None:
    images, labels = examples(42)  # batches of 6: 7 steps, no rest; of 8: a short last batch
    for batch_size in (6, 8):
        ours, theirs = small_network(), small_network()
        tfl.compile(ours, OPTIMIZERS[name]())
        history = tfl.fit(
            ours, images, labels, batch_size=batch_size, epochs=3, shuffle=False, validation_data=(images, labels)
        )
        theirs.compile(
            OPTIMIZERS[name](), keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"]
        )
        expected = theirs.fit(
            images, labels, batch_size=batch_size, epochs=3, shuffle=False, verbose=0, validation_data=(images, labels)
        )
        for mine, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
            np.testing.assert_allclose(mine, other, rtol=2e-4, atol=2e-5)
        for key, values in expected.history.items():
            np.testing.assert_allclose(history.history[key], values, rtol=1e-4, atol=1e-5)
        assert history.history["skipped_steps"] == [0, 0, 0]
