"""The same run with several seeds: how much of a result is luck."""

import gc
import os
from collections.abc import Iterable, Mapping
from typing import Any

from etils import epath

from tfl.build import checked_run
from tfl.config import TransferConfig
from tfl.config.seeds import check_seeds
from tfl.files.seed_folders import STUDY_PAGE, seed_folder
from tfl.progress import say
from tfl.recipe.transfer import config_of, transfer
from tfl.report import remake_report
from tfl.report.study_page import write_study_page
from tfl.runs.study import SeedRun, StudyResult, between, read_seed_run, write_study
from tfl.runs.study_folder import open_study, with_seed
from tfl.runs.study_words import cautions, describe_examples, spoken_phase
from tfl.workdir import REPORT, Workdir

_Config = TransferConfig | str | os.PathLike[str]


def run_study(config: _Config, workdir: epath.PathLike, seeds: int | Iterable[int], *, data: Any = None) -> StudyResult:
    """Train once for each seed, and give the mean of the test metrics with its interval over the seeds.

    A seed changes the division of a source that does not have train, validation and test of its own, the random start
    of the layers that are trained, the order of the examples, and their augmentation. Everything else is the same in
    all runs. The result says whether the runs have the same test examples.

    Each run has its own folder in `workdir` (`seed_0` and so on), which is the folder of an ordinary run. `study.json`,
    `study.csv` and `study.html` are written after each run. If you repeat the same command, finished runs are kept and
    an unfinished run continues. You may add seeds later, but not leave one out.

    Args:
        config: as for `tfl.transfer`; its `seed` is replaced.
        workdir: the folder of the study.
        seeds: at least two different seeds; or their number n, for the seeds 0 to n - 1.
        data: as for `tfl.transfer`.

    Returns:
        The main metric of each run, their mean and its interval.

    Raises:
        InputError: the config, the seeds, the data or the workdir cannot be used.
        ContractError: a check of the training contract failed in a run.

    Example:
        >>> study = tfl.run_study(config, "runs/study", seeds=3)
        >>> study
        StudyResult('runs/study': test accuracy 0..., 95 % interval over 3 seeds 0... to ...)
        >>> best = tfl.load_run(study.workdir / study.runs[0].folder)
    """
    numbers = check_seeds(seeds)
    config = checked_run(with_seed(config_of(config, data), numbers[0]), workdir)
    folder = open_study(workdir, config, numbers)
    places = {seed: folder / seed_folder(seed) for seed in numbers}
    runs = {seed: run for seed in numbers if (run := _finished(with_seed(config, seed), places[seed]))}
    study = _written(folder, config, numbers, runs)
    for place, seed in enumerate(numbers, start=1):
        if seed in runs:
            continue
        say(f"study: seed {seed}, run {place} of {len(numbers)}, in {places[seed]}")
        seeded = with_seed(config, seed)
        metrics = transfer(seeded, places[seed], data).metrics
        runs[seed] = read_seed_run(Workdir(places[seed]), metrics, seeded)
        study = _written(folder, config, numbers, runs)
        gc.collect()  # the model of the run is in circles, which Python would keep for long
    _say_study(study)
    return study


def _finished(config: TransferConfig, path: epath.Path) -> SeedRun | None:
    """Return a run that is finished, None for any other; write its report if it has none."""
    run = Workdir(path)
    metrics = run.read_metrics()
    if metrics is None:
        return None
    say(f"{path}: this run is finished")
    if run.writes and not (path / REPORT).exists():
        remake_report(path)
    return read_seed_run(run, metrics, config)


def _written(
    folder: Workdir, config: TransferConfig, seeds: tuple[int, ...], runs: Mapping[int, SeedRun]
) -> StudyResult:
    """Return the study with the runs that are finished, and write its files."""
    study = StudyResult(folder.path, config, seeds, tuple(runs[seed] for seed in seeds if seed in runs))
    if folder.writes and runs:
        write_study(study)
        write_study_page(study)
    return study


def _say_study(study: StudyResult) -> None:
    digits, noun = study.headline.digits, f"test {study.headline.noun}"
    rows = [["seed", noun, "95 % interval", "kept"]]
    for run, value in zip(study.runs, study.values, strict=True):
        rows.append([str(run.seed), f"{value:{digits}}", between(run.interval, digits), spoken_phase(run.kept)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = ["  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows]
    say("\n".join(table))
    for kind, sentence in cautions(study, lambda value: f"{value:{digits}}"):
        if kind == "problem":
            say(sentence)
    say(describe_examples(study)[0])
    over = f"95 % interval over {len(study.runs)} seeds {between(study.interval, digits)}"
    say(f"{noun} {study.mean:{digits}}, {over}")
    say(f"open {study.workdir / STUDY_PAGE}")
