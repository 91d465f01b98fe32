"""Models for boxes in every format: boxes, scores, classes and their number, in the photo's own pixels, certified."""

import io
import zipfile

import numpy as np
import onnxruntime
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from box_models import NAMES, SIZE, make_box_model
from PIL import ExifTags, Image, ImageOps

from tfl.export import Limits, Reference, build, certify, load_artefact
from tfl.export.operations import check_operations

OUTPUTS = {"boxes", "scores", "classes", "num_boxes"}


@pytest.fixture(scope="module")
def model():
    return make_box_model()


@pytest.fixture(scope="module")
def images(model):
    """Four images of patches, and the boxes that the model and plain TensorFlow give for them."""
    patches = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), np.uint8)
    pixels = patches.repeat(8, axis=1).repeat(8, axis=2)
    boxes = model.metadata.task.scores(model(pixels, training=False).numpy())
    assert ((boxes[..., 5] >= 0).sum(axis=1) > 3).all() and set(boxes[..., 5].ravel()) == {-1.0, 0.0, 1.0}
    return pixels, boxes


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


def check_columns(outputs, boxes, atol=1e-4):
    """Compare the outputs of an exported model with the rows of a table."""
    np.testing.assert_allclose(outputs["boxes"], boxes[..., :4], rtol=1e-5, atol=atol)
    np.testing.assert_allclose(outputs["scores"], boxes[..., 4], atol=1e-5)
    np.testing.assert_array_equal(outputs["classes"], boxes[..., 5])
    np.testing.assert_array_equal(outputs["num_boxes"], (boxes[..., 5] >= 0).sum(axis=1))
    assert outputs["classes"].dtype == outputs["num_boxes"].dtype == np.int32


@pytest.mark.parametrize(
    ("name", "run"), [("litert", run_litert), ("onnx", run_onnx), ("saved_model", run_saved_model)]
)
def test_every_format_gives_boxes_scores_classes_and_their_number(name, run, built, images):
    pixels, boxes = images
    parts = run(built[name].path, pixels)
    outputs = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    assert set(outputs) - {"class_names"} == OUTPUTS | {"probabilities"}
    check_columns(outputs, boxes)
    np.testing.assert_allclose(outputs["probabilities"], boxes, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("name", ["saved_model", "litert", "onnx", "keras"])
def test_an_artefact_of_every_format_predicts_the_boxes(name, built, images):
    pixels, boxes = images
    artefact = load_artefact(built[name].path)
    assert artefact.metadata.class_names == NAMES
    np.testing.assert_allclose(artefact.predict_prepared(pixels), boxes, rtol=1e-5, atol=1e-4)
    assert artefact.predict_prepared(pixels[:1]).shape == (1, 100, 6)


def test_a_litert_file_describes_its_outputs(built):
    content = built["litert"].path.read_bytes()
    for text in (b"Corners x1, y1, x2, y2 of each box", b"Score of each box", b"Number of boxes"):
        assert text in content
    with zipfile.ZipFile(built["litert"].path) as archive:
        assert archive.read("labels.txt").decode().split() == list(NAMES)


def test_a_saved_model_gives_boxes_in_the_own_pixels_of_a_file(built, images):
    check_operations(built["saved_model"].path)
    exif, large, turned = Image.Exif(), io.BytesIO(), io.BytesIO()
    exif[ExifTags.Base.Orientation] = 6
    photo = Image.fromarray(images[0][0])
    photo.resize((2 * SIZE, 3 * SIZE), Image.Resampling.NEAREST).save(large, "PNG")
    photo.resize((50, 40)).save(turned, "JPEG", exif=exif, quality=95)
    assert ImageOps.exif_transpose(Image.open(turned)).size == (40, 50)
    signatures = tf.saved_model.load(str(built["saved_model"].path)).signatures
    files = tf.constant([large.getvalue(), turned.getvalue()])
    inside, answer = ({name: value.numpy() for name, value in signatures[key](images=files).items()}
                      for key in ("serving_bytes", "serving_default"))  # fmt: skip
    assert set(answer) == OUTPUTS | {"class_names"}
    scale = np.array([[[2, 3, 2, 3]], [[40 / SIZE, 50 / SIZE] * 2]])
    check_columns(answer, inside["probabilities"] * np.concatenate([scale, np.ones((2, 1, 2))], axis=-1))


@pytest.fixture(scope="module")
def reference(model, images):
    """The images; the first two boxes of the model are true, and one that it does not find."""
    pixels, boxes = images
    truth = np.concatenate([boxes[:, :2, :4], boxes[:, :2, 5:]], axis=-1)
    missed = np.tile([[[0, 0, 3, 3, 1]]], (len(pixels), 1, 1))
    return Reference(model.metadata, pixels, [], boxes, np.concatenate([truth, missed], axis=1).astype(np.float32))


def test_the_certificate_has_the_matched_boxes_and_the_average_precision(built, reference):
    for name in ("litert", "onnx"):
        entry = certify(built[name], reference, timed=False)
        assert entry["failures"] == [] and entry["agreement"] == 1.0 and entry["max_difference"] < 1e-5
        assert 0 < entry["ap"] < 1 and entry["ap"] == pytest.approx(entry["ap_of_model"])
        low, high = entry["ap_interval"]
        assert low <= entry["ap"] <= high
        assert "accuracy" not in entry


def test_other_boxes_have_no_certificate(built, reference, tmp_path):
    other = build(make_box_model(seed=2), "litert", tmp_path)
    (failure,) = certify(other, reference, timed=False)["failures"]
    assert failure.startswith("a probability differs by 1, more than")
    entry = certify(built["int8"], reference, Limits(min_agreement=0.99), timed=False)
    (failure,) = entry["failures"]  # logits and corners share one scale of 256 steps
    assert failure.startswith("matched boxes") and failure.endswith("of 4 images differ)")
