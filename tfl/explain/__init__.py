"""Explain predictions: the image regions that matter, similar training images, and examples worth a look."""

from tfl.explain.gradcam import grad_cam
from tfl.explain.nearest import nearest
from tfl.explain.occlusion import occlusion
from tfl.explain.overlay import overlay
from tfl.explain.selection import least_certain_hits, most_certain_errors, typical_examples

__all__ = [
    "grad_cam",
    "least_certain_hits",
    "most_certain_errors",
    "nearest",
    "occlusion",
    "overlay",
    "typical_examples",
]
