"""Export a model to several formats, use them all in one way, and certify that they agree with the trained model.

Each name is imported when it is first used: the modules that check names and files import no TensorFlow.
"""
# ruff: noqa: F401

from etils import epy

with epy.lazy_api_imports(globals()):
    from tfl.export.artefact import Artefact, load_artefact
    from tfl.export.certificate import Product, Reference, certify
    from tfl.export.format_table import FORMATS, register_format
    from tfl.export.formats import build
    from tfl.export.graph import freeze
    from tfl.export.limits import CertificateError, Limits
    from tfl.export.litert_file import write_litert
    from tfl.export.onnx_file import write_onnx
    from tfl.export.saved_model import write_saved_model
