"""Evaluate a finished run, on its own test split or on other data; prints the metrics as JSON.

python scripts/evaluate.py --workdir=runs/photos
python scripts/evaluate.py --workdir=runs/photos --source=folder:other_photos
"""

import json

from absl import flags

from tfl import cli

_WORKDIR = flags.DEFINE_string("workdir", None, "The folder of a finished run.", required=True)
_SOURCE = flags.DEFINE_string("source", "", "Other data, as digits, folder:PATH or tfds:NAME.")


def main(argv: list[str]) -> None:
    del argv
    from tfl.trained import evaluate_workdir

    print(json.dumps(evaluate_workdir(_WORKDIR.value, _SOURCE.value), indent=2))


if __name__ == "__main__":
    cli.run(main)
