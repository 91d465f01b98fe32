"""Measure what pre-training was worth for a data set: accuracy over labels, with and without it."""

import dataclasses
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from etils import epath

from tfl.build import load_splits
from tfl.config import TransferConfig, check_rules
from tfl.config.seeds import check_seeds
from tfl.config.ways import FROZEN, WAYS, check_sizes, check_ways
from tfl.data import Splits, reading_explained
from tfl.data.index import read_splits
from tfl.errors import InputError
from tfl.features import Extractor
from tfl.files.reading import read_json
from tfl.files.writing import make_folder
from tfl.progress import human_time, say
from tfl.recipe.auto import as_recorded, choose_options
from tfl.recipe.extraction import frozen_extractor
from tfl.recipe.inner_runs import prepare_scratch
from tfl.recipe.next_labels import check_one_class, choose, load_pool, write_next_labels
from tfl.recipe.pooling import choose_features
from tfl.recipe.transfer import config_of, prepared
from tfl.recipe.value_cells import Cell, Material, measure, num_steps
from tfl.recipe.work import BACKWARD, Work
from tfl.report.value_page import VALUE_PAGE, write_value_page
from tfl.selection.next_labels import AUTO, NextLabels, check_choice
from tfl.selection.subsets import default_sizes
from tfl.selection.value import Summary, summarize
from tfl.workdir import Workdir, naming_the_output, write_csv, write_json

CELLS = "cells"
SCRATCH_EPOCHS = 40  # if `scratch.epochs` is 0
FINETUNE_EPOCHS = 10  # if `finetune.epochs` is 0


@dataclasses.dataclass(frozen=True)
class ValueResult:
    """What pre-training was worth.

    Attributes:
        summary: the curves, the worth in labels, the forecasts, and the answer in sentences.
        folder: with value.html, value.csv and value.json.
        next_labels: which unlabelled examples to label next; None if no unlabelled examples were given.

    Example:
        >>> value = tfl.measure_value("folder:photos", "value", sizes=[1, 2], seeds=2, ways=["frozen"])
        >>> (value.folder / "value.html").exists()
        True
    """

    summary: Summary
    folder: epath.Path
    next_labels: NextLabels | None = None

    def __repr__(self) -> str:
        return f"ValueResult({str(self.folder)!r}: {' '.join(self.summary.sentences)})"


