"""Training: `compile`, `fit` and their parts."""

from tfl.models.balance import effective_class_weight, label_weights, logit_offsets
from tfl.models.class_weights import balanced_class_weight
from tfl.training.contract.checks import Contract, check_evaluation
from tfl.training.loop.fit import fit
from tfl.training.loop.plan import CheckpointOptions, FitOptions, compile
from tfl.training.objective.losses import make_loss
from tfl.training.objective.metrics import make_metrics
from tfl.training.objective.optimizers import make_optimizer
from tfl.training.objective.schedules import make_schedule

__all__ = [
    "CheckpointOptions",
    "Contract",
    "FitOptions",
    "balanced_class_weight",
    "check_evaluation",
    "compile",
    "effective_class_weight",
    "fit",
    "label_weights",
    "logit_offsets",
    "make_loss",
    "make_metrics",
    "make_optimizer",
    "make_schedule",
]
