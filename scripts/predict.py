"""Say what is on photos: CSV with path, class, probability and the five most probable classes.

python scripts/predict.py --workdir=runs/photos holiday.jpg more_photos/
python scripts/predict.py --workdir=runs/photos --output=predictions.csv more_photos/
"""

from absl import flags

from tfl import cli

_WORKDIR = flags.DEFINE_string("workdir", None, "The folder of a finished run.", required=True)
_OUTPUT = flags.DEFINE_string("output", "", "A CSV file; the screen where it is empty.")


def main(argv: list[str]) -> None:
    from tfl.trained import predict_files

    predict_files(_WORKDIR.value, argv[1:], _OUTPUT.value)


if __name__ == "__main__":
    cli.run(main, takes_files=True)
