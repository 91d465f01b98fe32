"""Pretrained networks: list them, build them, and find the points where they can be cut.

Each name is imported when it is first used, so that listing networks imports no TensorFlow.
"""

import importlib
from typing import TYPE_CHECKING, Any

from tfl.backbones.catalog import get_backbone_spec, list_backbones, register_backbone
from tfl.backbones.spec import BackboneSpec
from tfl.backbones.table import backbone_table

if TYPE_CHECKING:
    from tfl.backbones.stages import (
        HEAD_PREFIX,
        CutPoint,
        Stage,
        backbone_layers,
        backbone_output,
        find_cut_points,
        find_stages,
        head_layers,
    )
    from tfl.backbones.weights import build_backbone, weights_fingerprint

__all__ = [
    "HEAD_PREFIX",
    "BackboneSpec",
    "CutPoint",
    "Stage",
    "backbone_layers",
    "backbone_output",
    "backbone_table",
    "build_backbone",
    "find_cut_points",
    "find_stages",
    "get_backbone_spec",
    "head_layers",
    "list_backbones",
    "register_backbone",
    "weights_fingerprint",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "weights" if name in ("build_backbone", "weights_fingerprint") else "stages"
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)
