"""Explain predictions: the image regions that matter, similar training images, and examples worth a look."""

from tfl.explain.gradcam import grad_cam
from tfl.explain.nearest import nearest
from tfl.explain.occlusion import occlusion
from tfl.explain.overlay import overlay
from tfl.explain.selection import least_confident_hits, most_confident_errors, typical_examples

__all__ = [
    "grad_cam",
    "least_confident_hits",
    "most_confident_errors",
    "nearest",
    "occlusion",
    "overlay",
    "typical_examples",
]
