"""Export a model to several formats, use them all in one way, and certify that they agree with the trained model."""

from tfl.export.artefact import Artefact, load_artefact
from tfl.export.certificate import CertificateError, Limits, Product, Reference, certify
from tfl.export.format_table import FORMATS, register_format
from tfl.export.formats import build
from tfl.export.graph import freeze
from tfl.export.litert_file import write_litert
from tfl.export.onnx_file import write_onnx
from tfl.export.saved_model import write_saved_model

__all__ = [
    "FORMATS",
    "Artefact",
    "CertificateError",
    "Limits",
    "Product",
    "Reference",
    "build",
    "certify",
    "freeze",
    "load_artefact",
    "register_format",
    "write_litert",
    "write_onnx",
    "write_saved_model",
]
