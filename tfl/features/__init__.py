"""Run the frozen part of a model once per image, and solve the head on its features."""

from tfl.features.crossval import CrossValidation, cross_validate_head
from tfl.features.extract import PLAIN, Extractor, View, open_store
from tfl.features.probe import HeadSolution, PathPoint, ProbeResult, assign_head, choose_head, solve_head
from tfl.features.reuse import StoredPhase, is_worth_storing, make_feature_dataset
from tfl.features.runtime import make_forward
from tfl.features.store import FeatureStore, default_store

__all__ = [
    "PLAIN",
    "CrossValidation",
    "Extractor",
    "FeatureStore",
    "HeadSolution",
    "PathPoint",
    "ProbeResult",
    "StoredPhase",
    "View",
    "assign_head",
    "choose_head",
    "cross_validate_head",
    "default_store",
    "is_worth_storing",
    "make_feature_dataset",
    "make_forward",
    "open_store",
    "solve_head",
]
