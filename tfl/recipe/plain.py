"""Describe texts and sounds by numbers without a network, and fit a logistic regression on them."""

import dataclasses
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfl.data.pipeline import make_dataset
from tfl.data.texts import read_texts
from tfl.progress import say
from tfl.recipe.run import Run

FOLDS = 3
MOST_WORDS = 50_000  # words and pairs of words, the most frequent ones
SIDE = 14  # of the picture of a sound, in time and in pitch
BATCH = 32


@dataclasses.dataclass(frozen=True)
class Described:
    """Examples as rows of numbers.

    Attributes:
        method: the name of the baseline.
        model: a classifier of scikit-learn with the option of `strengths`.
        option: the name of its inverse strength of regularisation.
        strengths: that are tried.
        train: `(N, F)`, an array or a sparse matrix.
        test: `(M, F)`.
    """

    method: str
    model: Any
    option: str
    strengths: Sequence[float]
    train: Any
    test: Any


def describe_texts(run: Run, train: np.ndarray, test: np.ndarray) -> Described:
    """Return the weighted counts of words and pairs of words, for a logistic regression.

    Args:
        run: the run.
        train: rows of the index to fit on.
        test: rows of the index to predict.

    Raises:
        ValueError: no text has a word.

    Reference:
        Salton and Buckley 1988, Term-weighting approaches in automatic text retrieval.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    words = TfidfVectorizer(
        sublinear_tf=True, ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b", max_features=MOST_WORDS
    )
    counts = words.fit_transform(read_texts(run.splits.source, train))
    return Described(
        "tf-idf and logistic regression",
        LogisticRegression(max_iter=200, tol=1e-3),
        "C",
        (1.0, 4.0, 16.0),
        counts,
        words.transform(read_texts(run.splits.source, test)),
    )


def describe_sounds(run: Run, train: np.ndarray, test: np.ndarray) -> Described:
    """Return the log-mel spectrogram of each clip, shrunk to 14 x 14 numbers, for a logistic regression.

    The picture ends where the clip ends, so a slow and a fast word fill the same picture; see `describe_texts`.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return Described(
        f"a log-mel picture of {SIDE} x {SIDE} and logistic regression",
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=500, tol=1e-3)),
        "logisticregression__C",
        (1e-4, 1e-3, 1e-2, 1e-1, 1.0),
        _pictures(run, train),
        _pictures(run, test),
    )


def fit_logistic(
    described: Described, labels: np.ndarray, groups: np.ndarray | None, classes: int
) -> tuple[np.ndarray, float]:
    """Choose the strength of regularisation by cross-validation, fit, and predict.

    Args:
        described: the examples.
        labels: int64 `(N,)`.
        groups: int64 `(N,)`, equal for examples that stay in one fold; None: each may be in any fold.
        classes: K.

    Returns:
        Probabilities of the test examples, float64 `(M, K)`, and the inverse strength.

    Raises:
        ValueError: all labels are the same.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold, StratifiedKFold

    folds = min(FOLDS, int(np.unique(labels, return_counts=True)[1].min()))
    if groups is not None:
        folds = min(folds, len(np.unique(groups)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        splitter: Any = StratifiedKFold(max(folds, 2)) if groups is None else StratifiedGroupKFold(max(folds, 2))
        parts = list(splitter.split(described.train, labels, groups)) if folds >= 2 else []
        if not parts or any(len(np.unique(labels[rows])) < 2 for rows, _ in parts):
            strength = described.strengths[len(described.strengths) // 2]
            say(f"baseline: its strength is not chosen but {strength:g}, because there are too few examples for folds")
            chosen = described.model.set_params(**{described.option: strength}).fit(described.train, labels)
        else:
            grid = {described.option: described.strengths}
            search = GridSearchCV(described.model, grid, scoring=_mean_log_likelihood, cv=parts)
            chosen = search.fit(described.train, labels).best_estimator_
            strength = search.best_params_[described.option]
        found = np.asarray(chosen.predict_proba(described.test))
    scores = np.zeros((found.shape[0], classes))
    scores[:, chosen.classes_] = found  # a class without examples for training has the probability 0
    return scores, float(strength)


def _mean_log_likelihood(model: Any, values: Any, labels: np.ndarray) -> float:
    """Return the mean logarithm of the probability of each label; a class may be missing in the fold of training."""
    probabilities = np.asarray(model.predict_proba(values))
    of_label = (probabilities * (model.classes_ == np.reshape(labels, (-1, 1)))).sum(axis=1)
    return float(np.log(np.maximum(of_label, 1e-12)).mean())


def _pictures(run: Run, rows: np.ndarray) -> np.ndarray:
    """Return the pictures of some clips, float32 `(N, 196)`, in the order of the rows."""
    import keras

    from tfl.backbones.audio.front import FRAME, HOP, log_mel

    source, size = run.splits.source, run.model.metadata.image_size
    if not len(rows):
        return np.zeros((0, SIDE * SIDE), np.float32)
    samples = keras.Input((max(size, FRAME),))
    spectrogram = keras.Model(samples, log_mel(samples))
    frames = 1 + np.maximum(source.index.facts["samples"] - FRAME, 0) // HOP
    pictures = {}
    for batch in make_dataset(source, rows, image_size=size, batch_size=BATCH).as_numpy_iterator():
        waves = np.pad(batch["input"], ((0, 0), (0, max(size, FRAME) - size)))
        for row, bands in zip(batch["id"].tolist(), spectrogram.predict_on_batch(waves)[..., 0], strict=True):
            pictures[row] = shrink(bands[: frames[row]], SIDE)
    return np.stack([pictures[row].reshape(-1) for row in rows.tolist()])


def shrink(picture: np.ndarray, side: int) -> np.ndarray:
    """Return a picture `(H, W)` as `(side, side)` means over equal areas.

    Example:
        >>> shrink(np.array([[1.0, 2.0, 3.0]]), 2).tolist()
        [[1.3333..., 2.6666...], [1.3333..., 2.6666...]]
    """
    rows, columns = (_shares(length, side) for length in picture.shape)
    return rows @ picture @ columns.T


def _shares(length: int, parts: int) -> np.ndarray:
    """Return which share of each of `parts` equal parts each of `length` cells fills, `(parts, length)`."""
    edges, cells = np.linspace(0, length, parts + 1), np.arange(length)
    filled = np.minimum(edges[1:, None], cells + 1) - np.maximum(edges[:-1, None], cells)
    return np.maximum(filled, 0) * parts / length
