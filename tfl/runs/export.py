"""Export a finished run: write it in the requested formats, and keep the files that agree with the trained model."""

import dataclasses
import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from etils import epath

from tfl.data import Source, make_dataset, reading_explained
from tfl.errors import InputError
from tfl.export import Reference, certify
from tfl.export.certificate import differing_files
from tfl.export.format_table import check_formats
from tfl.export.formats import build, named_product, with_temperature
from tfl.export.limits import CertificateError, Limits
from tfl.export.litert_file import CALIBRATION_IMAGES
from tfl.export.publish import CERTIFICATE, open_certificate, publish, reject
from tfl.models.classifier import load_model
from tfl.models.inference import Outputs, run_over
from tfl.models.metadata import show_label_order
from tfl.progress import say, track
from tfl.runs.export_options import DEFAULT_LIMITS, ExportOptions, certified_exports, export_folder
from tfl.runs.recorded import (
    as_decided,
    check_recorded_config,
    open_recorded,
    recorded_predictions,
    recorded_rows,
    recorded_splits,
)
from tfl.workdir import Workdir, read_config

BATCH = 32
MOST_NUMBERS = 2**27  # of the trained model's outputs, in memory: 1 GiB
_HEADLINES = {"mean_iou": "mean IoU", "ap": "AP"}  # of maps and boxes, in a certificate
_RECORDED = 1e-2  # allowed change of a probability: the evaluation may have used features stored as float16


@dataclasses.dataclass(frozen=True)
class _Run:
    """A finished run that was opened again: its model and its images."""

    workdir: Workdir
    model: keras.Model
    data: Source
    source: str

    def rows(self, split: str, limit: int) -> np.ndarray:
        rows = recorded_rows(self.data, recorded_splits(self.workdir), self.source, split)
        if not len(rows):
            raise InputError(
                f"`workdir` must have {split} {self.data.kind.noun[1]}. "
                f"Received: {str(self.workdir.path)!r} without any."
            )
        return rows[np.linspace(0, len(rows) - 1, limit).astype(int)] if 0 < limit < len(rows) else rows

    def dataset(self, rows: np.ndarray) -> tf.data.Dataset:
        return make_dataset(self.data, rows, image_size=self.model.metadata.image_size, batch_size=BATCH)


@reading_explained()
def export_workdir(
    workdir: epath.PathLike,
    options: ExportOptions = ExportOptions(),
    output: epath.PathLike = "",
    data: Any = None,
    source: str = "",
) -> dict[str, Any]:
    """Export a finished run, and compare each export with the trained model on the test images.

    Each artefact is first written to a temporary folder. A separate process then runs it with the runtime of its
    format and without tfl, and its outputs are compared with those of the trained model. Only an artefact that passes
    is moved into the export folder, and certificate.json lists it.

    Args:
        workdir: the folder of a finished run.
        options: the formats, the quantization and the limits.
        output: the export folder; empty: `export` in the workdir.
        data: the same Python data again, if the run was made on Python data; see `tfl.transfer`.
        source: the new place of the run's images, as a source string; empty: they were not moved.

    Returns:
        The contents of certificate.json.

    Raises:
        InputError: the run is not finished, test images are missing, or a format cannot hold the network.
        CertificateError: an artefact differs from the trained model; the other artefacts are in the folder.

    Example:
        >>> certificate = tfl.export_workdir("runs/photos", tfl.ExportOptions(formats=["litert"]))
        >>> certificate["artefacts"]["model.tflite"]["max_difference"] <= 1e-5
        True
    """
    options.validate()
    formats, quantize = check_formats(options.formats, options.quantize)
    run = _open(workdir, options.temperature, data, source)
    folder = export_folder(run.workdir.path, output)
    rows = _compared_rows(run, options.max_images)
    calibration = _pixels(run, run.rows("train", CALIBRATION_IMAGES)) if quantize == "int8" else ()
    reference = _reference(run, rows)
    several = run.data.kind.noun[1]
    certificate = open_certificate(folder, _describe(run, reference) | {"max_images": options.max_images}, several)
    failed = []
    with tempfile.TemporaryDirectory() as name:
        for format_name in formats:
            say(f"export: {format_name}{'' if format_name != 'litert' else f', quantize {quantize}'}")
            product = build(run.model, format_name, Path(name), quantize, calibration)
            entry = certify(product, reference, options.limits) | {"limits": dataclasses.asdict(options.limits)}
            say(describe(product.path.name, entry))
            if entry["failures"]:
                reject(folder, certificate, product.path.name, entry)
                failed.append(f"{product.path.name}: {'; '.join(entry['failures'])}")
            else:
                publish(folder, certificate, entry, product.path)
    _finish(failed, "these were not kept")
    say("written:\n" + "\n".join(f"  {folder / name}" for name in (*certificate["artefacts"], CERTIFICATE)))
    show_label_order(run.model.metadata)
    return certificate


