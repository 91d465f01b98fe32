"""A certificate is given for the model itself, and for nothing that differs from it."""

import dataclasses
import json
import re
import subprocess
import sys

import numpy as np
import onnx
import pytest
import tensorflow as tf
from onnx import numpy_helper

from tfl.export import FORMATS, Limits, build, certify, runner
from tfl.export.certificate import differing_files, digests
from tfl.tasks import get_task


@pytest.fixture(scope="module")
def built(make_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("built")
    return {name: build(make_model(), name, folder) for name in FORMATS}


@pytest.mark.parametrize("name", FORMATS)
def test_a_faithful_file_passes_in_a_process_without_tfl(built, make_model, refer, name):
    entry = certify(built[name], refer(make_model()))
    assert entry["failures"] == []
    assert entry["max_difference"] <= 1e-6
    assert entry["agreement"] == entry["accuracy"] == 1.0
    assert 0.9 < entry["accuracy_wilson"][0] < 1.0 == entry["accuracy_wilson"][1]
    assert {(part["input"], part["batch"]) for part in entry["latency"]} == {
        (kind, count) for kind in entry["inputs"] for count in (1, 32)
    }
    assert all(0 < part["median_ms"] <= part["p95_ms"] for part in entry["latency"])
    assert 2e7 < entry["peak_memory_bytes"] < 4e9
    assert entry["files"] == digests(built[name].path)
    folder = built[name].path if built[name].path.is_dir() else built[name].path.parent
    assert entry["bytes"] == sum((folder / file).stat().st_size for file in entry["files"])
    assert json.loads(json.dumps(entry)) == entry


@pytest.mark.parametrize("name", ["litert", "onnx"])
def test_runtimes_of_phones_and_servers_need_no_tensorflow(built, name):
    code = (
        "import pathlib, runpy, sys; program = runpy.run_path(sys.argv[1]);"
        "program[f'load_{sys.argv[3]}'](pathlib.Path(sys.argv[2]));"
        "print(sorted({'tensorflow', 'keras', 'tfl'} & sys.modules.keys()))"
    )
    command = [sys.executable, "-I", "-c", code, runner.__file__, str(built[name].path), name]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "[]"


def change_a_weight(product, kernel):
    """Add 0.01 to one weight of the head, in the file."""
    if product.format == "onnx":
        model = onnx.load(product.path)
        (tensor,) = [tensor for tensor in model.graph.initializer if list(tensor.dims) == list(kernel.shape)]
        values = numpy_helper.to_array(tensor).copy()
        values[2, 1] += 0.01
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
        onnx.save(model, product.path)
    else:
        content = product.path.read_bytes()
        values = np.frombuffer(content[: len(content) // 4 * 4], np.float32).copy()
        windows = np.lib.stride_tricks.sliding_window_view(values, kernel.size)
        (at,) = np.flatnonzero(np.isclose(windows, kernel.T.ravel()).all(axis=1))  # LiteRT keeps the outputs first
        values[at] += 0.01
        product.path.write_bytes(values.tobytes() + content[len(content) // 4 * 4 :])


def tamper(make_model, folder, name, how):
    """Write a file that is not what the model is: a changed weight, swapped labels, or another temperature."""
    model = make_model(temperature=1.0) if how == "temperature" else make_model()
    layer = model.get_layer("head_logits")
    kernel, bias = layer.get_weights()
    if how == "labels":
        classes = model.metadata.class_names
        model.metadata = dataclasses.replace(model.metadata, class_names=(classes[1], classes[0], *classes[2:]))
    elif how == "weight" and name in ("keras", "saved_model"):  # whose files have checksums of their own
        layer.set_weights([kernel + 0.01 * (kernel == kernel[2, 1]), bias])
    product = build(model, name, folder)
    if how == "weight" and name in ("onnx", "litert"):
        change_a_weight(product, kernel / np.float32(model.metadata.temperature))
    return product


@pytest.mark.parametrize(
    ("how", "expected", "name"),
    [
        *(("weight", "a probability differs by", name) for name in FORMATS),
        *(("labels", "its labels in .* are bee, ant, wasp, not ant, bee, wasp", name) for name in FORMATS[:3]),
        ("temperature", "its temperature is 1.0, not 1.7", "litert"),
    ],
)
def test_a_tampered_file_is_caught_by_what_it_says(make_model, refer, tmp_path, name, how, expected):
    product = tamper(make_model, tmp_path, name, how)
    failures = certify(product, refer(make_model()), timed=False)["failures"]
    assert re.search(expected, "; ".join(failures))


def test_another_resize_is_caught(make_model, refer, tmp_path, monkeypatch):
    def nearest(images, metadata):
        image_size = metadata.image_size
        spec = tf.TensorSpec((image_size, image_size, 3), tf.uint8)
        return tf.map_fn(
            lambda image: tf.image.resize(
                tf.io.decode_image(image, 3, expand_animations=False), (image_size, image_size), "nearest"
            ),
            images,
            fn_output_signature=spec,
        )

    monkeypatch.setattr("tfl.export.saved_model.decode_batch", nearest)
    entry = certify(build(make_model(), "saved_model", tmp_path), refer(make_model()), timed=False)
    assert len(entry["failures"]) == 1
    assert "a probability differs by" in entry["failures"][0]


@pytest.mark.parametrize("name", FORMATS)
def test_a_changed_byte_is_caught_by_its_digest(make_model, tmp_path, name):
    product = build(make_model(), name, tmp_path)
    before = digests(product.path)
    assert differing_files(product.path, before) == []
    file = max((f for f in [product.path, *product.path.rglob("*")] if f.is_file()), key=lambda f: f.stat().st_size)
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 1
    file.write_bytes(content)
    (failure,) = differing_files(product.path, before)
    assert file.name in failure
    file.unlink()
    assert len(differing_files(product.path, before)) == 1


def test_a_quantized_file_is_held_to_its_decisions(make_model, refer, tmp_path):
    reference = refer(make_model())
    product = build(make_model(), "litert", tmp_path, "int8", [reference.pixels])
    assert product.path.name == "model_int8.tflite"
    entry = certify(product, reference, Limits(min_agreement=0.9), timed=False)
    assert entry["failures"] == []
    assert entry["max_difference"] > 1e-5  # else it would not be quantized
    flipped = dataclasses.replace(reference, probabilities=reference.probabilities[:, ::-1])
    (failure,) = certify(product, flipped, timed=False)["failures"]
    assert "top-1 agreement" in failure
    assert f"of {len(reference.pixels)} images differ" in failure


def test_a_file_that_does_not_run_fails(make_model, refer, tmp_path):
    product = build(make_model(), "onnx", tmp_path)
    product.path.write_bytes(b"nothing")
    (failure,) = certify(product, refer(make_model()))["failures"]
    assert failure.startswith("it does not run in a separate process without tfl: ")
    assert "\n" not in failure


@pytest.mark.parametrize("target", ["binary", "multilabel", "regression"])
def test_every_target_has_a_certificate(make_model, refer, tmp_path, target):
    entry = certify(build(make_model(target), "onnx", tmp_path), refer(make_model(target)), timed=False)
    assert entry["failures"] == []
    assert entry["agreement"] == 1.0
    assert ("accuracy" in entry) == (target != "regression")
    other = make_model(target)
    layer = other.get_layer("head_logits")
    layer.set_weights([-weights for weights in layer.get_weights()])
    assert certify(build(other, "onnx", tmp_path), refer(make_model(target)), timed=False)["failures"]


def test_decisions_are_compared_as_the_target_has_them():
    expected = np.array([[0.9, 0.6], [0.2, 0.7]])
    for target, values, agreed in (
        ("multiclass", [[0.6, 0.4], [0.8, 0.1]], [True, False]),
        ("multilabel", [[0.6, 0.4], [0.3, 0.9]], [False, True]),
        ("regression", [[0.9069, 0.6], [0.2, 0.702]], [True, False]),  # 1 % of 0.7 and of 0.1
    ):
        assert get_task(target).agree(np.array(values), expected).tolist() == agreed


def test_nan_is_no_agreement(make_model, refer, tmp_path):
    model = make_model()
    layer = model.get_layer("head_logits")
    layer.set_weights([weights * np.nan for weights in layer.get_weights()])
    entry = certify(build(model, "onnx", tmp_path), refer(make_model()), timed=False)
    assert "differs by nan" in entry["failures"][0]
