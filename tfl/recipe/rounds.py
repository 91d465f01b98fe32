"""Compare frozen networks in rounds on more and more examples, by the solved head in cross-validation."""

import dataclasses
import time
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from tfl.backbones.entries import label_of
from tfl.config import TransferConfig
from tfl.data import Splits
from tfl.evaluation import Predictions
from tfl.evaluation.intervals import mean_interval
from tfl.features import Extractor, cross_validate_head
from tfl.models.cost import total_multiply_adds
from tfl.progress import human_time, say
from tfl.selection.ranked import Round
from tfl.tasks import Task, get_task

FIRST = 250  # examples of the first round, drawn class by class; each round has twice as many
MOST = 2000  # examples of the last round


@dataclasses.dataclass(frozen=True, eq=False)
class Candidate:
    """A network with its options, its data and its frozen part."""

    config: TransferConfig
    splits: Splits
    extractor: Extractor

    @property
    def label(self) -> str:
        """Its name, as `tfl rank` takes it."""
        return label_of(self.config.backbone)


@dataclasses.dataclass(frozen=True, eq=False)
class Standing:
    """What the last round of a network found.

    Attributes:
        candidate: the network.
        table: predictions of the heads that have not seen the example.
        metric: the headline of the task in them.
        loss: of the same predictions.
        seconds: that the round took.
    """

    candidate: Candidate
    table: Predictions
    metric: float
    loss: float
    seconds: float

    @property
    def label(self) -> str:
        """The name of the network."""
        return self.candidate.label


@dataclasses.dataclass(frozen=True)
class Rules:
    """How a comparison goes on.

    Attributes:
        folds: of the cross-validation.
        leaves: from the networks of a round, best first, to those that have no further round.
        end: the time of `time.monotonic` by which the comparison must be over.
    """

    folds: int
    leaves: Callable[[Sequence[Standing]], list[Standing]]
    end: float = np.inf


def run_rounds(candidates: Iterable[Candidate], rules: Rules) -> tuple[list[Standing], list[Round]]:
    """Measure networks on more and more examples, until one is left, the order is stable, or the time is over.

    Args:
        candidates: at least one; the next one is asked for when the one before it is measured.
        rules: how the comparison goes on.

    Returns:
        The networks that were measured, best first, those left out last; and the rounds.
    """
    alive, left_out, rounds, before, size = _first(candidates, rules), [], [], [], FIRST
    while True:
        alive = sorted(alive, key=_place)
        order, examples = [one.label for one in alive], len(alive[0].table)
        out = rules.leaves(alive)
        alive, left_out = [one for one in alive if one not in out], [*out, *left_out]
        rounds.append(Round(examples, tuple(order), tuple(one.label for one in out)))
        say(f"{examples:,} examples: {', '.join(order)}" + (f"; left out: {len(out)}" if out else ""))
        if len(alive) == 1 or order == before or size >= MOST or size > examples:
            break
        if time.monotonic() + 2 * sum(one.seconds for one in alive) > rules.end:
            say("budget_minutes leaves no time for more examples")
            break
        before, size = [one.label for one in alive], 2 * size
        alive = [measure_head(one.candidate, size, rules.folds) for one in alive]
    return [*alive, *left_out], rounds


def _first(candidates: Iterable[Candidate], rules: Rules) -> list[Standing]:
    """Measure the networks for the first time; a network for which there is no time is not measured."""
    done: list[Standing] = []
    for one in candidates:
        seconds = _expected(one, done[-1]) if done else 0.0
        if time.monotonic() + seconds > rules.end and done:
            say(f"{one.label} is not measured: it would take about {human_time(seconds)}, longer than there is time")
        else:
            done.append(measure_head(one, FIRST, rules.folds))
    return done


def _expected(one: Candidate, other: Standing) -> float:
    """Return about how many seconds a network takes, from those of another one on as many examples."""
    extractors = [each.extractor for each in (one, other.candidate)]
    cost, known = (total_multiply_adds(extractor.model) for extractor in extractors)
    forward = len(other.table) * extractors[1].seconds_per_image(other.table.ids)  # the rest is reading and compiling
    return other.seconds + forward * (cost / max(known, 1) - 1)