@reading_explained()
def verify_workdir(
    workdir: epath.PathLike,
    output: epath.PathLike = "",
    data: Any = None,
    limits: Limits = DEFAULT_LIMITS,
    source: str = "",
) -> dict[str, Any]:
    """Check the exports of a run against their certificate: compare the SHA-256 of the files, and run the files again.

    The certificate is not signed. If somebody changes it together with the files, only the outputs of the files show
    it. For this reason the limits come from the caller and not from the certificate, and the quantization comes from
    the name of the file.

    Args:
        workdir: the folder of the run.
        output: the export folder; empty: `export` in the workdir.
        data: as in `export_workdir`.
        limits: as in `export_workdir`; pass wider limits again if the export used them.
        source: as in `export_workdir`.

    Returns:
        The new certificate entry of each artefact, by its name.

    Raises:
        InputError: nothing was exported there, or certificate.json is not a certificate.
        CertificateError: an artefact is not what was certified; the message says what differs.

    Example:
        >>> entries = tfl.verify_workdir("runs/photos")
        >>> entries["model.tflite"]["failures"]
        []
    """
    folder = export_folder(Workdir(workdir).path, output)
    certificate = certified_exports(folder)
    recorded = certificate["reference"]
    if not all(isinstance(recorded.get(name), (int, float)) for name in ("temperature", "max_images")):
        raise InputError(
            "`output` must have a certificate with its temperature and its number of examples. Received: "
            f"{str(folder)!r}."
        )
    run = _open(workdir, float(recorded["temperature"]), data, source)
    rows = _compared_rows(run, int(recorded["max_images"]))
    reference = _reference(run, rows)
    _finish(_differences(recorded, _describe(run, reference)), "these differ from the certificate")
    failed: list[str] = []
    entries: dict[str, Any] = {}
    for name, old in certificate["artefacts"].items():
        path = Path(folder / name)
        failures = differing_files(path, old["files"])
        if path.exists():
            entries[name] = certify(named_product(path), reference, limits, timed=False)
            say(describe(name, entries[name]))
            failures += entries[name]["failures"]
        failed += [f"{name}: {failure}" for failure in failures]
    names = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    failed += [
        f"{name} is not in the certificate"
        for name in names
        if name not in certificate["artefacts"] and name != CERTIFICATE
    ]
    _finish(failed, "these differ from the certificate")
    say(f"verified: {', '.join(entries)}")
    return entries


def describe(name: str, entry: dict[str, Any]) -> str:
    """Return one line about an artefact: its size, its difference from the trained model, and its speed."""
    parts = [f"  {name}: {entry['bytes'] / 1e6:.2f} MB"]
    if "max_difference" in entry:
        parts += [f"max |Δp| {entry['max_difference']:.1e}", f"agreement {entry['agreement']:.2%}"]
    parts += [f"{text} {entry[name]:.4f}" for name, text in _HEADLINES.items() if name in entry]
    parts += [f"{part['input']} {part['batch']}: {part['median_ms']:.1f} ms" for part in entry["latency"]]
    return ", ".join(parts)


