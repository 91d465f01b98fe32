"""A baseline without a network: what simple counts of words reach on the same splits."""

import dataclasses
import warnings
from typing import Any

import numpy as np

from tfl.data.texts import read_texts
from tfl.evaluation import Predictions, compare_predictions, summarize
from tfl.progress import say
from tfl.recipe.run import Run

NAME = "tf-idf and logistic regression"
STRENGTHS = (1.0, 4.0, 16.0)  # inverse strengths of regularisation that are tried
FOLDS = 3
MOST_WORDS = 50_000  # words and pairs of words, the most frequent ones


def measure_baseline(run: Run, test: Predictions) -> dict[str, Any]:
    """Fit the baseline on the examples that the head is solved on, and compare it with the model on the test examples.

    All of its choices are made by cross-validation on these examples.

    Args:
        run: the run.
        test: the predictions of its model on the test examples.

    Returns:
        The entry `baseline` of metrics.json; {} for examples that are no texts, or labels of another kind than
        one of several classes, and if no text has a word.

    Reference:
        Salton and Buckley 1988, Term-weighting approaches in automatic text retrieval.
    """
    if not run.splits.source.kind.cell or not run.task.labels.has_one_class:
        return {}
    rows = run.splits.outside_of_test if run.config.probe.folds else run.rows("train")  # as the head
    say(f"baseline: {NAME} on {len(rows):,} {run.splits.source.kind.noun[1]}")
    try:
        scores, strength = _fit(run, rows, test.ids)
    except ValueError as error:  # no text has a word, or all have one class
        say(f"baseline: left out, because {str(error).partition('.')[0]}")
        return {}
    baseline = Predictions(test.ids, test.labels, run.task.outputs(scores), test.task, test.groups)
    evaluation = summarize(baseline, run.model.metadata.class_names)
    difference = compare_predictions(test, baseline)
    metric, interval = difference.metric, evaluation.intervals.get(difference.metric)
    say(
        f"baseline: test {metric} {difference.second:.4f}; the network has {difference.first:.4f}, a difference of "
        f"{difference.difference:+.4f} (95 % interval {difference.low:+.4f} to {difference.high:+.4f})"
    )
    return {
        "baseline": {
            "method": NAME,
            "inverse_strength": strength,
            "test": evaluation.test,
            "intervals": {} if interval is None else {metric: list(interval)},
            "difference": {name: value for name, value in dataclasses.asdict(difference).items() if name != "headline"},
        }
    }


def _fit(run: Run, train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the probabilities of the test examples, float64 (N, K), and the inverse strength that was chosen."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV

    source = run.splits.source
    labels = np.asarray(source.index.labels[train])
    words = TfidfVectorizer(
        sublinear_tf=True, ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b", max_features=MOST_WORDS
    )
    model = LogisticRegression(max_iter=200, tol=1e-3)
    folds = min(FOLDS, int(np.unique(labels, return_counts=True)[1].min()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        counts = words.fit_transform(read_texts(source, train))
        if folds < 2:  # a class with one example
            chosen, strength = model.fit(counts, labels), STRENGTHS[0]
        else:
            search = GridSearchCV(model, {"C": STRENGTHS}, scoring="neg_log_loss", cv=folds)
            chosen = search.fit(counts, labels).best_estimator_
            strength = search.best_params_["C"]
        found = np.asarray(chosen.predict_proba(words.transform(read_texts(source, test))))
    scores = np.zeros((len(test), len(source.index.class_names)))
    scores[:, chosen.classes_] = found  # a class without examples for training has the probability 0
    return scores, float(strength)
