"""A study: runs that differ only in their seed. Its mean, the interval of the mean, and its files."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from etils import epath

from tfl.build import input_of_config
from tfl.config import TransferConfig
from tfl.data.index import read_splits
from tfl.data.split_names import SPLITS
from tfl.errors import InputError
from tfl.evaluation.intervals import headline_interval, student_interval
from tfl.files.reading import naming_file, read_json
from tfl.files.schemas import STUDY
from tfl.files.seed_folders import STUDY_CSV, STUDY_JSON, seed_folder
from tfl.notebook import html_table
from tfl.tasks import Headline, get_task
from tfl.workdir import Workdir, write_csv, write_json

Interval = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class SeedRun:
    """A finished run of a study.

    Attributes:
        seed: its seed.
        kept: the phase that was kept.
        test: its metrics on its test split, by name.
        interval: the 95 % interval of its main metric, which is about its test images; None if it is not known.
        examples: a digest of the examples of each split, by the name of the split; empty if they are not recorded.
    """

    seed: int
    kept: str
    test: Mapping[str, float]
    interval: Interval | None
    examples: Mapping[str, str]

    @property
    def folder(self) -> str:
        """The name of its folder in the folder of the study."""
        return seed_folder(self.seed)


@dataclasses.dataclass(frozen=True)
class StudyResult:
    """The result of a study over seeds.

    Attributes:
        workdir: the folder of the study; each run has a folder in it, and `tfl.load_run` opens it.
        config: the config of every run; only `seed` differs between them.
        seeds: all seeds of the study.
        runs: the finished runs, in the order of `seeds`.

    Example:
        >>> study = tfl.load_study("runs/study")
        >>> [run.seed for run in study.runs], len(study.values)
        ([0, 1, 2], 3)
        >>> low, high = study.interval
        >>> low <= study.mean <= high
        True
    """

    workdir: epath.Path
    config: TransferConfig
    seeds: tuple[int, ...]
    runs: tuple[SeedRun, ...]

    @property
    def headline(self) -> Headline:
        """The main metric, which depends on the task."""
        return get_task(self.config.task.name, "task.name").headline

    @property
    def nouns(self) -> tuple[str, str]:
        """The name of one example and of several, such as "image" and "images"."""
        return input_of_config(self.config).noun

    @property
    def values(self) -> list[float]:
        """The main metric on the test split of each finished run."""
        return [run.test[self.headline.metric] for run in self.runs]

    @property
    def mean(self) -> float:
        """The mean of the main metric over the seeds."""
        return float(np.mean(self.values))

    @property
    def interval(self) -> Interval | None:
        """The 95 % interval of the mean over the seeds (Student's t); None for one finished run."""
        return student_interval(self.values)

    @property
    def metrics(self) -> dict[str, dict[str, float | None]]:
        """Mean, standard deviation and interval of every test metric that all finished runs have."""
        names = [name for name in self.runs[0].test if all(name in run.test for run in self.runs)]
        return {name: _over_seeds([run.test[name] for run in self.runs]) for name in names if name != "num_examples"}

    @property
    def same_examples(self) -> dict[str, bool]:
        """Whether all finished runs have the same examples in a split, by its name; {} if this is not known."""
        if len(self.runs) < 2 or not all(run.examples.keys() >= set(SPLITS) for run in self.runs):
            return {}
        return {split: len({run.examples[split] for run in self.runs}) == 1 for split in SPLITS}

    def __repr__(self) -> str:
        return f"StudyResult({str(self.workdir)!r}: {self._result()})"

    def _repr_html_(self) -> str:
        digits, metric = self.headline.digits, self.headline.noun
        rows = [(str(run.seed), f"{value:{digits}}", between(run.interval, digits), run.kept)
                for run, value in zip(self.runs, self.values, strict=True)]  # fmt: skip
        header = ("seed", f"test {metric}", "95 % interval", "kept")
        return html_table(header, rows, f"{self.workdir}: {self._result()}")

    def _result(self) -> str:
        digits, number = self.headline.digits, len(self.runs)
        over = f"over {number} of {len(self.seeds)} seeds" if number < len(self.seeds) else f"over {number} seeds"
        if self.interval is None:
            return f"test {self.headline.noun} {self.mean:{digits}} {over}, no interval"
        return f"test {self.headline.noun} {self.mean:{digits}}, 95 % interval {over} {between(self.interval, digits)}"

    def to_dict(self) -> dict[str, Any]:
        """Return the contents of `study.json`."""
        metric = self.headline.metric
        runs = [
            {"seed": run.seed, "folder": run.folder, "kept": run.kept, **_ends(run.interval), **_of_run(run)}
            for run in self.runs
        ]
        return {
            "metric": metric,
            **self.metrics[metric],
            "seeds": list(self.seeds),
            "runs": runs,
            "same_examples": self.same_examples,
            "metrics": self.metrics,
            "config": self.config.to_dict(),
        }


def load_study(workdir: epath.PathLike) -> StudyResult:
    """Open a study again: the result that `tfl.run_study` returned, or what a stopped study has so far.

    Args:
        workdir: the folder of the study; `~` is the home folder.

    Raises:
        InputError: the folder is not that of a study with a finished run, or its `study.json` is damaged.

    Example:
        >>> tfl.load_study("runs/study")
        StudyResult('runs/study': test accuracy 0..., 95 % interval over 3 seeds 0... to ...)
    """
    folder = Workdir(workdir).path
    file = folder / STUDY_JSON
    if not file.exists():
        raise InputError(
            "`workdir` must be the folder of a study with a finished run. "
            f"Received: {str(folder)!r}, which has no {STUDY_JSON}."
        )
    values = read_json(file, STUDY)
    with naming_file(file):
        config = TransferConfig.from_dict(values["config"]).validate()
        runs = tuple(_run_of(row) for row in values["runs"])
        study = StudyResult(folder, config, tuple(values["seeds"]), runs)
        _check(study)
    return study


def read_seed_run(run: Workdir, metrics: Mapping[str, Any], config: TransferConfig) -> SeedRun:
    """Return what a study keeps of a finished run.

    Args:
        run: the folder of the run.
        metrics: the contents of its `metrics.json`.
        config: the config of the run.
    """
    headline = get_task(config.task.name, "task.name").headline
    ends = headline_interval(headline, metrics["test"], metrics.get("intervals"))
    examples = _digests(run / "splits.csv") if (run / "splits.csv").exists() else {}
    interval = None if ends is None else (ends[0], ends[1])
    return SeedRun(config.seed, metrics["kept"], dict(metrics["test"]), interval, examples)


def write_study(study: StudyResult) -> None:
    """Write `study.json` and `study.csv`, one row for each finished run."""
    others = [name for name in study.metrics if name != study.headline.metric]
    header = ["seed", "folder", "kept", study.headline.metric, "low", "high", "num_examples", *others]
    rows = [
        [run.seed, run.folder, run.kept, value, *(run.interval or ("", "")), *(run.test[name] for name in header[6:])]
        for run, value in zip(study.runs, study.values, strict=True)
    ]
    write_csv(study.workdir / STUDY_CSV, header, rows)
    write_json(study.workdir / STUDY_JSON, study.to_dict())


def between(interval: Interval | None, digits: str) -> str:
    """Return an interval in words; "" if there is none.

    Example:
        >>> between((0.5, 0.75), ".2f")
        '0.50 to 0.75'
    """
    return "" if interval is None else f"{interval[0]:{digits}} to {interval[1]:{digits}}"


def _over_seeds(values: Sequence[float]) -> dict[str, float | None]:
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"mean": float(np.mean(values)), "standard_deviation": spread, **_ends(student_interval(values))}


