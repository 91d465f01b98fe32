"""How well may a frozen network's features serve a task? Scores that train no head.

All of them take the features or source probabilities of training examples with their class numbers; a larger score is
better. They rank networks on one data set; scores of two data sets cannot be compared.
"""

import warnings

import numpy as np
import scipy.linalg
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from tfl.errors import InputError

_ROUNDS, _CLOSE = 1000, 1e-10  # of the fixed point of the evidence
_KEPT = 0.8  # share of the variance that N-LEEP keeps


def log_evidence(features: np.ndarray, labels: np.ndarray) -> float:
    """Return LogME: the mean log evidence of a Bayesian linear model of each class against the others.

    For each class the prior precision of the weights and the precision of the noise are those that maximise the
    evidence, found by the fixed point of MacKay. One singular value decomposition serves all classes.

    Args:
        features: `(N, D)`.
        labels: `(N,)` class numbers; or float `(N,)` or `(N, K)` values, which are standardised.

    Returns:
        The log evidence per example, averaged over the classes or values.

    Raises:
        InputError: the features and labels do not fit.

    Example:
        >>> features = np.random.default_rng(0).normal(size=(40, 3))
        >>> related, unrelated = (features[:, 0] > 0).astype(int), np.arange(40) % 2
        >>> log_evidence(features, related) > log_evidence(features, unrelated)
        True

    Reference:
        You, Liu, Wang, Jordan and Long 2021, LogME: practical assessment of pre-trained models, arXiv:2102.11005.
    """
    features, labels = _checked(features, labels)
    left, singular, _ = scipy.linalg.svd(features, full_matrices=False)
    values = [_evidence(left.T @ target, target, singular**2, features.shape[1]) for target in _targets(labels)]
    return float(np.mean(values))


def h_score(features: np.ndarray, labels: np.ndarray) -> float:
    """Return the H-score: how much of the features' variance, whitened, lies between the classes.

    It is the trace of the pseudo-inverse of the covariance of the features times the covariance of the class means.

    Args:
        features: `(N, D)`.
        labels: `(N,)` class numbers.

    Returns:
        At least 0, at most the number of classes minus 1; that is reached by any features if there are as many of
        them as examples.

    Raises:
        InputError: the features and labels do not fit.

    Example:
        >>> features = np.array([[0.0], [0.1], [1.0], [1.1]])
        >>> round(h_score(features, np.array([0, 0, 1, 1])), 3), h_score(features, np.array([0, 1, 0, 1])) < 0.1
        (0.99, True)

    Reference:
        Bao et al. 2019, An information-theoretic approach to transferability in task transfer learning,
        arXiv:2212.10082.
    """
    features, labels = _checked(features, labels)
    centred = features - features.mean(axis=0)
    classes, numbers = np.unique(labels, return_inverse=True)
    between = np.stack([centred[labels == label].mean(axis=0) for label in classes])[numbers.reshape(-1)]
    whitening = np.linalg.pinv(centred.T @ centred, hermitian=True)
    return float(np.sum(whitening * (between.T @ between)))


def leep(source: np.ndarray, labels: np.ndarray) -> float:
    """Return LEEP: the log likelihood of the classes, given only the source classes that the network predicts.

    Args:
        source: `(N, Z)` probabilities of the classes that the network was pre-trained on.
        labels: `(N,)` class numbers.

    Returns:
        At most 0.

    Raises:
        InputError: the rows are no probabilities, or do not fit the labels.

    Example:
        >>> leep(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([0, 1]))
        0.0

    Reference:
        Nguyen, Hassner, Seeger and Archambeau 2020, LEEP: a new measure to evaluate transferability, arXiv:2002.12462.
    """
    source, labels = _checked(source, labels)
    if source.min() < 0 or not np.allclose(source.sum(axis=1), 1.0, atol=1e-4):
        raise InputError("`source` must have rows of probabilities that add up to 1.")
    classes, numbers = np.unique(labels, return_inverse=True)
    joint = np.stack([source[numbers.reshape(-1) == number].sum(axis=0) for number in range(len(classes))])
    of_source = np.divide(joint, joint.sum(axis=0), out=np.zeros_like(joint), where=joint.sum(axis=0) > 0)
    return float(np.mean(np.log(np.sum(source * of_source[numbers.reshape(-1)], axis=1))))


