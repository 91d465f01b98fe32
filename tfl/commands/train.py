"""Train: from a folder of photos to a trained, evaluated, saved classifier.

tfl train photos
tfl train photos --backbone=ResNet50V2 --epochs=20 --config.head.dropout=0.2
tfl train photos --seeds=0,1,2
tfl train --recipe=quickstart --workdir=runs/quickstart
"""

from absl import flags
from ml_collections import config_flags

import tfl
from tfl import cli
from tfl.checks import check_data, check_outside_of_sources, check_run
from tfl.commands import places, recipes
from tfl.config import NO_TRACKER, SHORT_NAMES, TransferConfig
from tfl.config.seeds import parse_seeds
from tfl.errors import InputError
from tfl.progress import say
from tfl.runs.next_steps import next_steps
from tfl.runs.study_folder import open_study
from tfl.tracking.guard import Tracking
from tfl.workdir import REPORT, Workdir

_CONFIG = recipes.define(*SHORT_NAMES)
_WORKDIR = flags.DEFINE_string(
    "workdir",
    None,
    "The folder of this run: a new one, or the folder of a run with the same config; not given: runs/ and the name of "
    "the source.",
)
_SEEDS = flags.DEFINE_string(
    "seeds",
    None,
    "Train once for each seed, as in 0,1,2, or 3 for the same seeds; the workdir gets the folders seed_0, seed_1, ... "
    "and study.html with the mean and its interval over the seeds. A seed changes the division of a source that does "
    "not have train, validation and test of its own, the random start of the layers that are trained, the order "
    "of the examples, and their augmentation.",
)


def check(argv: list[str]) -> bool:
    """Refuse what cannot be trained, before TensorFlow is imported; return whether nothing is left to do."""
    config, workdir = _asked(argv)
    config, seeds = check_run(config, workdir), _asked_seeds()
    check_outside_of_sources(workdir, config)
    if seeds:
        open_study(workdir, config, seeds)
        check_data(config)
        return False
    with Workdir.open(workdir, config.to_dict()) as opened:
        Tracking(config.tracking, opened).check()
        is_finished = opened.read_metrics() is not None and (opened / REPORT).exists()
        if not is_finished:
            check_data(config)
        if not is_finished or config.tracking != NO_TRACKER:  # a tracker may still lack the results
            return False
    say(f"{opened.path}: this run is finished")
    say(next_steps(opened))
    return True


def main(argv: list[str]) -> None:
    """Train."""
    config, workdir = _asked(argv)
    seeds = _asked_seeds()
    if seeds:
        tfl.run_study(config, workdir, seeds)
    else:
        tfl.transfer(config, workdir)


def run() -> None:
    """Run the command with the words of `sys.argv`."""
    cli.run(main, check=check, translate=recipes.with_recipe, takes_files=True)


def _asked(argv: list[str]) -> tuple[TransferConfig, str]:
    config = recipes.with_source(_CONFIG.value, argv[1:])
    return config, places.name_workdir(config.data.source) if _WORKDIR.value is None else _WORKDIR.value


def _asked_seeds() -> tuple[int, ...]:
    """Return the seeds of a study; () for one run."""
    if _SEEDS.value is None:
        return ()
    if "seed" in config_flags.get_override_values(flags.FLAGS["config"]):
        raise InputError(
            f"`seeds` must be given without `seed`. Received: --seeds={_SEEDS.value} and --seed={_CONFIG.value.seed}."
        )
    return parse_seeds(_SEEDS.value)
