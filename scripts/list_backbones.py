"""List the pretrained networks: name, image size, smallest image size, features, width multipliers with weights.

python scripts/list_backbones.py
python scripts/list_backbones.py 'resnet*'
"""

from tfl import cli
from tfl.backbones import backbone_table


def main(argv: list[str]) -> None:
    print(backbone_table(*argv[1:]))


if __name__ == "__main__":
    cli.run(main, takes_files=True, tensorflow=False)
