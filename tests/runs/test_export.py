"""Shipping a finished run, as a user does it: what passes is in the folder, what does not is not."""

import csv
import json
import shutil

import keras
import numpy as np
import pytest

import tfl
from tfl.errors import InputError
from tfl.export import CertificateError, Limits
from tfl.export.certificate import digests
from tfl.export.formats import with_temperature
from tfl.models.classifier import load_model, save_model
from tfl.runs.export import ExportOptions, export_workdir, verify_workdir
from tfl.runs.predict import predict_files
from tfl.workdir import write_json


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run on embedded digits, which have no files: random features, scaled to size, and a solved head."""
    folder = tmp_path_factory.mktemp("runs")
    keras.utils.set_random_seed(0)
    backbone = tfl.build_backbone("MobileNetV2", image_size=32, alpha=0.35, weights="none")
    norms = [layer for layer in backbone.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for norm in norms:
        norm.momentum = 0.0
    backbone(np.random.default_rng(0).integers(0, 256, (32, 32, 32, 3)), training=True)  # finds the variances
    for norm in norms:
        norm.momentum = 0.999
    backbone.save(folder / "backbone.keras")
    config = tfl.TransferConfig(
        data=tfl.DataConfig(source="digits:0-2", image_size=32),
        backbone=tfl.BackboneConfig(name="MobileNetV2", alpha=0.35, weights=str(folder / "backbone.keras")),
        finetune=tfl.FinetuneConfig(epochs=0),
    )
    tfl.transfer(config, folder / "digits")
    return folder / "digits"


@pytest.fixture
def run(finished, tmp_path):
    """A copy to damage."""
    return shutil.copytree(finished, tmp_path / "run")


def files_of(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def exported(finished, tmp_path_factory):
    workdir = shutil.copytree(finished, tmp_path_factory.mktemp("exported") / "run")
    export_workdir(workdir, ExportOptions(temperature=1.5))
    return workdir


def test_every_format_is_certified_and_verified(exported):
    certificate = json.loads((exported / "export" / "certificate.json").read_text())
    assert list(certificate["artefacts"]) == ["saved_model", "model.tflite", "model.onnx", "model.keras"]
    for entry in certificate["artefacts"].values():
        assert entry["failures"] == []
        assert entry["max_difference"] <= 1e-5
        assert entry["temperature"] == 1.5
    assert certificate["reference"]["temperature"] == 1.5
    metrics = json.loads((exported / "metrics.json").read_text())["test"]
    assert certificate["artefacts"]["model.onnx"]["accuracy"] == pytest.approx(metrics["accuracy"])
    assert certificate["reference"]["num_images"] == metrics["num_examples"]
    assert verify_workdir(exported).keys() == certificate["artefacts"].keys()


@pytest.mark.slow
def test_a_tampered_folder_is_caught(exported, tmp_path):
    run = shutil.copytree(exported, tmp_path / "run")
    folder = run / "export"
    model = load_model(folder / "model.keras")
    kernel, bias = model.get_layer("head_logits").get_weights()
    kernel[0, 0] += 0.5
    model.get_layer("head_logits").set_weights([kernel, bias])
    save_model(model, folder / "model.keras")  # one weight
    content = (folder / "model.tflite").read_bytes()
    (folder / "model.tflite").write_bytes(content.replace(b"0\n1\n2\n", b"1\n0\n2\n"))  # labels
    shutil.copy(folder / "model.onnx", folder / "model_new.onnx")
    with pytest.raises(CertificateError) as caught:
        verify_workdir(run)
    text = str(caught.value)
    assert "model.keras: the SHA-256 of model.keras is not the one in the certificate" in text
    assert "model.keras: a probability differs by" in text
    assert "model.tflite: the SHA-256" in text
    assert "model.tflite: it does not run" in text  # the archive has checksums of its own
    assert "model_new.onnx is not in the certificate" in text
    assert "saved_model:" not in text
    assert "model.onnx:" not in text
    assert "\n" not in text


def test_a_forged_certificate_does_not_hide_other_numbers(run):
    export_workdir(run, ExportOptions(["keras"]))
    folder = run / "export"
    model = load_model(folder / "model.keras")
    kernel, bias = model.get_layer("head_logits").get_weights()
    model.get_layer("head_logits").set_weights([kernel + np.eye(*kernel.shape, dtype=np.float32), bias])
    save_model(model, folder / "model.keras")
    certificate = json.loads((folder / "certificate.json").read_text())
    forged = {"quantize": "int8", "limits": {"tolerance": 2.0, "min_agreement": 0.0}}
    certificate["artefacts"]["model.keras"] |= forged | {"files": digests(folder / "model.keras")}
    write_json(folder / "certificate.json", certificate)
    with pytest.raises(CertificateError, match=r"model\.keras: a probability differs by .*, more than 1e-05"):
        verify_workdir(run)
    assert verify_workdir(run, limits=Limits(tolerance=2.0)).keys() == {"model.keras"}


@pytest.mark.parametrize(
    "certificate",
    [
        {"artefacts": ["model.keras"]},
        {"artefacts": {"model.keras": {}}},
        {"artefacts": {"model.keras": "good"}},
        {"artefacts": {"model.keras": {"files": {}}}, "reference": {"temperature": "warm", "max_images": 1}},
    ],
)
def test_what_is_no_certificate_is_one_line(run, certificate):
    (run / "export").mkdir()
    write_json(run / "export" / "certificate.json", certificate)
    with pytest.raises(InputError, match="`output` must have a certificate"):
        verify_workdir(run)


def test_verification_asks_for_the_model_that_was_certified(exported, tmp_path):
    run = shutil.copytree(exported, tmp_path / "run")
    save_model(load_model(run / "model.keras"), run / "model.keras")
    with pytest.raises(CertificateError, match="these differ from the certificate: the model_sha256 of the run"):
        verify_workdir(run)


def test_what_fails_is_not_left_in_place(run):
    export_workdir(run, ExportOptions(["litert", "onnx"]))
    before = json.loads((run / "export" / "certificate.json").read_text())
    with pytest.raises(
        CertificateError, match=r"these were not kept: model.tflite: a probability differs by .*, more than 0"
    ):
        export_workdir(run, ExportOptions(["litert"], limits=Limits(tolerance=0.0)))
    after = json.loads((run / "export" / "certificate.json").read_text())
    assert files_of(run / "export") == ["certificate.json", "model.onnx"]
    assert after["artefacts"] == {"model.onnx": before["artefacts"]["model.onnx"]}
    assert "a probability differs by" in after["rejected"]["model.tflite"]["failures"][0]
    export_workdir(run, ExportOptions(["litert"], temperature=3.0))  # of another temperature than the onnx file
    again = json.loads((run / "export" / "certificate.json").read_text())
    assert files_of(run / "export") == ["certificate.json", "model.tflite"]
    assert list(again["artefacts"]) == ["model.tflite"]
    assert again["rejected"] == {}


def test_a_quantized_file_stands_beside_the_other(run, tmp_path):
    options = ExportOptions(["litert"], "int8", limits=Limits(min_agreement=0.5))
    certificate = export_workdir(run, ExportOptions(["litert"]), tmp_path / "out")
    certificate = export_workdir(run, options, tmp_path / "out")
    assert files_of(tmp_path / "out") == ["certificate.json", "model.tflite", "model_int8.tflite"]
    plain, small = (certificate["artefacts"][name] for name in ("model.tflite", "model_int8.tflite"))
    assert small["bytes"] < 0.5 * plain["bytes"]
    assert small["max_difference"] > plain["max_difference"]


def test_the_fitted_temperature_is_shipped(run):
    model = load_model(run)
    save_model(with_temperature(model, 2.5), run / "model.keras")
    export_workdir(run, ExportOptions(["onnx"]))
    shipped = tfl.load_artefact(run / "export" / "model.onnx")
    assert shipped.metadata.temperature == 2.5
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (3, 32, 32, 3), np.uint8)
    logits = model(images, training=False).numpy()
    expected = np.exp(logits / 2.5) / np.exp(logits / 2.5).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(shipped.predict_pixels(images), expected, atol=1e-5)


def test_a_model_that_was_not_evaluated_is_refused(run):
    model = load_model(run)
    layer = model.get_layer("head_logits")
    layer.set_weights([-weights for weights in layer.get_weights()])
    save_model(model, run / "model.keras")
    with pytest.raises(CertificateError, match=r"predictions\.csv have different probabilities for"):
        export_workdir(run, ExportOptions(["onnx"]))
    assert not (run / "export").exists()
    (run / "predictions.csv").unlink()
    with pytest.raises(InputError, match=r"no predictions\.csv"):
        export_workdir(run, ExportOptions(["onnx"]))


@pytest.mark.parametrize("moment", ["publish", "certify"])
def test_an_interrupted_export_leaves_no_entry_about_other_files(run, monkeypatch, moment):
    export_workdir(run, ExportOptions(["onnx"], limits=Limits(tolerance=1e-4)))
    before = (run / "export" / "model.onnx").read_bytes()

    def stop(*_args, **_keywords):
        raise KeyboardInterrupt

    monkeypatch.setattr({"publish": "tfl.export.publish._replace", "certify": "tfl.runs.export.certify"}[moment], stop)
    with pytest.raises(KeyboardInterrupt):
        export_workdir(run, ExportOptions(["onnx"]))
    certificate = json.loads((run / "export" / "certificate.json").read_text())
    assert files_of(run / "export") == ["certificate.json", "model.onnx"]
    assert (run / "export" / "model.onnx").read_bytes() == before
    assert list(certificate["artefacts"]) == ([] if moment == "publish" else ["model.onnx"])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (ExportOptions(["onx"]), "Did you mean 'onnx'"),
        (ExportOptions([]), "`formats` must name at least one"),
        (ExportOptions(["litert"], "int4"), "`quantize`"),
        (ExportOptions(["onnx", "keras"], "int8"), "without the format litert"),
        (ExportOptions(temperature=-1.0), "`temperature` must be at least 0"),
        (ExportOptions(limits=Limits(min_agreement=1.5)), r"`min_agreement` must be in \[0, 1\]"),
    ],
)
def test_a_mistake_is_one_line_before_anything_slow(tmp_path, options, expected):
    with pytest.raises(InputError, match=expected):
        export_workdir(tmp_path / "no run", options)


def test_a_folder_without_a_run_or_exports_is_one_line(run, tmp_path):
    with pytest.raises(InputError, match=r"no config\.json"):
        export_workdir(tmp_path)
    with pytest.raises(InputError, match="has no certified export"):
        verify_workdir(run)


def test_every_format_predicts_the_same_rows(exported, tmp_path):
    rng = np.random.default_rng(0)
    for number in range(3):
        keras.utils.save_img(tmp_path / f"{number}.png", rng.integers(0, 256, (40, 30, 3)), scale=False)
    names = ("saved_model", "model.tflite", "model.onnx", "model.keras")
    tables = []
    for name in names:
        predict_files(exported / "export" / name, [str(tmp_path)], str(tmp_path / "out.csv"))
        with (tmp_path / "out.csv").open() as file:
            tables.append([(row["path"], row["class"], float(row["probability"])) for row in csv.DictReader(file)])
    assert len(tables[0]) == 3
    for table in tables[1:]:
        assert [row[:2] for row in table] == [row[:2] for row in tables[0]]
        assert [row[2] for row in table] == pytest.approx([row[2] for row in tables[0]], abs=1e-5)


@pytest.mark.slow
def test_the_script_exports_verifies_and_fails_with_2(run_script, run):
    done = run_script("scripts/export.py", f"--workdir={run}", "--formats=onnx")
    assert done.returncode == 0, done.stderr
    assert "model.onnx" in done.stderr
    assert run_script("scripts/export.py", f"--workdir={run}", "--verify").returncode == 0
    failed = run_script("scripts/export.py", f"--workdir={run}", "--formats=litert", "--tolerance=0")
    assert failed.returncode == 2
    assert "these were not kept: model.tflite" in failed.stderr.splitlines()[-1]
    assert "Traceback" not in failed.stderr
    either = run_script("scripts/predict.py", f"--model={run}", f"--workdir={run}", "x.jpg")
    assert either.returncode == 2
    assert "`model` must be given once" in either.stderr


@pytest.mark.slow
def test_real_weights_are_certified_on_real_photos(shared, keras_home, tmp_path):
    config = tfl.TransferConfig(
        data=tfl.DataConfig(source=f"folder:{shared / 'data' / 'hymenoptera'}", image_size=112),
        backbone=tfl.BackboneConfig(alpha=0.35),
        finetune=tfl.FinetuneConfig(epochs=0),
    )
    tfl.transfer(config, tmp_path / "run")
    entries = export_workdir(tmp_path / "run")["artefacts"]
    assert len(entries) == 4
    assert max(entry["max_difference"] for entry in entries.values()) <= 1e-5
    small = export_workdir(tmp_path / "run", ExportOptions(["litert"], "float16"))["artefacts"]
    assert small["model_float16.tflite"]["agreement"] >= 0.99
    with pytest.raises(CertificateError, match=r"model_int8\.tflite: top-1 agreement .* of 153 images differ"):
        export_workdir(tmp_path / "run", ExportOptions(["litert"], "int8", limits=Limits(min_agreement=1.0)))
    assert verify_workdir(tmp_path / "run").keys() == small.keys()
