"""Rank pretrained networks for a data set: by the solved head on frozen features, in cross-validation."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from etils import epath
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from tfl.backbones.entries import backbone_of, is_trained_on
from tfl.backbones.imagenet import imagenet_accuracy
from tfl.backbones.names import expand_backbones
from tfl.backbones.source_head import read_source_head
from tfl.build import checked, input_of_config, load_splits
from tfl.config import TransferConfig
from tfl.data import Splits, reading_explained
from tfl.errors import InputError
from tfl.evaluation import Predictions
from tfl.evaluation.intervals import bootstrap_intervals, share_interval
from tfl.features.probe import convex_of
from tfl.files.writing import expand_home, make_folder
from tfl.inputs import Input
from tfl.models.cost import memory_bytes, total_multiply_adds
from tfl.progress import say
from tfl.recipe.extraction import frozen_extractor
from tfl.recipe.pooling import choose_features
from tfl.recipe.rounds import FIRST, Candidate, Rules, Standing, features_of, run_rounds, surely_worse
from tfl.report.ranking_page import RANKING_PAGE, write_ranking_page
from tfl.selection import h_score, leep, log_evidence, n_leep
from tfl.selection.advice import fixed_order, on_front
from tfl.selection.ranked import RankedBackbone, Round
from tfl.tasks import Task, get_task
from tfl.workdir import naming_the_output, read_config, write_csv, write_json

NEIGHBOURS = 10


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
        arXiv:2011.11200 (N-LEEP); Nguyen et al. 2020, arXiv:2002.12462 (LEEP).
    """
    configs = [
        _config_of(config, text) for text in expand_backbones(backbones)
    ]  # mistakes are found before anything slow
    if not configs:
        raise InputError("`backbones` must name at least one network. Received: none.")
    task, splits = get_task(config.task.name), {}
    convex_of(task)  # refuses other tasks before anything slow
    standings, rounds = run_rounds([_prepare(own, splits) for own in configs], Rules(folds, surely_worse))
    ranked = [_described(one, folds) for one in standings]
    sign = 1.0 if task.headline.higher_is_better else -1.0
    front = on_front([sign * one.metric for one in ranked], [one.milliseconds for one in ranked])
    ranked = [dataclasses.replace(one, is_on_front=bool(on)) for one, on in zip(ranked, front, strict=True)]
    if output:
        _write(output, ranked, rounds, task)
    return ranked


def _prepare(config: TransferConfig, splits: dict[Input, Splits]) -> Candidate:
    """Return a network with its data, which are read once for each kind of input."""
    if is_trained_on(config.backbone.weights, config.data.source):
        say(f"{config.backbone.weights} was trained on these examples: its place in the ranking may be too good.")
    kind = input_of_config(config).sized(1)
    if kind not in splits:
        splits[kind] = load_splits(config)
    config = choose_features(config, splits[kind], FIRST)
    return Candidate(config, splits[kind], frozen_extractor(config, splits[kind]))


def _config_of(config: TransferConfig, text: str) -> TransferConfig:
    return checked(dataclasses.replace(config, backbone=backbone_of(text, config.backbone.weights)))


def _described(standing: Standing, folds: int) -> RankedBackbone:
    """Return all that is told of a network after its last round; its features are at hand."""
    candidate, table = standing.candidate, standing.table
    options, extractor, seed = candidate.config.backbone, candidate.extractor, candidate.config.seed
    values, labels, groups = features_of(candidate, table.ids)
    low, high = _interval(table)
    one_class = table.task.labels.has_one_class
    return RankedBackbone(
        options.name,
        options.alpha,
        options.weights,
        standing.metric,
        low,
        high,
        standing.loss,
        _neighbours(values, labels, groups, folds, seed) if one_class else float("nan"),
        log_evidence(values, labels),
        h_score(values, labels) if one_class else float("nan"),
        n_leep(values, labels, seed=seed) if one_class else float("nan"),
        _leep(candidate, values, labels) if one_class else float("nan"),
        imagenet_accuracy(options) or float("nan"),
        extractor.model.count_params(),
        1000 * extractor.seconds_per_image(table.ids),
        2 * total_multiply_adds(extractor.model) / 1e9,
        memory_bytes(extractor.model) / 1e6,
        len(table),
    )


def _leep(candidate: Candidate, values: np.ndarray, labels: np.ndarray) -> float:
    """Return LEEP by the classifier in the file of the weights; NaN without one."""
    options, averaged = candidate.config.backbone, candidate.config.head.pooling == "avg"
    is_of_classes = averaged and _learned_classes(options.weights)
    head = read_source_head(options, candidate.extractor.model) if is_of_classes else None
    return float("nan") if head is None else leep(head.probabilities(values), labels)


def _learned_classes(weights: str) -> bool:
    """Return whether the head above some weights tells classes apart, as far as a finished run says."""
    file = epath.Path(weights).expanduser() / "config.json"
    return not file.exists() or get_task(read_config(file.parent).task.name).activation == "softmax"


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


def _write(output: epath.PathLike, ranked: Sequence[RankedBackbone], rounds: Sequence[Round], task: Task) -> None:
    folder = expand_home(output, "output")
    make_folder(folder)
    rows = [
        {name: None if value != value else value for name, value in dataclasses.asdict(one).items()} for one in ranked
    ]  # JSON has no NaN
    with naming_the_output(str(folder)):
        write_json(
            folder / "ranking.json",
            {
                "metric": task.headline.metric,
                "fixed_order": [one.label for one in fixed_order(ranked)],
                "rounds": [dataclasses.asdict(one) for one in rounds],
                "backbones": rows,
            },
        )
        write_csv(folder / "ranking.csv", list(rows[0]), (list(row.values()) for row in rows))
        write_ranking_page(ranked, rounds, folder, task)
    say(f"written: {folder / RANKING_PAGE}")
