"""Train: from a config to a trained, evaluated, saved classifier.

python scripts/train.py --config=configs/folder.py --config.data.source=folder:photos --workdir=runs/photos
"""

from absl import flags
from ml_collections import config_flags

import tfl
from tfl import cli

_CONFIG = config_flags.DEFINE_config_file(
    "config", None, "The config file; set an option as in --config.data.source=folder:photos."
)
_WORKDIR = flags.DEFINE_string(
    "workdir", None, "The folder of this run: a new one, or the folder of a run with the same config.", required=True
)

flags.mark_flag_as_required("config")


def main(argv: list[str]) -> None:
    del argv
    tfl.transfer(_CONFIG.value, _WORKDIR.value)


if __name__ == "__main__":
    cli.run(main)
