"""Predict the classes of photos: CSV with path, class, probability and the five most probable classes.

The model is a finished run, or an export of it: .keras, .tflite, .onnx or a SavedModel folder.

tfl predict runs/photos holiday.jpg more_photos/
tfl predict --model=runs/photos/export/model.tflite --output=predictions.csv more_photos/
"""

from absl import flags

from tfl import cli
from tfl.commands import places
from tfl.errors import InputError
from tfl.export.model_files import find_format
from tfl.runs.checks import check_output

_MODEL = flags.DEFINE_string("model", "", "A finished run, or an exported model of any format; else the first word.")
_WORKDIR = flags.DEFINE_string("workdir", "", "Another name for --model.")
_OUTPUT = flags.DEFINE_string("output", "", "A CSV file for the predictions; empty: the screen.")


def check(argv: list[str]) -> None:
    """Refuse what is no model, before TensorFlow is imported."""
    model, files = _asked(argv)
    find_format(model)
    places.check_files(files)
    check_output(_OUTPUT.value)


def main(argv: list[str]) -> None:
    """Predict the files."""
    from tfl.runs.predict import predict_files

    predict_files(*_asked(argv), _OUTPUT.value)


def run() -> None:
    """Run the command with the words of `sys.argv`."""
    cli.run(main, check=check, takes_files=True)


def _asked(argv: list[str]) -> tuple[str, list[str]]:
    """Return the model and the files: the first word is the model if no flag names one."""
    model, files = _MODEL.value or _WORKDIR.value, argv[1:]
    if (_MODEL.value and _WORKDIR.value) or not (model or files):
        received = f"--model={_MODEL.value} --workdir={_WORKDIR.value}"
        raise InputError(f"`model` must be given once, as --model or as --workdir. Received: {received}.")
    return (model, files) if model else (files[0], files[1:])
