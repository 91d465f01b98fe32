"""Phase 1 by ridge regression: the statistics of a run, brought up to date, and the head that they give."""

import collections
from collections.abc import Sequence

import numpy as np

from tfl.errors import InputError
from tfl.evaluation import Predictions
from tfl.features import Extractor, RidgeResult, Statistics, ridge_targets, solve_ridge
from tfl.features.statistics_file import StoredStatistics, example_key, read_statistics
from tfl.models.classifier import logits_layer
from tfl.models.inference import Outputs
from tfl.progress import say
from tfl.recipe.run import Run
from tfl.workdir import STATISTICS


def solve_by_ridge(run: Run, extractor: Extractor) -> tuple[RidgeResult, Predictions]:
    """Solve the head of a run on train and validation together, and store the statistics of these examples.

    If the folder of the run already has statistics of some of the examples, only the others are added to them.

    Returns:
        The solution, for standardised values if the task has values; and the predictions of each example by the head
        of all others, in the user's units.

    Raises:
        InputError: there are several workers.
    """
    if run.workers.number > 1:
        raise InputError(
            "`probe.solver` must be 'lbfgs' or 'none' for several workers. "
            f"Received: probe.solver='ridge', {run.workers.number} workers."
        )
    rows = run.splits.outside_of_test
    features = run.features(extractor, rows, name="features of train and validation")
    statistics = _current_statistics(run, extractor, features)
    labels = features.labels
    if run.units is not None:
        labels = run.units.standardize(labels)
        mean, scale = (np.reshape(value, -1) for value in (run.units.mean, run.units.scale))
        statistics = statistics.standardized(mean, scale)
    result = solve_ridge(
        features.values,
        labels,
        target=run.balance.solved,
        num_outputs=logits_layer(run.model).units,
        l2=run.config.probe.l2,
        weights=run.own_weights(rows),
        class_weight=run.balance.class_weight,
        groups=run.splits.index.together()[rows],
        statistics=statistics,
    )
    logits = result.held_out_logits if run.units is None else run.units.restore(result.held_out_logits)
    groups = run.splits.index.group_numbers(rows)
    return result, Predictions(rows, features.labels, logits, run.task, groups)


def output_names(run: Run) -> tuple[str, ...]:
    """Return a name for each output of the head: a class, a label or a value; two classes have one output."""
    names, outputs = run.model.metadata.class_names, logits_layer(run.model).units
    return tuple(names) if len(names) == outputs else ("|".join(names),)


def _current_statistics(run: Run, extractor: Extractor, features: Outputs) -> Statistics:
    """Return the statistics of some examples, in the units of their labels, and write them into the run."""
    weights, names, file = _weights(run, features.ids), output_names(run), run.folder / STATISTICS
    targets = ridge_targets(run.task, features.labels, len(names))
    keys, network = example_keys(run, features.ids, weights), extractor.digest()
    statistics, new = None, np.arange(len(keys))
    if file.exists():
        stored = read_statistics(file)
        statistics = _usable(stored, keys, network, names, run.task.labels.has_one_class)
        if statistics is None:
            say(f"{STATISTICS}: made anew, because it is of other examples, weights or outputs")
        else:
            new = _not_among(keys, stored.examples)
            say(f"{STATISTICS}: has {len(stored.examples):,} of {len(keys):,} examples, and {len(new):,} are added")
    if statistics is None:
        statistics = Statistics.of(features.values, targets, names, weights)
    elif len(new):
        statistics = statistics.add(features.values[new], targets[new], weights[new])
    if run.folder.writes:
        StoredStatistics(statistics, tuple(keys), network).write(file)
    return statistics


def _weights(run: Run, rows: np.ndarray) -> np.ndarray:
    """Return the weight of each example, with that of its class."""
    own, classes = run.own_weights(rows), run.balance.class_weight
    weights = np.ones(len(rows)) if own is None else own.astype(np.float64)
    if classes is not None:
        weights *= [classes.get(int(label), 1.0) for label in run.splits.index.labels[rows]]
    return weights


def example_keys(run: Run, rows: np.ndarray, weights: np.ndarray) -> list[str]:
    """Return a key for each example that changes with its content, its label and its weight."""
    index = run.splits.index
    texts = index.label_texts()
    return [
        example_key(index.sha256[row] or index.ids[row], texts[row], f"{weight:.9g}")
        for row, weight in zip(rows.tolist(), weights.tolist(), strict=True)
    ]


def _usable(
    stored: StoredStatistics, keys: Sequence[str], network: str, names: Sequence[str], may_be_new: bool
) -> Statistics | None:
    """Return stored statistics with the outputs of a run; None if the run needs others."""
    found = stored.statistics
    lost = [number for number, name in enumerate(found.names) if name not in names]
    fits = may_be_new or set(names) == set(found.names)
    if len(found.names) == 1 or len(names) == 1:
        fits = found.names == tuple(names)
    gone = collections.Counter(stored.examples) - collections.Counter(keys)
    if stored.network != network or gone or not fits or np.any(np.abs(found.targets[lost]) > 1e-9 * found.total):
        return None
    return found.with_names(names)


def _not_among(keys: Sequence[str], known: Sequence[str]) -> np.ndarray:
    """Return the places of the keys that are not known; a key that is there twice must be known twice."""
    left, new = collections.Counter(known), []
    for place, key in enumerate(keys):
        if left[key]:
            left[key] -= 1
        else:
            new.append(place)
    return np.array(new, np.int64)
