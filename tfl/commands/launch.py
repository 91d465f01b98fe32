"""Start a group of workers on this machine; after a failure all workers start again from their last checkpoint.

tfl launch --workers=2 -- train photos
"""

import sys

from absl import flags

from tfl import cli
from tfl.commands import COMMANDS
from tfl.distribution.launch import launch_local

_WORKERS = flags.DEFINE_integer("workers", 2, "How many processes.")
_MAX_RESTARTS = flags.DEFINE_integer("max_restarts", 3, "How often the group starts again after a failure.")


def main(argv: list[str]) -> None:
    """Start the group, and end with its exit code."""
    command = argv[1:]
    if command and command[0] in COMMANDS:
        command = ["-m", "tfl", *command]
    sys.exit(launch_local(command, _WORKERS.value, _MAX_RESTARTS.value))


def run() -> None:
    """Run the command with the words of `sys.argv`."""
    cli.run(main, takes_files=True, tensorflow=False)
