"""Choose a place on the straight line from the weights before fine-tuning to those after it.

The middle of the line is often better than both ends: it keeps more of what the pretrained network can do. This costs
a few passes over validation and no training. Each place is judged by what decides between phases, see
`error_as_shipped`; that of a map by its loss, because its logits are adjusted after this choice.

Reference:
    Wortsman et al. 2022, Robust fine-tuning of zero-shot models, arXiv:2109.01903 (WiSE-FT).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfl.evaluation.choice import error_as_shipped, losses_as_shipped
from tfl.progress import say
from tfl.recipe.result import Part, predictions
from tfl.recipe.run import Run

PLACES = (0.5, 1.0)  # 0 is the start, which is compared with the place that is chosen anyway


def choose_place(run: Run, part: Part | None, start: Sequence[np.ndarray]) -> dict[str, Any]:
    """Give the model the weights of the place with the lowest validation loss, or 1 - headline.

    Args:
        run: the run; its model has the weights at the end of the line.
        part: the two parts of the model, or None; see `PhaseResult`.
        start: the weights of the model before fine-tuning.

    Returns:
        The place, and the validation loss (or error, 1 - headline) of every place.
    """
    end = run.model.get_weights()
    errors = {place: _error(run, part, start, end, place) for place in PLACES}
    best = min(PLACES, key=errors.__getitem__)
    run.model.set_weights(between(start, end, best))
    by_headline = _is_by_headline(run)
    if best < 1:
        what = f"error, 1 - {run.task.headline.noun}," if by_headline else "loss,"
        say(
            f"fine-tuning: the weights {best:.0%} of the way from the start to the end have the lowest validation "
            f"{what} {errors[best]:.4f} (at the end {errors[1.0]:.4f})"
        )
    name = "validation_error" if by_headline else "validation_loss"
    return {"place": best, "line": [{"place": place, name: error} for place, error in errors.items()]}


def between(start: Sequence[np.ndarray], end: Sequence[np.ndarray], place: float) -> list[np.ndarray]:
    """Return the weights at a place from 0 (start) to 1 (end) on the line; the ends are exact.

    Example:
        >>> between([np.zeros(2)], [np.ones(2)], 0.25)
        [array([0.25, 0.25])]
    """
    if place == 1:
        return list(end)
    return [first + place * (last - first) for first, last in zip(start, end, strict=True)]


def _is_by_headline(run: Run) -> bool:
    return run.task.kept_by_headline and run.task.stands_on != "map"


def _error(run: Run, part: Part | None, start: Sequence[np.ndarray], end: Sequence[np.ndarray], place: float) -> float:
    run.model.set_weights(between(start, end, place))
    table, _ = predictions(run, part, "validation")
    own, weights = run.as_learned(table), run.example_weights(table.ids)
    if _is_by_headline(run):
        return error_as_shipped(own, weights)
    return float(np.average(losses_as_shipped(own), weights=weights))
