"""Measure what more images for one's own pre-training would bring: accuracy of the task over the size of the source."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from etils import epath

from tfl.build import load_splits
from tfl.config import SUPERVISED, PretrainConfig, TransferConfig, check_rules
from tfl.config.seeds import check_seeds
from tfl.config.ways import check_sizes
from tfl.data import Splits, reading_explained
from tfl.evaluation import read_predictions
from tfl.progress import say
from tfl.recipe.inner_runs import prepare_pretraining
from tfl.recipe.next_labels import check_one_class
from tfl.recipe.transfer import config_of, prepared, transfer
from tfl.report.source_page import SOURCE_PAGE, write_source_page
from tfl.selection.source_sizes import SourcePoint, describe, summarize
from tfl.workdir import Workdir, naming_the_output, write_csv, write_json

SIZES = (10, 100)  # examples a class of the source, if none are asked for; all are always measured, too


@dataclasses.dataclass(frozen=True)
class SourceSizes:
    """How good a task becomes after pre-training on more and more examples of a source.

    Attributes:
        points: the accuracy with random weights, and after pre-training on each number of examples.
        sentences: the answer.
        folder: with source.html, source.csv and source.json.

    Example:
        >>> config.backbone.weights, config.pretrain.source, config.pretrain.epochs = "none", "folder:photos", 1
        >>> tfl.measure_source_sizes(config, "source", sizes=[2]).sentences[0][:12]
        'Pre-training'
    """

    points: tuple[SourcePoint, ...]
    sentences: tuple[str, ...]
    folder: epath.Path

    def __repr__(self) -> str:
        return f"SourceSizes({str(self.folder)!r}: {' '.join(self.sentences)})"


@reading_explained()
def measure_source_sizes(
    config: TransferConfig | str,
    output: epath.PathLike,
    *,
    sizes: Sequence[int] = SIZES,
    seeds: int | Sequence[int] = 2,
) -> SourceSizes:
    """Pre-train on more and more labelled examples of `pretrain.source`, and measure each network on the task.

    Every network learns the labels of its part of the source from random weights, as `pretrain` says. Then the task is
    learned as the other options say, always with the same train, validation and test examples: with
    `finetune.epochs=0` the network stays frozen. A network with random weights is measured beside them. The test
    examples choose nothing.

    Each network and each task is a run of its own in `output`. If you repeat the same command, finished runs are kept.

    Args:
        config: as for `tfl.transfer`, with `pretrain.source` and `backbone.weights="none"`.
        output: the folder for the runs, source.html, source.csv and source.json.
        sizes: largest numbers of examples a class of the source; all are always measured, too.
        seeds: at least two different seeds of the part of the source and of the random weights; or their number.

    Returns:
        The curve and the answer.

    Raises:
        InputError: the config, the data or a size cannot be used, or the folder belongs to another measurement.

    Example:
        >>> config.backbone.weights, config.pretrain.source, config.pretrain.epochs = "none", "folder:photos", 1
        >>> found = tfl.measure_source_sizes(config, "source", sizes=[2])
        >>> [point.examples for point in found.points][:2]
        [0.0, 6.0]

    Reference:
        Sun, Shrivastava, Singh and Gupta 2017, Revisiting unreasonable effectiveness of data in deep learning era,
        arXiv:1707.02968 (accuracy of a task over the size of the pre-training set).
    """
    asked, numbers = check_sizes(sizes), check_seeds(seeds)
    config = prepared(_checked(config_of(config, None)))
    with naming_the_output(str(output)), Workdir.open(output, config.to_dict()) as folder:
        splits, inner = load_splits(config), prepare_pretraining(config).config
        folder.begin(config.to_dict())
        target = dataclasses.replace(config, pretrain=PretrainConfig())
        hits = [[_hits(target, folder / "random", splits)] * len(numbers)]
        counts: list[float] = [0.0]
        for size in (*asked, 0):
            found = [_pretrained(inner, target, size, seed, folder, splits) for seed in numbers]
            counts.append(float(np.mean([count for count, _ in found])))
            hits.append([right for _, right in found])
        points = summarize(np.array(hits), counts, splits.index.group_numbers(splits.test))
        result = SourceSizes(points, describe(points), folder.path)
        _write(result, config, splits)
    for sentence in result.sentences:
        say(sentence)
    say(f"open {folder / SOURCE_PAGE}")
    return result


def _checked(config: TransferConfig) -> TransferConfig:
    """Refuse a config without pre-training with labels.

    Raises:
        InputError: an option is not as it must be.
    """
    check_one_class(config)
    check_rules(
        config,
        ("pretrain.source", bool(config.pretrain.source), "the data to pre-train on"),
        (
            "pretrain.method",
            config.pretrain.method == SUPERVISED,
            f"'{SUPERVISED}': a part has so many of each class",
        ),
        ("backbone.weights", config.backbone.weights == "none", "'none', because each network is pre-trained anew"),
        ("scratch.epochs", not config.scratch.epochs, "0: no comparison from scratch"),
        ("strategy", "worker" not in config.strategy, "one process"),
    )
    return config


def _pretrained(
    inner: TransferConfig, target: TransferConfig, size: int, seed: int, folder: Workdir, splits: Splits
) -> tuple[int, np.ndarray]:
    """Return on how many examples a network was pre-trained, and which test examples of the task it gets right.

    Args:
        inner: the config of pre-training on the whole source.
        target: the config of the task.
        size: largest number of examples a class of the source; 0: all.
        seed: of the part of the source, and of the random weights.
        folder: of the measurement.
        splits: the data of the task.
    """
    name = f"{size or 'all'}_{seed}"
    data = dataclasses.replace(inner.data, train_examples_per_class=size)
    metrics = transfer(dataclasses.replace(inner, data=data, seed=seed), folder / f"pretrained_{name}").metrics
    weights = str(folder / f"pretrained_{name}")
    tuned = dataclasses.replace(target, backbone=dataclasses.replace(target.backbone, weights=weights))
    return metrics["num_examples"]["train"], _hits(tuned, folder / f"task_{name}", splits)


def _hits(config: TransferConfig, folder: epath.Path, splits: Splits) -> np.ndarray:
    """Learn the task in a folder, unless that run is finished; return which test examples are right, bool `(T,)`."""
    transfer(config, folder)
    table, _ = read_predictions(folder / "predictions.csv", config.task.name)
    right = dict(zip(table.ids, table.task.is_correct(table.logits, table.labels), strict=True))
    return np.array([bool(right[name]) for name in splits.index.ids[splits.test].tolist()])


def _write(result: SourceSizes, config: TransferConfig, splits: Splits) -> None:
    rows = [dataclasses.asdict(point) for point in result.points]
    write_csv(result.folder / "source.csv", list(rows[0]), (list(row.values()) for row in rows))
    write_json(result.folder / "source.json", {"points": rows, "sentences": list(result.sentences)})
    write_source_page(result.points, result.sentences, result.folder, config, splits)
