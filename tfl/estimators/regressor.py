"""`TransferRegressor`: an estimator that predicts one or several values of an example."""

from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils import check_array, check_consistent_length

from tfl.estimators.base import TransferEstimator, check_given


class TransferRegressor(RegressorMixin, TransferEstimator):
    """A regressor for scikit-learn: a pretrained backbone with a head that is solved on its features.

    Everything is as for `TransferClassifier`, which describes the parameters and attributes; the loss is the squared
    error. Each value is standardised while the head is solved.

    Example:
        >>> values = np.linspace(0, 1, 6)
        >>> regressor = TransferRegressor(weights="none", image_size=32, folds=2).fit(images, values)
        >>> regressor.predict(images).shape
        (6,)
    """

    _task = "regression"

    def fit(self, X: Any, y: Any) -> Self:
        """Fit the head, and with `epochs` > 0 also part of the backbone.

        Args:
            X: as for `TransferClassifier.fit`.
            y: N values, or `(N, K)` for K values per example.

        Raises:
            InputError: a parameter, X or y cannot be used.
        """
        check_given(self, y)
        examples = self._examples(X, reset=True)
        y = check_array(y, ensure_2d=False, dtype="numeric", input_name="y")
        check_consistent_length(examples, y)
        self._fit(examples, y.astype(np.float32))
        self._has_columns = y.ndim == 2
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the values of each example, `(N,)`, or `(N, K)` if y had columns.

        Args:
            X: as for `fit`.
        """
        values = self._scores(X)
        return values if self._has_columns else values[:, 0]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
