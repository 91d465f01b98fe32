"""The options of a run, each with its rule and its help, and the rules between options."""

from tfl.config.data_section import DataConfig
from tfl.config.moved import move_flags, move_options
from tfl.config.names import (
    AUGMENTATIONS,
    BATCH_NORMS,
    FOLD_RULES,
    NO_TRACKER,
    OPTIMIZERS,
    POOLINGS,
    RUNTIMES,
    SAMPLINGS,
    SCHEDULES,
    SUPERVISED,
    TARGETS,
    TRACKERS,
)
from tfl.config.option import absolute_paths
from tfl.config.paths import (
    MAY_DIFFER,
    check_option,
    differing_options,
    flatten,
    nearest_option,
    set_options,
    value_of,
)
from tfl.config.sections import (
    BackboneConfig,
    CheckpointConfig,
    FeaturesConfig,
    FinetuneConfig,
    HeadConfig,
    PretrainConfig,
    ProbeConfig,
    ReportConfig,
    ScratchConfig,
    TaskConfig,
)
from tfl.config.short import SHORT_NAMES, long_flags
from tfl.config.transfer import OF_TARGET, TransferConfig, data_of_pretraining
from tfl.config.values import (
    PYTHON_DATA,
    validate_source,
    validate_split,
    validate_window,
)

__all__ = [
    "AUGMENTATIONS",
    "BATCH_NORMS",
    "FOLD_RULES",
    "MAY_DIFFER",
    "NO_TRACKER",
    "OF_TARGET",
    "OPTIMIZERS",
    "POOLINGS",
    "PYTHON_DATA",
    "RUNTIMES",
    "SAMPLINGS",
    "SCHEDULES",
    "SHORT_NAMES",
    "SUPERVISED",
    "TARGETS",
    "TRACKERS",
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
    "data_of_pretraining",
    "differing_options",
    "flatten",
    "long_flags",
    "move_flags",
    "move_options",
    "nearest_option",
    "set_options",
    "validate_source",
    "validate_split",
    "validate_window",
    "value_of",
]
