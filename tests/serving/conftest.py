"""A small model that says something else of every image, served."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import pytest
from fastapi.testclient import TestClient
from warm import PATIENCE

from tfl.export import Artefact, load_artefact
from tfl.export.litert_file import write_litert
from tfl.models.classifier import Metadata, save_model
from tfl.serving import ServeOptions
from tfl.serving.app import create_app

SIZE = 32
CLASSES = ("ant", "bee", "<b>wasp</b>")  # a name that must not become HTML


def make_model(target: str = "multiclass") -> keras.Model:
    keras.utils.set_random_seed(1)
    image = keras.Input((SIZE, SIZE, 3), name="image")
    tensor = keras.layers.Rescaling(1 / 127.5, -1.0)(image)
    tensor = keras.layers.Conv2D(8, 3, strides=2, activation="relu")(tensor)
    tensor = keras.layers.GlobalAveragePooling2D()(tensor)
    wide = keras.initializers.RandomNormal(stddev=3.0)
    names = ("weight", "height") if target == "regression" else CLASSES
    model = keras.Model(image, keras.layers.Dense(len(names), kernel_initializer=wide)(tensor))
    model.metadata = Metadata("MobileNetV2", 1.0, SIZE, target, names, 1.7)
    return model


@pytest.fixture(scope="session")
def model_file(tmp_path_factory) -> Path:
    """A .keras file."""
    path = tmp_path_factory.mktemp("served") / "model.keras"
    save_model(make_model(), path)
    return path


@pytest.fixture(scope="session")
def artefact(model_file) -> Artefact:
    """The same, asked without a service."""
    return load_artefact(model_file)


@pytest.fixture(scope="session")
def litert_file(tmp_path_factory) -> Path:
    """A format without layers to look at."""
    path = tmp_path_factory.mktemp("served") / "model.tflite"
    model = make_model()
    write_litert(model, model.metadata, path)
    return path


@pytest.fixture(scope="session")
def regression_file(tmp_path_factory) -> Path:
    """A model whose outputs are no probabilities."""
    path = tmp_path_factory.mktemp("served") / "model.keras"
    save_model(make_model("regression"), path)
    return path


@pytest.fixture(scope="session")
def photos(make_photos) -> list[bytes]:
    """Images of different sizes, formats, brightness and colour."""
    return make_photos(12)


@pytest.fixture(scope="session")
def ready() -> Callable[[TestClient], TestClient]:
    """Wait for the model of a client: a service answers before it is loaded."""

    def wait(client: TestClient) -> TestClient:
        deadline = time.monotonic() + PATIENCE
        while client.get("/readyz").status_code != 200:
            assert client.app.state.model.failure is None
            assert time.monotonic() < deadline, "the model was never ready"
            time.sleep(0.05)
        return client

    return wait


@pytest.fixture(scope="session")
def serve() -> Callable[..., TestClient]:
    """Make a client of a service with any options; as a context it starts and stops it."""
    return lambda model, **options: TestClient(
        create_app(ServeOptions(str(model), **options)), raise_server_exceptions=False
    )


@pytest.fixture(scope="session")
def client(serve, ready, model_file) -> Iterator[TestClient]:
    """A service with the default limits, but for those that would need large files."""
    with serve(model_file, max_request_bytes=200_000, max_image_pixels=1_000_000, queue_size=40) as client:
        yield ready(client)
