"""Models for maps in every format: probabilities and mask, the mask at the image's own size, and the certificate."""

import dataclasses
import io
import zipfile

import keras
import numpy as np
import onnxruntime
import pytest
import sklearn.metrics
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from PIL import ExifTags, Image, ImageOps
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils

from tfl.export import Limits, Reference, build, certify, load_artefact
from tfl.export.operations import check_operations
from tfl.models.classifier import Metadata

SIZE, NAMES = 32, ("sky", "road", "car", "tree")


def make_map_model(seed=1):
    keras.utils.set_random_seed(seed)
    image = keras.Input((SIZE, SIZE, 3), name="image")
    tensor = keras.layers.Rescaling(1 / 127.5, -1.0)(image)
    tensor = keras.layers.Conv2D(8, 3, strides=4, padding="same", activation="relu")(tensor)
    wide = keras.initializers.RandomNormal(stddev=3.0)
    logits = keras.layers.Dense(len(NAMES), kernel_initializer=wide, name="head_logits")(tensor)
    model = keras.Model(image, keras.ops.image.resize(logits, (SIZE, SIZE), interpolation="bilinear"))
    model.metadata = Metadata("MobileNetV2", 1.0, SIZE, "segmentation", NAMES)
    return model


@pytest.fixture(scope="module")
def model():
    return make_map_model()


@pytest.fixture(scope="module")
def images(model):
    """Eight images of noise with large patches, and the logits of the model for them."""
    rng = np.random.default_rng(0)
    patches = rng.uniform(0, 255, (8, 4, 4, 3)).repeat(8, axis=1).repeat(8, axis=2)
    pixels = np.clip(patches + rng.normal(0, 20, (8, SIZE, SIZE, 3)), 0, 255).astype(np.uint8)
    return pixels, model(pixels, training=False).numpy()