@reading_explained()
def measure_value(
    config: TransferConfig | str,
    output: epath.PathLike,
    *,
    sizes: Sequence[int] = (),
    seeds: int | Sequence[int] = 3,
    ways: Sequence[str] = WAYS,
    unlabelled: str = "",
    next_count: int = 20,
    next_method: str = AUTO,
) -> ValueResult:
    """Measure what pre-training was worth for a data set, in labels.

    Three ways are compared on the same nested subsets of the labelled examples: the same network from random weights
    ("scratch"), the frozen network with a solved head ("frozen"), and the network fine-tuned from that head
    ("finetuned"). The labels are those of train and validation together: no way sets any aside. λ of the head is
    cross-validated inside a subset; if most classes have fewer than three examples it is 0.03 of the variance of the
    features. A training keeps its last weights. All are measured on the test split, which chooses nothing.

    Each finished cell (way, number of labels, seed) is a file in `output`. If you repeat the same command, finished
    cells are kept; you may add sizes, seeds and ways later.

    Args:
        config: as for `tfl.transfer`. `finetune` says how the network is fine-tuned, `scratch.epochs` how long it is
            trained from random weights (0: 40 epochs). `probe.folds`, `features.views` and
            `data.train_examples_per_class` do not apply.
        output: the folder for the cells, value.html, value.csv and value.json.
        sizes: largest numbers of labels a class; all labels are always measured, too. Empty: 1, 2, 5, 10, 20, ...
        seeds: at least two different seeds; or their number n, for the seeds 0 to n - 1.
        ways: some of "scratch", "frozen" and "finetuned".
        unlabelled: a folder of examples without labels, of which those are chosen that should be labelled next; empty:
            none. See `choose_next_labels`.
        next_count: how many of them to choose.
        next_method: "typiclust", "margin", "dropquery", or "auto": see `choose_next_labels`.

    Returns:
        The curves and the answer.

    Raises:
        InputError: the config, the data, a size or a way cannot be used, or the folder belongs to another measurement.

    Example:
        >>> value = tfl.measure_value("folder:photos", "value", sizes=[1, 2], seeds=2, ways=["frozen"])
        >>> 0 <= value.summary.points[0].low <= value.summary.points[0].high <= 1
        True

    Reference:
        Kornblith, Shlens and Le 2019, Do better ImageNet models transfer better?, arXiv:1805.08974, section 4.5
        (accuracy over labels a class, from scratch and pre-trained).
    """
    ways, numbers, asked = check_ways(ways), check_seeds(seeds), check_sizes(sizes)
    next_method = check_choice(next_count, next_method, has_labels=True) if unlabelled else ""
    config = prepared(_config(config_of(config, None)))
    with naming_the_output(str(output)), Workdir.open(output, config.to_dict()) as folder:
        config, splits = as_recorded(config, folder), load_splits(config)
        if (folder / "splits.csv").exists():
            splits.index.check_same(read_splits(folder / "splits.csv"))
        chosen = choose_sizes(splits, asked)
        pool = load_pool(config, unlabelled, splits) if unlabelled else None
        config = choose_options(choose_features(config, splits), splits)
        scratch, extractor = prepare_scratch(config), frozen_extractor(config, splits)
        folder.begin(config.to_dict())
        splits.index.write_csv(folder / "splits.csv")
        make_folder(folder / CELLS)
        features = extractor(np.arange(len(splits.index)), description="features")
        material = Material(config, scratch, splits, np.asarray(features.values[:]))
        _measure_all(material, _grid(ways, chosen, numbers), folder, extractor)
        following = None if pool is None else choose(config, material, pool, next_count, next_method)
        result = ValueResult(_summarize(material, folder, ways, chosen, numbers), folder.path, following)
        _write(result, config, splits)
    for sentence in result.summary.sentences:
        say(sentence)
    say(f"open {folder / VALUE_PAGE}")
    return result


def choose_sizes(splits: Splits, asked: Sequence[int]) -> list[int]:
    """Return the numbers of labels a class that are measured; the last one takes all labels.

    Raises:
        InputError: no class has so many labels.
    """
    index, several = splits.index, splits.source.kind.noun[1]
    rows = splits.outside_of_test
    counts = np.bincount(index.labels[rows].astype(np.int64), minlength=len(index.class_names))
    if asked and asked[-1] > counts.max():
        raise InputError(
            f"`sizes` must be at most {counts.max()}, the {several} of the largest class outside of the test split. "
            f"Received: {asked[-1]}."
        )
    chosen = sorted({*asked, int(counts.max())}) if asked else default_sizes(int(counts.max()))
    short = [f"{index.class_names[place]} ({counts[place]})" for place in np.flatnonzero(counts < counts.max())]
    if short:
        say(
            f"sizes: classes with fewer {several} than {counts.max()} give all that they have to a larger size: "
            f"{', '.join(short[:5])}{' and more' if len(short) > 5 else ''}"
        )
    return chosen


def _config(config: TransferConfig) -> TransferConfig:
    """Return the config of fine-tuning and of the frozen network, without what a measurement has no use for.

    Raises:
        InputError: nothing is pre-trained, or the head cannot be solved.
    """
    check_one_class(config)
    check_rules(
        config,
        ("backbone.weights", config.backbone.weights != "none", "pretrained weights, whose worth is measured"),
        ("pretrain.source", not config.pretrain.source, "empty: pre-train first, and give its run as backbone.weights"),
        ("head.hidden_units", not config.head.hidden_units, "empty, because the head is solved"),
        ("strategy", "worker" not in config.strategy, "one process"),
    )
    copy = TransferConfig.from_dict(config.to_dict())
    copy.probe.folds, copy.features.views, copy.data.train_examples_per_class = 0, 0, 0
    copy.finetune.epochs = copy.finetune.epochs or FINETUNE_EPOCHS
    copy.scratch.epochs = copy.scratch.epochs or SCRATCH_EPOCHS
    return copy


