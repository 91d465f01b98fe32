import importlib.util
import types

import keras
import numpy as np
import pytest
import warm
from keras import layers

from tfl.backbones.catalog import get_backbone_spec
from tfl.backbones.weights import build_backbone
from tfl.errors import InputError
from tfl.features import runtime
from tfl.features.runtime import TOLERANCE, Forward, make_forward

needs_openvino = pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="without the extra fast-cpu")
INSTALLED = ["tensorflow", pytest.param("openvino", marks=needs_openvino)]


@pytest.fixture
def said(monkeypatch) -> list[str]:
    """The lines that a person would see."""
    lines: list[str] = []
    monkeypatch.setattr(runtime, "say", lines.append)
    return lines


@pytest.fixture(scope="module")
def small() -> keras.Model:
    return pooled(backbone("MobileNetV2", alpha=0.35))


def backbone(name: str, **options) -> keras.Model:
    """A network whose norms do something: those of a random start leave everything as it is."""
    keras.utils.set_random_seed(0)
    size = max(64, get_backbone_spec(name).minimum_size)
    model = build_backbone(name, image_size=size, weights="none", **options)
    disturb_norms(model)
    return model


def disturb_norms(model: keras.Model) -> None:
    rng = np.random.default_rng(1)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            for variable in layer.variables:
                is_factor = variable.path.endswith(("gamma", "variance"))
                low, high = (0.7, 1.4) if is_factor else (-0.3, 0.3)
                variable.assign(rng.uniform(low, high, variable.shape))


def pooled(model: keras.Model) -> keras.Model:
    return keras.Model(model.input, layers.GlobalAveragePooling2D()(model.output))


def noise(count: int, size: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), np.uint8)


def difference(features: np.ndarray, expected) -> float:
    expected = keras.ops.convert_to_numpy(expected)
    assert features.shape == expected.shape and features.dtype == np.float32
    return np.abs(features - expected).max() / np.abs(expected).max()


def check_rows(forward: Forward, images: np.ndarray) -> None:
    """The features of an image are the same bits at every place and in every company."""
    whole = forward(images)
    np.testing.assert_array_equal(forward(images[::-1])[::-1], whole)
    for start in range(len(images)):
        np.testing.assert_array_equal(forward(images[start:]), whole[start:])


def check_family(family: str) -> None:
    said: list[str] = []
    runtime.say = said.append  # in a process of its own
    model = pooled(backbone(family))
    images = noise(3, model.input.shape[1])
    expected = model(images.astype(np.float32), training=False)
    for name in ["tensorflow", "openvino"] if importlib.util.find_spec("openvino") else ["tensorflow"]:
        forward = make_forward(model, name, batch_size=4, sample=images)
        assert forward.name == name and not said
        assert difference(forward(images), expected) < TOLERANCE
        check_rows(forward, images)


def test_every_family_gives_the_features_of_the_plain_model(family):
    warm.call(check_family, family)


@pytest.mark.parametrize("name", INSTALLED)
def test_real_weights_on_real_photos(name, shared, keras_home, said):
    photos = sorted((shared / "data" / "hymenoptera" / "val" / "bees").glob("*.jpg"))[:12]
    images = np.stack([keras.utils.load_img(photo, target_size=(224, 224)) for photo in photos])
    model = build_backbone("MobileNetV2", alpha=0.35)
    forward = make_forward(model, name, batch_size=16, sample=images)
    features = forward(images)
    assert features.shape == (12, 7, 7, 1280) and forward.name == name and not said
    assert difference(features, model(images, training=False)) < TOLERANCE
    assert difference(features.mean(axis=(1, 2)), pooled(model)(images, training=False)) < 1e-5
    check_rows(forward, images[:3])


