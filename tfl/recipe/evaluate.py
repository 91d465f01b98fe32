"""The end of a run: which of two phases is kept, and what is said of it."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from tfl.evaluation import (
    Choice,
    Predictions,
    compare_losses,
    fit_temperature,
    main_figures,
    mean_luminance,
    slice_by_image,
    summarize,
    write_predictions,
)
from tfl.progress import say
from tfl.recipe.result import PhaseResult, predictions
from tfl.recipe.run import Run
from tfl.training.contract.checks import check_agreement
from tfl.workdir import write_json

SAMPLE = 8  # images that the whole model sees again, to agree with what its parts said


def keep_the_better(
    run: Run, probe: PhaseResult | None, tuned: PhaseResult | None
) -> tuple[PhaseResult, dict[str, Any]]:
    """Keep fine-tuning where its validation loss is lower, each phase at the temperature that it would ship with.

    Returns:
        The phase that is kept, whose weights the model then has, and the losses by which it was chosen; {} where there
        was only one.
    """
    if probe is None or tuned is None:
        (only,) = [phase for phase in (probe, tuned) if phase is not None]
        return only, {}
    choice = compare_losses(tuned.validation, probe.validation, run.example_weights(tuned.validation.ids))
    record = dataclasses.asdict(choice)  # metrics.json names the phases
    losses = {"finetune": record.pop("first"), "probe": record.pop("second"), "difference": choice.difference}
    _say_choice(choice)
    if choice.difference < 0:
        return tuned, losses | record
    run.model.set_weights(probe.weights)
    return probe, losses | record


def _say_choice(choice: Choice) -> None:
    losses = (
        f"validation loss, each at its own temperature, {choice.first:.4f} fine-tuned, {choice.second:.4f} frozen; "
        f"difference {choice.difference:+.4f} (95 % interval {choice.low:+.4f} to {choice.high:+.4f})"
    )
    if choice.difference < 0:
        say(f"fine-tuning is kept{'' if choice.high < 0 else ', though that may be chance'}: {losses}")
    else:
        say(f"fine-tuning is not kept, it is no better: {losses}")


def evaluate_kept(run: Run, kept: PhaseResult, phases: Sequence[PhaseResult], choice: dict[str, Any]) -> dict[str, Any]:
    """Evaluate the kept model on every example of validation and test, and write what it says of them.

    Args:
        run: its model has the weights of `kept`.
        kept: the phase.
        phases: all that were run, in order.
        choice: the losses by which `kept` was chosen.

    Returns:
        What stands in `metrics.json`.
    """
    test, seen = predictions(run, kept.part, "test")
    if kept.part is not None:  # the model that is saved, as a whole, looks at some images of which its parts spoke
        (batch,) = run.dataset(run.rows("test")[:SAMPLE])
        seen |= check_agreement(run.model, batch, test)
    evaluation = _evaluate(run, test, kept.validation)
    if run.folder.writes:
        ids, classes = run.splits.index.ids, run.model.metadata.class_names
        write_predictions(test, run.folder / "predictions.csv", ids, classes)
        write_predictions(kept.validation, run.folder / "validation_predictions.csv", ids, classes)
        write_json(run.folder / "evaluation.json", evaluation)
    metrics = {
        "test": evaluation["test"],
        "validation": kept.record["validation"],
        **main_figures(evaluation),
        "kept": kept.name,
        **({"choice": choice} if choice else {}),
        "num_examples": {name: len(run.rows(name)) for name in ("train", "validation", "test")},
        "phases": {phase.name: phase.record for phase in phases},
        "contract": _contract(phases) | {"evaluate test": seen},
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


def _evaluate(run: Run, test: Predictions, validation: Predictions) -> dict[str, Any]:
    """Fit the temperature that the saved model carries, and describe the model on test."""
    fit = fit_temperature(validation)
    if fit.reason and run.task.has_temperature:
        say(f"temperature {fit.temperature:.3g}: {fit.reason}")
    run.model.metadata = dataclasses.replace(run.model.metadata, temperature=fit.temperature)
    slicings = None
    if run.folder.writes:  # of several workers the others write no slices
        luminance = mean_luminance(run.splits.source, test.ids)
        slicings = slice_by_image(run.splits.index, test.ids, luminance)
    names = run.model.metadata.class_names
    return summarize(test, names, temperature=fit.temperature, validation=validation, slicings=slicings)
