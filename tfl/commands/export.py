"""Export a finished run to one or more formats, and compare each exported file with the trained model.

tfl export runs/photos --formats=saved_model,litert,onnx,keras
tfl export runs/photos --formats=litert --quantize=int8
tfl export runs/photos --verify
"""

from absl import flags

from tfl import cli
from tfl.commands import places
from tfl.files.existing import check_source

_WORKDIR = flags.DEFINE_string("workdir", None, "The folder of a finished run; it may also stand without --workdir=.")
_SOURCE = flags.DEFINE_string("source", "", "New place of the run's images if they were moved, as a folder.")
_FORMATS = flags.DEFINE_list("formats", ["saved_model", "litert", "onnx", "keras"], "The formats to write.")
_QUANTIZE = flags.DEFINE_string("quantize", "none", "Quantization of LiteRT files: none, dynamic, float16 or int8.")
_OUTPUT = flags.DEFINE_string("output", "", "The folder for the exports; empty: `export` in the workdir.")
_TEMPERATURE = flags.DEFINE_float(
    "temperature", 0.0, "Temperature of the probabilities; 0: the one fitted on the validation split, or 1 without one."
)
_TOLERANCE = flags.DEFINE_float("tolerance", 1e-5, "Largest difference of a probability in float32 files.")
_MIN_AGREEMENT = flags.DEFINE_float(
    "min_agreement", 0.99, "Smallest share of test images on which quantized files decide as the model does."
)
_MAX_IMAGES = flags.DEFINE_integer("max_images", 1000, "How many test images are compared; 0: all.")
_VERIFY = flags.DEFINE_bool("verify", False, "Check existing exports against their certificate; write nothing.")


def check(argv: list[str]) -> None:
    """Refuse what is no finished run, and a source that does not exist, before TensorFlow is imported."""
    places.finished_run(argv[1:], _WORKDIR.value)
    check_source(places.other_source(_SOURCE.value), "source")


def main(argv: list[str]) -> None:
    """Write or verify the exports."""
    from tfl.export import Limits
    from tfl.runs.export import ExportOptions, export_workdir, verify_workdir

    workdir, source = places.the_one(argv[1:], _WORKDIR.value, "workdir"), places.other_source(_SOURCE.value)
    limits = Limits(_TOLERANCE.value, _MIN_AGREEMENT.value)
    if _VERIFY.value:
        verify_workdir(workdir, _OUTPUT.value, limits=limits, source=source)
        return
    options = ExportOptions(_FORMATS.value, _QUANTIZE.value, _TEMPERATURE.value, limits, _MAX_IMAGES.value)
    export_workdir(workdir, options, _OUTPUT.value, source=source)


def run() -> None:
    """Run the command with the words of `sys.argv`."""
    cli.run(main, check=check, takes_files=True)
