"""A small HTTP service for a trained model: the REST API of TensorFlow Serving, micro-batching, and a web page."""

from tfl.serving.options import ServeOptions
from tfl.serving.server import open_server

__all__ = ["ServeOptions", "open_server"]