def _measure_all(material: Material, cells: Sequence[Cell], folder: Workdir, extractor: Extractor) -> None:
    """Measure the cells that have no file yet, and tell how long the rest takes."""
    left = [cell for cell in cells if not (folder / CELLS / cell.file).exists()]
    if len(left) < len(cells):
        say(f"cells: {len(cells) - len(left)} of {len(cells)} are measured already")
    costs = {cell: _cost(material, cell) for cell in left}
    speed = extractor.recorded_speed()
    if left and speed is not None:
        say(f"cells: {len(left)} to measure, about {human_time(sum(cost.seconds(speed) for cost in costs.values()))}")
    spent = expected = 0.0
    for cell in left:
        began = time.perf_counter()
        found = measure(material, cell)
        seconds = time.perf_counter() - began
        write_json(folder / CELLS / cell.file, dataclasses.asdict(cell) | found | {"seconds": seconds})
        text = f"{cell.way}, {cell.size} labels a class, seed {cell.seed}: accuracy {found['accuracy']:.3f}"
        work = costs.pop(cell).passes
        if cell.way != FROZEN:
            spent, expected = spent + seconds, expected + work
        rest = sum(cost.passes for cost in costs.values())
        say(text + (f"; about {human_time(rest * spent / expected)} left" if expected and rest else ""))


def _cost(material: Material, cell: Cell) -> Work:
    """Return about how much a cell computes: whole passes, because the stages below the trained ones run as well."""
    if cell.way == FROZEN:
        return Work(0, 0, 0)
    count, config = len(material.rows(cell)), material.config(cell)
    examples = num_steps(config, count) * config.data.batch_size
    return Work(examples * (1 + BACKWARD) + len(material.splits.test), 1 + BACKWARD + 1, 2)


def _summarize(
    material: Material, folder: Workdir, ways: Sequence[str], sizes: Sequence[int], seeds: Sequence[int]
) -> Summary:
    splits = material.splits
    cells = {cell: read_json(folder / CELLS / cell.file) for cell in _grid(ways, sizes, seeds)}
    hits = {way: np.array([[_bits(cells[Cell(way, size, seed)]) for seed in seeds] for size in sizes]) for way in ways}
    counts = [np.mean([cells[Cell(ways[0], size, seed)]["num_labels"] for seed in seeds]) for size in sizes]
    labels = [float(count) / len(splits.class_names) for count in counts]
    summary = summarize(hits, sizes, labels, splits.index.group_numbers(splits.test))
    found = [cell["cka"] for cell in cells.values() if "cka" in cell]
    kept = {name: float(np.mean([one[name] for one in found])) for name in (found[0] if found else {})}
    return dataclasses.replace(summary, kept=kept)


def _bits(cell: dict[str, Any]) -> list[bool]:
    return [bit == "1" for bit in cell["correct"]]


def _grid(ways: Sequence[str], sizes: Sequence[int], seeds: Sequence[int]) -> list[Cell]:
    return [Cell(way, size, seed) for seed in seeds for size in sizes for way in ways]


def _write(result: ValueResult, config: TransferConfig, splits: Splits) -> None:
    points = [dataclasses.asdict(point) for point in result.summary.points]
    write_csv(result.folder / "value.csv", list(points[0]), (list(point.values()) for point in points))
    write_json(result.folder / "value.json", finite(dataclasses.asdict(result.summary)))
    if result.next_labels is not None:
        write_next_labels(result.next_labels, result.folder)
    write_value_page(result.summary, result.folder, config, splits, result.next_labels)


def finite(value: Any) -> Any:
    """Return a value for JSON, which has no infinity: an infinite number becomes "more", see `Worth.times`."""
    if isinstance(value, dict):
        return {name: finite(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(one) for one in value]
    return "more" if value == float("inf") else value
