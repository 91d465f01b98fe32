"""An export format that tfl does not have, defined in docs/how-to/extending.md, gets a certificate and is served."""

import json
import subprocess
import sys

import numpy as np
import pytest
from doc_blocks import code_under, import_code, lines_of
from fastapi.testclient import TestClient
from option_runs import make_config, tiny_networks, write_photos

import tfl
from tfl.errors import InputError
from tfl.export import CertificateError, format_table, register_format
from tfl.serving import ServeOptions
from tfl.serving.app import create_app

pytest.importorskip("openvino", reason="the format in the docs is OpenVINO's: pip install 'tfl-transfer[fast-cpu]'")
(CODE,) = code_under("An export format of your own")


@pytest.fixture(scope="module", autouse=True)
def formats(tmp_path_factory):
    """Register the format of the docs, and forget all formats of this file at its end."""
    import_code(CODE, tmp_path_factory.mktemp("code"), "openvino_format")
    yield
    format_table._OWN.clear()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run, exported in the format."""
    folder = tmp_path_factory.mktemp("runs")
    photos = write_photos(folder / "photos", (14, 14, 14))
    with tiny_networks():
        result = tfl.transfer(make_config(photos, folder / "store", {}), folder / "run")
    certificate = tfl.export_workdir(result.workdir, tfl.ExportOptions(formats=["OpenVINO", "keras"]))
    return result, certificate, photos


def test_the_code_is_short():
    assert lines_of(CODE) <= 40


def test_it_has_a_certificate_that_can_be_verified(run):
    result, certificate, _ = run
    assert set(certificate["artefacts"]) == {"model.openvino", "model.keras"}
    entry = certificate["artefacts"]["model.openvino"]
    assert set(entry["files"]) == {"model.xml", "model.bin", "tfl.json"}
    assert (entry["format"], entry["failures"], entry["agreement"]) == ("openvino", [], 1.0)
    assert entry["max_difference"] <= 1e-5
    assert set(entry["runtime"]) == {"openvino"}
    assert {part["batch"] for part in entry["latency"]} == {1, entry["num_images"]}
    assert tfl.verify_workdir(result.workdir)["model.openvino"]["failures"] == []


def test_it_is_loaded_and_served(run):
    result, _, photos = run
    folder = result.workdir / "export" / "model.openvino"
    artefact = tfl.load_artefact(folder)
    assert (artefact.format, artefact.metadata) == ("openvino", result.model.metadata)
    image = next((photos / "class_2").iterdir()).read_bytes()
    expected = tfl.load_artefact(result.workdir).predict_bytes([image])[0]
    np.testing.assert_allclose(artefact.predict_bytes([image])[0], expected, atol=1e-6)
    with TestClient(create_app(ServeOptions(str(folder)))) as client:
        while client.get("/readyz").status_code != 200:
            assert client.app.state.model.failure is None
        answer = client.post("/v1/models/model:classify", content=image).json()
    best = answer["classes"][0]
    assert best["probability"] == pytest.approx(float(expected.max()), abs=1e-6)
    assert best["class"] == artefact.metadata.class_names[expected.argmax()]


def test_files_that_say_something_else_get_no_certificate(run, monkeypatch, tmp_path):
    result, _, _ = run

    def shifted(folder):
        import openvino

        openvino.kept_core = getattr(openvino, "kept_core", None) or openvino.Core()  # see docs/how-to/extending.md
        network = openvino.kept_core.compile_model(folder / "model.xml", "CPU")
        return lambda pixels: network(255 - pixels)[0]

    own = format_table.own_format("openvino")
    monkeypatch.setitem(format_table._OWN, "openvino", own)  # undone after the test
    register_format("openvino", own.write, shifted, packages=["openvino"])
    with pytest.raises(CertificateError, match=r"model\.openvino: a probability differs by"):
        tfl.export_workdir(result.workdir, tfl.ExportOptions(formats=["openvino"]), tmp_path / "export")
    certificate = json.loads((tmp_path / "export" / "certificate.json").read_text())
    assert set(certificate["rejected"]) == {"model.openvino"} and not (tmp_path / "export" / "model.openvino").exists()


def test_the_certificate_refuses_a_format_that_imports_tfl(run, monkeypatch, tmp_path):
    result, _, _ = run

    def with_tfl(folder):
        import tfl

        model = tfl.load_artefact(folder / "model.keras")
        return model.predict_pixels

    def write(model, metadata, folder):
        tfl.save_model(model, folder / "model.keras")

    monkeypatch.setitem(format_table._OWN, "wrapped", None)  # undone after the test
    register_format("wrapped", write, with_tfl)
    with pytest.raises(CertificateError, match=r"model\.wrapped: it needs tfl to run\."):
        tfl.export_workdir(result.workdir, tfl.ExportOptions(formats=["wrapped"]), tmp_path / "export")


def nothing(*_):
    """Do nothing; it stands for a function that is not called."""


def from_outside(folder):
    return lambda pixels: np.zeros((len(pixels), 3))


@pytest.mark.parametrize(
    ("name", "load", "message"),
    [
        (
            "keras",
            nothing,
            r"`name` must be of lower-case letters and digits, and not be saved_model, .*name='keras'\.$",
        ),
        ("tflite", nothing, r"`name` must be .*name='tflite'\.$"),
        ("../up", nothing, r"`name` must be .*name='\.\./up'\.$"),
        ("own", from_outside, r"`load` must import inside itself .* Received: a function that uses 'np'\.$"),
        ("own", lambda folder: None, r"`load` must be a function of its own, defined with `def`"),
        ("own", len, r"`load` must be a function of its own, defined with `def`"),
    ],
)
def test_a_format_that_cannot_work_is_refused(name, load, message):
    with pytest.raises(InputError, match=message):
        register_format(name, nothing, load)
    assert name not in format_table._OWN


def test_what_is_missing_is_one_line(run, monkeypatch, tmp_path):
    result, _, _ = run
    monkeypatch.setitem(format_table._OWN, "other", None)  # undone after the test
    register_format("other", nothing, nothing, packages=["no-such-package"])
    with pytest.raises(
        InputError, match=r"without no-such-package\. Did you mean to run pip install no-such-package\?$"
    ):
        tfl.export_workdir(result.workdir, tfl.ExportOptions(formats=["other"]))
    folder = tmp_path / "model.other"
    (result.workdir / "export" / "model.openvino").rename(folder)
    with pytest.raises(InputError, match=r"packages are installed \(pip install no-such-package\)\. Received: '"):
        tfl.load_artefact(folder)
    folder.rename(folder.with_suffix(".unknown"))
    with pytest.raises(InputError, match=r"`model` must be of a format that `register_format` knows\. .*'unknown'\.$"):
        tfl.load_artefact(folder.with_suffix(".unknown"))
    folder.with_suffix(".unknown").rename(result.workdir / "export" / "model.openvino")


def test_the_format_of_the_docs_needs_no_tensorflow_to_run(run):
    """A user of the file has OpenVINO alone."""
    result, _, _ = run
    source = format_table.own_format("openvino").source
    code = (
        f"{source}\nimport pathlib, sys\nload_openvino(pathlib.Path(sys.argv[1]))\nprint('tensorflow' in sys.modules)"
    )
    command = [sys.executable, "-I", "-c", code, str(result.workdir / "export" / "model.openvino")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "False"
