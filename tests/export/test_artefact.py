"""One way to use every format: the same answers, the same complaints."""

import io
import sys

import keras
import numpy as np
import pytest
from PIL import Image

from tfl.errors import InputError
from tfl.export import load_artefact, write_saved_model
from tfl.export.format_table import check_formats
from tfl.export.litert_file import write_litert
from tfl.export.onnx_file import write_onnx
from tfl.inputs.image.decode import decode_image, resize
from tfl.models.classifier import save_model

SIZE = 32
FILES = {"keras": "model.keras", "saved_model": "saved_model", "litert": "model.tflite", "onnx": "model.onnx"}
WRITERS = {"saved_model": write_saved_model, "litert": write_litert, "onnx": write_onnx}


def write(model, folder, name):
    path = folder / FILES[name]
    if name == "keras":
        save_model(model, path)
    else:
        WRITERS[name](model, model.metadata, path)
    return path


@pytest.fixture(scope="module", params=FILES)
def artefact(request, tmp_path_factory, make_model):
    return load_artefact(write(make_model(), tmp_path_factory.mktemp("artefact"), request.param))


def test_metadata_travels_in_every_format(artefact, make_model):
    assert artefact.metadata == make_model().metadata


def test_pixels_become_the_probabilities_of_the_model_in_batches_of_any_size(artefact, pixels, make_model, expected_of):
    expected = expected_of(make_model(), pixels)
    assert expected.std(axis=0).min() > 0.01  # else every network would do
    for count in (70, 1, 33):
        probabilities = artefact.predict_pixels(pixels[:count])
        assert probabilities.dtype == np.float32
        np.testing.assert_allclose(probabilities, expected[:count], atol=1e-6)
    assert artefact.predict_pixels(pixels[:0]).shape == (0, 3)


def test_bytes_of_mixed_formats_and_sizes_are_decoded_as_in_training(artefact, encoded, make_model, expected_of):
    pixels = np.stack([resize(decode_image(image), SIZE).numpy() for image in encoded])
    np.testing.assert_allclose(artefact.predict_bytes(encoded), expected_of(make_model(), pixels), atol=1e-6)
    assert artefact.predict_bytes([]).shape == (0, 3)


def test_bytes_of_photos_that_the_graph_cannot_decode(artefact):
    image = Image.fromarray(np.random.default_rng(3).integers(0, 256, (40, 48, 3), np.uint8))
    files = {kind: io.BytesIO() for kind in ("PNG", "TIFF", "JPEG2000", "AVIF")}
    for kind, file in files.items():
        image.save(file, kind)
    png, tiff, jpeg2000, avif = artefact.predict_bytes([file.getvalue() for file in files.values()])
    np.testing.assert_allclose([tiff, jpeg2000], [png, png], atol=1e-6)
    pixels = resize(np.asarray(Image.open(files["AVIF"])), SIZE).numpy()
    np.testing.assert_allclose(avif, artefact.predict_pixels(pixels[None])[0], atol=1e-6)
    with pytest.raises(InputError, match="number 1: broken or truncated TIFF"):
        artefact.predict_bytes([files["PNG"].getvalue(), files["TIFF"].getvalue()[:200]])


def test_what_is_no_image_is_named(artefact, encoded):
    with pytest.raises(InputError, match="number 2: Unknown image file format"):
        artefact.predict_bytes([*encoded[:2], b"no image", encoded[3]])
    with pytest.raises(InputError, match="number 0"):
        artefact.predict_bytes([encoded[0][:60]])


@pytest.mark.parametrize(
    "images", [np.zeros((1, 32, 32, 3)), np.zeros((1, 31, 32, 3), np.uint8), np.zeros((32, 32, 3), "u1")]
)
def test_other_pixels_are_refused(artefact, images):
    with pytest.raises(InputError, match=r"must be uint8 of shape \(N, 32, 32, 3\)"):
        artefact.predict_pixels(images)


