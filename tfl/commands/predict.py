"""Predict the classes of photos: CSV with path, class, probability and the most probable classes.

The model is a finished run, or an export of it: .keras, .tflite, .onnx or a SavedModel folder.

The exit code is 1 if some of the files had no answer. A warning says for each of them why; the others are in the CSV.

tfl predict runs/photos holiday.jpg more_photos/
tfl predict runs/photos --top=3 more_photos/
tfl predict runs/streets --masks=masks street.jpg
tfl predict runs/objects --coco=boxes.json photos/
tfl predict --model=runs/photos/export/model.tflite --output=predictions.csv more_photos/
"""

from absl import flags

from tfl import cli
from tfl.commands import places
from tfl.errors import IncompleteError, InputError
from tfl.export.model_files import find_format
from tfl.runs import TOP
from tfl.runs.checks import check_folder, check_output

_MODEL = flags.DEFINE_string("model", "", "A finished run, or an exported model of any format; else the first word.")
_WORKDIR = flags.DEFINE_string("workdir", "", "Another name for --model.")
_TOP = flags.DEFINE_integer("top", TOP, "Classes in the last column, the most probable ones.", lower_bound=1)
_OUTPUT = flags.DEFINE_string("output", "", "A CSV file for the predictions; empty: the screen.")
_MASKS = flags.DEFINE_string(
    "masks", "", "A folder for the mask of each image, a PNG with class numbers; segmentation only. Empty: no masks."
)
_COCO = flags.DEFINE_string(
    "coco", "", "A JSON file for the boxes of all images, as COCO has them; detection only. Empty: no file."
)


def check(argv: list[str]) -> None:
    """Refuse what is no model, before TensorFlow is imported."""
    model, files = _asked(argv)
    find_format(model)
    places.check_files(files)
    check_output(_OUTPUT.value)
    check_output(_COCO.value, "coco")
    check_folder(_MASKS.value)


def main(argv: list[str]) -> None:
    """Predict the files."""
    from tfl.runs.predict import write_answers

    model, files = _asked(argv)
    _, predicted = write_answers(model, files, _OUTPUT.value, _TOP.value, masks=_MASKS.value, coco=_COCO.value)
    if predicted.num_left_out:
        total = len(predicted.paths) + predicted.num_left_out
        raise IncompleteError(f"{predicted.num_left_out} of {total} files had no answer; the warnings say why.")


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
