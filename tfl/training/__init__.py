"""Training: `compile`, `fit`, and what they are made of."""

from tfl.models.class_weights import balanced_class_weight
from tfl.training.contract import Contract, check_evaluation
from tfl.training.loop import fit
from tfl.training.losses import make_loss
from tfl.training.metrics import make_metrics
from tfl.training.optimizers import make_optimizer
from tfl.training.plan import CheckpointOptions, FitOptions, compile
from tfl.training.schedules import make_schedule

__all__ = [
    "CheckpointOptions",
    "Contract",
    "FitOptions",
    "balanced_class_weight",
    "check_evaluation",
    "compile",
    "fit",
    "make_loss",
    "make_metrics",
    "make_optimizer",
    "make_schedule",
]