def measure_head(candidate: Candidate, size: int, folds: int) -> Standing:
    """Measure a network on about so many examples of train and validation."""
    start, splits = time.monotonic(), candidate.splits
    rows = subset(splits, candidate.config.seed, size)
    values, _, _ = features_of(candidate, rows)
    table = predict_held_out(values, rows, candidate.config, splits, folds)
    metric, loss = say_held_out(candidate.label, table)
    return Standing(candidate, table, metric, loss, time.monotonic() - start)


def predict_held_out(
    values: np.ndarray, rows: np.ndarray, config: TransferConfig, splits: Splits, folds: int
) -> Predictions:
    """Return predictions of the heads of cross-validation that have not seen the example.

    Args:
        values: `(N, D)`, the features of some rows.
        rows: of the index, `(N,)`.
        config: has the task and the seed.
        splits: the data.
        folds: of the cross-validation.
    """
    task, index = get_task(config.task.name), splits.index
    labels, groups = index.labels[rows], index.together()[rows]
    num_outputs = task.num_outputs(len(index.class_names) or (labels.shape[1] if labels.ndim == 2 else 1))
    solved = cross_validate_head(
        values, labels, folds=folds, target=task, num_outputs=num_outputs, groups=groups, seed=config.seed
    )
    return Predictions(rows, labels, solved.held_out_logits, task, index.group_numbers(rows))


def say_held_out(label: str, table: Predictions) -> tuple[float, float]:
    """Return the headline and the loss of held-out predictions, and tell them."""
    metrics, headline = table.metrics(), table.task.headline
    metric, loss = metrics[headline.metric], metrics["loss"]
    say(f"{label}: {headline.noun} {metric:.4f}, loss {loss:.4f} on held-out folds")
    return metric, loss


def features_of(candidate: Candidate, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the features of some rows, their labels, and numbers that are equal for what must stay together."""
    outputs = candidate.extractor(rows, description=f"features of {candidate.label}")
    return np.asarray(outputs.values[:]), outputs.labels, candidate.splits.index.together()[rows]


def subset(splits: Splits, seed: int, size: int) -> np.ndarray:
    """Return about so many rows of train and validation, the same share of each class; larger sizes have them too."""
    rows = splits.outside_of_test
    if len(rows) <= size:
        return rows
    rng, labels = np.random.default_rng(seed), splits.index.labels[rows]
    order = rng.permutation(len(rows))
    if not splits.index.is_multiclass:
        return np.sort(rows[order[:size]])
    share, kept = size / len(rows), []
    for number in np.unique(labels):
        own = order[labels[order] == number]
        kept.append(own[: max(2, round(share * len(own)))])
    return np.sort(rows[np.concatenate(kept)])


def surely_worse(ordered: Sequence[Standing]) -> list[Standing]:
    """Return the networks whose difference to the best one, on the same examples, has an interval above 0."""
    return [one for one in ordered[1:] if mean_interval(_losses(one, ordered[0]), groups=one.table.groups)[0] > 0]


def surely_worse_or_worse_half(ordered: Sequence[Standing]) -> list[Standing]:
    """Return these networks and the worse half of all (successive halving)."""
    worse = surely_worse(ordered)
    return [one for place, one in enumerate(ordered) if one in worse or place >= (len(ordered) + 1) // 2]


def _losses(one: Standing, best: Standing) -> np.ndarray:
    """Return for each example how much worse a network is than the best one, by the headline or by the loss."""
    task = best.table.task
    if not task.headline.is_share:
        return one.table.losses() - best.table.losses()
    values = [np.asarray(task.headline_values(each.table.logits, each.table.labels), float) for each in (best, one)]
    return values[0] - values[1]


def _place(one: Standing) -> tuple[float, float]:
    task: Task = one.table.task
    return (-one.metric if task.headline.higher_is_better else one.metric, one.loss)
