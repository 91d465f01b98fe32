"""JSON Schemas (draft 2020-12) of the JSON files in a workdir: types, ranges and required entries.

Further entries are allowed, because an older or a newer version may have written the file. Rules between two values
are checked in the code that knows both.
"""

from collections.abc import Mapping, Sequence
from typing import Any

Schema = dict[str, Any]

NUMBER = {"type": "number"}
SHARE = {"type": "number", "minimum": 0, "maximum": 1}
SHARE_OR_NONE = {"type": ["number", "null"], "minimum": 0, "maximum": 1}
NUMBER_OR_NONE = {"type": ["number", "null"]}
SIZE = {"type": "number", "minimum": 0}
SIZE_OR_NONE = {"type": ["number", "null"], "minimum": 0}
POSITIVE = {"type": "number", "exclusiveMinimum": 0}
COUNT = {"type": "integer", "minimum": 0}
CORRELATION = {"type": "number", "minimum": -1, "maximum": 1}
TEXT = {"type": "string"}
FILE_NAME = {"pattern": r"^(?!\.{1,2}$)[^/\\]+$"}  # a path could name a file outside of the folder, to be deleted


def _object(properties: Mapping[str, Schema], required: Sequence[str] = (), **more: Any) -> Schema:
    return {"type": "object", "properties": properties, "required": list(required), **more}


def _objects_of(values: Schema) -> Schema:
    return {"type": "object", "additionalProperties": values}


