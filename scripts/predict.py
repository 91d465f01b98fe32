"""Predict the classes of photos: CSV with path, class, probability and the five most probable classes.

The model is a finished run, or an export of it from scripts/export.py: .keras, .tflite, .onnx or a SavedModel folder.

python scripts/predict.py --model=runs/photos holiday.jpg more_photos/
python scripts/predict.py --model=runs/photos/export/model.tflite --output=predictions.csv more_photos/
"""

from absl import flags

from tfl import cli

_MODEL = flags.DEFINE_string("model", "", "A finished run, or an exported model of any format.")
_WORKDIR = flags.DEFINE_string("workdir", "", "Another name for --model.")
_OUTPUT = flags.DEFINE_string("output", "", "A CSV file for the predictions; empty: the screen.")


def main(argv: list[str]) -> None:
    from tfl.errors import InputError
    from tfl.runs.predict import predict_files

    if bool(_MODEL.value) == bool(_WORKDIR.value):
        received = f"--model={_MODEL.value} --workdir={_WORKDIR.value}"
        raise InputError(f"`model` must be given once, as --model or as --workdir. Received: {received}.")
    predict_files(_MODEL.value or _WORKDIR.value, argv[1:], _OUTPUT.value)


if __name__ == "__main__":
    cli.run(main, takes_files=True)
