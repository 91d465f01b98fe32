"""YAMNet: its spectrogram and its layers against references, its numbers in every format, and faults of its file."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.src.export.tf2onnx_lib import patch_tf2onnx

import tfl
from tfl.backbones import find_stages, get_backbone_spec
from tfl.backbones.audio.front import OFFSET, mel_matrix
from tfl.backbones.audio.yamnet import EPSILON, load_arrays, yamnet
from tfl.backbones.buildable import check_backbone
from tfl.backbones.table import backbone_table
from tfl.backbones.weight_files import find_weights
from tfl.errors import InputError
from tfl.models.freezing import unfreeze

SAMPLES = 8_000
CHANNELS = 256


def build(samples: int | None = SAMPLES) -> keras.Model:
    clips = keras.Input((samples,), name="audio")
    return keras.Model(clips, yamnet(clips))


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    """Arrays as the published file has them, with random values that leave no activation at 0 or very large."""
    rng, found = np.random.default_rng(0), {}
    inputs = 1
    for number, channels in enumerate((32, 64, 128, 128, 256, 256), start=1):
        kernels = {"conv": (3, 3, 1, channels)}
        if number > 1:
            kernels = {"depthwise_conv": (3, 3, inputs, 1), "pointwise_conv": (1, 1, inputs, channels)}
        for name, shape in kernels.items():
            kernel = "depthwise_kernel" if name == "depthwise_conv" else "kernel"
            width = inputs if name == "depthwise_conv" else channels
            found[f"layer{number}.{name}.{kernel}"] = rng.normal(0, 1 / np.sqrt(np.prod(shape[:3])), shape)
            bounds = {"beta": (0, 1), "moving_mean": (-1, 0), "moving_variance": (0.5, 2)}
            for part, (low, high) in bounds.items():
                found[f"layer{number}.{name}.bn.{part}"] = rng.uniform(low, high, width)
        inputs = channels
    return {name: values.astype(np.float32) for name, values in found.items()}


@pytest.fixture(scope="module")
def file(arrays, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("yamnet") / "arrays.npz"
    np.savez(path, **arrays)
    return path


@pytest.fixture(scope="module")
def network(file) -> keras.Model:
    model = build()
    load_arrays(file, model)
    return model


@pytest.fixture(scope="module")
def clips() -> np.ndarray:
    """Four clips: noise, a loud tone, a faint tone, and silence."""
    time = np.arange(SAMPLES) / 16_000
    noise = np.random.default_rng(0).normal(0, 0.1, SAMPLES)
    return np.array(
        [noise, np.sin(2000 * np.pi * time), 1e-3 * np.sin(5000 * np.pi * time), np.zeros(SAMPLES)], np.float32
    )


def log_mel_of(network: keras.Model) -> keras.Model:
    return keras.Model(network.input, network.get_layer("layer1_conv").input)


def reference_log_mel(clip: np.ndarray, offset: float = OFFSET) -> np.ndarray:
    """Return the spectrogram `(T, 64)` by the Fourier transform of NumPy with 64 bits and the filters of TensorFlow."""
    frames = np.lib.stride_tricks.sliding_window_view(clip.astype(np.float64), 400)[::160]
    window = tf.signal.hann_window(400, periodic=True, dtype=tf.float64).numpy()
    filters = tf.signal.linear_to_mel_weight_matrix(64, 257, 16_000, 125.0, 7500.0, tf.float64).numpy()
    return np.log(np.abs(np.fft.rfft(frames * window, 512)) @ filters + offset)


def test_the_filters_are_those_of_tensorflow():
    expected = tf.signal.linear_to_mel_weight_matrix(64, 257, 16_000, 125.0, 7500.0, tf.float64)
    np.testing.assert_allclose(mel_matrix(), expected, atol=1e-7)


def test_the_spectrogram_is_that_of_numpy(network, clips):
    found = np.asarray(log_mel_of(network)(clips))[..., 0]
    assert found.shape == (4, 48, 64)
    for clip, spectrogram in zip(clips, found, strict=True):
        np.testing.assert_allclose(spectrogram, reference_log_mel(clip), atol=2e-3)
    np.testing.assert_allclose(found[3], np.log(OFFSET), atol=1e-5)  # silence


def test_the_spectrogram_is_that_of_the_recorded_clip(shared, network):
    """The clip was divided by its peak, and its logarithm has the offset 0.01, not 0.001."""
    folder = shared / "weights" / "audio_yamnet_full_int8"
    clip = np.fromfile(folder / "yamnet_test_audio.bin", np.int16).astype(np.float32)
    expected = np.fromfile(folder / "yamnet_test_spectra.bin", np.float32).reshape(96, 64)
    model = build(len(clip))
    bands = keras.Model(model.input, model.get_layer("fixed_mel").output)(clip[None] / np.abs(clip).max())
    np.testing.assert_allclose(np.log(np.asarray(bands)[0] + 0.01), expected, atol=1e-5)


def test_the_layers_are_those_of_the_published_network(shared):
    """The LiteRT file has other weights, so the test copies them; it has 8 bits and ReLU6."""
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    folder = shared / "weights" / "audio_yamnet_full_int8"
    plain = interpreter.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    reference = interpreter.Interpreter(
        str(folder / "yamnet_spectra_in.tflite"),
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=plain,
    )
    reference.allocate_tensors()
    spectrogram = np.fromfile(folder / "yamnet_test_spectra.bin", np.float32).reshape(1, 96, 64)
    reference.set_tensor(0, spectrogram)
    reference.invoke()
    values = Tensors(reference)
    model = build(15_600)
    kernels = [layer for layer in model.layers if "_conv" in layer.name and not layer.name.endswith("_bn")]
    for layer, number in zip(kernels, range(4, 26, 2), strict=True):
        layer.set_weights([np.transpose(values(number), (1, 2, 3, 0)).reshape(layer.kernel.shape)])
        bias = values(number + 1)
        model.get_layer(f"{layer.name}_bn").set_weights([bias, 0 * bias, 0 * bias + 1 - EPSILON])
    ends = [layer.output for layer in model.layers if isinstance(layer, keras.layers.ReLU)]
    tower = keras.Model(model.get_layer("layer1_conv").input, ends)
    for found, number in zip(tower(spectrogram[..., None]), range(63, 74), strict=True):
        expected = values(number)
        assert found.shape == expected.shape
        assert np.corrcoef(np.minimum(found, 6).ravel(), expected.ravel())[0, 1] > 0.996


class Tensors:
    """The tensors of a LiteRT network of 8 bits by their numbers, as floats."""

    def __init__(self, reference: Any) -> None:
        self._reference = reference
        self._details = {one["index"]: one["quantization_parameters"] for one in reference.get_tensor_details()}

    def __call__(self, number: int) -> np.ndarray:
        values, found = self._reference.get_tensor(number).astype(np.float32), self._details[number]
        shape = [1] * values.ndim
        if len(found["scales"]) > 1:
            shape[found["quantized_dimension"]] = -1
        return (values - found["zero_points"].reshape(shape)) * found["scales"].reshape(shape)


def test_real_weights_tell_tones_from_noise(shared, clips):
    model = build()
    load_arrays(shared / "weights" / "audio_yamnet_256" / "yamnet_256_arrays.npz", model)
    features = np.asarray(model(clips)).mean((1, 2))
    assert np.isfinite(features).all() and 0.05 < features.std() < 10
    assert np.corrcoef(features)[np.triu_indices(4, 1)].max() < 0.9


def test_the_backbone_has_the_weights_of_the_file(file, network, clips, tmp_path):
    found = tfl.build_backbone("yamnet", image_size=SAMPLES, weights=str(file))
    np.testing.assert_array_equal(found(clips), network(clips))
    found.save(tmp_path / "earlier.keras")
    again = tfl.build_backbone("YAMNet", image_size=SAMPLES, weights=str(tmp_path / "earlier.keras"))
    np.testing.assert_array_equal(again(clips), network(clips))
    random = tfl.build_backbone("YAMNet", image_size=SAMPLES, weights="none")
    assert np.isfinite(random(clips)).all() and not np.array_equal(random(clips), network(clips))
    np.testing.assert_array_equal(log_mel_of(random)(clips), log_mel_of(network)(clips))


def test_a_clip_is_answered_alone(network, clips):
    together = np.asarray(network(clips))
    for number, clip in enumerate(clips):
        np.testing.assert_allclose(np.asarray(network(clip[None]))[0], together[number], rtol=1e-4, atol=1e-5)
    assert np.isfinite(together).all()


def test_gradients_of_silence_are_numbers(network):
    clip = tf.Variable(np.zeros((1, SAMPLES), np.float32))
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(network(clip))
    assert np.isfinite(tape.gradient(total, clip)).all()


def test_the_map_keeps_the_bands(network, clips):
    maps = keras.Model(network.input, network.get_layer("block6_end").output)(clips)
    assert maps.shape == (4, 6, 8, CHANNELS) and network.output_shape == (None, 6, 1, 8 * CHANNELS)
    np.testing.assert_array_equal(np.asarray(network(clips)), np.reshape(maps, (4, 6, 1, -1)))
    assert get_backbone_spec("yamnet").num_features == network.output_shape[-1]


def test_a_clip_of_any_length_is_taken(file, network, clips):
    model = build(None)
    load_arrays(file, model)
    np.testing.assert_allclose(model(clips), network(clips), rtol=1e-4, atol=1e-5)
    assert [model(clips[:1, :length]).shape[1] for length in (400, 1_700, 8_000)] == [1, 2, 6]


def test_each_layer_is_a_stage_and_the_spectrogram_is_never_trained(network):
    stages = find_stages(network)
    assert [stage.name for stage in stages] == [f"stage{number}" for number in range(1, 7)]
    assert [stage.resolution for stage in stages] == [24, 24, 12, 12, 6, 6]
    unfreeze(network, "all", batch_norm="train")
    trained = {weight.path.partition("/")[0] for weight in network.trainable_weights}
    assert len(trained) == 22 and not any(name.startswith("fixed") for name in trained)
    with pytest.raises(InputError, match="must reach a layer with trainable weights"):
        unfreeze(network, "re:fixed_")


def test_every_format_has_the_same_numbers(network, clips, tmp_path):
    expected = np.asarray(network(clips))
    scale = np.abs(expected).max()
    network.save(tmp_path / "yamnet.keras")
    again = keras.saving.load_model(tmp_path / "yamnet.keras", compile=False)
    np.testing.assert_array_equal(again(clips), expected)

    network.export(tmp_path / "saved_model", verbose=False)
    serve = tf.saved_model.load(str(tmp_path / "saved_model")).signatures["serving_default"]
    (found,) = serve(audio=tf.constant(clips)).values()
    np.testing.assert_allclose(found, expected, atol=1e-5 * scale)
    np.testing.assert_allclose(litert(tmp_path / "saved_model", clips), expected, atol=1e-5 * scale)
    np.testing.assert_allclose(onnx(network, clips), expected, atol=1e-5 * scale)


def litert(folder: Path, clips: np.ndarray) -> np.ndarray:
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder))
    runner = interpreter.Interpreter(model_content=converter.convert())
    runner.resize_tensor_input(runner.get_input_details()[0]["index"], clips.shape)
    runner.allocate_tensors()
    runner.set_tensor(runner.get_input_details()[0]["index"], clips)
    runner.invoke()
    return runner.get_tensor(runner.get_output_details()[0]["index"])


def onnx(model: keras.Model, clips: np.ndarray) -> np.ndarray:
    runtime, tf2onnx = pytest.importorskip("onnxruntime"), pytest.importorskip("tf2onnx")
    patch_tf2onnx()
    function = tf.function(model, input_signature=[tf.TensorSpec((None, SAMPLES), name="audio")])
    proto, _ = tf2onnx.convert.from_function(function, function.input_signature, opset=18)
    session = runtime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: clips})[0]


FAULTS: dict[str, tuple[Any, str]] = {
    "cut short": ("half", "it is not a whole .npz file"),
    "empty": (b"", "it is not a whole .npz file"),
    "no archive": (b"\x00" * 100, "it is not a whole .npz file"),
    "an array less": (lambda a: {key: a[key] for key in list(a)[1:]}, "it has no array 'layer1.conv.kernel'"),
    "an array more": (lambda a: a | {"layer7.conv": np.ones(3)}, "layer7.conv of it belong to no weight"),
    "a wrong shape": (
        lambda a: a | {"layer1.conv.bn.beta": np.ones(3)},
        r"must have the shape \(32,\), and has \(3,\)",
    ),
    "NaN": (lambda a: a | {"layer1.conv.bn.beta": np.full(32, np.nan)}, "must have finite numbers"),
    "words": (lambda a: a | {"layer1.conv.bn.beta": np.full(32, "a")}, "must have finite numbers"),
    "pickled objects": (lambda a: a | {"layer1.conv.bn.beta": np.array([{}])}, "it is not a whole .npz file"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_file_that_cannot_be_used_is_one_clear_line(fault, arrays, file, network, tmp_path):
    given, message = FAULTS[fault]
    wrong = tmp_path / "wrong.npz"
    if callable(given):
        changed: dict[str, Any] = FAULTS[fault][0](arrays)
        np.savez(wrong, **changed)
    else:
        wrong.write_bytes(file.read_bytes()[:100_000] if given == "half" else given)
    before = network.get_weights()
    with pytest.raises(InputError, match=message) as caught:
        load_arrays(wrong, network)
    assert "\n" not in str(caught.value) and "`backbone.weights` must be" in str(caught.value)
    for one, other in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_it_cannot_be_built_with_is_said_first(tmp_path):
    spec = get_backbone_spec("yamnet")
    for size, alpha, weights, message in (
        (399, 1.0, "none", "must be at least 400 for YAMNet"),
        (15_600, 0.5, "none", r"`backbone\.alpha` must be 1 for YAMNet"),
        (15_600, 1.0, "imagenet", r"must be 'none', a weights file \(\.npz\) or a tfl workdir for YAMNet"),
    ):
        with pytest.raises(InputError, match=message):
            check_backbone(spec, size, alpha, weights)
    with pytest.raises(InputError, match=r"a weights file \(\.npz, \.h5.*which does not exist"):
        find_weights(str(tmp_path / "yamnet.npz"), spec, 1.0)
    (tmp_path / "yamnet.npz").touch()
    assert find_weights(str(tmp_path / "yamnet.npz"), spec, 1.0).name == "yamnet.npz"
    with pytest.raises(InputError, match="must be 'imagenet', 'none', a weights file"):
        find_weights(str(tmp_path / "yamnet.npz"), get_backbone_spec("MobileNet"), 1.0)


def test_it_is_listed():
    assert tfl.list_backbones("yam*") == ["YAMNet"]
    row = [cell.strip() for cell in backbone_table("yamnet").splitlines()[1].split("  ") if cell.strip()]
    assert row == ["YAMNet", "15600", "400", "2048", "0.6", "audio", "YAMNet file", "AudioSet", "Apache-2.0", "-", "-"]
