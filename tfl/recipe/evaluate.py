"""The end of a run: choose one of the two phases, and evaluate it."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from tfl.evaluation import (
    Choice,
    Evaluation,
    Predictions,
    compare_phases,
    fit_temperature,
    main_figures,
    slice_by_content,
    summarize,
    write_predictions,
)
from tfl.progress import say
from tfl.recipe.baseline import measure_baseline
from tfl.recipe.result import PhaseResult, predictions
from tfl.recipe.run import Run
from tfl.tasks import Task
from tfl.training.contract.checks import check_agreement
from tfl.workdir import write_json

SAMPLE = 8  # images for the check that the whole model agrees with its two parts


def keep_the_better(
    run: Run, probe: PhaseResult | None, tuned: PhaseResult | None
) -> tuple[PhaseResult, dict[str, Any]]:
    """Keep fine-tuning if its validation loss is lower, or 1 - headline for a task that is judged by its headline.

    Each phase is compared at its own temperature, the one that would be saved with its model. After cross-validation
    the frozen network's head is solved on all examples of train and validation, and fine-tuning has only those of
    train, and its best epoch is chosen on the validation examples. So fine-tuning must then be surely better: the 95 %
    interval of the difference must be below 0.

    Returns:
        The phase that is kept, and the losses that decided; {} if there was only one phase. The model then has the
        weights of the phase that is kept.
    """
    if probe is None or tuned is None:
        (only,) = [phase for phase in (probe, tuned) if phase is not None]
        return only, {}
    first, second = (run.as_learned(phase.validation) for phase in (tuned, probe))
    choice = compare_phases(first, second, run.example_weights(first.ids))
    record = dataclasses.asdict(choice)  # metrics.json names the phases
    losses = {"finetune": record.pop("first"), "probe": record.pop("second"), "difference": choice.difference}
    is_better = choice.high < 0 if run.config.probe.folds else choice.difference < 0
    _say_choice(choice, _loss_in_words(run.task), kept=is_better)
    if is_better:
        return tuned, losses | record
    run.model.set_weights(probe.weights)
    return probe, losses | record


def _loss_in_words(task: Task) -> str:
    if task.kept_by_headline:
        return f"validation error 1 - {task.headline.noun}"
    return "calibrated validation loss" if task.has_temperature else "validation loss"


def _say_choice(choice: Choice, loss: str, *, kept: bool) -> None:
    losses = f"the {loss}: {choice.second:.4f} frozen, {choice.first:.4f} fine-tuned"
    if choice.difference >= 0:
        say(f"fine-tuning does not lower {losses}; the frozen network is kept")
        return
    between = f"95 % interval of the difference {choice.low:+.4f} to {choice.high:+.4f}"
    if kept:
        say(f"fine-tuning lowers {losses} ({between}{'' if choice.high < 0 else ': it may be chance'}); it is kept")
    else:
        say(
            f"fine-tuning lowers {losses}, but it may be chance ({between}); the frozen network is kept, whose head "
            "has seen all examples"
        )


def evaluate_kept(run: Run, kept: PhaseResult, phases: Sequence[PhaseResult], choice: dict[str, Any]) -> dict[str, Any]:
    """Evaluate the model on every example of validation and test, and write its predictions.

    Args:
        run: the run; its model has the weights of `kept`.
        kept: the phase that is kept.
        phases: all phases of the run, in order.
        choice: the losses that decided for `kept`.

    Returns:
        The contents of `metrics.json`.
    """
    test, checks = predictions(run, kept.part, "test")
    if kept.part is not None:  # the two parts made the predictions: check that the whole model, as saved, agrees
        (batch,) = run.dataset(run.rows("test")[:SAMPLE])
        checks |= check_agreement(run.model, batch, test)
    evaluation = _evaluate(run, test, kept.validation)
    if run.folder.writes:
        ids, classes = run.splits.index.ids, run.model.metadata.class_names
        write_predictions(test, run.folder / "predictions.csv", ids, classes)
        write_predictions(kept.validation, run.folder / "validation_predictions.csv", ids, classes)
        write_json(run.folder / "evaluation.json", evaluation.to_dict())
    metrics = {
        "test": evaluation.test,
        "validation": kept.record["validation"],
        **main_figures(evaluation),
        "kept": kept.name,
        **({"choice": choice} if choice else {}),
        "num_examples": {name: len(run.rows(name)) for name in ("train", "validation", "test")},
        "phases": {phase.name: phase.record for phase in phases},
        "contract": _contract(phases) | {"evaluate test": checks},
        **measure_baseline(run, test),
    }
    if run.config.scratch.epochs:
        names = {"probe": "frozen", "finetune": "fine_tuned"}
        metrics["comparison"] = {names[phase.name]: phase.record["test"] for phase in phases}
    return metrics


def _contract(phases: Sequence[PhaseResult]) -> dict[str, Any]:
    evaluated = [phase.evaluated for phase in phases if phase.evaluated]
    return {phase.name: phase.contract for phase in phases} | (
        {"evaluate validation": evaluated[-1]} if evaluated else {}
    )


def set_temperature(run: Run, validation: Predictions) -> float:
    """Fit the temperature on held-out predictions, give it to the metadata of the model, and return it."""
    fit = fit_temperature(run.as_learned(validation))
    if fit.reason and run.task.has_temperature:
        say(f"temperature {fit.temperature:.3g}: {fit.reason}")
    run.model.metadata = dataclasses.replace(run.model.metadata, temperature=fit.temperature)
    return fit.temperature


def _evaluate(run: Run, test: Predictions, validation: Predictions) -> Evaluation:
    """Fit the temperature that is saved with the model, and summarize the model on test."""
    temperature = set_temperature(run, validation)
    slicings = None
    if run.folder.writes:  # only the worker that writes files needs the slices
        slicings = slice_by_content(run.splits.source, test.ids)
    names = run.model.metadata.class_names
    return summarize(test, names, temperature=temperature, validation=validation, slicings=slicings)
