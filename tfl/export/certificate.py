"""Certify that an exported file agrees with the trained model, by running it in a separate process."""

import dataclasses
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.stats

from tfl.errors import InputError
from tfl.evaluation.intervals import bootstrap_intervals
from tfl.evaluation.predictions import Predictions
from tfl.export import runner
from tfl.export.format_table import own_format
from tfl.export.limits import CertificateError, Limits
from tfl.export.operations import check_operations
from tfl.models.classifier import Metadata
from tfl.tasks import Task

SECONDS = 3600  # time limit of the process that runs an artefact
MOST_NUMBERS = 2**24  # of outputs in one batch
BLOCK = 8  # maps that are compared with their labels at once


@dataclasses.dataclass(frozen=True)
class Product:
    """One exported file or folder.

    Attributes:
        path: its present place.
        format: "saved_model", "litert", "onnx", "keras", or a format of your own.
        quantize: "none", "dynamic", "float16" or "int8".
    """

    path: Path
    format: str
    quantize: str = "none"


@dataclasses.dataclass(frozen=True)
class Reference:
    """The test images, and the outputs of the trained model for them in the training pipeline.

    Attributes:
        metadata: labels, image size, target and the temperature of the probabilities.
        pixels: uint8 `(N, S, S, 3)`, decoded and resized as in training.
        encoded: the same N images as files.
        probabilities: `(N, C)` float64; of maps `(N, H, W, C)`, of boxes `(N, 100, 6)`.
        labels: `(N,)` class numbers or `(N, K)`, as in the index; of maps the masks `(N, H, W)`, of boxes `(N, R, 5)`.
    """

    metadata: Metadata
    pixels: np.ndarray
    encoded: Sequence[bytes]
    probabilities: np.ndarray
    labels: np.ndarray


def certify(product: Product, reference: Reference, limits: Limits = Limits(), *, timed: bool = True) -> dict[str, Any]:
    """Run an artefact in a new process without tfl, and compare all its outputs with the trained model.

    Args:
        product: the artefact to check.
        reference: the test images, and the outputs of the trained model for them.
        limits: the largest differences allowed.
        timed: whether to measure latency.

    Returns:
        The entry for certificate.json: `files` (SHA-256 of each), `bytes`, `runtime`, `max_difference`,
        `agreement`, `accuracy` with its 95 % Wilson interval (of maps `mean_iou`, `mean_iou_interval` from a bootstrap
        over the examples, and `mean_iou_of_model`; of boxes the same of `ap`), `latency` (median and 95th percentile
        in ms of warm calls, for each input and batch size), `peak_memory_bytes` (None where the system does not tell
        it), and `failures`: one sentence for each failed check, empty if the artefact passes.
    """
    result: dict[str, Any] = {
        "format": product.format,
        "quantize": product.quantize,
        "files": digests(product.path),
        "bytes": sum(file.stat().st_size for file in _files(product.path)),
        "num_images": len(reference.pixels),
        "latency": [],
    }
    try:
        if product.format == "saved_model":
            check_operations(product.path)
        report, outputs = _run(product, reference, timed)
    except InputError as error:
        return result | {"failures": [str(error)]}
    failures = _metadata_failures(report, reference.metadata)
    if all(values.shape == reference.probabilities.shape for values in outputs.values()):
        result |= _compare(outputs, reference)
        failures += _number_failures(result, product, limits, reference.metadata)
    else:
        shapes = {kind: list(values.shape) for kind, values in outputs.items()}
        failures.append(f"its probabilities have the shape {shapes}, not {list(reference.probabilities.shape)}")
    measured = {name: report[name] for name in ("latency", "peak_memory_bytes", "runtime", "cores")}
    return result | measured | {"temperature": report["metadata"].get("temperature"), "failures": failures}


def digests(path: Path) -> dict[str, str]:
    """Return the SHA-256 of every file of an artefact, by its path in the folder (a single file: by its name)."""
    base = path if path.is_dir() else path.parent
    return {file.relative_to(base).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in _files(path)}


def differing_files(path: Path, recorded: Mapping[str, str]) -> list[str]:
    """Return one sentence for each file of an artefact whose SHA-256 is not the recorded one."""
    now = digests(path) if path.exists() else {}
    names = sorted({*now, *recorded})
    return [
        f"the SHA-256 of {name} is not the one in the certificate"
        for name in names
        if now.get(name) != recorded.get(name)
    ]


def _files(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]


