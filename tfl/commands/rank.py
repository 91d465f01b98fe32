"""Rank pretrained networks for a data set, without training any of them.

tfl rank photos --backbones=MobileNetV2,MobileNet:0.25 --output=ranking

Each network stays frozen, and a head is solved on its features in cross-validation, on the train and validation
examples. The test split is never used. It prints a table, best first, and writes ranking.csv and ranking.json.
"""

import dataclasses
import sys

from absl import flags

import tfl
from tfl import cli
from tfl.backbones.names import parse_backbone
from tfl.checks import check_config
from tfl.commands import recipes
from tfl.config import BackboneConfig, TransferConfig

_CONFIG = recipes.define("image_size", "seed")
_BACKBONES = flags.DEFINE_list(
    "backbones", None, "Names with commas between them, with a width multiplier as in MobileNet:0.25.", required=True
)
_OUTPUT = flags.DEFINE_string("output", None, "The folder for ranking.csv and ranking.json.", required=True)
_SHOWN = {"metric": "{:.4f}", "low": "{:.4f}", "high": "{:.4f}", "loss": "{:.4f}", "neighbours": "{:.4f}"} | {
    "log_evidence": "{:.3f}", "h_score": "{:.3f}", "n_leep": "{:.3f}", "parameters": "{:,}", "milliseconds": "{:.1f}"
}  # fmt: skip


def _config(words: list[str]) -> TransferConfig:
    return recipes.with_source(_CONFIG.value, words)


def check(argv: list[str]) -> None:
    """Check the source and each network, before TensorFlow is imported."""
    config = _config(argv[1:])
    for text in _BACKBONES.value:
        spec, alpha = parse_backbone(text)
        backbone = BackboneConfig(spec.name, alpha, config.backbone.weights)
        check_config(dataclasses.replace(config, backbone=backbone))


def main(argv: list[str]) -> None:
    """Rank the networks, and print the table."""
    ranking = tfl.rank_backbones(_config(argv[1:]), _BACKBONES.value, _OUTPUT.value)
    rows = [["backbone", *_SHOWN]]
    for one in ranking:
        name = one.name if one.alpha == 1 else f"{one.name}:{one.alpha:g}"
        rows.append([name, *(form.format(getattr(one, field)) for field, form in _SHOWN.items())])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *others in rows:
        cells = (f"{cell:>{width}}" for cell, width in zip(others, widths[1:], strict=True))
        sys.stdout.write("  ".join([f"{first:<{widths[0]}}", *cells]) + "\n")


def run() -> None:
    """Run the command with the words of `sys.argv`."""
    cli.run(main, check=check, translate=recipes.with_recipe, takes_files=True)
