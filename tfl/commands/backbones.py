"""List the pretrained networks: name, image size, smallest image size, features, width multipliers with weights.

tfl backbones
tfl backbones 'resnet*'
"""

import sys

from tfl import cli
from tfl.backbones import backbone_table


def main(argv: list[str]) -> None:
    """Print the table."""
    sys.stdout.write(backbone_table(*argv[1:]) + "\n")


def run() -> None:
    """Run the command with the words of `sys.argv`."""
    cli.run(main, takes_files=True, tensorflow=False)
