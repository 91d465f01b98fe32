"""Scores of transferability against direct float64 implementations of their formulas."""

import numpy as np
import pytest
import scipy.optimize
import scipy.stats
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture

from tfl.errors import InputError
from tfl.selection import h_score, leep, log_evidence, n_leep


def make(count=40, dimensions=6, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    return rng.normal(size=(count, dimensions)) + labels[:, None] * rng.normal(size=dimensions), labels


def direct_evidence(features, target):
    """The largest log density of the target under N(0, I / noise + F F' / prior), by a general optimiser."""

    def loss(logs):
        prior, noise = np.exp(logs)
        covariance = np.eye(len(target)) / noise + features @ features.T / prior
        return -scipy.stats.multivariate_normal(cov=covariance).logpdf(target)

    starts = ([0.0, 0.0], [3.0, 1.0], [-2.0, 2.0])
    options = {"xatol": 1e-10, "fatol": 1e-12, "maxiter": 4000}
    return -min(scipy.optimize.minimize(loss, start, method="Nelder-Mead", options=options).fun for start in starts)


@pytest.mark.parametrize(("count", "dimensions"), [(40, 6), (20, 30)])
def test_the_evidence_is_the_largest_density_of_the_labels(count, dimensions):
    features, labels = make(count, dimensions)
    expected = [direct_evidence(features, (labels == number).astype(float)) / count for number in np.unique(labels)]
    assert log_evidence(features, labels) == pytest.approx(np.mean(expected), abs=1e-6)


def test_values_are_standardised_before_their_evidence():
    features, _ = make()
    values = features @ np.arange(1.0, 7.0) + 3 * np.random.default_rng(1).normal(size=40)
    standard = (values - values.mean()) / values.std()
    assert log_evidence(features, values) == pytest.approx(direct_evidence(features, standard) / 40, abs=1e-6)
    assert log_evidence(features, 1000 * values + 5) == pytest.approx(log_evidence(features, values), abs=1e-9)


@pytest.mark.parametrize("dimensions", [4, 60])
def test_the_h_score_is_its_formula(dimensions):
    features, labels = make(50, dimensions)
    centred = features - features.mean(axis=0)
    means = np.array([centred[labels == label].mean(axis=0) for label in labels])
    within = np.linalg.pinv(np.cov(features, rowvar=False, bias=True), rcond=1e-10)
    expected = np.trace(within @ (means.T @ means / 50))
    assert h_score(features, labels) == pytest.approx(expected, abs=1e-6)
    assert 0 <= h_score(features, labels) <= 2 + 1e-9


def direct_leep(source, labels):
    total = 0.0
    for row, label in zip(source, labels, strict=True):
        likelihood = 0.0
        for z in range(source.shape[1]):
            of_label = sum(source[i, z] for i in range(len(labels)) if labels[i] == label)
            everything = sum(source[i, z] for i in range(len(labels)))
            likelihood += row[z] * of_label / everything
        total += np.log(likelihood)
    return total / len(labels)


def test_leep_is_its_formula():
    rng = np.random.default_rng(0)
    source, labels = rng.dirichlet(np.ones(7), 30), rng.integers(0, 3, 30)
    assert leep(source, labels) == pytest.approx(direct_leep(source, labels), abs=1e-9)
    uniform = np.full((30, 4), 0.25)  # a network that knows nothing: the entropy of the classes is left
    shares = np.bincount(labels) / 30
    assert leep(uniform, labels) == pytest.approx(np.sum(shares * np.log(shares)))


def test_n_leep_is_leep_of_the_clusters():
    features, labels = make(60, 8)
    reduced = PCA(0.8, svd_solver="full").fit_transform(features)
    mixture = GaussianMixture(15, covariance_type="diag", random_state=3).fit(reduced)
    assert n_leep(features, labels, seed=3) == pytest.approx(
        direct_leep(mixture.predict_proba(reduced), labels), abs=1e-6
    )


def test_every_score_prefers_features_that_know_the_classes():
    features, labels = make(200, 6)
    noise = np.random.default_rng(9).normal(size=features.shape)
    for score in (log_evidence, h_score, n_leep):
        assert score(features, labels) > score(noise, labels)


@pytest.mark.parametrize("score", [log_evidence, h_score, n_leep, leep])
def test_what_does_not_fit_is_refused(score):
    with pytest.raises(InputError, match="must be finite numbers"):
        score(np.full((4, 2), np.nan), np.arange(4) % 2)
    with pytest.raises(InputError, match="one label for each row"):
        score(np.ones((4, 2)), np.arange(3))
    with pytest.raises(InputError, match="add up to 1"):
        leep(np.ones((4, 2)), np.arange(4) % 2)
