"""Choose a place on the straight line from the weights before fine-tuning to those after it.

The middle of the line is often better than both ends: it keeps more of what the pretrained network can do. This costs
a few passes over validation and no training. Each place is compared at its own temperature, the one that it would be
shipped with.

Reference:
    Wortsman et al. 2022, Robust fine-tuning of zero-shot models, arXiv:2109.01903 (WiSE-FT).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfl.evaluation.choice import losses_as_shipped
from tfl.progress import say
from tfl.recipe.result import Part, predictions
from tfl.recipe.run import Run

PLACES = (0.5, 1.0)  # 0 is the start, which is compared with the place that is chosen anyway


def choose_place(run: Run, part: Part | None, start: Sequence[np.ndarray]) -> dict[str, Any]:
    """Give the model the weights of the place with the lowest validation loss.

    Args:
        run: the run; its model has the weights at the end of the line.
        part: the two parts of the model, or None; see `PhaseResult`.
        start: the weights of the model before fine-tuning.

    Returns:
        The place, and the validation loss of every place.
    """
    end = run.model.get_weights()
    losses = {place: _loss(run, part, start, end, place) for place in PLACES}
    best = min(PLACES, key=losses.__getitem__)
    run.model.set_weights(between(start, end, best))
    if best < 1:
        say(
            f"fine-tuning: the weights {best:.0%} of the way from the start to the end have the lowest validation "
            f"loss, {losses[best]:.4f} (at the end {losses[1.0]:.4f})"
        )
    return {"place": best, "line": [{"place": place, "validation_loss": loss} for place, loss in losses.items()]}


def between(start: Sequence[np.ndarray], end: Sequence[np.ndarray], place: float) -> list[np.ndarray]:
    """Return the weights at a place from 0 (start) to 1 (end) on the line; the ends are exact.

    Example:
        >>> between([np.zeros(2)], [np.ones(2)], 0.25)
        [array([0.25, 0.25])]
    """
    if place == 1:
        return list(end)
    return [first + place * (last - first) for first, last in zip(start, end, strict=True)]


def _loss(run: Run, part: Part | None, start: Sequence[np.ndarray], end: Sequence[np.ndarray], place: float) -> float:
    run.model.set_weights(between(start, end, place))
    table, _ = predictions(run, part, "validation")
    weights = run.example_weights(table.ids)
    return float(np.average(losses_as_shipped(run.as_learned(table)), weights=weights))