def n_leep(features: np.ndarray, labels: np.ndarray, *, components: int = 0, seed: int = 0) -> float:
    """Return N-LEEP: LEEP with the clusters of a Gaussian mixture in place of the source classes.

    Args:
        features: `(N, D)`; principal components that hold 80 % of their variance are kept.
        labels: `(N,)` class numbers.
        components: clusters of the mixture; 0: five for each class, at most a quarter of the examples.
        seed: of the mixture.

    Returns:
        At most 0.

    Raises:
        InputError: the features and labels do not fit.

    Example:
        >>> features = np.random.default_rng(0).normal(size=(80, 4))
        >>> labels = (features[:, 0] > 0).astype(int)
        >>> -1 < n_leep(features, labels) < 0
        True

    Reference:
        Li, Jia, Sang, Zhu, Green, Wang and Gong 2021, Ranking neural checkpoints, arXiv:2011.11200.
    """
    features, labels = _checked(features, labels)
    components = components or max(2, min(5 * len(np.unique(labels)), len(labels) // 4))
    reduced = PCA(_KEPT, svd_solver="full").fit_transform(features)
    mixture = GaussianMixture(components, covariance_type="diag", random_state=seed, reg_covar=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a mixture that has not converged is a mixture, too
        return leep(mixture.fit(reduced).predict_proba(reduced), labels)


def _evidence(projected: np.ndarray, target: np.ndarray, squares: np.ndarray, dimensions: int) -> float:
    """Return the largest log evidence per example of one target.

    Args:
        projected: `(R,)`, the target in the basis of the left singular vectors.
        target: `(N,)`.
        squares: `(R,)`, squared singular values of the features.
        dimensions: D.
    """
    count, outside = len(target), float(target @ target - projected @ projected)
    prior, noise = 1.0, 1.0
    for _ in range(_ROUNDS):
        precision = prior + noise * squares
        effective = float(np.sum(noise * squares / precision))
        weights = float(np.sum((noise * np.sqrt(squares) * projected / precision) ** 2))
        residual = float(np.sum((prior * projected / precision) ** 2)) + max(outside, 0.0)
        before = prior, noise
        prior = effective / max(weights, 1e-300)
        noise = (count - effective) / max(residual, 1e-300)
        if np.allclose((prior, noise), before, rtol=_CLOSE, atol=0.0):
            break
    return evidence_at(prior, noise, projected, outside, squares, (count, dimensions)) / count


def evidence_at(
    prior: float, noise: float, projected: np.ndarray, outside: float, squares: np.ndarray, shape: tuple[int, int]
) -> float:
    """Return the log evidence of one target at given precisions.

    Args:
        prior: precision of the weights.
        noise: precision of the noise.
        projected: as for `_evidence`.
        outside: sum of squares of the target outside of the span of the features.
        squares: as for `_evidence`.
        shape: (N, D).
    """
    count, _ = shape
    precision = prior + noise * squares
    fit = noise * (outside + float(np.sum(prior * projected**2 / precision)))
    return 0.5 * (float(np.sum(np.log(prior / precision))) + count * np.log(noise) - fit - count * np.log(2 * np.pi))


def _targets(labels: np.ndarray) -> list[np.ndarray]:
    if labels.dtype.kind in "iu":
        return [(labels == number).astype(np.float64) for number in np.unique(labels)]
    columns = labels.reshape(len(labels), -1).astype(np.float64)
    spread = columns.std(axis=0)
    return list(((columns - columns.mean(axis=0)) / np.where(spread > 0, spread, 1.0)).T)


def _checked(features: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    features, labels = np.asarray(features, np.float64), np.asarray(labels)
    if features.ndim != 2 or len(features) != len(labels) or not len(labels) or not np.isfinite(features).all():
        raise InputError(
            "`features` must be finite numbers (N, D) with one label for each row. "
            f"Received: shape {features.shape} and {len(labels)} labels."
        )
    return features, labels
