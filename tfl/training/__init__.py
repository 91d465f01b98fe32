"""Training: `compile`, `fit`, and what they are made of."""

from tfl.training.loop import FitOptions, compile, fit  # noqa: A004
from tfl.training.losses import balanced_class_weight, make_loss, make_metrics
from tfl.training.optimizers import make_optimizer
from tfl.training.schedules import make_schedule

__all__ = [
    "FitOptions",
    "balanced_class_weight",
    "compile",
    "fit",
    "make_loss",
    "make_metrics",
    "make_optimizer",
    "make_schedule",
]