def odd_network() -> keras.Model:
    """Convolutions with every option, and norms that must not be folded into what lies below them."""
    image = keras.Input((20, 20, 3))
    x = layers.BatchNormalization()(image)  # nothing below
    x = layers.BatchNormalization(scale=False)(layers.Conv2D(8, 3, use_bias=True)(x))
    x = layers.BatchNormalization(center=False)(layers.DepthwiseConv2D(3, depth_multiplier=2)(x))
    x = layers.BatchNormalization()(layers.SeparableConv2D(12, 3)(x))
    x = layers.BatchNormalization()(layers.Conv2D(12, 3, groups=3, use_bias=False)(x))
    x = layers.BatchNormalization()(layers.Conv2D(8, 1, activation="relu")(x))  # not linear
    two_readers = layers.Conv2D(8, 1)(x)
    x = layers.add([layers.BatchNormalization()(two_readers), two_readers])
    twice = layers.Conv2D(8, 1)
    x = layers.add([layers.BatchNormalization()(twice(x)), layers.BatchNormalization()(twice(x))])
    shared_norm = layers.BatchNormalization()
    x = layers.add([shared_norm(layers.Conv2D(4, 1)(x)), shared_norm(layers.Conv2D(4, 1)(x))])
    model = keras.Model(image, x)
    disturb_norms(model)
    for layer in model.layers:
        if getattr(layer, "use_bias", False):
            layer.bias.assign(np.random.default_rng(2).normal(0, 0.3, layer.bias.shape))
    return model


def test_norms_are_folded_where_that_is_the_same_and_only_there():
    model = odd_network()
    images = noise(5, 20)
    forward = make_forward(model, "tensorflow", batch_size=5)
    assert difference(forward(images), model(images.astype(np.float32), training=False)) < 1e-5
    folded = [type(convolution).__name__ for convolution, _ in runtime._foldable_pairs(model)]
    assert sorted(folded) == ["Conv2D", "Conv2D", "DepthwiseConv2D", "SeparableConv2D"]


def test_every_norm_of_mobilenet_is_folded(small):
    norms = {layer for layer in small.layers if isinstance(layer, layers.BatchNormalization)}
    assert {norm for _, norm in runtime._foldable_pairs(small)} == norms


def test_the_function_keeps_the_weights_of_its_start_and_leaves_the_model_alone():
    model = odd_network()
    images = noise(2, 20)
    before = [variable.numpy() for variable in model.variables]
    forward = make_forward(model, "tensorflow", batch_size=2)
    features = forward(images)
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
        variable.assign(value * 0)
    np.testing.assert_array_equal(forward(images), features)


@pytest.mark.parametrize("dtypes", [("bfloat16", "bfloat16"), ("float32", "bfloat16"), ("bfloat16", "float32")])
def test_dropout_is_off_and_half_precision_comes_out_as_float32(dtypes):
    convolution, norm = (dtype if dtype == "float32" else f"mixed_{dtype}" for dtype in dtypes)
    image = keras.Input((8, 8, 3), dtype="uint8")
    pixels = layers.Rescaling(1 / 255, dtype=convolution)(image)
    x = layers.BatchNormalization(dtype=norm)(layers.Conv2D(4, 3, dtype=convolution)(pixels))
    model = keras.Model(image, layers.Dropout(0.9, dtype=norm)(x))
    images = noise(2, 8)
    features = make_forward(model, "tensorflow", batch_size=2)(images)
    expected = keras.ops.cast(model(images, training=False), "float32")
    assert difference(features, expected) < 2e-2 and not (features == 0).all(axis=-1).any()
    assert not list(runtime._foldable_pairs(model))


