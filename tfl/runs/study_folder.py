"""The rule of a study's folder: it is new, or it belongs to a study with the same config and no other seeds."""

import dataclasses
from collections.abc import Sequence

from etils import epath

from tfl.config import TransferConfig
from tfl.errors import InputError
from tfl.files.seed_folders import STUDY_CSV, STUDY_JSON, STUDY_PAGE, seed_folder, seeds_in
from tfl.workdir import Workdir


def with_seed(config: TransferConfig, seed: int) -> TransferConfig:
    """Return the config of the run with a seed."""
    return dataclasses.replace(config, seed=seed)


def open_study(path: epath.PathLike, config: TransferConfig, seeds: Sequence[int]) -> Workdir:
    """Check that a study may use a folder, and return the folder; nothing is written yet.

    Args:
        path: the folder of the study.
        config: the checked config of every run; each run has its own seed.
        seeds: of all runs. A study can get more seeds later, but it keeps those that it has.

    Raises:
        InputError: the folder holds one run or other files, a run in it has another config or a seed that is not in
            `seeds`, or another process works in it.
    """
    study = Workdir.at(path)
    if (study / "config.json").exists():
        raise InputError(
            "`workdir` must be a new folder or the folder of a study. "
            f"Received: {str(study.path)!r}, which is the folder of one run. Did you mean '{study.path}-seeds'?"
        )
    begun = seeds_in(study.path)
    strange = [name for name in (study.visible() if study.path.exists() else []) if name not in _own_names(begun)]
    if strange and not begun:
        raise InputError(
            f"`workdir` must be a new folder or the folder of a study. Received: {str(study.path)!r}, "
            f"which has {strange[0]!r}."
        )
    lost = [seed for seed in begun if seed not in seeds]
    if lost:
        raise InputError(
            f"`seeds` must include the seeds of the runs that {str(study.path)!r} has: {_listed(begun)}. "
            f"Received: {_listed(seeds)}."
        )
    for seed in seeds:
        Workdir.open(study / seed_folder(seed), with_seed(config, seed).to_dict()).release()
    return study


def _own_names(seeds: Sequence[int]) -> tuple[str, ...]:
    return (*map(seed_folder, seeds), STUDY_JSON, STUDY_CSV, STUDY_PAGE)


def _listed(seeds: Sequence[int]) -> str:
    return ",".join(map(str, seeds))