def _ends(interval: Interval | None) -> dict[str, float | None]:
    low, high = interval or (None, None)
    return {"low": low, "high": high}


def _of_run(run: SeedRun) -> dict[str, Any]:
    return {"test": dict(run.test), "examples": dict(run.examples)}


def _run_of(row: Mapping[str, Any]) -> SeedRun:
    interval = None if row["low"] is None or row["high"] is None else (row["low"], row["high"])
    return SeedRun(row["seed"], row["kept"], row["test"], interval, row["examples"])


def _check(study: StudyResult) -> None:
    """Refuse values that no study has; the schema knows the rest."""
    finished, metric = [run.seed for run in study.runs], study.headline.metric
    if not set(finished) <= set(study.seeds) or len(set(finished)) < len(finished):
        raise InputError(f"`runs` must have different seeds out of {study.seeds}. Received: {finished}.")
    for run in study.runs:
        if metric not in run.test:
            raise InputError(f"`runs` must have the metric {metric!r}. Received: none for the seed {run.seed}.")


def _digests(file: epath.Path) -> dict[str, str]:
    """Return a digest of the examples of each split: of their ids and their contents."""
    lines: dict[str, list[str]] = {split: [] for split in SPLITS}
    for row in read_splits(file):
        if row["split"] in lines:
            lines[row["split"]].append(f"{row['id']}\0{row['sha256']}")
    texts = {split: "\n".join(sorted(found)).encode("utf-8", "surrogateescape") for split, found in lines.items()}
    return {split: hashlib.sha256(text).hexdigest() for split, text in texts.items()}
