"""Rank pretrained networks for a data set: by the solved head on frozen features, in cross-validation."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from etils import epath
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from tfl.backbones.entries import backbone_of, is_trained_on
from tfl.backbones.names import expand_backbones
from tfl.build import checked, load_splits
from tfl.config import TransferConfig
from tfl.data import Splits, reading_explained
from tfl.errors import InputError
from tfl.evaluation import Predictions
from tfl.evaluation.intervals import bootstrap_intervals, mean_interval, share_interval
from tfl.features import Extractor, cross_validate_head
from tfl.files.writing import expand_home, make_folder
from tfl.progress import say
from tfl.recipe.extraction import frozen_extractor
from tfl.report.ranking_page import RANKING_PAGE, write_ranking_page
from tfl.selection import h_score, log_evidence, n_leep
from tfl.selection.advice import on_front
from tfl.selection.ranked import RankedBackbone, Round
from tfl.tasks import Task, get_task
from tfl.workdir import naming_the_output, write_csv, write_json

NEIGHBOURS = 10
FIRST = 250  # examples of the first round, drawn class by class; each round has twice as many
MOST = 2000  # examples of the last round


@dataclasses.dataclass(frozen=True)
class _Candidate:
    """A network with its options, its data, its frozen part, and what was measured in its last round."""

    config: TransferConfig
    splits: Splits
    extractor: Extractor
    ranked: RankedBackbone | None = None
    table: Predictions | None = None


@reading_explained()
def rank_backbones(
    config: TransferConfig, backbones: Sequence[str], output: epath.PathLike = "", *, folds: int = 5
) -> list[RankedBackbone]:
    """Rank pretrained networks for a data set, without training any of them.

    Each network stays frozen, and a head is solved on its features in cross-validation, on the train and validation
    examples together. The first round has 250 of them, drawn class by class, and each further round has twice as many,
    up to 2,000. A network that is surely worse than the best one (the 95 % interval of the difference on the same
    examples) has no further round. The rounds end when the order no longer changes. The test split is never used.

    Args:
        config: the data, the task, and what else a run has; its own backbone does not count.
        backbones: names, with a width multiplier as in "MobileNetV2:0.35"; patterns such as "EfficientNetB*";
            "at_hand" for all networks whose published weights are in the cache of Keras; workdirs of finished runs;
            or weights files, with their network as in "MobileNetV2:0.35=my.weights.h5".
        output: a folder for `ranking.html`, `ranking.csv` and `ranking.json`; empty: no files.
        folds: of the cross-validation.

    Returns:
        One entry for each network, best first: by the metric of the held-out examples, then by their loss.

    Raises:
        InputError: a network is not known, its weights are not there, or the data cannot be used.

    Example:
        >>> config = tfl.TransferConfig(data=tfl.DataConfig(source="folder:photos"))
        >>> ranking = tfl.rank_backbones(config, ["MobileNetV2:0.35", "MobileNet:0.25"])
        >>> ranking[0].metric >= ranking[1].metric
        True

    Reference:
        You et al. 2021, arXiv:2102.11005 (LogME); Bao et al. 2019, arXiv:2212.10082 (H-score); Li et al. 2021,
        arXiv:2011.11200 (N-LEEP).
    """
    configs = [
        _config_of(config, text) for text in expand_backbones(backbones)
    ]  # mistakes are found before anything slow
    if not configs:
        raise InputError("`backbones` must name at least one network. Received: none.")
    candidates = [_prepare(own) for own in configs]
    task = get_task(config.task.name)
    ranked, rounds = _rounds(candidates, task, folds)
    sign = 1.0 if task.headline.higher_is_better else -1.0
    front = on_front([sign * one.metric for one in ranked], [one.milliseconds for one in ranked])
    ranked = [dataclasses.replace(one, is_on_front=bool(on)) for one, on in zip(ranked, front, strict=True)]
    if output:
        _write(output, ranked, rounds, task)
    return ranked


def _rounds(candidates: list[_Candidate], task: Task, folds: int) -> tuple[list[RankedBackbone], list[Round]]:
    """Measure the networks on more and more examples; return them best first, those left out last, and the rounds."""
    alive, left_out, rounds, before, size = candidates, [], [], [], FIRST
    while True:
        alive = [_measure(one, size, folds) for one in alive]
        alive.sort(key=lambda one: _place(_measured(one), task))
        best, order = alive[0], [_measured(one).label for one in alive]
        out = [one for one in alive[1:] if _is_surely_worse(one, best, task)]
        left_out = [*(_measured(one) for one in out), *left_out]
        alive = [one for one in alive if one not in out]
        examples = _measured(best).examples
        rounds.append(Round(examples, tuple(order), tuple(_measured(one).label for one in out)))
        say(f"{examples:,} examples: {', '.join(order)}" + (f"; left out: {len(out)}" if out else ""))
        if len(alive) == 1 or order == before or size >= MOST or size > examples:
            return [*(_measured(one) for one in alive), *left_out], rounds
        before, size = [_measured(one).label for one in alive], 2 * size


def _measured(one: _Candidate) -> RankedBackbone:
    if one.ranked is None:
        raise ValueError("the network has had no round yet")
    return one.ranked


def _place(one: RankedBackbone, task: Task) -> tuple[float, float]:
    return (-one.metric if task.headline.higher_is_better else one.metric, one.loss)


def _is_surely_worse(one: _Candidate, best: _Candidate, task: Task) -> bool:
    """Return whether the interval of the difference to the best network, on the same examples, is below 0."""
    if one.table is None or best.table is None:
        return False
    if task.headline.is_share:
        values = [
            np.asarray(task.headline_values(table.logits, table.labels), float) for table in (best.table, one.table)
        ]
        difference = values[0] - values[1]
    else:
        difference = one.table.losses() - best.table.losses()
    return mean_interval(difference, groups=best.table.groups)[0] > 0


def _prepare(config: TransferConfig) -> _Candidate:
    if is_trained_on(config.backbone.weights, config.data.source):
        say(f"{config.backbone.weights} was trained on these examples: its place in the ranking may be too good.")
    splits = load_splits(config)
    return _Candidate(config, splits, frozen_extractor(config, splits))


def _config_of(config: TransferConfig, text: str) -> TransferConfig:
    return checked(dataclasses.replace(config, backbone=backbone_of(text, config.backbone.weights)))


def _measure(candidate: _Candidate, size: int, folds: int) -> _Candidate:
    """Return a network after a round on so many examples."""
    config, splits, extractor = candidate.config, candidate.splits, candidate.extractor
    task, index, options = get_task(config.task.name), splits.index, config.backbone
    rows = _subset(splits, config.seed, size)
    outputs = extractor(rows, description=f"features of {options.name}")
    values, labels, groups = np.asarray(outputs.values[:]), outputs.labels, index.together()[rows]
    num_outputs = task.num_outputs(len(index.class_names) or (labels.shape[1] if labels.ndim == 2 else 1))
    solved = cross_validate_head(
        values, labels, folds=folds, target=task, num_outputs=num_outputs, groups=groups, seed=config.seed
    )
    table = Predictions(rows, labels, solved.held_out_logits, task, index.group_numbers(rows))
    metric, metrics = task.headline.metric, table.metrics()
    low, high = _interval(table)
    one_class = task.labels.has_one_class
    ranked = RankedBackbone(
        options.name,
        options.alpha,
        options.weights,
        metrics[metric],
        low,
        high,
        metrics["loss"],
        _neighbours(values, labels, groups, folds, config.seed) if one_class else float("nan"),
        log_evidence(values, labels),
        h_score(values, labels) if one_class else float("nan"),
        n_leep(values, labels, seed=config.seed) if one_class else float("nan"),
        extractor.model.count_params(),
        1000 * extractor.seconds_per_image(rows) if candidate.ranked is None else candidate.ranked.milliseconds,
        len(rows),
    )
    say(_describe(ranked))
    return dataclasses.replace(candidate, ranked=ranked, table=table)


def _subset(splits: Splits, seed: int, size: int) -> np.ndarray:
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


def _interval(table: Predictions) -> tuple[float, float]:
    headline = table.task.headline
    if headline.is_share:
        return share_interval(np.asarray(table.task.headline_values(table.logits, table.labels)), table.groups)
    return bootstrap_intervals(table)[headline.metric]


def _neighbours(values: np.ndarray, labels: np.ndarray, groups: np.ndarray, folds: int, seed: int) -> float:
    """Return the accuracy of the nearest neighbours by the angle between features, on held-out folds."""
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    model = KNeighborsClassifier(min(NEIGHBOURS, len(labels) // 2), metric="cosine")
    found = cross_val_predict(model, values, labels.reshape(-1), groups=groups, cv=splitter)
    return float(np.mean(found == labels.reshape(-1)))


def _describe(one: RankedBackbone) -> str:
    return (
        f"{one.label}: {one.metric:.4f} ({one.low:.4f} to {one.high:.4f}), loss {one.loss:.4f}, "
        f"{one.parameters:,} parameters, {one.milliseconds:.1f} ms"
    )


def _write(output: epath.PathLike, ranked: Sequence[RankedBackbone], rounds: Sequence[Round], task: Task) -> None:
    folder = expand_home(output, "output")
    make_folder(folder)
    rows = [dataclasses.asdict(one) for one in ranked]
    with naming_the_output(str(folder)):
        write_json(
            folder / "ranking.json",
            {
                "metric": task.headline.metric,
                "rounds": [dataclasses.asdict(one) for one in rounds],
                "backbones": rows,
            },
        )
        write_csv(folder / "ranking.csv", list(rows[0]), (list(row.values()) for row in rows))
        write_ranking_page(ranked, rounds, folder, task)
    say(f"written: {folder / RANKING_PAGE}")
