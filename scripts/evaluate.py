"""Evaluate a finished run on its own test split or on other data, and print the metrics as JSON.

python scripts/evaluate.py --workdir=runs/photos
python scripts/evaluate.py --workdir=runs/photos --source=folder:other_photos --output=evaluation.json
python scripts/evaluate.py --workdir=runs/photos --source=folder:other_photos --predictions=photos.csv
python scripts/evaluate.py --workdir=runs/photos --slices=cameras.csv:camera
"""

import json

from absl import flags

from tfl import cli

_WORKDIR = flags.DEFINE_string("workdir", None, "The folder of a finished run.", required=True)
_SOURCE = flags.DEFINE_string("source", "", "Other data, as digits, folder:PATH or tfds:NAME.")
_SLICES = flags.DEFINE_string(
    "slices", "", "FILE.csv:COLUMN with the group of each image; its column id has the ids of predictions.csv."
)
_PREDICTIONS = flags.DEFINE_string("predictions", "", "A CSV file for the prediction of each image.")
_OUTPUT = flags.DEFINE_string("output", "", "A JSON file for the whole evaluation: intervals, classes, slices, ...")


def main(argv: list[str]) -> None:
    del argv
    from tfl.runs.evaluate import evaluate_workdir, show_evaluation

    evaluation = evaluate_workdir(_WORKDIR.value, _SOURCE.value, _SLICES.value, predictions=_PREDICTIONS.value)
    show_evaluation(evaluation, _OUTPUT.value)
    print(json.dumps(evaluation["test"], indent=2))


if __name__ == "__main__":
    cli.run(main)
