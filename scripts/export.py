"""Export a finished run to one or more formats, and compare each exported file with the trained model.

python scripts/export.py --workdir=runs/photos --formats=saved_model,litert,onnx,keras
python scripts/export.py --workdir=runs/photos --formats=litert --quantize=int8
python scripts/export.py --workdir=runs/photos --verify
"""

from absl import flags

from tfl import cli

_WORKDIR = flags.DEFINE_string("workdir", None, "The folder of a finished run.", required=True)
_SOURCE = flags.DEFINE_string("source", "", "Where the run's images were moved, as folder:PATH.")
_FORMATS = flags.DEFINE_list("formats", ["saved_model", "litert", "onnx", "keras"], "What is written.")
_QUANTIZE = flags.DEFINE_string("quantize", "none", "Of LiteRT: none, dynamic, float16 or int8.")
_OUTPUT = flags.DEFINE_string("output", "", "The folder; `export` in the workdir where it is empty.")
_TEMPERATURE = flags.DEFINE_float("temperature", 0.0, "Of the probabilities; 0: as fitted on validation, else 1.")
_TOLERANCE = flags.DEFINE_float("tolerance", 1e-5, "Largest difference of a probability, for float32.")
_MIN_AGREEMENT = flags.DEFINE_float("min_agreement", 0.99, "Smallest share of equal decisions, for quantized files.")
_MAX_IMAGES = flags.DEFINE_integer("max_images", 1000, "How many test images are compared; 0: all.")
_VERIFY = flags.DEFINE_bool("verify", False, "Hold what was exported against its certificate; write nothing.")


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
