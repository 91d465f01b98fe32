"""Pre-train a backbone on your own images, with or without labels.

tfl pretrain photos --workdir=runs/pretrained
tfl pretrain photos --recipe=pretrain_supervised --workdir=runs/pretrained --config.backbone.weights=imagenet
tfl train photos --config.backbone.weights=runs/pretrained

The recipe pretrain_selfsupervised, which is used if none is given, needs no labels: the images may be in any folders.
The recipe pretrain_supervised learns the labels of the class folders or of the table. The workdir then serves as
--config.backbone.weights of other runs with the same network.
"""

from absl import flags
from ml_collections import config_flags

import tfl
from tfl import cli
from tfl.checks import check_config, check_data, check_outside_of_sources
from tfl.commands import places, recipes
from tfl.config import SUPERVISED, TransferConfig
from tfl.errors import InputError
from tfl.recipes import find_recipe

_CONFIG = recipes.define("backbone", "image_size", "batch_size", "precision", "strategy", "seed")
_WORKDIR = flags.DEFINE_string(
    "workdir", None, "The folder of this run; not given: runs/ and the name of the source, with _pretrained."
)
RECIPE = "pretrain_selfsupervised"


def check(argv: list[str]) -> None:
    """Refuse what cannot be trained on, before TensorFlow is imported."""
    config, workdir = _asked(argv)
    config = check_config(config)
    check_outside_of_sources(workdir, config)
    if config.pretrain.method == SUPERVISED:
        check_data(config)


def main(argv: list[str]) -> None:
    """Pre-train."""
    tfl.pretrain(*_asked(argv))


def run() -> None:
    """Run the command with the words of `sys.argv`."""
    cli.run(main, check=check, translate=_with_recipe, takes_files=True)


def _with_recipe(words: list[str]) -> list[str]:
    words = recipes.with_named_recipe(words)
    return words if any(word.startswith("--config=") for word in words) else [f"--config={find_recipe(RECIPE)}", *words]


def _asked(argv: list[str]) -> tuple[TransferConfig, str]:
    words, holder = argv[1:], flags.FLAGS["config"]
    is_given = bool(words) or "data.source" in config_flags.get_override_values(holder)
    if not is_given and config_flags.get_config_filename(holder) == find_recipe(RECIPE):
        raise InputError("`source` must be given, as in `tfl pretrain photos`. Received: none.")
    config = recipes.with_source(_CONFIG.value, words)
    default = f"{places.name_workdir(config.data.source)}_pretrained"
    return config, default if _WORKDIR.value is None else _WORKDIR.value