def _run(product: Product, reference: Reference, timed: bool) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Run the artefact in an isolated process: without the caller's folders and the user site on its Python path."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_images(folder, reference, with_files=product.format == "saved_model")
        request = {
            "format": product.format,
            "path": str(product.path.absolute()),
            "images": name,
            "output": name,
            "count": len(reference.pixels),
            "prepared": reference.metadata.input.tensors[1],
            "timed": timed,
            "batch": max(1, min(runner.BATCH, MOST_NUMBERS // reference.probabilities[0].size)),
        }
        if (own := own_format(product.format)) is not None:
            request |= {"source": own.source, "function": own.load.__name__, "packages": own.packages}
        (folder / "request.json").write_text(json.dumps(request), "utf-8")
        command = [sys.executable, "-I", runner.__file__, str(folder / "request.json")]
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
        try:
            subprocess.run(
                command,
                check=True,
                capture_output=True,
                encoding="locale",
                errors="replace",
                env=environment,
                timeout=SECONDS,
            )
        except subprocess.SubprocessError as error:
            lines = str(getattr(error, "stderr", "") or error).strip().splitlines()
            raise CertificateError(f"it does not run in a separate process without tfl: {lines[-1][:300]}") from error
        report = json.loads((folder / "report.json").read_text("utf-8"))
        outputs = {kind: np.load(folder / f"probabilities_{kind}.npy") for kind in report["inputs"]}
    if product.format == "keras":  # it gives logits: a user of the file must apply the temperature, too
        temperature, task = float(report["metadata"]["temperature"]), reference.metadata.task
        outputs = {kind: task.scores(values, temperature) for kind, values in outputs.items()}
    return report, outputs


def _write_images(folder: Path, reference: Reference, with_files: bool) -> None:
    np.save(folder / "pixels.npy", reference.pixels)
    (folder / "images").mkdir()
    for row, encoded in enumerate(reference.encoded if with_files else ()):
        (folder / "images" / str(row)).write_bytes(encoded)


def _metadata_failures(report: dict[str, Any], metadata: Metadata) -> list[str]:
    """Compare the artefact's metadata and all its lists of labels with those of the trained model."""
    names = list(metadata.class_names)
    failures = [
        f"its labels in {place} are {', '.join(labels)}, not {', '.join(names)}"
        for place, labels in report["labels"].items()
        if labels != names
    ]
    expected = {name: value for name, value in json.loads(json.dumps(metadata.to_dict())).items() if name != "version"}
    failures += [
        f"its {name} is {report['metadata'].get(name)}, not {value}"
        for name, value in expected.items()
        if name != "class_names" and report["metadata"].get(name) != value
    ]
    if "tfl" in report["imported"]:
        failures.append("it needs tfl to run")
    return failures


def _compare(outputs: dict[str, np.ndarray], reference: Reference) -> dict[str, Any]:
    """Compare probabilities; report the worst case over all kinds of input of the artefact."""
    expected, task = reference.probabilities, reference.metadata.task
    differences = [task.difference(values, expected) for values in outputs.values()]
    agreements = [float(task.agree(values, expected).mean()) for values in outputs.values()]
    result: dict[str, Any] = {
        "inputs": sorted(outputs),
        "max_difference": float(np.max(differences)),  # NaN stays NaN
        "agreement": min(agreements),
    }
    if task.is_classifier:
        right = int(min(is_right(values, reference.labels, task).sum() for values in outputs.values()))
        interval = scipy.stats.binomtest(right, len(expected)).proportion_ci(method="wilson")
        result |= {"accuracy": right / len(expected), "accuracy_wilson": [float(interval.low), float(interval.high)]}
    if task.stands_on != "vector":
        result |= _headline(list(outputs.values()), reference)
    return result


def _headline(outputs: Sequence[np.ndarray], reference: Reference) -> dict[str, Any]:
    """Return the headline of an artefact for the true masks or boxes, the lowest one of its inputs, and the model's."""
    tables = [_table(scores, reference) for scores in (*outputs, reference.probabilities)]
    values, name = [table.headline_value() for table in tables], reference.metadata.task.headline.metric
    worst = int(np.argmin(values[:-1]))
    ends = bootstrap_intervals(tables[worst])[name]
    return {name: values[worst], f"{name}_interval": list(ends), f"{name}_of_model": values[-1]}


def _table(scores: np.ndarray, reference: Reference) -> Predictions:
    """Return scores and true labels as a table of predictions."""
    task, labels = reference.metadata.task, reference.labels
    rows = [
        task.table_of(scores[at : at + BLOCK], labels[at : at + BLOCK], len(reference.metadata.class_names))
        for at in range(0, len(scores), BLOCK)
    ]
    return Predictions(np.arange(len(scores)), np.full(len(scores), ""), np.concatenate(rows), task)


def is_right(scores: np.ndarray, labels: np.ndarray, task: Task) -> np.ndarray:
    """Return for each image whether the decision is correct; with several labels, whether all are correct."""
    return task.outcomes(scores, labels).is_correct


def _number_failures(result: dict[str, Any], product: Product, limits: Limits, metadata: Metadata) -> list[str]:
    """Return one sentence if the artefact differs by more than the limits; NaN counts as a difference."""
    share, difference = result["agreement"], result["max_difference"]
    if product.quantize != "none":
        count = result["num_images"]
        wrong = f" ({round((1 - share) * count)} of {count} {metadata.input.noun[1]} differ)"
        differ = wrong if metadata.task.stands_on != "map" else ""  # a part of each map differs
        text = f"{metadata.task.agreement} {share:.2%} is below {limits.min_agreement:.2%}{differ}"
        return [] if share >= limits.min_agreement and np.isfinite(difference) else [text]
    tolerance = limits.tolerance * metadata.task.tolerance_factor
    text = f"a probability differs by {difference:.2g}, more than {tolerance:.2g}"
    return [] if difference <= tolerance else [text]
