"""The training contract: the promises of a run, and how they are measured."""

from tfl.training.contract.checks import Contract, check_agreement, check_evaluation

__all__ = ["Contract", "check_agreement", "check_evaluation"]
