"""Train: from a folder of photos to a trained, evaluated, saved classifier.

tfl train photos
tfl train photos --backbone=ResNet50V2 --epochs=20 --config.head.dropout=0.2
tfl train --recipe=quickstart --workdir=runs/quickstart
"""

from absl import flags

import tfl
from tfl import cli
from tfl.commands import places, recipes
from tfl.config import SHORT_NAMES, TransferConfig
from tfl.tracking.guard import Tracking
from tfl.workdir import Workdir

_CONFIG = recipes.define(*SHORT_NAMES)
_WORKDIR = flags.DEFINE_string(
    "workdir",
    None,
    "The folder of this run: a new one, or the folder of a run with the same config; not given: runs/ and the name of "
    "the source.",
)


def check(argv: list[str]) -> None:
    """Refuse what cannot be trained, before TensorFlow is imported."""
    config, workdir = _asked(argv)
    config = recipes.checked(config)
    with Workdir.open(workdir, config.to_dict()) as folder:
        Tracking(config.tracking, folder).check()


def main(argv: list[str]) -> None:
    """Train."""
    tfl.transfer(*_asked(argv))


def run() -> None:
    """Run the command with the words of `sys.argv`."""
    cli.run(main, check=check, translate=recipes.with_recipe, takes_files=True)


def _asked(argv: list[str]) -> tuple[TransferConfig, str]:
    config = recipes.with_source(_CONFIG.value, argv[1:])
    return config, places.name_workdir(config.data.source) if _WORKDIR.value is None else _WORKDIR.value
