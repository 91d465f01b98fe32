"""Look for wrong labels, duplicates, leaks, outliers, shortcuts and placeholders in a data set.

tfl audit photos --output=audit
tfl audit runs/photos --output=audit
tfl audit photos --backbone=ResNet50V2 --output=audit

The audit works on the features that a run has stored, and computes the others. It writes audit.csv, with one row for
each finding, audit.json and audit.html. Nothing is removed: `--config.data.decisions=FILE` of a later run uses what you
decide.
"""

from pathlib import Path

from absl import flags

import tfl
from tfl import cli
from tfl.checks import check_config
from tfl.commands import recipes
from tfl.workdir import Workdir

_CONFIG = recipes.define("backbone", "image_size", "seed")
_OUTPUT = flags.DEFINE_string("output", None, "The folder for audit.csv, audit.json and audit.html.", required=True)


def _run(words: list[str]) -> str:
    """Return the folder of the run that the words name; "" if they name a source, or none."""
    return words[0] if len(words) == 1 and (Path(words[0]).expanduser() / "config.json").exists() else ""


def check(argv: list[str]) -> None:
    """Refuse what is no finished run and no source, before TensorFlow is imported."""
    if _run(argv[1:]):
        Workdir.open_finished(_run(argv[1:]))
    else:
        check_config(recipes.with_source(_CONFIG.value, argv[1:]))


def main(argv: list[str]) -> None:
    """Audit the data set."""
    tfl.audit_data(_run(argv[1:]) or recipes.with_source(_CONFIG.value, argv[1:]), _OUTPUT.value)


def run() -> None:
    """Run the command with the words of `sys.argv`."""
    cli.run(main, check=check, translate=recipes.with_recipe, takes_files=True)
