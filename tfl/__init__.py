"""tfl: from a pretrained backbone and your own data to a model that you can trust and ship.

    import tfl

    config = tfl.TransferConfig(data=tfl.DataConfig(source="folder:photos"))
    result = tfl.transfer(config, "runs/photos")
    print(result.metrics["test"]["accuracy"])

`import tfl` imports no TensorFlow, touches no device and downloads nothing: each name is fetched from its
room when it is first used (PEP 562).
"""

import importlib
import sys
import types
from typing import TYPE_CHECKING, Any

from tfl.keras_settings import check_keras_settings

if TYPE_CHECKING:  # what a type checker and an editor read; at run time `_ROOMS` says the same
    from tfl.backbones import build_backbone as build_backbone
    from tfl.backbones import find_cut_points as find_cut_points
    from tfl.backbones import find_stages as find_stages
    from tfl.backbones import get_backbone_spec as get_backbone_spec
    from tfl.backbones import list_backbones as list_backbones
    from tfl.comparing import compare_runs as compare_runs
    from tfl.config import BackboneConfig as BackboneConfig
    from tfl.config import CheckpointConfig as CheckpointConfig
    from tfl.config import DataConfig as DataConfig
    from tfl.config import FeaturesConfig as FeaturesConfig
    from tfl.config import FinetuneConfig as FinetuneConfig
    from tfl.config import HeadConfig as HeadConfig
    from tfl.config import PretrainConfig as PretrainConfig
    from tfl.config import ProbeConfig as ProbeConfig
    from tfl.config import ScratchConfig as ScratchConfig
    from tfl.config import TransferConfig as TransferConfig
    from tfl.data import EpochFeed as EpochFeed
    from tfl.data import load_data as load_data
    from tfl.data import make_dataset as make_dataset
    from tfl.errors import ContractError as ContractError
    from tfl.errors import InputError as InputError
    from tfl.evaluation import compare_predictions as compare_predictions
    from tfl.evaluation import evaluate as evaluate
    from tfl.evaluation import fit_conformal as fit_conformal
    from tfl.evaluation import fit_temperature as fit_temperature
    from tfl.evaluation import predict as predict
    from tfl.evaluation import read_predictions as read_predictions
    from tfl.explain import grad_cam as grad_cam
    from tfl.explain import occlusion as occlusion
    from tfl.explain import overlay as overlay
    from tfl.export import Artefact as Artefact
    from tfl.export import load_artefact as load_artefact
    from tfl.exporting import ExportOptions as ExportOptions
    from tfl.exporting import export_workdir as export_workdir
    from tfl.exporting import verify_workdir as verify_workdir
    from tfl.extraction import extract_features as extract_features
    from tfl.features import Extractor as Extractor
    from tfl.features import FeatureStore as FeatureStore
    from tfl.features import choose_head as choose_head
    from tfl.features import cross_validate_head as cross_validate_head
    from tfl.features import solve_head as solve_head
    from tfl.models import HeadSpec as HeadSpec
    from tfl.models import Metadata as Metadata
    from tfl.models import build_classifier as build_classifier
    from tfl.models import freeze as freeze
    from tfl.models import load_model as load_model
    from tfl.models import regularize as regularize
    from tfl.models import save_model as save_model
    from tfl.models import unfreeze as unfreeze
    from tfl.report import remake_report as remake_report
    from tfl.trained import evaluate_workdir as evaluate_workdir
    from tfl.training import compile as compile
    from tfl.training import fit as fit
    from tfl.training import make_loss as make_loss
    from tfl.training import make_optimizer as make_optimizer
    from tfl.training import make_schedule as make_schedule
    from tfl.transfer import TransferResult as TransferResult
    from tfl.transfer import transfer as transfer

__version__ = "0.1.0"

_ROOMS = {
    "tfl.backbones": "build_backbone find_cut_points find_stages get_backbone_spec list_backbones",
    "tfl.comparing": "compare_runs",
    "tfl.config": "BackboneConfig CheckpointConfig DataConfig FeaturesConfig FinetuneConfig HeadConfig PretrainConfig "
    "ProbeConfig ScratchConfig TransferConfig",
    "tfl.data": "EpochFeed load_data make_dataset",
    "tfl.errors": "ContractError InputError",
    "tfl.evaluation": "compare_predictions evaluate fit_conformal fit_temperature predict read_predictions",
    "tfl.export": "Artefact load_artefact",
    "tfl.exporting": "ExportOptions export_workdir verify_workdir",
    "tfl.explain": "grad_cam occlusion overlay",
    "tfl.extraction": "extract_features",
    "tfl.features": "Extractor FeatureStore choose_head cross_validate_head solve_head",
    "tfl.models": "HeadSpec Metadata build_classifier freeze load_model regularize save_model unfreeze",
    "tfl.report": "remake_report",
    "tfl.training": "compile fit make_loss make_optimizer make_schedule",
    "tfl.trained": "evaluate_workdir",
    "tfl.transfer": "TransferResult transfer",
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names.split()}
__all__ = sorted(_ROOM_OF)


def __getattr__(name: str) -> Any:
    if name not in _ROOM_OF:
        raise AttributeError(f"module 'tfl' has no attribute {name!r}")
    check_keras_settings()
    value = getattr(importlib.import_module(_ROOM_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_ROOM_OF})


class _Package(types.ModuleType):
    """Python binds a submodule to its name in the package; `tfl.transfer` must stay the function."""

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, types.ModuleType) and _ROOM_OF.get(name) == value.__name__:
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
