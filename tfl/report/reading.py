"""Read the facts about a run from its workdir, once, for the report and the model card."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from etils import epath

from tfl.audit import COLUMNS
from tfl.errors import InputError
from tfl.evaluation.evaluation import Evaluation
from tfl.evaluation.predictions import Predictions
from tfl.files.reading import read_csv, read_json
from tfl.files.schemas import CERTIFICATE, EVALUATION
from tfl.files.writing import is_local
from tfl.models.classifier import Metadata, read_model_metadata
from tfl.report.agreement import check_ends, check_facts, read_history
from tfl.report.certificate import read_certified
from tfl.report.facts import Facts
from tfl.report.run_metrics import RunMetrics
from tfl.runs.recorded import recorded_evaluation, recorded_predictions, recorded_splits
from tfl.workdir import AUDIT, Workdir, read_config


def read_facts(workdir: Any) -> Facts:
    """Read the facts about a finished run from its workdir.

    Args:
        workdir: the path of the folder.

    Raises:
        InputError: the run is not finished, its model has no class names, or its files do not agree.
    """
    run = Workdir.open_finished(workdir)
    metrics = run.read_metrics()
    if metrics is None or not (run / "model.keras").exists():
        raise InputError(
            f"`workdir` must be a finished run. Received: {str(run.path)!r}: no metrics.json, or no model."
        )
    metadata = read_model_metadata(run / "model.keras")
    if metadata is None:
        raise InputError(
            f"`workdir` must hold a model that tfl saved. Received: {str(run.path)!r}: no class names in it."
        )
    has_table = (run / "predictions.csv").exists() and (run / "splits.csv").exists()
    empty = Predictions(np.zeros(0), np.zeros(0), np.zeros((0, len(metadata.class_names))), metadata.task)
    facts = Facts(
        path=run.path,
        config=read_config(run),
        metadata=metadata,
        metrics=RunMetrics.from_dict(metrics),
        evaluation=_evaluation(run, metadata),
        certificate=read_certified(_values(run, "export/certificate.json", CERTIFICATE)),
        splits=recorded_splits(run) if (run / "splits.csv").exists() else [],
        history=read_history(run / "history.csv") if (run / "history.csv").exists() else [],
        quarantine=_quarantine(run),
        table=recorded_predictions(run, "test", metadata.task, metadata.class_names)[0] if has_table else empty,
        seconds=_seconds(run),
        audit=read_csv(run / AUDIT, COLUMNS) if (run / AUDIT).exists() else None,
    )
    check_facts(facts)
    return facts


def _evaluation(run: Workdir, metadata: Metadata) -> Evaluation:
    """Read `evaluation.json`; an older run may not have written it, or fewer entries."""
    values = _values(run, "evaluation.json", EVALUATION)
    check_ends(values, run / "evaluation.json")
    found = recorded_evaluation(run, metadata.task)
    return found or Evaluation(metadata.temperature, metadata.task.headline.metric)


def _values(run: Workdir, name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return read_json(run / name, schema) if (run / name).exists() else {}


def _quarantine(run: Workdir) -> list[dict[str, str]]:
    file = run / "quarantine.csv"
    return read_csv(file, ("path", "reason")) if file.exists() else []


def _seconds(run: Workdir) -> float | None:
    start, end = (_modified(run / name) for name in ("config.json", "metrics.json"))
    return end - start if end > start else None


def _modified(path: epath.Path) -> int:
    """Return the time of the last change; epath also looks up the owner, who may have no name in a container."""
    return int(os.stat(path).st_mtime if is_local(path) else path.stat().mtime)  # noqa: PTH116
