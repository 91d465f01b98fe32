"""List the options of a run, each with its default and its rule; set one as in --config.data.batch_size=64.

tfl options
tfl options learning_rate
"""

import sys

from tfl import cli
from tfl.config.listing import options_text


def main(argv: list[str]) -> None:
    """Print the options."""
    sys.stdout.write(options_text(*argv[1:]))


def run() -> None:
    """Run the command with the words of `sys.argv`."""
    cli.run(main, takes_files=True, tensorflow=False)
