"""Start a group of workers on this machine; after a failure all workers start again from their last checkpoint.

python scripts/launch_local.py --workers=2 -- scripts/train.py --config=configs/folder.py --workdir=runs/photos
"""

import sys

from absl import flags

from tfl import cli
from tfl.distribution.launch import launch_local

_WORKERS = flags.DEFINE_integer("workers", 2, "How many processes.")
_MAX_RESTARTS = flags.DEFINE_integer("max_restarts", 3, "How often the group starts again after a failure.")


def main(argv: list[str]) -> None:
    sys.exit(launch_local(argv[1:], _WORKERS.value, _MAX_RESTARTS.value))


if __name__ == "__main__":
    cli.run(main, takes_files=True, tensorflow=False)
