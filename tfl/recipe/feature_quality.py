"""How good the features of a frozen network are: their effective rank, and a solved head where there are classes."""

import dataclasses

import keras
import numpy as np

from tfl.build import make_extractor
from tfl.config import TransferConfig
from tfl.data import Splits
from tfl.evaluation.intervals import share_interval
from tfl.features import cross_validate_head

MOST = 2000  # examples that are measured on, drawn at random
FOLDS = 5
COLLAPSED_RANK, COLLAPSED_SPREAD = 2.0, 1e-3  # at or below either of them features are called collapsed


@dataclasses.dataclass(frozen=True)
class Quality:
    """What was measured of the features of a network.

    Attributes:
        num_examples: that were measured on.
        dimensions: of the features.
        effective_rank: number of directions that the features use, 0 to `dimensions`; see `effective_rank`.
        spread: root mean square distance of the features to their mean, relative to their root mean square length,
            0 to 1.
        accuracy: of a linear head, solved on the standardised features, on examples that it was not solved on, in five
            folds; None without classes.
        low: lower end of its 95 % interval.
        high: upper end.
    """

    num_examples: int
    dimensions: int
    effective_rank: float
    spread: float
    accuracy: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def is_collapsed(self) -> bool:
        """Whether nearly all examples have the same features, or features along one line."""
        return self.effective_rank <= COLLAPSED_RANK or self.spread <= COLLAPSED_SPREAD

    def describe(self) -> str:
        """Return one line."""
        head = ""
        if self.accuracy is not None:
            interval = f"{self.low:.4f} to {self.high:.4f}"
            head = f"; a solved head has accuracy {self.accuracy:.4f} ({interval}) in {FOLDS} folds"
        return f"effective rank {self.effective_rank:.1f} of {self.dimensions} features{head}"


def measure_quality(
    config: TransferConfig, splits: Splits, rows: np.ndarray, network: keras.Model, *, has_labels: bool
) -> Quality:
    """Measure the features of some rows, at most 2,000 of them; the network runs as it is, in inference mode.

    Args:
        config: the options; only `features` and `seed` are used.
        splits: the data.
        rows: int64 positions in the index.
        network: from examples to features `(B, D)`.
        has_labels: whether the labels of the data are those of a person.
    """
    rows = np.sort(np.random.default_rng(config.seed).permutation(rows)[:MOST])
    extractor = make_extractor(network, splits.source, config.features, None)
    values = np.asarray(extractor(rows, description="features").values[:])
    rank, spread = effective_rank(values), relative_spread(values)
    index, labels = splits.index, splits.index.labels[rows]
    counts = np.unique(labels, return_counts=True)[1] if has_labels and index.is_multiclass else np.zeros(0, int)
    if len(counts) < 2 or counts.max() < FOLDS or rank == 0:
        return Quality(len(rows), values.shape[1], rank, spread)
    solved = cross_validate_head(
        standardized(values),
        labels,
        folds=FOLDS,
        num_outputs=len(index.class_names),
        groups=index.together()[rows],
        seed=config.seed,
    )
    hits = solved.held_out_logits.argmax(axis=1) == labels
    low, high = share_interval(hits, index.group_numbers(rows))
    return Quality(len(rows), values.shape[1], rank, spread, float(hits.mean()), low, high)


def standardized(features: np.ndarray) -> np.ndarray:
    """Return features with mean 0 and deviation 1 each; a feature that never changes becomes 0.

    The features of random weights are tiny, because BatchNorm has no statistics yet, and the path of λ would not reach
    their best head. So networks are compared by what their features say, and not by their scale.
    """
    centred = features - features.mean(axis=0)
    deviation = centred.std(axis=0)
    return np.divide(centred, deviation, out=np.zeros_like(centred), where=deviation > 0)


def effective_rank(features: np.ndarray) -> float:
    """Return the number of directions that features use: the exponential of the entropy of their singular values.

    Args:
        features: `(N, D)`; their mean is taken off.

    Returns:
        Between 1 and min(N - 1, D); 0 if all features are equal.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> round(effective_rank(rng.normal(size=(1000, 2)) @ rng.normal(size=(2, 64))), 1) <= 2.0
        True

    Reference:
        Roy and Vetterli 2007, The effective rank: a measure of effective dimensionality; as a measure of features
        without labels: Garrido et al. 2023, RankMe, arXiv:2210.02885.
    """
    values = np.asarray(features, np.float64)
    singular = np.linalg.svd(values - values.mean(axis=0), compute_uv=False)
    if singular[0] <= np.finfo(np.float32).eps * np.linalg.norm(values):  # the rounding of equal features
        return 0.0
    shares = singular[singular > 0] / singular.sum()
    return float(np.exp(-np.sum(shares * np.log(shares))))


def relative_spread(features: np.ndarray) -> float:
    """Return the root mean square distance to the mean, relative to the root mean square length; 0 if all are 0."""
    values = np.asarray(features, np.float64)
    length = np.sqrt(np.mean(np.sum(np.square(values), axis=1)))
    distance = np.sqrt(np.sum(values.var(axis=0)))
    return float(distance / length) if length else 0.0
