"""A small network that says something else of every image, and images for it."""

from collections.abc import Callable

import keras
import numpy as np
import pytest

from tfl.export import Reference
from tfl.inputs.image.decode import decode_image, resize
from tfl.models.classifier import Metadata

SIZE = 32


@pytest.fixture(scope="session")
def make_model() -> Callable[..., keras.Model]:
    """Build a network of ordinary layers, always with the same weights."""

    def make(target: str = "multiclass", temperature: float = 1.7) -> keras.Model:
        keras.utils.set_random_seed(1)
        classes = ("no", "yes") if target == "binary" else ("ant", "bee", "wasp")
        image = keras.Input((SIZE, SIZE, 3), name="image")
        tensor = keras.layers.Rescaling(1 / 127.5, -1.0)(image)
        tensor = keras.layers.Conv2D(8, 3, strides=2, activation="relu")(tensor)
        tensor = keras.layers.BatchNormalization()(tensor)
        tensor = keras.layers.Dropout(0.5)(keras.layers.GlobalAveragePooling2D()(tensor))
        wide = keras.initializers.RandomNormal(stddev=3.0)
        logits = keras.layers.Dense(1 if target == "binary" else 3, kernel_initializer=wide, name="head_logits")
        model = keras.Model(image, logits(tensor))
        model.metadata = Metadata("MobileNetV2", 1.0, SIZE, target, classes, temperature)
        return model

    return make


@pytest.fixture(scope="session")
def pixels() -> np.ndarray:
    """More than two batches of noise, each image of another brightness and colour."""
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 255, (70, SIZE, SIZE, 3)) * rng.uniform(0, 1, (70, 1, 1, 3))
    return images.astype(np.uint8)


@pytest.fixture(scope="session")
def encoded(make_photos) -> list[bytes]:
    """Images of different sizes, formats, brightness and colour."""
    return make_photos(40)


@pytest.fixture(scope="session")
def expected_of() -> Callable[[keras.Model, np.ndarray], np.ndarray]:
    """Say what a model says, by the plain model and NumPy."""

    def expect(model: keras.Model, images: np.ndarray) -> np.ndarray:
        metadata = model.metadata
        return metadata.task.scores(model(images, training=False).numpy(), metadata.temperature)

    return expect


@pytest.fixture(scope="session")
def refer(encoded, expected_of) -> Callable[[keras.Model], Reference]:
    """Let a model look at the images, as the pipeline shows them."""

    def make(model: keras.Model) -> Reference:
        images = np.stack([resize(decode_image(image), SIZE).numpy() for image in encoded])
        probabilities = expected_of(model, images)
        target = model.metadata.target
        labels = probabilities.argmax(axis=1) if target in ("multiclass", "binary") else probabilities
        return Reference(model.metadata, images, encoded, probabilities, labels)

    return make
