"""Measure what pre-training was worth for a data set: accuracy over labels, with and without it.

tfl value photos --output=value

The same network is trained from scratch, used frozen with a solved head, and fine-tuned, on 1, 2, 5, 10
and so on labels a class, with several seeds. It says how many times as many labels training from scratch would need,
and writes value.html, value.csv and value.json. If it is stopped, the same command goes on.
"""

from absl import flags

import tfl
from tfl import cli
from tfl.checks import check_config
from tfl.commands import recipes
from tfl.config import TransferConfig
from tfl.config.seeds import parse_seeds
from tfl.config.ways import WAYS, check_sizes, check_ways

_CONFIG = recipes.define("epochs", "image_size", "backbone")
_OUTPUT = flags.DEFINE_string("output", None, "The folder for the result.", required=True)
_SIZES = flags.DEFINE_list("sizes", [], "Labels a class, with commas between them; all labels are always measured.")
_SEEDS = flags.DEFINE_string("seeds", "3", "How many seeds, or the seeds with commas between them.")
_WAYS = flags.DEFINE_list("ways", list(WAYS), "What is compared.")


def _config(words: list[str]) -> TransferConfig:
    return recipes.with_source(_CONFIG.value, words)


def check(argv: list[str]) -> None:
    """Check the options and the source, before TensorFlow is imported."""
    parse_seeds(_SEEDS.value)
    check_sizes(_SIZES.value)
    check_ways(_WAYS.value)
    check_config(_config(argv[1:]))


def main(argv: list[str]) -> None:
    """Measure and tell the worth."""
    sizes, seeds = check_sizes(_SIZES.value), parse_seeds(_SEEDS.value)
    tfl.measure_value(_config(argv[1:]), _OUTPUT.value, sizes=sizes, seeds=seeds, ways=_WAYS.value)


def run() -> None:
    """Run the command with the words of `sys.argv`."""
    cli.run(main, check=check, translate=recipes.with_recipe, takes_files=True)
