"""What both estimators share: their parameters, fitting by the phases of a run, and outputs for new examples."""

import contextlib
import dataclasses
import tempfile
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from tfl.backbones import get_backbone_spec
from tfl.build import input_of_config, make_extractor
from tfl.config import TransferConfig
from tfl.data import Splits, make_dataset, reading_explained
from tfl.data.splits import hold_out
from tfl.errors import InputError, StoppedError
from tfl.estimators.examples import as_examples, open_examples
from tfl.estimators.options import PARAMETERS, in_words_of_estimators, make_config, needs_validation
from tfl.features import make_feature_dataset, open_store
from tfl.features.extract import BATCH
from tfl.inputs import get_input
from tfl.models.classifier import split_at_features
from tfl.models.inference import run_over
from tfl.progress import quiet
from tfl.recipe.evaluate import set_temperature
from tfl.recipe.pooling import choose_features
from tfl.recipe.run import Run
from tfl.recipe.transfer import fit_phases, make_backbone, make_classifier, output_names, prepared
from tfl.workdir import Workdir


class TransferEstimator(BaseEstimator):
    """A pretrained backbone with a head; base class of `TransferClassifier` and `TransferRegressor`.

    Every example of X is for training. With `epochs=0` the backbone stays frozen, and folds of X choose λ. With
    `epochs` > 0 a share of X is held out, as by the early stopping of scikit-learn's own networks.
    """

    _task: str

    def __init__(
        self,
        backbone: str = "MobileNetV2",
        alpha: float = 1.0,
        weights: str = "imagenet",
        image_size: int = 0,
        l2: float = 0.0,
        folds: int = 5,
        epochs: int = 0,
        unfreeze: Any = "1",
        learning_rate: float = 1e-4,
        batch_size: int = 32,
        augmentation: str = "light",
        validation_fraction: float = 0.1,
        store: str = "cache",
        options: dict[str, Any] | None = None,
        random_state: Any = 0,
        verbose: bool = False,
    ) -> None:
        self.backbone = backbone
        self.alpha = alpha
        self.weights = weights
        self.image_size = image_size
        self.l2 = l2
        self.folds = folds
        self.epochs = epochs
        self.unfreeze = unfreeze
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.augmentation = augmentation
        self.validation_fraction = validation_fraction
        self.store = store
        self.options = options
        self.random_state = random_state
        self.verbose = verbose

    @reading_explained()
    def _fit(self, examples: Any, labels: np.ndarray, class_names: tuple[str, ...] = ()) -> None:
        """Run the phases on all examples, and keep the model.

        Args:
            examples: from `_examples`.
            labels: int64 `(N,)` class numbers, or float32 `(N,)` or `(N, K)` values.
            class_names: in the order of the class numbers; empty for values.
        """
        with in_words_of_estimators(), quiet(not self.verbose):
            config = prepared(self._config(examples))
            share = self._share(config)
            kind = dataclasses.replace(input_of_config(config), bit_depth=config.data.bit_depth)
            source = open_examples(examples, labels, class_names, kind)
            splits = Splits(source.with_index(hold_out(source.index, share, seed=config.seed, nouns=kind.noun)))
            config = choose_features(config, splits)
            names = output_names(config, splits)
            model = make_classifier(make_backbone(config, config.backbone.weights), config, names)
            with tempfile.TemporaryDirectory() as folder:
                run = Run(config, splits, model, Workdir(folder))
                try:
                    kept, _, _ = fit_phases(run)
                except StoppedError as stop:  # a run would continue from its workdir, and an estimator has none
                    raise KeyboardInterrupt(f"signal {stop.signal_number} stopped the fit") from stop
            if len(kept.validation):
                set_temperature(run, kept.validation)
        self.model_, self.l2_, self.config_ = run.model, kept.head_l2, config
        self.is_frozen_ = kept.name == "probe"

    @reading_explained()
    def _scores(self, X: Any) -> np.ndarray:
        """Return the scores of examples, `(N, C)` float64; features of a frozen backbone come from the store."""
        check_is_fitted(self)
        metadata: Any = self.model_.metadata
        examples = self._examples(X, reset=False)
        with in_words_of_estimators(), quiet(not self.verbose):
            source = open_examples(examples, np.zeros(len(examples), np.float32), (), metadata.input)
            rows = np.arange(len(source.index))
            model, dataset = self.model_, None
            if self.is_frozen_:
                lower, model = split_at_features(self.model_)
                options = self.config_.features
                features = make_extractor(lower, source, options, open_store(options))(rows)
                dataset = make_feature_dataset(features, rows, BATCH)
            else:
                dataset = make_dataset(source, rows, image_size=metadata.image_size, batch_size=BATCH)
            outputs = run_over(model, {"predict": dataset})["predict"]
        return metadata.task.scores(outputs.values, metadata.temperature)

    def _examples(self, X: Any, *, reset: bool) -> Any:
        """Return X in the form of `as_examples`; the rows of a matrix are checked as scikit-learn does."""
        with in_words_of_estimators():
            matrix = self._takes_matrix()
        if not matrix:
            return as_examples(X)
        return validate_data(self, X, reset=reset, dtype=np.float32, ensure_min_samples=2 if reset else 1)

    def _config(self, examples: Any) -> TransferConfig:
        config = make_config({name: getattr(self, name) for name in (*PARAMETERS, "options")}, self._task)
        if isinstance(examples, np.ndarray) and examples.ndim == 2 and not config.data.image_size:
            config.data.image_size = examples.shape[1]  # the size of a row is the number of its columns
        return config

    def _takes_matrix(self) -> bool:
        """Return whether X is a matrix (N, columns): whether an example of the backbone is one row of numbers."""
        return get_input(get_backbone_spec(self.backbone).input, "input").sized(1).spec.shape.rank == 1

    def _share(self, config: TransferConfig) -> float:
        share = self.validation_fraction
        if not isinstance(share, (int, float)) or not 0 < share < 1:
            raise InputError(f"`validation_fraction` must be between 0 and 1. Received: validation_fraction={share!r}.")
        return share if needs_validation(config) else 0.0

    def __sklearn_tags__(self) -> Any:
        tags: Any = super().__sklearn_tags__()
        matrix = False
        with contextlib.suppress(InputError):  # an unknown backbone is refused by `fit`
            matrix = self._takes_matrix()
        tags.input_tags.two_d_array, tags.input_tags.three_d_array = matrix, not matrix
        tags.input_tags.string = not matrix
        tags.target_tags.required = True
        return tags


def check_given(estimator: BaseEstimator, y: Any) -> None:
    """Raise `InputError` if there is no y, in the words that scikit-learn looks for."""
    if y is None:
        raise InputError(
            f"`y` must be given: this {type(estimator).__name__} estimator requires y to be passed, but the target y "
            "is None."
        )
