"""Run the frozen part of a model once per image, and solve the head on its features.

Each name is imported when it is first used: `tfl.features.installed` imports no TensorFlow.
"""
# ruff: noqa: F401

from etils import epy

with epy.lazy_api_imports(globals()):
    from tfl.features.crossval import CrossValidation, cross_validate_head
    from tfl.features.extract import Extractor
    from tfl.features.probe import HeadSolution, PathPoint, ProbeResult, assign_head, choose_head, solve_head
    from tfl.features.reuse import StoredPhase, is_worth_storing, make_feature_dataset
    from tfl.features.ridge import RidgeResult, ridge_targets, solve_ridge
    from tfl.features.runtime import make_forward
    from tfl.features.statistics import Statistics
    from tfl.features.store import FeatureStore, default_store, open_store
    from tfl.features.view import PLAIN, View
