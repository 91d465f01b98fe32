"""A finished run around a model file, with what the service reads of it."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfl.config import TransferConfig

TEMPERATURE = 1.7  # of the models of conftest.py
METRICS = {
    "kept": "probe",
    "validation": {"num_examples": 60, "loss": 0.3},
    "test": {"num_examples": 1200, "loss": 0.3},
    "num_examples": {"train": 200, "validation": 60, "test": 1200},
    "phases": {},
    "contract": {},
}


def write_run(folder: Path, model: Path, evaluation: Mapping[str, Any] | None) -> Path:
    """Write the folder of a run: its model, its config, its metrics, and its evaluation.json if there is one."""
    folder.mkdir(parents=True)
    shutil.copy(model, folder / "model.keras")
    (folder / "config.json").write_text(json.dumps(TransferConfig().to_dict()))
    (folder / "metrics.json").write_text(json.dumps(METRICS))
    if evaluation is not None:
        (folder / "evaluation.json").write_text(json.dumps(evaluation))
    return folder


def evaluation_with(rows: list[dict[str, Any]], temperature: float = TEMPERATURE) -> dict[str, Any]:
    """Return the content of evaluation.json with these prediction sets."""
    return {
        "temperature": temperature,
        "headline": "accuracy",
        "test": {"loss": 0.3, "accuracy": 0.9, "num_examples": 1200},
        "intervals": {"accuracy": [0.5, 0.6], "accuracy_wilson": [0.88, 0.92]},
        "decisions": {"conformal": rows},
    }


def row(coverage: float, threshold: float) -> dict[str, Any]:
    """Return prediction sets of one coverage."""
    shares = {"test_coverage": coverage, "low": coverage - 0.05, "high": coverage + 0.005}
    return {"coverage": coverage, "threshold": threshold, "mean_set_size": 1.5, **shares}
