"""Export a finished run to one or more formats, and compare each exported file with the trained model.

python scripts/export.py --workdir=runs/photos --formats=saved_model,litert,onnx,keras
python scripts/export.py --workdir=runs/photos --formats=litert --quantize=int8
python scripts/export.py --workdir=runs/photos --verify
"""

from absl import flags

from tfl import cli

_WORKDIR = flags.DEFINE_string("workdir", None, "The folder of a finished run.", required=True)
_SOURCE = flags.DEFINE_string("source", "", "New place of the run's images if they were moved, as folder:PATH.")
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


def main(argv: list[str]) -> None:
    from tfl.export import Limits
    from tfl.runs.export import ExportOptions, export_workdir, verify_workdir

    limits = Limits(_TOLERANCE.value, _MIN_AGREEMENT.value)
    if _VERIFY.value:
        verify_workdir(_WORKDIR.value, _OUTPUT.value, limits=limits, source=_SOURCE.value)
        return
    options = ExportOptions(_FORMATS.value, _QUANTIZE.value, _TEMPERATURE.value, limits, _MAX_IMAGES.value)
    export_workdir(_WORKDIR.value, options, _OUTPUT.value, source=_SOURCE.value)


if __name__ == "__main__":
    cli.run(main)
