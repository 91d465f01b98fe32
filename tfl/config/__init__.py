"""The options of a run, each with its rule and its help, and the rules between options."""

from tfl.config.moved import move_flags, move_options
from tfl.config.option import absolute_paths
from tfl.config.paths import (
    MAY_DIFFER,
    check_option,
    differing_options,
    flatten,
    value_of,
)
from tfl.config.recipes import folder_recipe, source_of
from tfl.config.sections import (
    AUGMENTATIONS,
    BATCH_NORMS,
    FOLD_RULES,
    OPTIMIZERS,
    POOLINGS,
    RUNTIMES,
    SCHEDULES,
    TARGETS,
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
    TaskConfig,
)
from tfl.config.transfer import TransferConfig
from tfl.config.values import (
    PYTHON_DATA,
    validate_source,
    validate_split,
)

__all__ = [
    "AUGMENTATIONS",
    "BATCH_NORMS",
    "FOLD_RULES",
    "MAY_DIFFER",
    "OPTIMIZERS",
    "POOLINGS",
    "PYTHON_DATA",
    "RUNTIMES",
    "SCHEDULES",
    "TARGETS",
    "BackboneConfig",
    "CheckpointConfig",
    "DataConfig",
    "FeaturesConfig",
    "FinetuneConfig",
    "HeadConfig",
    "PretrainConfig",
    "ProbeConfig",
    "ReportConfig",
    "ScratchConfig",
    "TaskConfig",
    "TransferConfig",
    "absolute_paths",
    "check_option",
    "differing_options",
    "flatten",
    "folder_recipe",
    "move_flags",
    "move_options",
    "source_of",
    "validate_source",
    "validate_split",
    "value_of",
]
