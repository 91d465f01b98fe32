"""List the pretrained networks: sizes, megabytes, whose weights, their task and licence, and whether they are at hand.

tfl backbones
tfl backbones 'resnet*'
tfl backbones torch:model.safetensors hf:models/minilm
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
