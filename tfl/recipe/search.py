"""Search for the options with the smallest held-out loss; the test split takes no part."""

import dataclasses
import gc
import pprint
import tempfile
import time
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from etils import epath

from tfl.build import checked, load_splits
from tfl.config import TransferConfig, value_of, with_options
from tfl.config.ranges import Range, Value, parse_ranges
from tfl.data import Splits, reading_explained
from tfl.data.index import UNUSED
from tfl.errors import InputError
from tfl.files.reading import read_json
from tfl.files.writing import expand_home, make_folder, write_text
from tfl.progress import quiet, say
from tfl.recipe.auto import choose_options
from tfl.recipe.pooling import choose_features
from tfl.recipe.run import Run
from tfl.recipe.transfer import fit_phases, make_backbone, make_classifier, output_names
from tfl.selection.trials import Progress, Trials, check_search, is_tuned
from tfl.tasks import get_task
from tfl.training.objective.calibrated_loss import loss_to_choose_by
from tfl.workdir import Workdir, write_csv, write_json

BEST, RECORD, TABLE = "best.py", "search.json", "search.csv"


@dataclasses.dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Attributes:
        config: the config with the best values.
        values: the best values, by the dotted names of their options.
        loss: their held-out loss.
        trials: number of trials that have ended.
        importances: share of the variance of the loss that each option explains (fANOVA), the largest first; {} if
            there are too few trials.
        folder: with best.py, search.csv, search.json and search.db.

    Example:
        >>> found = tfl.search_options(config, ["head.pooling=avg,max"], "search_again", trials=1)
        >>> found.trials, found.config.head.pooling == found.values["head.pooling"]
        (1, True)
    """

    config: TransferConfig
    values: dict[str, Value]
    loss: float
    trials: int
    importances: dict[str, float]
    folder: epath.Path


@reading_explained()
def search_options(
    config: TransferConfig,
    ranges: Sequence[str],
    output: epath.PathLike,
    *,
    trials: int = 20,
    budget_minutes: float = 0.0,
) -> SearchResult:
    """Search for the values of some options with the smallest held-out loss.

    The first trial has the values of the config, if the ranges have them. Trials with the same frozen network share its
    stored features. A trial whose loss in fine-tuning is above the median of the earlier trials at the same epoch
    trains no longer, and counts with its best weights so far. The loss is that of cross-validation on train and
    validation if the head is only solved on folds, and else that of the validation split. The test split is taken out
    of the data before the first trial. The loss of the best of many trials is a little too small: train the best
    config, and look at its test result.

    Args:
        config: all other options.
        ranges: "OPTION=LOW..HIGH", "OPTION=LOW..HIGH:log" or "OPTION=VALUE,VALUE".
        output: a folder. A search that was stopped goes on in it, and so does one that is to have more trials.
        trials: number of trials, those of earlier starts counted.
        budget_minutes: no trial starts after so many minutes; 0: no limit.

    Returns:
        The best config, and what mattered.

    Raises:
        InputError: a range, the config, the data or the output cannot be used, or Optuna is not installed.

    Example:
        >>> found = tfl.search_options(config, ["head.pooling=avg,max"], "search", trials=2)
        >>> found.values["head.pooling"] in ("avg", "max")
        True

    Reference:
        Akiba et al. 2019, Optuna, arXiv:1907.10902; Bergstra et al. 2011, Algorithms for hyper-parameter optimization
        (the tree-structured Parzen estimator).
    """
    check_search(config, ranges, trials, budget_minutes)
    parsed, config = parse_ranges(ranges), checked(config)
    end = time.monotonic() + 60 * (budget_minutes or np.inf)
    folder = _open(output, config, ranges)
    drawn = Trials(folder, parsed, config.seed)
    _start(drawn, config, parsed)
    while drawn.number < trials and (not drawn.ranked() or time.monotonic() < end):
        trial, values = drawn.draw()
        progress = Progress(trial)
        loss = _loss_of(with_options(config, values), progress, tuned=is_tuned(config, parsed))
        drawn.record(trial, loss)
        shown = ", ".join(f"{path}={_shown(value)}" for path, value in values.items())
        say(f"trial {drawn.number} of {trials}: {shown}: {_result(loss, progress)}")
    return _finish(drawn, config, folder)


def _open(output: epath.PathLike, config: TransferConfig, ranges: Sequence[str]) -> epath.Path:
    """Return the folder of a search; refuse that of another search."""
    folder = expand_home(output, "output")
    make_folder(folder)
    asked = {"ranges": sorted(ranges), "config": config.to_dict()}
    file = folder / RECORD
    if file.exists():
        stored = read_json(file)
        theirs = {"ranges": stored.get("ranges"), "config": TransferConfig.from_dict(stored["config"]).to_dict()}
        if theirs != asked:
            raise InputError(
                f"`output` must be a new folder or that of the same search. Received: {str(folder)!r}, which has a "
                "search with other ranges or options."
            )
    else:
        write_json(file, asked)
    return folder


def _start(drawn: Trials, config: TransferConfig, ranges: Sequence[Range]) -> None:
    """Begin with the config as it is, if the ranges have its values."""
    values = {one.path: value_of(config, one.path) for one in ranges}
    if not drawn.number and all(one.contains(values[one.path]) for one in ranges):
        drawn.start_with(values)


class _StopBehind(keras.callbacks.Callback):
    """Ends the training of a trial that is behind the others; its best weights so far count."""

    def __init__(self, progress: Progress, loss: str) -> None:
        super().__init__()
        self.progress, self.loss = progress, loss

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.progress.is_behind(epoch + 1, float((logs or {})[self.loss])):
            self.model.stop_training = True


def _loss_of(config: TransferConfig, progress: Progress, *, tuned: bool) -> float | None:
    """Return the held-out loss of a config; None if its values do not fit together.

    If phase 2 may run, all trials are measured on the validation split, also those that keep the frozen network.
    """
    config.report.audit = False
    if tuned:
        config.probe.folds = 0
    try:
        config = checked(config)
        with quiet():
            splits = without_test(load_splits(config))
            return _train(choose_options(choose_features(config, splits), splits), splits, progress)
    except InputError as error:
        say(f"this trial is refused: {error}")
        return None
    finally:
        keras.utils.clear_session()
        gc.collect()


def _train(config: TransferConfig, splits: Splits, progress: Progress) -> float:
    model = make_classifier(make_backbone(config, config.backbone.weights), config, output_names(config, splits))
    with tempfile.TemporaryDirectory() as folder:
        callbacks = [_StopBehind(progress, loss_to_choose_by(get_task(config.task.name)))]
        kept, _, _ = fit_phases(Run(config, splits, model, Workdir(folder), callbacks=callbacks))
    return float(kept.validation.metrics()["loss"])


def _result(loss: float | None, progress: Progress) -> str:
    if loss is None:
        return "refused"
    ended = f", stopped after epoch {progress.stopped_after}, behind the others" if progress.stopped_after else ""
    return f"loss {loss:.4f}{ended}"


def without_test(splits: Splits) -> Splits:
    """Return the data with no test split: its examples are in no split."""
    parts = splits.index.splits
    return splits.divided_as(np.where(parts == "test", UNUSED, parts))


def _finish(drawn: Trials, config: TransferConfig, folder: epath.Path) -> SearchResult:
    ended = drawn.ranked()
    if not ended:
        raise InputError("`range` must have values that fit together. Received: every trial was refused.")
    _, values, loss = ended[0]
    best, mattered = with_options(config, values), drawn.importances(config.seed)
    paths = list(values)
    write_csv(folder / TABLE, ["trial", *paths, "loss"], ([n, *map(own.get, paths), value] for n, own, value in ended))
    write_text(folder / BEST, _recipe(best, loss, drawn.number))
    record = read_json(folder / RECORD) | {"best": values, "loss": loss, "importances": mattered}
    write_json(folder / RECORD, record)
    shown = ", ".join(f"{path}={_shown(value)}" for path, value in values.items())
    say(f"best of {drawn.number} trials: {shown}: held-out loss {loss:.4f}; written: {folder / BEST}")
    return SearchResult(best, values, loss, drawn.number, mattered, folder)


def _recipe(config: TransferConfig, loss: float, number: int) -> str:
    """Return a recipe that `--config=` takes."""
    options = pprint.pformat(config.to_dict(), width=110, sort_dicts=False)
    return (
        f'"""The best of {number} trials of a search, with a held-out loss of {loss:.4f}."""\n\n'
        f"from tfl.config import TransferConfig\n\nOPTIONS = {options}\n\n\n"
        "def get_config() -> TransferConfig:\n"
        '    """Return the options of the best trial."""\n'
        "    return TransferConfig.from_dict(OPTIONS)\n"
    )


def _shown(value: Value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
