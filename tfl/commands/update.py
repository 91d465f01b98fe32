"""Add examples to a finished run and remove others, and solve its head again without the whole training.

tfl update runs/photos --add=new_photos --output=runs/updated
tfl update runs/photos --remove=ants/blurred.jpg,bees/twice.jpg --output=runs/updated
tfl update runs/photos --add=new_photos --remove=wrong.txt --output=runs/updated

The run must have been trained with --config.probe.solver=ridge. Only the new examples go through the network, and the
result is that of a training on all remaining examples. No example changes its split. --remove takes ids or paths of
the run's splits.csv, or a text file with one of them in each line.
"""

from absl import flags

import tfl
from tfl import cli
from tfl.commands import places
from tfl.errors import InputError
from tfl.files.existing import check_source
from tfl.files.reading import read_csv
from tfl.runs.checks import MODEL, SPLITS
from tfl.runs.updating import check_update, find_removed
from tfl.workdir import Workdir

_WORKDIR = flags.DEFINE_string("workdir", None, "The folder of a finished run; it may also stand without --workdir=.")
_ADD = flags.DEFINE_string("add", "", "New examples, as a folder of class folders; the classes may be new.")
_REMOVE = flags.DEFINE_string("remove", "", "Ids or paths with commas between them, or a text file with one a line.")
_OUTPUT = flags.DEFINE_string("output", None, "The folder of the new run.", required=True)


def check(argv: list[str]) -> None:
    """Refuse a run without statistics, new examples that do not exist, and ids that the run does not have."""
    run, _ = check_update(places.finished_run(argv[1:], _WORKDIR.value, MODEL, SPLITS).path)
    if not (_ADD.value or _REMOVE.value):
        raise InputError("`add` or `remove` must be given. Received: neither.")
    check_source(places.other_source(_ADD.value), "add")
    if _REMOVE.value:
        find_removed([_REMOVE.value], read_csv(run / SPLITS))
    if Workdir.at(_OUTPUT.value).path.resolve() == run.path.resolve():
        raise InputError(f"`output` must be another folder than that of the run. Received: {_OUTPUT.value!r}.")


def main(argv: list[str]) -> None:
    """Update the run."""
    workdir = places.the_one(argv[1:], _WORKDIR.value, "workdir")
    tfl.update_run(workdir, _OUTPUT.value, add=_ADD.value, remove=_REMOVE.value)


def run() -> None:
    """Run the command with the words of `sys.argv`."""
    cli.run(main, check=check, takes_files=True)
