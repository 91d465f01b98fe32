"""The training contract: what a run promises, and how it is measured."""

from tfl.training.contract.checks import Contract, check_agreement, check_evaluation

__all__ = ["Contract", "check_agreement", "check_evaluation"]