def _list_of(items: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": items, **more}


_INTERVAL = _list_of(NUMBER, minItems=2, maxItems=2)
_SCORES = _object(
    {
        "num_examples": COUNT,
        "loss": SIZE,
        "cohen_kappa": CORRELATION,
        "pearson": CORRELATION,
        "spearman": CORRELATION,
        "r2": {"type": "number", "maximum": 1},
    },
    ["num_examples", "loss"],
    patternProperties={"(accuracy|f1|roc_auc|average_precision)$": SHARE, "_error$": SIZE},
    additionalProperties=NUMBER,
)
_PROBE = _object(
    {
        "l2": POSITIVE,
        "path": _list_of(_object({"l2": POSITIVE, "validation_loss": SIZE}, ["l2", "validation_loss"])),
        "validation": _SCORES,
        "test": _SCORES,
    },
    ["l2", "validation"],
)
_FINETUNE = _object(
    {"unfrozen": TEXT, "trainable_parameters": COUNT, "validation": _SCORES, "test": _SCORES},
    ["unfrozen", "trainable_parameters", "validation"],
)
_DIFFERENCE = _object(dict.fromkeys(("first", "second", "difference", "low", "high"), NUMBER))
_CONTRACT = _object({"examples": COUNT, "frozen_variables": COUNT, "frozen_changed": COUNT, "skipped_steps": COUNT})
_KEPT = {"enum": ["probe", "finetune", "random weights"]}

_SPEED = ("wait", "start", "per_example")
SPEED = _object(dict.fromkeys(_SPEED, SIZE), _SPEED)
METRICS = _object(
    {
        "test": _SCORES,
        "validation": _SCORES,
        "intervals": _objects_of(_INTERVAL),
        "num_groups": COUNT,
        "calibration": _object(
            {"temperature": POSITIVE, "ece_before": SHARE, "ece_after": SHARE, "ece_by_chance": SHARE}
        ),
        "kept": _KEPT,
        "choice": _object(
            {
                "finetune": SIZE,
                "probe": SIZE,
                "difference": NUMBER,
                "low": NUMBER,
                "high": NUMBER,
                "num_examples": COUNT,
            }
        ),
        "num_examples": _object(dict.fromkeys(("train", "validation", "test"), COUNT), ["train", "validation", "test"]),
        "phases": _object({"probe": _PROBE, "finetune": _FINETUNE}, additionalProperties=False),
        "contract": _objects_of(_CONTRACT),
        "comparison": _objects_of({**_SCORES, "required": []}),
        "baseline": _object(
            {"method": TEXT, "test": _SCORES, "intervals": _objects_of(_INTERVAL), "difference": _DIFFERENCE},
            ["method", "test"],
        ),
    },
    ["test", "validation", "kept", "num_examples", "phases", "contract"],
)  # metrics.json

_QUALITY = _object(
    {
        "num_examples": COUNT,
        "dimensions": COUNT,
        "effective_rank": SIZE,
        "spread": SHARE,
        **dict.fromkeys(("accuracy", "low", "high"), SHARE_OR_NONE),
    },
    ["num_examples", "dimensions", "effective_rank", "spread"],
)
PRETRAINED = _object(
    {"loss": NUMBER, "collapsed": {"type": "boolean"}, "epochs": COUNT, "before": _QUALITY, "after": _QUALITY},
    ["loss", "collapsed", "epochs", "before", "after"],
)  # metrics.json of pre-training without labels

_OVER_SEEDS = {"mean": NUMBER, "standard_deviation": SIZE_OR_NONE, "low": NUMBER_OR_NONE, "high": NUMBER_OR_NONE}
_SEED = {"type": "integer", "minimum": 0}
STUDY = _object(
    {
        "metric": TEXT,
        **_OVER_SEEDS,
        "seeds": _list_of(_SEED, minItems=2, uniqueItems=True),
        "runs": _list_of(
            _object(
                {
                    "seed": _SEED,
                    "folder": FILE_NAME,
                    "kept": _KEPT,
                    "low": NUMBER_OR_NONE,
                    "high": NUMBER_OR_NONE,
                    "test": _SCORES,
                    "examples": _objects_of(TEXT),
                },
                ["seed", "kept", "low", "high", "test", "examples"],
            ),
            minItems=1,
        ),
        "same_examples": _objects_of({"type": "boolean"}),
        "metrics": _objects_of(_object(_OVER_SEEDS)),
        "config": {"type": "object"},
    },
    ["seeds", "runs", "config"],
)  # study.json

_CALIBRATION = _object(
    {
        "ece": SHARE,
        "ece_by_chance": SHARE,
        "ece_by_chance_high": SHARE,
        "adaptive_ece": SHARE,
        "loss": SIZE,
        "bins": _list_of(
            _object({"count": COUNT, **dict.fromkeys(("low", "high"), SHARE),
                     **dict.fromkeys(("confidence", "accuracy"), SHARE_OR_NONE)}, ["count", "confidence", "accuracy"])
        ),
    },
    ["ece", "ece_by_chance", "bins"],
)  # fmt: skip
_SELECTIVE = _object(
    {
        "threshold": SHARE,
        **dict.fromkeys(("validation_coverage", "validation_accuracy"), SHARE),
        "coverage": SHARE,
        **dict.fromkeys(("coverage_low", "coverage_high", "accuracy", "low", "high"), SHARE_OR_NONE),
    },
    ["threshold", "coverage", "accuracy"],
)
_THRESHOLD = _object(
    {
        "class": TEXT,
        "precision": SHARE,
        **dict.fromkeys(("threshold", "recall", "test_precision", "low", "high", "test_recall"), SHARE_OR_NONE),
    },
    ["class", "precision", "threshold"],
)
_CONFORMAL = _object(
    {
        **dict.fromkeys(("coverage", "test_coverage"), SHARE),
        **dict.fromkeys(("low", "high"), SHARE_OR_NONE),
        **dict.fromkeys(("threshold", "mean_set_size"), SIZE_OR_NONE),
    },
    ["coverage", "test_coverage", "threshold", "mean_set_size"],
)

EVALUATION = _object(
    {
        "temperature": POSITIVE,
        "headline": TEXT,
        "test": _SCORES,
        "intervals": _objects_of(_INTERVAL),
        "num_groups": COUNT,
        "per_class": _list_of(
            _object(
                {
                    "class": TEXT,
                    "support": COUNT,
                    **dict.fromkeys(("precision", "recall", "f1", "roc_auc", "average_precision"), SHARE_OR_NONE),
                },
                ["class", "support"],
            )
        ),
        "absent_classes": _list_of(TEXT),
        "confusion_matrix": _list_of(_list_of(COUNT)),
        "calibration": _object({"before": _CALIBRATION, "after": _CALIBRATION}, ["before", "after"]),
        "decisions": _object(
            {
                "selective": _list_of(_SELECTIVE),
                "dont_know": _SELECTIVE,
                "precision_thresholds": _list_of(_THRESHOLD),
                "conformal": _list_of(_CONFORMAL),
            }
        ),
        "slices": _objects_of(
            _list_of(
                _object(
                    {
                        "slice": TEXT,
                        "num_examples": COUNT,
                        "accuracy": SHARE,
                        "mean_absolute_error": SIZE,
                        **dict.fromkeys(("low", "high"), NUMBER_OR_NONE),
                    },
                    ["slice", "num_examples", "low", "high"],
                )
            )
        ),
    },
    ["temperature", "test"],
)  # evaluation.json

PROBE_CHECKPOINT = _object({"phase": _PROBE, "contract": _CONTRACT}, ["phase", "contract"])  # checkpoints/probe.json

TRACKING = _object(
    {"tracker": TEXT, "finished": {"type": "boolean"}, "record": {"type": "object"}}, ["tracker", "finished", "record"]
)  # tracking.json

_ARTEFACT = _object(
    {
        "files": _objects_of(TEXT),
        "bytes": COUNT,
        "quantize": TEXT,
        "max_difference": SIZE,
        **dict.fromkeys(("agreement", "accuracy"), SHARE_OR_NONE),
        "num_images": COUNT,
        "failures": _list_of(TEXT),
    },
)
CERTIFICATE = _object(
    {
        "reference": _object(
            {
                "temperature": POSITIVE,
                "max_images": COUNT,
                "num_images": COUNT,
                "class_names": _list_of(TEXT),
                "model_sha256": TEXT,
                "pixels_sha256": TEXT,
            }
        ),
        "artefacts": _objects_of({**_ARTEFACT, "required": ["files"]}) | {"propertyNames": FILE_NAME},
        "rejected": _objects_of(_ARTEFACT) | {"propertyNames": FILE_NAME},
    }
)  # export/certificate.json
