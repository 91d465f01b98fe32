"""The frozen part of a model, run once per image, and the head that is solved on what it gives."""

from tfl.features.extract import extract_features
from tfl.features.probe import HeadSolution, ProbeResult, assign_head, choose_head, solve_head

__all__ = ["HeadSolution", "ProbeResult", "assign_head", "choose_head", "extract_features", "solve_head"]
