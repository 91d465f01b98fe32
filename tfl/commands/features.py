"""Write the features that a frozen backbone computes for every image of a source.

tfl features photos --output=FOLDER
tfl features photos --backbone=ResNet50V2 --output=features.parquet --format=parquet

Each row has id, label, split and features. `--format=npy` writes a folder; other formats write one file.
"""

from absl import flags

import tfl
from tfl import cli
from tfl.checks import check_config, check_data
from tfl.commands import recipes
from tfl.recipe.feature_file import FORMATS, check_format

_CONFIG = recipes.define("backbone", "image_size", "seed")
_OUTPUT = flags.DEFINE_string("output", None, "A folder (npy) or a file (parquet, tfrecord).", required=True)
_FORMAT = flags.DEFINE_string("format", "npy", f"{', '.join(FORMATS)}.")


def check(argv: list[str]) -> None:
    """Refuse what cannot be read, before TensorFlow is imported."""
    config = check_config(recipes.with_source(_CONFIG.value, argv[1:]))
    check_format(_FORMAT.value, _OUTPUT.value)
    check_data(config)


def main(argv: list[str]) -> None:
    """Write the features."""
    tfl.extract_features(recipes.with_source(_CONFIG.value, argv[1:]), _OUTPUT.value, _FORMAT.value)


def run() -> None:
    """Run the command with the words of `sys.argv`."""
    cli.run(main, check=check, translate=recipes.with_recipe, takes_files=True)
