"""Rank pretrained networks for a data set: by the solved head on frozen features, in cross-validation."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from etils import epath
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from tfl.backbones.names import parse_backbone
from tfl.build import checked, load_splits
from tfl.config import BackboneConfig, TransferConfig
from tfl.data import Splits, reading_explained
from tfl.errors import InputError
from tfl.evaluation import Predictions
from tfl.evaluation.intervals import bootstrap_intervals, share_interval
from tfl.features import cross_validate_head
from tfl.files.writing import expand_home, make_folder
from tfl.progress import say
from tfl.recipe.extraction import frozen_extractor
from tfl.selection import h_score, log_evidence, n_leep
from tfl.tasks import get_task
from tfl.workdir import naming_the_output, write_csv, write_json

NEIGHBOURS = 10
MOST = 2000  # examples that are ranked on, drawn class by class


@dataclasses.dataclass(frozen=True)
class RankedBackbone:
    """What was measured of one network; nothing of it is from the test split.

    Attributes:
        name: of the network.
        alpha: its width multiplier.
        metric: the headline of the task on held-out folds: accuracy, or the mean absolute error.
        low: lower end of its 95 % interval.
        high: upper end.
        loss: of the same predictions.
        neighbours: accuracy of the ten nearest neighbours on held-out folds; NaN for values.
        log_evidence: LogME of the features.
        h_score: NaN for values, as n_leep.
        n_leep: see `tfl.selection`.
        parameters: of the network without its top.
        milliseconds: of the frozen network for one example.
    """

    name: str
    alpha: float
    metric: float
    low: float
    high: float
    loss: float
    neighbours: float
    log_evidence: float
    h_score: float
    n_leep: float
    parameters: int
    milliseconds: float


@reading_explained()
def rank_backbones(
    config: TransferConfig, backbones: Sequence[str], output: epath.PathLike = "", *, folds: int = 5
) -> list[RankedBackbone]:
    """Rank pretrained networks for a data set, without training any of them.

    Each network stays frozen, and a head is solved on its features in cross-validation, on the train and validation
    examples together (at most 2,000 of them, drawn class by class). The test split is never used.

    Args:
        config: the data, the task, and what else a run has; its own backbone does not count.
        backbones: names, with a width multiplier as in "MobileNetV2:0.35".
        output: a folder for `ranking.csv` and `ranking.json`; empty: no files.
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
    configs = [_config_of(config, text) for text in backbones]  # all mistakes are found before anything slow starts
    if not configs:
        raise InputError("`backbones` must name at least one network. Received: none.")
    ranked = []
    for own in configs:
        ranked.append(_measure(own, folds))
        say(_describe(ranked[-1]))
    task = get_task(config.task.name)
    sign = -1.0 if task.headline.higher_is_better else 1.0
    ranked.sort(key=lambda one: (sign * one.metric, one.loss))
    if output:
        _write(output, ranked, task.headline.metric)
    return ranked


def _config_of(config: TransferConfig, text: str) -> TransferConfig:
    spec, alpha = parse_backbone(text)
    return checked(dataclasses.replace(config, backbone=BackboneConfig(spec.name, alpha, config.backbone.weights)))


def _measure(config: TransferConfig, folds: int) -> RankedBackbone:
    splits, task = load_splits(config), get_task(config.task.name)
    index, options = splits.index, config.backbone
    rows, extractor = _subset(splits, config.seed), frozen_extractor(config, splits)
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
    return RankedBackbone(
        options.name,
        options.alpha,
        metrics[metric],
        low,
        high,
        metrics["loss"],
        _neighbours(values, labels, groups, folds, config.seed) if one_class else float("nan"),
        log_evidence(values, labels),
        h_score(values, labels) if one_class else float("nan"),
        n_leep(values, labels, seed=config.seed) if one_class else float("nan"),
        extractor.model.count_params(),
        1000 * extractor.seconds_per_image(rows),
    )


def _subset(splits: Splits, seed: int) -> np.ndarray:
    """Return the rows of train and validation; if there are many, the same share of each class."""
    rows = np.sort(np.concatenate([splits.train, splits.validation]))
    if len(rows) <= MOST:
        return rows
    rng, labels = np.random.default_rng(seed), splits.index.labels[rows]
    order = rng.permutation(len(rows))
    if not splits.index.is_multiclass:
        return np.sort(rows[order[:MOST]])
    share, kept = MOST / len(rows), []
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
    width = "" if one.alpha == 1 else f" (alpha {one.alpha:g})"
    return (
        f"{one.name}{width}: {one.metric:.4f} ({one.low:.4f} to {one.high:.4f}), loss {one.loss:.4f}, "
        f"{one.parameters:,} parameters, {one.milliseconds:.1f} ms"
    )


def _write(output: epath.PathLike, ranked: Sequence[RankedBackbone], metric: str) -> None:
    folder = expand_home(output, "output")
    make_folder(folder)
    rows = [dataclasses.asdict(one) for one in ranked]
    write_json(folder / "ranking.json", {"metric": metric, "backbones": rows})
    with naming_the_output(str(folder / "ranking.csv")):
        write_csv(folder / "ranking.csv", list(rows[0]), (list(row.values()) for row in rows))
