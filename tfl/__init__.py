"""tfl: train a model that you can trust and ship, from a pretrained backbone and your own data.

    import tfl

    config = tfl.TransferConfig(data=tfl.DataConfig(source="folder:photos"))
    result = tfl.transfer(config, "runs/photos")
    print(result.metrics["test"]["accuracy"])

`import tfl` imports no TensorFlow, uses no device and downloads nothing: each name is imported from its
package when it is first used.
"""
# ruff: noqa: F401

from typing import TYPE_CHECKING, Any

from etils import epy

from tfl.keras_settings import check_keras_settings
from tfl.version import VERSION

with epy.lazy_api_imports(globals()):
    from tfl.backbones.catalog import get_backbone_spec, list_backbones
    from tfl.backbones.stages import find_cut_points, find_stages
    from tfl.backbones.weights import build_backbone
    from tfl.config import (
        BackboneConfig,
        CheckpointConfig,
        DataConfig,
        FeaturesConfig,
        FinetuneConfig,
        HeadConfig,
        PretrainConfig,
        ProbeConfig,
        ReportConfig,
        ScratchConfig,
        SegmentationConfig,
        TaskConfig,
        TransferConfig,
    )
    from tfl.data import EpochFeed, Splits, load_data, make_dataset
    from tfl.errors import BadExampleError, BadImageError, ContractError, InputError, StoppedError, WorkerLostError
    from tfl.estimators import TransferClassifier, TransferRegressor
    from tfl.evaluation import (
        Predictions,
        compare_predictions,
        evaluate,
        fit_conformal,
        fit_temperature,
        predict,
        read_predictions,
    )
    from tfl.explain import grad_cam, occlusion, overlay
    from tfl.export import Artefact, load_artefact
    from tfl.features import Extractor, FeatureStore, View, choose_head, cross_validate_head, solve_head
    from tfl.models import (
        HeadSpec,
        Metadata,
        build_classifier,
        freeze,
        load_model,
        regularize,
        save_model,
        unfreeze,
    )
    from tfl.recipe.audit import audit_data
    from tfl.recipe.convert import convert_data
    from tfl.recipe.extraction import extract_features
    from tfl.recipe.finished import TransferResult, load_run
    from tfl.recipe.next_labels import choose_next_labels
    from tfl.recipe.pretrain import PretrainResult, pretrain
    from tfl.recipe.preview import preview_data
    from tfl.recipe.ranking import rank_backbones
    from tfl.recipe.search import SearchResult, search_options
    from tfl.recipe.source_sizes import SourceSizes, measure_source_sizes
    from tfl.recipe.study import run_study
    from tfl.recipe.transfer import transfer
    from tfl.recipe.update import update_run
    from tfl.recipe.value import ValueResult, measure_value
    from tfl.recipes import load_recipe
    from tfl.report import remake_report
    from tfl.runs.compare import compare_runs
    from tfl.runs.evaluate import evaluate_workdir
    from tfl.runs.export import export_workdir, verify_workdir
    from tfl.runs.export_options import ExportOptions
    from tfl.runs.predict import predict_files
    from tfl.runs.study import StudyResult, load_study
    from tfl.selection.next_labels import NextLabels
    from tfl.training import (
        CheckpointOptions,
        FitOptions,
        compile,
        fit,
        make_loss,
        make_optimizer,
        make_schedule,
    )

__version__ = VERSION
__all__ = sorted(set(globals()["__dir__"]()) - set(globals()))  # the names above: they are not in globals()

if not TYPE_CHECKING:  # a type checker reads the imports above
    _import_name = globals()["__getattr__"]

    def __getattr__(name: str) -> Any:
        if name in __all__:  # not for scripts: they import `tfl.cli` only, which prints the error as one line
            check_keras_settings()  # before the import of Keras, which reads them only once
        value = _import_name(name)
        globals()[name] = value  # the next access neither imports nor reads the settings
        return value

    def __dir__() -> list[str]:
        return [*__all__, "__version__"]