def _open(workdir: epath.PathLike, temperature: float, data: Any, source: str) -> _Run:
    run = Workdir.open_finished(workdir)
    config = read_config(run)
    model = load_model(run.path)
    if model.metadata is None:
        raise InputError(
            f"`workdir` must have a model that tfl saved. Received: {str(workdir)!r}, whose model has no class names."
        )
    check_recorded_config(config, model.metadata, run / "config.json")
    model = with_temperature(model, temperature or model.metadata.temperature)
    opened, name = open_recorded(config, model.metadata.input, source, data)
    return _Run(run, model, as_decided(run, opened, recorded_splits(run)), name)


def _reference(run: _Run, rows: np.ndarray) -> Reference:
    """Run the trained model on the test images, and check that it agrees with the predictions of the evaluation."""
    metadata = run.model.metadata
    outputs = run_over(run.model, {"reference": run.dataset(rows)})["reference"]
    _check_recorded(run, outputs)
    pixels = np.concatenate(list(_pixels(run, rows)))
    encoded = {int(example["id"]): run.data.kind.encode(example["input"]) for example in run.data.examples(rows)}
    return Reference(
        metadata,
        pixels,
        [encoded[int(row)] for row in outputs.ids],
        metadata.task.scores(outputs.values, metadata.temperature),
        outputs.labels,
    )


def _pixels(run: _Run, rows: np.ndarray) -> Iterator[np.ndarray]:
    for batch in track(run.dataset(rows), run.data.kind.noun[1]):
        yield batch["input"].numpy()


def _compared_rows(run: _Run, wanted: int) -> np.ndarray:
    """Return the test rows to compare: at most so many that the outputs for them fit in memory, as maps are large."""
    rows, most = run.rows("test", wanted), max(1, MOST_NUMBERS // int(np.prod(run.model.output_shape[1:])))
    if len(rows) <= most:
        return rows
    say(f"export: {most} of {len(rows)} test {run.data.kind.noun[1]} are compared, because their outputs are large")
    return run.rows("test", most)


def _check_recorded(run: _Run, outputs: Outputs) -> None:
    """Compare the model with predictions.csv: the exported model must be the evaluated one."""
    metadata, names = run.model.metadata, run.data.index.ids[outputs.ids].tolist()
    table, _ = recorded_predictions(run.workdir, "test", metadata.target, metadata.class_names)
    row_of = {name: row for row, name in enumerate(table.ids.tolist())}
    recorded = table.logits[[row_of[name] for name in names]]
    rows = metadata.task.collect(tf.constant(outputs.values), outputs.labels)
    distances = metadata.task.distance(np.asarray(rows), recorded)
    for name, distance in zip(names, distances, strict=True):
        if not distance <= _RECORDED:
            raise CertificateError(
                f"`workdir` must have the model that was evaluated. Received: {str(run.workdir.path)!r}, where "
                f"model.keras and predictions.csv have different probabilities for {name}."
            )


def _describe(run: _Run, reference: Reference) -> dict[str, Any]:
    return {
        "model_sha256": hashlib.sha256((run.workdir / "model.keras").read_bytes()).hexdigest(),
        "pixels_sha256": hashlib.sha256(reference.pixels.tobytes()).hexdigest(),
        "temperature": reference.metadata.temperature,
        "class_names": list(reference.metadata.class_names),
        "num_images": len(reference.pixels),
    }


def _differences(recorded: dict[str, Any], now: dict[str, Any]) -> list[str]:
    return [f"the {name} of the run" for name, value in now.items() if recorded.get(name) != value]


def _finish(failed: Sequence[str], verdict: str) -> None:
    if failed:
        raise CertificateError(
            f"Every exported file must give the same results as the trained model; {verdict}: {' | '.join(failed)}."
        )
