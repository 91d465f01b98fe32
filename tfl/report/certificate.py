"""The certificate of the exported files: its content, with types, and its table."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from tfl.evaluation.rows import from_json
from tfl.report.blocks import Table
from tfl.report.wording import figure, spoken

NUMBERS = ("max_difference", "agreement", "accuracy", "mean_iou", "ap", "num_images")
OF_SOME_TASKS = ("accuracy", "mean_iou", "ap")  # columns that are left out if no file has the number


@dataclasses.dataclass(frozen=True, kw_only=True)
class CertifiedFile:
    """One exported file, compared with the trained model. Entries that are not recorded are None.

    Attributes:
        name: its name.
        quantize: its quantization; empty for none.
        max_difference: the largest difference of its outputs.
        agreement: the share of images with the same prediction.
        accuracy: its accuracy on these images.
        mean_iou: the mean IoU of its masks with the true masks of these images.
        ap: the average precision of its boxes.
        num_images: the number of images.
        bytes: its size.
        failures: the rules that it broke; a file that broke one is listed, but was not kept.
    """

    name: str
    quantize: str = ""
    max_difference: float | None = None
    agreement: float | None = None
    accuracy: float | None = None
    mean_iou: float | None = None
    ap: float | None = None
    num_images: int | None = None
    bytes: int | None = None
    failures: tuple[str, ...] = ()


def read_certified(certificate: Mapping[str, Any]) -> tuple[CertifiedFile, ...]:
    """Return the files in the content of `export/certificate.json`, those that were not kept last."""
    entries = {**certificate.get("artefacts", {}), **certificate.get("rejected", {})}
    return tuple(from_json(CertifiedFile, {**entry, "name": name}) for name, entry in entries.items())


def certificate_table(files: Sequence[CertifiedFile], examples: str) -> Table:
    """Return the table of the exported files, one row for each.

    Args:
        files: the exported files.
        examples: the word for examples.
    """
    numbers = [name for name in NUMBERS if name not in OF_SOME_TASKS or any(getattr(file, name) for file in files)]
    rows = [
        [
            file.name,
            file.quantize,
            *(figure(getattr(file, number)) for number in numbers),
            figure(None) if file.bytes is None else f"{file.bytes / 1e6:.1f} MB",
            "; ".join(file.failures) or "passed",
        ]
        for file in files
    ]
    names = (spoken(name.replace("images", examples)) for name in numbers)
    columns = ["file", "quantized", *names, "size", "verdict"]
    return Table("The certificate of every exported file", columns, rows)
