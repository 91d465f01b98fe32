"""The names that options take."""

# The options that tfl can choose, with the value that asks for it.
CHOSEN: dict[str, int | float | str] = {
    "backbone.name": "auto",
    "data.image_size": -1,
    "features.views": -1,
    "head.pooling": "auto",
    "probe.folds": -1,
    "finetune.epochs": -1,
    "finetune.unfreeze": "auto",
}
CHOSEN_WITH = {"backbone.alpha": "backbone.name"}  # options that tfl chooses together with another one
AUGMENTATIONS = ("none", "light", "shift", "rand", "trivial", "erase")
BATCH_NORMS = ("frozen", "train")
CLASS_WEIGHTS = ("none", "balanced", "effective")
FEATURE_DTYPES = ("float32", "float16")
FOLD_RULES = ("best", "one_standard_error")
LOSSES = ("cross_entropy", "focal", "generalized_cross_entropy")
OPTIMIZERS = ("sgd", "adam", "adamw")
SUPERVISED, VIEWS = "supervised", "barlow_twins"
PRETRAINING = (SUPERVISED, VIEWS)
POOLINGS = ("avg", "max", "gem")
STATE_POOLINGS = ("avg", "cls", "layers", "layers_cls")  # of a network on texts
RUNTIMES = ("auto", "tensorflow", "openvino")
SAMPLINGS = ("uniform", "balanced")
SCHEDULES = ("constant", "cosine", "step")
SOLVERS = ("lbfgs", "ridge", "none")
NO_TRACKER = "none"
TRACKERS = [NO_TRACKER, "mlflow"]  # `tfl.tracking.register_tracker` adds to them
# `tfl.tasks.register_task` adds to them.
TARGETS = ["multiclass", "binary", "multilabel", "regression", "segmentation", "detection"]
