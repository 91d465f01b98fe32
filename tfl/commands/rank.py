"""Rank pretrained networks for a data set, without training any of them.

tfl rank photos --backbones=MobileNetV2,MobileNet:0.25 --output=ranking

Without --backbones, it ranks all networks whose published weights are in the cache of Keras. --max_latency_ms and
--max_parameters limit the network that it advises to take.

Each network stays frozen, and a head is solved on its features in cross-validation, on the train and validation
examples. The test split is never used. It prints a table, best first, and writes ranking.html
(accuracy against time, with the Pareto front), ranking.csv and ranking.json.
"""

import dataclasses
import sys

from absl import flags

import tfl
from tfl import cli
from tfl.backbones.entries import backbone_of
from tfl.backbones.names import AT_HAND, expand_backbones
from tfl.checks import check_config
from tfl.commands import recipes
from tfl.config import TransferConfig
from tfl.progress import say
from tfl.selection.advice import advise, compare_with_fixed_order

_CONFIG = recipes.define("image_size", "seed")
_BACKBONES = flags.DEFINE_list(
    "backbones",
    [AT_HAND],
    "Names with commas between them, with a width multiplier as in MobileNet:0.25, patterns, finished runs, weights "
    "files as in MobileNet:0.25=my.h5; at_hand: all networks whose published weights are in the cache of Keras.",
)
_LATENCY = flags.DEFINE_float(
    "max_latency_ms", 0.0, "Advise on networks that take at most so many milliseconds; 0: any.", lower_bound=0.0
)
_PARAMETERS = flags.DEFINE_integer(
    "max_parameters", 0, "Advise on networks with at most so many parameters; 0: any.", lower_bound=0
)
_OUTPUT = flags.DEFINE_string(
    "output", None, "The folder for ranking.html, ranking.csv and ranking.json.", required=True
)
_SHOWN = {"metric": "{:.4f}", "low": "{:.4f}", "high": "{:.4f}", "loss": "{:.4f}", "neighbours": "{:.4f}"} | {
    "log_evidence": "{:.3f}", "h_score": "{:.3f}", "n_leep": "{:.3f}", "leep": "{:.3f}", "imagenet": "{:.3f}",
    "parameters": "{:,}", "milliseconds": "{:.1f}", "gflops": "{:.2f}", "megabytes": "{:,.0f}", "examples": "{:,}",
}  # fmt: skip


def _config(words: list[str]) -> TransferConfig:
    return recipes.with_source(_CONFIG.value, words)


def check(argv: list[str]) -> None:
    """Check the source and each network, before TensorFlow is imported."""
    config = _config(argv[1:])
    for text in expand_backbones(_BACKBONES.value):
        check_config(dataclasses.replace(config, backbone=backbone_of(text, config.backbone.weights)))


def main(argv: list[str]) -> None:
    """Rank the networks, and print the table."""
    ranking = tfl.rank_backbones(_config(argv[1:]), _BACKBONES.value, _OUTPUT.value)
    rows = [["backbone", *_SHOWN]]
    for one in ranking:
        cells = (form.format(getattr(one, field)) for field, form in _SHOWN.items())
        rows.append([one.label, *("-" if cell == "nan" else cell for cell in cells)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *others in rows:
        cells = (f"{cell:>{width}}" for cell, width in zip(others, widths[1:], strict=True))
        sys.stdout.write("  ".join([f"{first:<{widths[0]}}", *cells]) + "\n")
    say(compare_with_fixed_order(ranking) or "no order by published accuracy: fewer than two have one")
    say(advise(ranking, max_latency_ms=_LATENCY.value, max_parameters=_PARAMETERS.value))


def run() -> None:
    """Run the command with the words of `sys.argv`."""
    cli.run(main, check=check, translate=recipes.with_recipe, takes_files=True)
