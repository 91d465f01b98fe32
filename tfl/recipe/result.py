"""The result of a phase: how it is measured on validation, stored, and restored after an interruption."""

import dataclasses
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfl.errors import InputError
from tfl.evaluation import Predictions, predict
from tfl.features import Extractor, make_feature_dataset
from tfl.features.extract import BATCH
from tfl.files.reading import read_json
from tfl.files.schemas import PROBE_CHECKPOINT
from tfl.models.classifier import load_model, save_model
from tfl.progress import say
from tfl.recipe.run import Run
from tfl.training.contract.checks import check_evaluation
from tfl.workdir import CHECKPOINTS, write_json


@dataclasses.dataclass(frozen=True)
class Part:
    """A model in two parts, cut at the end of its frozen layers: the lower part runs once per image."""

    extractor: Extractor
    upper: keras.Model


@dataclasses.dataclass(frozen=True)
class PhaseResult:
    """The result of a phase.

    Attributes:
        name: "probe" or "finetune".
        record: its entry in `metrics.json`.
        contract: the measurements of the training contract in this phase.
        evaluated: the contract's measurements of the evaluation on validation; {} after cross-validation, which needs
            no such evaluation.
        validation: the predictions of its model on examples that it was not fitted on.
        head_l2: λ of the head.
        part: the two parts of the model, to evaluate it without running the frozen part again; None if the whole
            model must run.
        weights: the weights of the model after this phase, if a later phase may be rejected; otherwise empty.
    """

    name: str
    record: dict[str, Any]
    contract: dict[str, Any]
    evaluated: dict[str, Any]
    validation: Predictions
    head_l2: float
    part: Part | None
    weights: list[np.ndarray]


def finish_phase(
    run: Run,
    name: str,
    record: dict[str, Any],
    contract: dict[str, Any],
    *,
    head_l2: float,
    part: Part | None,
    validation: Predictions | None = None,
) -> PhaseResult:
    """Measure a phase on validation, and store its result so that an interrupted run continues from here.

    Args:
        run: the run; its model has the weights of the phase.
        name: the name of the phase.
        record: the phase's entry in `metrics.json`, without its metrics, which are added here.
        contract: the measurements of the training contract.
        head_l2: λ of the head.
        part: the two parts of the model, or None; see `PhaseResult`.
        validation: the held-out predictions, if cross-validation made them.
    """
    evaluated: dict[str, Any] = {}
    if validation is None:
        validation, evaluated = predictions(run, part, "validation")
    record = record | {"validation": validation.metrics()}
    if run.config.scratch.epochs:
        record["test"] = predictions(run, part, "test")[0].metrics()
    if _is_followed(run, name) and run.folder.writes:
        save_model(run.model, run.folder / CHECKPOINTS / f"{name}.keras")
        write_json(run.folder / CHECKPOINTS / f"{name}.json", {"phase": record, "contract": contract})
    weights = run.model.get_weights() if _is_followed(run, name) else []
    return PhaseResult(name, record, contract, evaluated, validation, head_l2, part, weights)


def restore_phase(run: Run, name: str, part: Part) -> PhaseResult | None:
    """Restore a phase that an interrupted run of the same config had finished; None if there is none."""
    file = run.folder / CHECKPOINTS / f"{name}.json"
    if not file.exists():
        return None
    try:
        stored = read_json(file, PROBE_CHECKPOINT)
        run.model.set_weights(load_model(file.with_suffix(".keras")).get_weights())
    except InputError as error:
        say(f"{name}: runs again, because its stored result is damaged: {error}")
        return None
    validation, evaluated = predictions(run, part, "validation")
    say(f"{name}: already done by an earlier start of this run")
    record, weights = stored["phase"], run.model.get_weights()
    return PhaseResult(name, record, stored["contract"], evaluated, validation, record["l2"], part, weights)


def predictions(run: Run, part: Part | None, split: str) -> tuple[Predictions, dict[str, Any]]:
    """Run the model over one split, and check that it sees every example exactly once.

    With several workers, each worker runs its own batches, and all get the whole table.

    Returns:
        The table, and the contract's measurements of it.
    """
    name, rows, labels = f"evaluate {split}", run.rows(split), run.splits.index.labels
    mine = run.workers.share(len(rows), BATCH)
    table = predict(*batches_of(run, part, rows[mine], name), run.task, name) if len(mine) else None
    ids = np.zeros(0, np.int64) if table is None else table.ids
    logits = (
        np.zeros((0, run.task.table_width(run.model.output_shape[-1])), np.float32) if table is None else table.logits
    )
    ids, logits = (run.workers.gather(values, mine, len(rows)) for values in (ids, logits))
    groups = run.splits.index.group_numbers(ids)
    return Predictions(ids, labels[ids], logits, run.task, groups), check_evaluation(ids, rows)


def batches_of(run: Run, part: Part | None, rows: np.ndarray, name: str) -> tuple[keras.Model, tf.data.Dataset]:
    """Return the model, or its upper part, and the batches of some examples that it takes, with their labels.

    Args:
        run: the run.
        part: the two parts of the model, or None; see `PhaseResult`.
        rows: of the examples in the index.
        name: text beside the progress bar while the lower part runs.
    """
    if part is None:
        return run.model, run.dataset(rows)
    features = part.extractor(rows, description=f"features of {name.rpartition(' ')[2]}")
    batches = make_feature_dataset(features, np.arange(len(rows)), BATCH)
    return part.upper, run.with_labels(batches, features.ids)


def _is_followed(run: Run, name: str) -> bool:
    return name == "probe" and run.config.finetune.epochs > 0
