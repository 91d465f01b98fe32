"""Learning rate as a function of the step."""

import math

import keras

from tfl.config import SCHEDULES
from tfl.errors import InputError
from tfl.registry import resolve

STEP_FACTOR = 0.1  # of the step schedule, at one half and at three quarters of the steps


def make_schedule(
    name: str, learning_rate: float, total_steps: int, warmup_fraction: float = 0.1
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """Build a learning-rate schedule.

    Only stock Keras schedules are used, so that a compiled and saved model loads without tfl.

    Args:
        name: `"constant"`, `"cosine"` (linear warm-up, then half a cosine to zero) or `"step"`
            (times 0.1 at one half and again at three quarters).
        learning_rate: the peak, greater than 0.
        total_steps: optimizer steps of the whole run, at least 1.
        warmup_fraction: share of `total_steps` for the warm-up, in [0, 1]; cosine only. The warm-up starts above
            zero, so that no step is wasted.

    Returns:
        A float for `"constant"` (callbacks can change it), else a Keras schedule.

    Raises:
        InputError: the name is unknown, or a number is out of range.

    Example:
        >>> schedule = make_schedule("cosine", 1e-3, total_steps=1000)
        >>> float(schedule(0)) < float(schedule(100)) > float(schedule(900))  # a warm-up, then a descent
        True

    Reference:
        Loshchilov, Hutter 2017, SGDR, arXiv:1608.03983 (cosine); Goyal et al. 2017, arXiv:1706.02677 (warm-up).
    """
    name = resolve(name, SCHEDULES, "schedule")
    if not learning_rate > 0 or total_steps < 1 or not 0 <= warmup_fraction <= 1:
        raise InputError(
            "`learning_rate` must be positive, `total_steps` at least 1, `warmup_fraction` in [0, 1]. Received: "
            f"learning_rate={learning_rate!r}, total_steps={total_steps!r}, warmup_fraction={warmup_fraction!r}."
        )
    if name == "constant":
        return float(learning_rate)
    if name == "step":
        # Keras uses each value up to and including its boundary.
        boundaries = [math.ceil(total_steps * part) - 1 for part in (1 / 2, 3 / 4)]
        values = [learning_rate, learning_rate * STEP_FACTOR, learning_rate * STEP_FACTOR**2]
        return keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, values)
    warmup_steps = min(round(total_steps * warmup_fraction), total_steps - 1)
    if warmup_steps == 0:
        return keras.optimizers.schedules.CosineDecay(learning_rate, total_steps)
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=learning_rate / (warmup_steps + 1),
        decay_steps=total_steps - warmup_steps,
        warmup_target=learning_rate,
        warmup_steps=warmup_steps,
    )
