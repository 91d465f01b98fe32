"""Export a finished run to one or more formats, and compare each exported file with the trained model.

tfl export runs/photos --formats=saved_model,litert,onnx,keras
tfl export runs/photos --formats=litert --quantize=int8
tfl export runs/photos --verify
"""

from absl import flags

from tfl import cli
from tfl.commands import places
from tfl.export.format_table import FORMATS, QUANTIZATIONS
from tfl.export.limits import MIN_AGREEMENT, TOLERANCE, Limits
from tfl.files.existing import check_source
from tfl.runs.checks import MODEL, PREDICTIONS, SPLITS
from tfl.runs.export_options import MAX_IMAGES, ExportOptions, certified_exports, export_folder

_WORKDIR = flags.DEFINE_string("workdir", None, "The folder of a finished run; it may also stand without --workdir=.")
_SOURCE = flags.DEFINE_string("source", "", "New place of the run's images if they were moved, as a folder.")
_FORMATS = flags.DEFINE_list("formats", list(FORMATS), "The formats to write.")
_QUANTIZE = flags.DEFINE_string("quantize", "none", f"Quantization of LiteRT files: {', '.join(QUANTIZATIONS)}.")
_OUTPUT = flags.DEFINE_string("output", "", "The folder for the exports; empty: `export` in the workdir.")
_TEMPERATURE = flags.DEFINE_float(
    "temperature", 0.0, "Temperature of the probabilities; 0: the one fitted on the validation split, or 1 without one."
)
_TOLERANCE = flags.DEFINE_float(
    "tolerance", TOLERANCE, "Largest difference of a probability in float32 files; of maps ten times as much."
)
_MIN_AGREEMENT = flags.DEFINE_float(
    "min_agreement",
    MIN_AGREEMENT,
    "Smallest share of test images, or of the positions of maps, on which quantized files decide as the model does.",
)
_MAX_IMAGES = flags.DEFINE_integer("max_images", MAX_IMAGES, "How many test images are compared; 0: all.")
_VERIFY = flags.DEFINE_bool("verify", False, "Check existing exports against their certificate; write nothing.")


def check(argv: list[str]) -> None:
    """Refuse formats that cannot be written, what is no finished run, and a source that does not exist."""
    run = places.finished_run(argv[1:], _WORKDIR.value, MODEL, PREDICTIONS, SPLITS)
    check_source(places.other_source(_SOURCE.value), "source")
    folder = export_folder(run.path, _OUTPUT.value)
    if _VERIFY.value:
        certified_exports(folder)
    else:
        _options().validate()


def main(argv: list[str]) -> None:
    """Write or verify the exports."""
    from tfl.runs.export import export_workdir, verify_workdir

    workdir, source = places.the_one(argv[1:], _WORKDIR.value, "workdir"), places.other_source(_SOURCE.value)
    options = _options()
    if _VERIFY.value:
        verify_workdir(workdir, _OUTPUT.value, limits=options.limits, source=source)
        return
    export_workdir(workdir, options, _OUTPUT.value, source=source)


def run() -> None:
    """Run the command with the words of `sys.argv`."""
    cli.run(main, check=check, takes_files=True)


def _options() -> ExportOptions:
    limits = Limits(_TOLERANCE.value, _MIN_AGREEMENT.value)
    return ExportOptions(_FORMATS.value, _QUANTIZE.value, _TEMPERATURE.value, limits, _MAX_IMAGES.value)
