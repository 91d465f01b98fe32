"""What to export and where to, checked without TensorFlow."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from etils import epath

from tfl.errors import InputError
from tfl.export.format_table import FORMATS, check_formats
from tfl.export.limits import Limits
from tfl.export.publish import read_certificate

MAX_IMAGES = 1000
DEFAULT_LIMITS = Limits()


@dataclasses.dataclass(frozen=True)
class ExportOptions:
    """What to export, and how far an export may differ from the trained model.

    Attributes:
        formats: any of "saved_model", "litert", "onnx", "keras", and formats of your own (`register_format`).
        quantize: the quantization of LiteRT: "none", "dynamic", "float16" or "int8".
        temperature: the divisor of the logits; 0: the temperature that the run fitted on validation, 1 if it fitted
            none.
        limits: the largest differences allowed; see `Limits`.
        max_images: the number of test images to compare, evenly spread; 0: all.

    Example:
        >>> options = ExportOptions(formats=["litert"], quantize="int8")
        >>> options.validate()
    """

    formats: Sequence[str] = FORMATS
    quantize: str = "none"
    temperature: float = 0.0
    limits: Limits = DEFAULT_LIMITS
    max_images: int = MAX_IMAGES

    def validate(self) -> None:
        """Check the options before anything slow starts.

        Raises:
            InputError: a format or quantization is unknown, or a number is out of range.
        """
        check_formats(self.formats, self.quantize)
        for name, value, rule in (
            ("temperature", self.temperature, self.temperature >= 0 and math.isfinite(self.temperature)),
            ("tolerance", self.limits.tolerance, self.limits.tolerance >= 0),
            ("max_images", self.max_images, self.max_images >= 0),
        ):
            if not rule:
                raise InputError(f"`{name}` must be at least 0. Received: {name}={value}.")
        if not 0 <= self.limits.min_agreement <= 1:
            raise InputError(f"`min_agreement` must be in [0, 1]. Received: min_agreement={self.limits.min_agreement}.")


def export_folder(workdir: epath.PathLike, output: epath.PathLike = "") -> epath.Path:
    """Return the folder for the exports of a run.

    Args:
        workdir: the folder of the run.
        output: the folder that the user wants; empty: `export` in the workdir.

    Raises:
        InputError: there is a file in its place.
    """
    folder = epath.Path(output).expanduser() if str(output) else epath.Path(workdir) / "export"
    if folder.exists() and not folder.is_dir():
        raise InputError(f"`output` must be a folder. Received: {str(folder)!r}, which is a file.")
    return folder


def certified_exports(folder: epath.PathLike) -> dict[str, Any]:
    """Return the certificate of a folder of exports.

    Raises:
        InputError: nothing was exported there, or certificate.json is not a certificate.
    """
    certificate = read_certificate(folder)
    if not certificate["artefacts"]:
        raise InputError(
            f"`output` must be a folder of exports. Received: {str(folder)!r}, which has no certified export."
        )
    return certificate
