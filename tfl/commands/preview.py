"""Write a picture of training images exactly as the network gets them, before and after augmentation.

tfl preview photos --output=grid.png
tfl preview photos --augmentation=rand --output=grid.png --examples=8 --versions=4
"""

from absl import flags

import tfl
from tfl import cli
from tfl.checks import check_config
from tfl.commands import recipes
from tfl.files.pictures import check_picture_file

_CONFIG = recipes.define("backbone", "image_size", "augmentation", "seed")
_OUTPUT = flags.DEFINE_string("output", "grid.png", "The picture: a .png, .jpg or .webp file.")
_EXAMPLES = flags.DEFINE_integer("examples", 8, "Number of images, one in each row.", 1, 100)
_VERSIONS = flags.DEFINE_integer("versions", 4, "Number of augmented versions of each image.", 0, 20)


def check(argv: list[str]) -> None:
    """Refuse what cannot be read, before TensorFlow is imported."""
    check_picture_file(_OUTPUT.value)
    check_config(recipes.with_source(_CONFIG.value, argv[1:]))


def main(argv: list[str]) -> None:
    """Write the picture."""
    config = recipes.with_source(_CONFIG.value, argv[1:])
    tfl.preview_data(config, _OUTPUT.value, _EXAMPLES.value, _VERSIONS.value)


def run() -> None:
    """Run the command with the words of `sys.argv`."""
    cli.run(main, check=check, translate=recipes.with_recipe, takes_files=True)
