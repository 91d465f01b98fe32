"""Print a script that lets a shell complete commands, flags, options and their values: for bash, zsh or fish.

tfl completion bash
tfl completion zsh
tfl completion fish
"""

import sys

from tfl import cli
from tfl.commands import COMMANDS
from tfl.completion.bash import bash_script
from tfl.completion.fish import fish_script
from tfl.completion.words import read_commands
from tfl.completion.zsh import zsh_script
from tfl.errors import InputError
from tfl.registry import resolve

_SCRIPTS = {"bash": bash_script, "zsh": zsh_script, "fish": fish_script}


def main(argv: list[str]) -> None:
    """Print the script."""
    if len(argv) != 2:
        raise InputError(f"`shell` must be one of {', '.join(_SCRIPTS)}. Received: {' '.join(argv[1:]) or 'none'}.")
    write = _SCRIPTS[resolve(argv[1], _SCRIPTS, "shell")]
    sys.stdout.write(write(read_commands(COMMANDS)))


def run() -> None:
    """Run the command with the words of `sys.argv`."""
    cli.run(main, takes_files=True, tensorflow=False)