@pytest.mark.parametrize("target", ["binary", "multilabel", "regression"])
@pytest.mark.parametrize("name", FILES)
def test_every_target_has_the_same_columns_in_every_format(tmp_path, pixels, make_model, expected_of, target, name):
    model = make_model(target)
    probabilities = load_artefact(write(model, tmp_path, name)).predict_pixels(pixels)
    np.testing.assert_allclose(probabilities, expected_of(model, pixels), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", FILES)
def test_grouped_convolutions_and_gelu_are_held(tmp_path, pixels, expected_of, make_model, name):
    """What ConvNeXt has and converters stumble over: a function for XLA, and erfc."""
    keras.utils.set_random_seed(1)
    image = keras.Input((SIZE, SIZE, 3), name="image")
    tensor = keras.layers.Conv2D(8, 3, strides=4)(keras.layers.Rescaling(1 / 127.5, -1.0)(image))
    tensor = keras.layers.Conv2D(8, 3, groups=8, activation="gelu")(tensor)
    logits = keras.layers.Dense(3, kernel_initializer=keras.initializers.RandomNormal(stddev=5.0))(
        keras.layers.GlobalAveragePooling2D()(tensor)
    )
    model = keras.Model(image, logits)
    model.metadata = make_model().metadata
    expected = expected_of(model, pixels)
    assert expected.std(axis=0).min() > 0.01
    np.testing.assert_allclose(load_artefact(write(model, tmp_path, name)).predict_pixels(pixels), expected, atol=1e-6)


def test_a_workdir_is_asked_at_the_temperature_of_its_model(tmp_path, pixels, make_model, expected_of):
    model = make_model(temperature=2.5)
    save_model(model, tmp_path / "model.keras")
    artefact = load_artefact(tmp_path)
    assert artefact.metadata == model.metadata
    np.testing.assert_allclose(artefact.predict_pixels(pixels), expected_of(model, pixels), atol=1e-6)


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_one_line(tmp_path, make_model, name):
    path = write(make_model(), tmp_path, name)
    file = path / "saved_model.pb" if path.is_dir() else path
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(InputError, match=r"`model` must be") as caught:
        load_artefact(path)
    assert "\n" not in str(caught.value)


def test_what_is_no_artefact_is_one_line(tmp_path, make_model):
    (tmp_path / "model.h5").write_bytes(b"")
    (tmp_path / "plain.keras").write_bytes(b"")
    for name, reason in {
        "model.h5": "ends with none of .keras, .tflite, .onnx",
        "gone": "does not exist",
        "": "no model.keras",
    }.items():
        with pytest.raises(InputError, match=reason):
            load_artefact(tmp_path / name)
    plain = make_model()
    plain.save(tmp_path / "plain.keras")
    with pytest.raises(InputError, match="no class names"):
        load_artefact(tmp_path / "plain.keras")


def test_threads_take_turns(tmp_path, pixels, make_model, expected_of):
    from concurrent.futures import ThreadPoolExecutor

    artefact = load_artefact(write(make_model(), tmp_path, "litert"))
    expected = expected_of(make_model(), pixels)
    with ThreadPoolExecutor(4) as pool:
        results = pool.map(lambda n: artefact.predict_pixels(pixels[n : n + 1 + n % 5]), range(60))
        for n, probabilities in enumerate(results):
            np.testing.assert_allclose(probabilities, expected[n : n + 1 + n % 5], atol=1e-6)


@pytest.mark.parametrize(("quantize", "tolerance"), [("none", 1e-5), ("float16", 1e-2), ("int8", 0.1)])
def test_a_litert_file_has_a_signature_from_pixels_to_probabilities(
    make_model, pixels, expected_of, tmp_path, quantize, tolerance
):
    interpreter_of = pytest.importorskip("ai_edge_litert.interpreter").Interpreter
    model, path = make_model(), tmp_path / "model.tflite"
    write_litert(model, model.metadata, path, quantize, calibration=[pixels])
    interpreter = interpreter_of(model_path=str(path))
    signature = {"inputs": ["pixels"], "outputs": ["probabilities"]}
    assert interpreter.get_signature_list() == {"serving_default": signature}
    run = interpreter.get_signature_runner()
    for images in (pixels[:1], pixels[:5], pixels[:2]):  # any number, one after the other
        answer = run(pixels=images)["probabilities"]
        np.testing.assert_allclose(answer, expected_of(model, images), atol=tolerance)


@pytest.mark.parametrize(("name", "package"), [("litert", "ai_edge_litert.interpreter"), ("onnx", "onnxruntime")])
def test_a_runtime_that_is_missing_is_one_line(tmp_path, make_model, monkeypatch, name, package):
    path = write(make_model(), tmp_path, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=rf"pip install 'tfl-transfer\[export\]'. Received: no {package}"):
        load_artefact(path)


def test_a_format_that_is_not_installed_is_refused_at_once(monkeypatch):
    monkeypatch.setattr("tfl.export.format_table.find_spec", lambda name: None if name == "tf2onnx" else name)
    assert check_formats(["litert"], "int8") == (("litert",), "int8")
    with pytest.raises(InputError, match=r"without tf2onnx.*pip install 'tfl-transfer\[export\]'"):
        check_formats(["litert", "onnx"], "none")
