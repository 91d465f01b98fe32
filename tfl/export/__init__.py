"""Shipped formats, one way to use them all, and the certificate that they say the same as the trained model."""

from tfl.export.artefact import Artefact, load_artefact
from tfl.export.saved_model import write_saved_model

__all__ = ["Artefact", "load_artefact", "write_saved_model"]
