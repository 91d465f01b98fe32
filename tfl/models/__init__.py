"""The classifier: a head on a backbone, which layers are trained, and how the weights are regularised."""

from tfl.models.classifier import Metadata, build_classifier, load_model, save_model
from tfl.models.freezing import freeze, unfreeze
from tfl.models.heads import HeadSpec
from tfl.models.regularization import regularize

__all__ = [
    "HeadSpec",
    "Metadata",
    "build_classifier",
    "freeze",
    "load_model",
    "regularize",
    "save_model",
    "unfreeze",
]
