"""The folder of a study over seeds: it holds a folder for each run, `seed_0` and so on, and no run of its own."""

import re

from etils import epath

from tfl.errors import InputError

STUDY_JSON, STUDY_CSV, STUDY_PAGE = "study.json", "study.csv", "study.html"


def seed_folder(seed: int) -> str:
    """Return the name of the folder of the run with a seed.

    Example:
        >>> seed_folder(3)
        'seed_3'
    """
    return f"seed_{seed}"


def seeds_in(path: epath.PathLike) -> list[int]:
    """Return the seeds of the runs in the folder of a study, in order; [] for any other folder."""
    path = epath.Path(path)
    if (path / "config.json").exists() or not path.is_dir():
        return []
    names = (re.fullmatch(r"seed_(0|[1-9]\d*)", folder.name) for folder in path.iterdir())
    return sorted(int(name[1]) for name in names if name and (path / name[0] / "config.json").exists())


def refuse_study(path: epath.PathLike, argument: str) -> None:
    """Refuse the folder of a study where the folder of one run is needed.

    Args:
        path: a folder.
        argument: the caller's name for it, for the message.

    Raises:
        InputError: the folder holds the runs of a study; the message names them.
    """
    path = epath.Path(path)
    seeds = seeds_in(path)
    if seeds:
        names = ", ".join(map(seed_folder, seeds[:10])) + (", ..." if len(seeds) > 10 else "")
        raise InputError(
            f"`{argument}` must be the folder of one run. Received: {str(path)!r}, which is a study with the runs "
            f"{names}. Did you mean '{path / seed_folder(seeds[0])}'?"
        )
