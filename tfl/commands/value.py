"""Measure what pre-training was worth for a data set: accuracy over labels, with and without it.

tfl value photos --output=value

The same network is trained from scratch, used frozen with a solved head, and fine-tuned, on 1, 2, 5, 10
and so on labels a class, with several seeds. It says how many times as many labels training from scratch would need,
and writes value.html, value.csv and value.json. If it is stopped, the same command goes on.

tfl value photos --unlabelled=more --ways=frozen --output=value
tfl value --unlabelled=more --output=value

With a folder of images without labels it also says which of them to label next, in next_labels.csv and value.html. If
no labelled images are given, it does only that.

tfl value photos --source_sizes=10,100 --config.pretrain.source=folder:others --config.backbone.weights=none --output=O

With --source_sizes it pre-trains the network on so many images a class of your own source, and on all, and writes how
good the task becomes: source.html, source.csv and source.json.
"""

from absl import flags

import tfl
from tfl import cli
from tfl.checks import check_config
from tfl.commands import recipes
from tfl.config import TransferConfig
from tfl.config.seeds import parse_seeds
from tfl.config.ways import WAYS, check_sizes, check_ways
from tfl.errors import InputError
from tfl.files.existing import existing_folder
from tfl.selection.next_labels import AUTO, METHODS, check_choice

_CONFIG = recipes.define("epochs", "image_size", "backbone")
_OUTPUT = flags.DEFINE_string("output", None, "The folder for the result.", required=True)
_SIZES = flags.DEFINE_list("sizes", [], "Labels a class, with commas between them; all labels are always measured.")
_SEEDS = flags.DEFINE_string("seeds", "3", "How many seeds, or the seeds with commas between them.")
_WAYS = flags.DEFINE_list("ways", list(WAYS), "What is compared.")
_UNLABELLED = flags.DEFINE_string("unlabelled", "", "A folder without labels: which of it to label next?")
_NEXT_COUNT = flags.DEFINE_integer("next_count", 20, "How many to label next.")
_SOURCE_SIZES = flags.DEFINE_list("source_sizes", [], "Images a class of pretrain.source: how many does it need?")
_NEXT_METHOD = flags.DEFINE_string("next_method", AUTO, f"How they are chosen: {', '.join(METHODS)}.")


def _config(words: list[str]) -> TransferConfig:
    if _has_no_labels(words):
        words = [_UNLABELLED.value]
    return recipes.with_source(_CONFIG.value, words)


def _has_no_labels(words: list[str]) -> bool:
    return bool(_UNLABELLED.value) and not words and not recipes.has_source()


def check(argv: list[str]) -> None:
    """Check the options and the source, before TensorFlow is imported."""
    parse_seeds(_SEEDS.value)
    check_sizes(_SIZES.value)
    _check_source_sizes()
    check_ways(_WAYS.value)
    _check_next(has_labels=not _has_no_labels(argv[1:]))
    check_config(_config(argv[1:]))


def _check_next(*, has_labels: bool) -> None:
    for name in ("next_count", "next_method"):
        if flags.FLAGS[name].present and not _UNLABELLED.value:
            raise InputError(f"`unlabelled` must be given with --{name}. Received: none.")
    for name in ("sizes", "seeds", "ways"):
        if flags.FLAGS[name].present and not has_labels:
            raise InputError(f"`source` must be given with --{name}, which needs labelled images. Received: none.")
    if _UNLABELLED.value:
        check_choice(_NEXT_COUNT.value, _NEXT_METHOD.value, has_labels=has_labels)
        existing_folder(_UNLABELLED.value.removeprefix("folder:"), "unlabelled")


def _check_source_sizes() -> None:
    if not flags.FLAGS["source_sizes"].present:
        return
    check_sizes(_SOURCE_SIZES.value, "source_sizes")
    for name in ("sizes", "ways", "unlabelled"):
        if flags.FLAGS[name].present:
            raise InputError(f"`{name}` must be left out with --source_sizes. Received: --{name}.")


def main(argv: list[str]) -> None:
    """Measure and tell the worth."""
    config, choice = _config(argv[1:]), {"next_count": _NEXT_COUNT.value, "next_method": _NEXT_METHOD.value}
    if _has_no_labels(argv[1:]):
        tfl.choose_next_labels(config, _UNLABELLED.value, _OUTPUT.value, **choice)
        return
    if _SOURCE_SIZES.value:
        sizes = check_sizes(_SOURCE_SIZES.value, "source_sizes")
        tfl.measure_source_sizes(config, _OUTPUT.value, sizes=sizes, seeds=parse_seeds(_SEEDS.value))
        return
    options = {"sizes": check_sizes(_SIZES.value), "seeds": parse_seeds(_SEEDS.value), "ways": _WAYS.value}
    tfl.measure_value(config, _OUTPUT.value, **options, unlabelled=_UNLABELLED.value, **choice)


def run() -> None:
    """Run the command with the words of `sys.argv`."""
    cli.run(main, check=check, translate=recipes.with_recipe, takes_files=True)
