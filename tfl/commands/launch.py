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
    sys.exit(launch_local(argv[1:], _WORKERS.value, _MAX_RESTARTS.value))


def run() -> None:
    """Run the command with the words of `sys.argv`."""
    cli.run(main, translate=as_program, takes_files=True, tensorflow=False)


def as_program(words: list[str]) -> list[str]:
    """Return the words with `-- -m tfl train` in place of `train`, with or without dashes before it."""
    own = words.index("--") if "--" in words else len(words)
    position = next((number for number, word in enumerate(words[:own]) if word in COMMANDS), own)
    command = words[position:] if position < own else words[own + 1 :]
    if not command or command[0] not in COMMANDS:
        return words
    return [*words[:position], "--", "-m", "tfl", *command]