@pytest.fixture(scope="module")
def built(model, images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("built")
    products = {name: build(model, name, folder) for name in ("saved_model", "litert", "onnx", "keras")}
    return products | {"int8": build(model, "litert", folder, "int8", [images[0]])}


def run_litert(path, pixels):
    runner = Interpreter(str(path)).get_signature_runner("serving_default")
    return [runner(pixels=pixels[number : number + 1]) for number in range(len(pixels))]


def run_onnx(path, pixels):
    session = onnxruntime.InferenceSession(str(path))
    names = [output.name for output in session.get_outputs()]
    return [dict(zip(names, session.run(names, {"pixels": pixels}), strict=True))]


def run_saved_model(path, pixels):
    outputs = tf.saved_model.load(str(path)).signatures["serving_pixels"](pixels=tf.constant(pixels))
    return [{name: value.numpy() for name, value in outputs.items()}]


@pytest.mark.parametrize(
    ("name", "run"), [("litert", run_litert), ("onnx", run_onnx), ("saved_model", run_saved_model)]
)
def test_every_format_gives_probabilities_and_the_mask(name, run, built, images):
    pixels, logits = images
    parts = run(built[name].path, pixels)
    probabilities, masks = (np.concatenate([part[key] for part in parts]) for key in ("probabilities", "mask"))
    np.testing.assert_allclose(probabilities, tf.nn.softmax(logits), atol=1e-5)
    assert masks.dtype == np.uint8
    assert np.mean(masks == logits.argmax(axis=-1)) > 0.999


@pytest.mark.parametrize("name", ["saved_model", "litert", "onnx", "keras", "int8"])
def test_an_artefact_of_every_format_predicts_the_map(name, built, images):
    pixels, logits = images
    artefact = load_artefact(built[name].path)
    assert artefact.metadata.class_names == NAMES
    scores = artefact.predict_prepared(pixels)
    assert scores.dtype == np.float32
    assert np.mean(scores.argmax(axis=-1) == logits.argmax(axis=-1)) > (0.95 if name == "int8" else 0.999)
    assert artefact.metadata.task.kept(scores).shape == (8, SIZE, SIZE)


def test_a_litert_file_describes_both_outputs(built):
    with zipfile.ZipFile(built["litert"].path) as archive:
        assert archive.read("labels.txt").decode().split() == list(NAMES)
    content = flatbuffer_utils.read_model(str(built["litert"].path))
    (signature,) = content.signatureDefs
    outputs = {entry.name.decode(): entry.tensorIndex for entry in signature.outputs}
    types = {name: content.subgraphs[0].tensors[number].type for name, number in outputs.items()}
    assert types == {"mask": schema.TensorType.UINT8, "probabilities": schema.TensorType.FLOAT32}
    assert b"Number of the class at each position" in built["litert"].path.read_bytes()


def test_a_saved_model_gives_the_mask_of_a_file_at_its_own_size(built, images):
    check_operations(built["saved_model"].path)
    exif, large, turned = Image.Exif(), io.BytesIO(), io.BytesIO()
    exif[ExifTags.Base.Orientation] = 6
    photo = Image.fromarray(images[0][0])
    photo.resize((2 * SIZE, 3 * SIZE), Image.Resampling.NEAREST).save(large, "PNG")
    photo.resize((50, 40)).save(turned, "JPEG", exif=exif, quality=95)
    signatures = tf.saved_model.load(str(built["saved_model"].path)).signatures
    files = [large.getvalue(), turned.getvalue()]
    answer = signatures["serving_default"](images=tf.constant(files))
    assert set(answer) == {"mask_bytes", "areas", "class_names"}
    masks = [np.array(Image.open(io.BytesIO(content))) for content in answer["mask_bytes"].numpy()]
    assert masks[0].shape == (3 * SIZE, 2 * SIZE)
    assert masks[1].shape[::-1] == ImageOps.exif_transpose(Image.open(turned)).size == (40, 50)
    inside = signatures["serving_bytes"](images=tf.constant(files))["mask"].numpy()
    np.testing.assert_array_equal(masks[0][::3, ::2], inside[0])
    for mask, areas in zip(masks, answer["areas"].numpy(), strict=True):
        np.testing.assert_allclose(areas, [np.mean(mask == number) for number in range(4)], rtol=1e-6)


@pytest.fixture(scope="module")
def reference(model, images):
    """The images, with masks that are those of the model for the most part."""
    pixels, logits = images
    truth = logits.argmax(axis=-1).astype(np.uint8)
    truth[:, :8] = np.roll(truth[:, :8], 1, axis=0)
    truth[:, 8:10] = 255  # does not count
    return Reference(model.metadata, pixels, [], model.metadata.task.scores(logits), truth)


def test_the_certificate_has_the_overlap_with_the_true_masks(built, reference):
    entry = certify(built["litert"], reference)
    assert entry["failures"] == [] and entry["agreement"] > 0.999 and entry["max_difference"] < 1e-5
    assert "accuracy" not in entry
    counted, decided = reference.labels != 255, reference.probabilities.argmax(axis=-1)
    expected = sklearn.metrics.jaccard_score(reference.labels[counted], decided[counted], average="macro")
    assert entry["mean_iou_of_model"] == pytest.approx(expected)
    assert entry["mean_iou"] == pytest.approx(expected, abs=1e-3)
    low, high = entry["mean_iou_interval"]
    assert low < entry["mean_iou"] < high


def test_other_masks_have_no_certificate(built, reference, tmp_path):
    other = build(make_map_model(seed=2), "litert", tmp_path)
    (failure,) = certify(other, reference, timed=False)["failures"]
    assert failure.startswith("a probability differs by") and failure.endswith("more than 0.0001")
    share = np.mean(load_artefact(built["int8"].path).predict_prepared(reference.pixels).argmax(axis=-1)
                    == reference.probabilities.argmax(axis=-1))  # fmt: skip
    entry = certify(built["int8"], reference, Limits(min_agreement=1.0), timed=False)
    assert entry["agreement"] == pytest.approx(share) and 0.9 < share < 1
    assert entry["failures"] == [f"mask agreement {share:.2%} is below 100.00%"]
    assert certify(built["int8"], reference, Limits(min_agreement=0.9), timed=False)["failures"] == []
    one = dataclasses.replace(
        reference, **{name: getattr(reference, name)[:1] for name in ("pixels", "probabilities", "labels")}
    )
    assert [part["batch"] for part in certify(built["litert"], one)["latency"]] == [1]
