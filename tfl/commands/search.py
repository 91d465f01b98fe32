"""Search for the options with the smallest held-out loss.

tfl search photos --epochs=0 --range=head.pooling=avg,max --range=data.image_size=128,224 --output=search

A range is OPTION=LOW..HIGH, OPTION=LOW..HIGH:log or OPTION=VALUE,VALUE, and --range may be given several times. With
--epochs=0 each trial solves a head on stored features, which takes seconds; else each trial fine-tunes. The test split
is never used. It prints what mattered, and writes best.py, which `tfl train --config=` takes. If it is stopped, the
same command goes on.
"""

import sys

from absl import flags

import tfl
from tfl import cli
from tfl.checks import check_config
from tfl.commands import recipes
from tfl.config import TransferConfig
from tfl.selection.trials import check_search

_CONFIG = recipes.define("epochs", "image_size", "backbone", "seed")
_RANGES = flags.DEFINE_multi_string(
    "range", [], "An option and its values, as in finetune.learning_rate=1e-5..1e-3:log."
)
_TRIALS = flags.DEFINE_integer("trials", 20, "Number of trials, those of earlier starts counted.")
_BUDGET = flags.DEFINE_float("budget_minutes", 0.0, "No trial starts after so many minutes; 0: no limit.")
_OUTPUT = flags.DEFINE_string("output", None, "The folder for the trials and best.py.", required=True)


def _config(words: list[str]) -> TransferConfig:
    return recipes.with_source(_CONFIG.value, words)


def check(argv: list[str]) -> None:
    """Check the ranges, the options and the source, before TensorFlow is imported."""
    config = _config(argv[1:])
    check_search(config, _RANGES.value, _TRIALS.value, _BUDGET.value)
    check_config(config)


def main(argv: list[str]) -> None:
    """Search, and print what mattered."""
    config = _config(argv[1:])
    found = tfl.search_options(config, _RANGES.value, _OUTPUT.value, trials=_TRIALS.value, budget_minutes=_BUDGET.value)
    sys.stdout.write("option  best  importance\n")
    for path, value in found.values.items():
        share = found.importances.get(path)
        sys.stdout.write(f"{path}  {value}  {'unknown' if share is None else f'{share:.3f}'}\n")


def run() -> None:
    """Run the command with the words of `sys.argv`."""
    cli.run(main, check=check, translate=recipes.with_recipe, takes_files=True)
