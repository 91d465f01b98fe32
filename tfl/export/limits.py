"""How far an exported file may differ from the trained model."""

import dataclasses

from tfl.errors import InputError

TOLERANCE, MIN_AGREEMENT = 1e-5, 0.99


class CertificateError(InputError):
    """An artefact differs from the trained model; the message says in one line by how much."""


@dataclasses.dataclass(frozen=True)
class Limits:
    """How far an artefact may differ from the trained model.

    Attributes:
        tolerance: the largest allowed difference of a probability, for float32 artefacts. For regression: of a value,
            divided by the largest value if that is above 1. Other kernels sum in another order, which changes the
            last digits of float32; 1e-5 is ten times the usual difference. A map has thousands of positions, so the
            largest of their differences may be ten times as large as this limit.
        min_agreement: the smallest allowed share of images with the same decision, for quantized artefacts, in [0, 1];
            for maps of positions with the same class, in the mean over the images.
    """

    tolerance: float = TOLERANCE
    min_agreement: float = MIN_AGREEMENT
