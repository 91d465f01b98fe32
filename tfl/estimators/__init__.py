"""Estimators for scikit-learn: the run of `tfl.transfer` on arrays and lists of files, without a test split."""

from tfl.estimators.classifier import TransferClassifier
from tfl.estimators.regressor import TransferRegressor

__all__ = ["TransferClassifier", "TransferRegressor"]
