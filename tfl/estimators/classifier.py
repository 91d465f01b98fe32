"""`TransferClassifier`: an estimator that predicts the class of an example."""

from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils import assert_all_finite, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from tfl.errors import InputError
from tfl.estimators.base import TransferEstimator, check_given


class TransferClassifier(ClassifierMixin, TransferEstimator):
    """A classifier for scikit-learn: a pretrained backbone with a head that is solved on its features.

    It takes the same steps as `tfl.transfer`, with two differences: no test split is taken from your data, and nothing
    is written but features. Every example of X is for training. Folds of X choose λ and the temperature of the
    probabilities; with `epochs` > 0 a share of X does. With `epochs=0` and a given `l2` nothing is left to choose:
    then the probabilities have temperature 1.

    The features of a frozen backbone are found in the store by content. So the fits of a grid search or of
    cross-validation run the backbone only once over each image.

    Args:
        backbone: name of the network, as `scripts/list_backbones.py` lists it.
        alpha: width multiplier; MobileNet families only.
        weights: "imagenet", "none", a file, or a workdir.
        image_size: pixels per side; 0: the size at which the backbone was pre-trained.
        l2: λ of the head; 0: chosen.
        folds: folds of X that choose λ.
        epochs: epochs of fine-tuning; 0: the backbone stays frozen.
        unfreeze: part of the backbone that fine-tuning trains.
        learning_rate: highest learning rate of fine-tuning.
        batch_size: images in one training step.
        augmentation: random changes of the images in fine-tuning: "none", "light", "shift", "rand", "trivial" or
            "erase".
        validation_fraction: share of X that is held out if `epochs` > 0.
        store: folder of the features; "cache": the user's cache, "none": only in memory.
        options: more options of a run by their dotted names (docs/reference/options.md), such as
            `{"finetune.class_weight": "balanced"}`.
        random_state: seed of folds, shuffling and augmentation.
        verbose: whether to show progress and messages; warnings are always shown.

    Attributes:
        classes_: the classes in the order of the columns of `predict_proba`.
        model_: the Keras model from images in [0, 255] to logits; `tfl.save_model` writes it.
        l2_: λ of the head.
        is_frozen_: whether the backbone is as it was: `epochs` is 0, or fine-tuning was no better.
        config_: the options of the fit.
        n_features_in_: number of columns, if X is a matrix; only for inputs of your own.

    Example:
        >>> classifier = TransferClassifier(weights="none", image_size=32, folds=2)
        >>> classifier = classifier.fit(images, labels)
        >>> classifier.predict_proba(images).shape, classifier.classes_.tolist()
        ((6, 3), [0, 1, 2])
    """

    _task = "multiclass"

    def fit(self, X: Any, y: Any) -> Self:
        """Fit the head, and with `epochs` > 0 also part of the backbone.

        Args:
            X: images `(N, H, W)`, `(N, H, W, 1)` or `(N, H, W, 3)` in [0, 255], a list of images of several sizes, N
                paths of image files, or a table (DataFrame) with one column of paths.
            y: N classes, numbers or text.

        Raises:
            InputError: a parameter, X or y cannot be used.
        """
        check_given(self, y)
        examples = self._examples(X, reset=True)
        y = column_or_1d(y, warn=True)
        assert_all_finite(y, input_name="y")
        check_classification_targets(y)
        check_consistent_length(examples, y)
        classes, numbers = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise InputError(f"`y` must have at least two classes. Received: {len(classes)} class.")
        self._fit(examples, numbers.astype(np.int64), tuple(map(str, classes.tolist())))
        self.classes_ = classes
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class, `(N, C)` float64, in the order of `classes_`.

        Args:
            X: as for `fit`.
        """
        return self._scores(X)

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of each example, `(N,)`.

        Args:
            X: as for `fit`.
        """
        columns = self._scores(X).argmax(axis=1)
        return self.classes_[columns]
