"""What every test may ask for: the real data, a private copy of the real weights, scripts as a user runs them."""

import ctypes
import gc
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported

import pytest
import warm

ROOT = Path(__file__).resolve().parent.parent
FAMILIES = [  # one network of each
    "ConvNeXtTiny",
    "DenseNet121",
    "EfficientNetB0",
    "EfficientNetV2B0",
    "InceptionResNetV2",
    "InceptionV3",
    "MobileNet",
    "MobileNetV2",
    "MobileNetV3Small",
    "NASNetMobile",
    "ResNet50",
    "ResNet50V2",
    "VGG16",
    "Xception",
]

REGISTRIES = [  # the tables that `register_...` adds to
    ("tfl.config", "TARGETS"),
    ("tfl.tasks", "_TASKS"),
    ("tfl.inputs.known", "_INPUTS"),
    ("tfl.backbones.catalog", "_BY_NAME"),
    ("tfl.export.format_table", "_OWN"),
    ("tfl.tracking", "_TRACKERS"),
]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes `family` runs once for each family of networks."""
    if "family" in metafunc.fixturenames:
        quick = metafunc.definition.get_closest_marker("slow_but_for")
        slow = [name for name in FAMILIES if quick and name not in quick.args]
        metafunc.parametrize("family", [pytest.param(n, marks=[pytest.mark.slow] * (n in slow)) for n in FAMILIES])


@pytest.fixture(scope="session")
def families() -> list[str]:
    """The name of one network of each family."""
    return FAMILIES


def pytest_collection_finish() -> None:
    """Spare what is imported from garbage collection, so that it costs little to look after every test."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def memory() -> Iterator[None]:
    """Free the models of a test after it: they hold each other in circles, which Python looks for too rarely."""
    yield
    if gc.get_count()[2]:  # some thousand objects have come since the last look
        gc.collect()


@pytest.fixture(scope="module", autouse=True)
def session_of_keras() -> Iterator[None]:
    """Let Keras and TensorFlow forget the networks of a file, and give free memory back to the system."""
    gc.collect()
    gc.freeze()  # what files before this one imported, and what the session keeps
    yield
    import keras

    keras.utils.clear_session()
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).malloc_trim(0)


@pytest.fixture(scope="module", autouse=True)
def registries() -> Iterator[None]:
    """Take back what the tests of a file registered, so that no later file sees a task or a network of theirs."""
    tables = [vars(sys.modules[name])[table] for name, table in REGISTRIES if name in sys.modules]
    before = [table.copy() for table in tables]
    yield
    for table, content in zip(tables, before, strict=True):
        table.clear()
        (table.extend if isinstance(table, list) else table.update)(content)


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory) -> Path:
    """A feature store of this session: tests neither see nor fill the user's."""
    os.environ["TFL_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    return Path(os.environ["TFL_CACHE"])


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data and weights; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("TFL_SHARED", ROOT.parent / "shared")).resolve()
    if not (folder / "data").is_dir():
        pytest.skip(f"real data not at hand: no {folder}/data (set TFL_SHARED)")
    return folder


@pytest.fixture(scope="session")
def keras_home(shared, tmp_path_factory) -> Path:
    """A private copy of the real ImageNet weights, as KERAS_HOME: Keras writes beside them."""
    copy = tmp_path_factory.mktemp("keras_home") / "keras"
    shutil.copytree(shared / "weights" / "keras_home", copy)
    for path in [copy, *copy.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    old = os.environ.get("KERAS_HOME")
    os.environ["KERAS_HOME"] = str(copy)
    yield copy
    if old is None:
        del os.environ["KERAS_HOME"]
    else:
        os.environ["KERAS_HOME"] = old


@pytest.fixture(scope="session")
def make_photos() -> Callable[[int], list[bytes]]:
    """`make_photos(12)`: files of images of different sizes, formats, brightness and colour."""
    import numpy as np
    import tensorflow as tf

    def make(count: int) -> list[bytes]:
        rng = np.random.default_rng(1)
        images = [rng.uniform(0, 255, (20 + 9 * n, 60 + n, 3)) * rng.uniform(0, 1, 3) for n in range(count)]
        writers = (tf.io.encode_jpeg, tf.io.encode_png)
        return [writers[n % 2](image.astype(np.uint8)).numpy() for n, image in enumerate(images)]

    return make


@pytest.fixture(scope="session")
def tf_configs() -> Callable[[int], list[str]]:
    """`tf_configs(2)`: the TF_CONFIG of each of so many workers, on free ports of the loopback."""
    from tfl.cluster import make_tf_config
    from tfl.distribution.launch import _free_ports

    def make(count: int) -> list[str]:
        addresses = [f"127.0.0.1:{port}" for port in _free_ports(count)]
        return [make_tf_config(addresses, index) for index in range(count)]

    return make


@pytest.fixture
def run_script():
    """Run a script as a user types it, and return the finished process."""

    def run(*command: object, **environment: str) -> subprocess.CompletedProcess:
        return warm.run(command, {**os.environ, **environment}, ROOT)

    return run


@pytest.fixture
def run_cold():
    """The same in a new interpreter, for what must show that it imports little, or has processes of its own."""

    def run(*command: object, **environment: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, *map(str, command)],
            cwd=ROOT,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=warm.PATIENCE,
        )

    return run


@pytest.fixture(scope="session", autouse=True)
def interrupts_are_heard() -> None:
    """Hear SIGINT, which a run in the background begins by ignoring, and with it all that its tests start."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module")
def small_networks() -> Iterator[None]:
    """Let MobileNet and VGG16 be networks of three layers."""
    from option_runs import tiny_networks  # not above: it imports TensorFlow

    with tiny_networks():
        yield


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three classes with 24, 20 and 16 small images."""
    from option_runs import write_photos

    return write_photos(tmp_path_factory.mktemp("data") / "photos", (24, 20, 16))
