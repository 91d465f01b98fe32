"""Evaluate a finished run on its own test split or on other data, and print the metrics as JSON.

tfl evaluate runs/photos
tfl evaluate runs/photos --source=other_photos --output=evaluation.json --predictions=photos.csv
tfl evaluate runs/photos --slices=cameras.csv:camera
"""

import json
import sys

from absl import flags

from tfl import cli
from tfl.commands import places
from tfl.files.existing import check_source, existing_slices
from tfl.runs.checks import MODEL, SPLITS, check_output

_WORKDIR = flags.DEFINE_string("workdir", None, "The folder of a finished run; it may also stand without --workdir=.")
_SOURCE = flags.DEFINE_string("source", "", "Other data, as a folder, digits or tfds:NAME.")
_SLICES = flags.DEFINE_string(
    "slices", "", "FILE.csv:COLUMN with the group of each image; its column id has the ids of predictions.csv."
)
_PREDICTIONS = flags.DEFINE_string("predictions", "", "A CSV file for the prediction of each image.")
_OUTPUT = flags.DEFINE_string("output", "", "A JSON file for the whole evaluation: intervals, classes, slices, ...")


def check(argv: list[str]) -> None:
    """Refuse what is no finished run, a source that does not exist and an output that cannot be written."""
    places.finished_run(argv[1:], _WORKDIR.value, MODEL, SPLITS)
    check_source(places.other_source(_SOURCE.value), "source")
    if _SLICES.value:
        existing_slices(_SLICES.value)
    check_output(_PREDICTIONS.value, "predictions")
    check_output(_OUTPUT.value)


def main(argv: list[str]) -> None:
    """Evaluate the run."""
    from tfl.runs.evaluate import evaluate_workdir, show_evaluation

    workdir, source = places.the_one(argv[1:], _WORKDIR.value, "workdir"), places.other_source(_SOURCE.value)
    evaluation = evaluate_workdir(workdir, source, _SLICES.value, predictions=_PREDICTIONS.value)
    show_evaluation(evaluation, _OUTPUT.value)
    sys.stdout.write(json.dumps(evaluation["test"], indent=2) + "\n")


def run() -> None:
    """Run the command with the words of `sys.argv`."""
    cli.run(main, check=check, takes_files=True)