class Clock:
    """A clock that only the functions under test move."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now

    def takes(self, name: str, *seconds: float) -> Forward:
        waits = [*seconds]

        def run(images: np.ndarray) -> np.ndarray:
            self.now += waits.pop(0) if len(waits) > 1 else waits[0]
            return np.zeros((len(images), 2), np.float32)

        return Forward(name, run, (4, 8, 8, 3))


@pytest.mark.parametrize(
    ("tensorflow", "openvino", "line"),
    [
        ([0.5, 0.25], [0.5], "runtime: tensorflow, 16 images/s (openvino 8)"),
        ([0.25], [0.5, 0.125], "runtime: openvino, 32 images/s (tensorflow 16)"),
        ([8.0, 0.25], [4.0], "runtime: openvino, 1 images/s (tensorflow 0)"),  # one round is enough
    ],
)
def test_the_best_time_of_a_few_decides(tensorflow, openvino, line, monkeypatch, said):
    clock = Clock()
    monkeypatch.setattr(runtime, "time", types.SimpleNamespace(perf_counter=clock.perf_counter))
    chosen = runtime._fastest(clock.takes("tensorflow", *tensorflow), clock.takes("openvino", *openvino), noise(4, 8))
    assert said == [line] and chosen.name == line.split()[1].rstrip(",")


@needs_openvino
def test_auto_says_one_line_and_gives_the_features(small, said):
    images = noise(3, 64)
    forward = make_forward(small, batch_size=4)
    assert len(said) == 1 and said[0].startswith(f"runtime: {forward.name}, ") and "images/s" in said[0]
    assert difference(forward(images), small(images, training=False)) < TOLERANCE


@needs_openvino
@pytest.mark.parametrize("num_images", [1, 4999])
def test_auto_does_not_time_for_few_images(num_images, small, said, monkeypatch):
    monkeypatch.setattr(runtime, "_compile_openvino", lambda graph: pytest.fail("compiled"))
    assert make_forward(small, "AUTO", batch_size=4, num_images=num_images).name == "tensorflow" and not said


@needs_openvino
@pytest.mark.parametrize("name", ["auto", "openvino"])
@pytest.mark.parametrize("error", [RuntimeError("Check 'false' failed:\nno such operation"), ImportError("no library")])
def test_a_network_that_openvino_cannot_run_is_run_by_tensorflow(name, error, small, said, monkeypatch):
    def fail(graph):
        raise error

    monkeypatch.setattr(runtime, "_compile_openvino", fail)
    assert make_forward(small, name, batch_size=4).name == "tensorflow"
    assert len(said) == 1 and "runtime: tensorflow, because openvino cannot" in said[0]
    assert " ".join(str(error).split()) in said[0] and "\n" not in said[0]


@needs_openvino
@pytest.mark.parametrize("off", [1.001, np.nan])
def test_features_that_differ_are_not_taken(off, small, said, monkeypatch):
    compile_openvino = runtime._compile_openvino
    monkeypatch.setattr(
        runtime, "_compile_openvino", lambda graph: lambda images: off * compile_openvino(graph)(images)
    )
    assert make_forward(small, "openvino", batch_size=4).name == "tensorflow"
    assert len(said) == 1 and "differ by" in said[0]


def test_without_the_extra_tensorflow_runs_and_openvino_is_refused(small, said, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert make_forward(small, batch_size=4).name == "tensorflow" and not said
    with pytest.raises(InputError, match=r"pip install 'tfl-transfer\[fast-cpu\]'"):
        make_forward(small, "openvino", batch_size=4)


def test_what_cannot_be_made_is_refused_in_one_line(small):
    with pytest.raises(InputError, match=r"`features.runtime` .* Did you mean 'openvino'\?"):
        make_forward(small, "openvin", batch_size=4)
    with pytest.raises(InputError, match="`batch_size` must be at least 1"):
        make_forward(small, batch_size=0)
    with pytest.raises(InputError, match="images of one size"):
        image = keras.Input((None, None, 3))
        make_forward(keras.Model(image, layers.Conv2D(2, 1)(image)), batch_size=1)


@pytest.mark.parametrize(
    "images", [noise(5, 20), noise(0, 20), noise(2, 19), noise(2, 20).astype(np.float32), noise(1, 20)[0]]
)
def test_other_images_are_refused(images):
    forward = Forward("tensorflow", lambda images: images, (4, 20, 20, 3))
    with pytest.raises(InputError, match="`images` must be 1 to 4 uint8 images"):
        forward(images)


DROPPED = """
import gc, signal, sys, threading
import keras, numpy as np
from tfl.features.runtime import make_forward
inputs = keras.Input((8, 8, 3))
made = [make_forward(keras.Model(inputs, keras.layers.Conv2D(4, 3)(inputs)), sys.argv[1], batch_size=2)]
made[0](np.zeros((2, 8, 8, 3), np.uint8))
thread = threading.Thread(target=lambda: (made.clear(), gc.collect()))
thread.start()
thread.join()
heard = []
signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
signal.raise_signal(signal.SIGTERM)
sys.exit(0 if heard == [signal.SIGTERM] else 1)
"""


@pytest.mark.parametrize("name", INSTALLED)
def test_a_signal_is_heard_after_another_thread_has_deleted_the_function(name):
    """OpenVINO moves the signal stack of the thread that makes its core, and unmaps it where the core is deleted."""
    assert warm.run(["-c", DROPPED, name]).returncode == 0
