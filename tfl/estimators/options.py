"""The parameters of the estimators, and the options of a config that they stand for."""

import contextlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from tfl.config import PYTHON_DATA, TransferConfig, check_option, set_options
from tfl.errors import InputError

PARAMETERS = {
    "backbone": "backbone.name",
    "alpha": "backbone.alpha",
    "weights": "backbone.weights",
    "image_size": "data.image_size",
    "l2": "probe.l2",
    "folds": "probe.folds",
    "epochs": "finetune.epochs",
    "unfreeze": "finetune.unfreeze",
    "learning_rate": "finetune.learning_rate",
    "batch_size": "data.batch_size",
    "augmentation": "data.augmentation",
    "store": "features.store",
    "random_state": "seed",
}
_NOT_OF_ESTIMATORS = ("data.source", "data.split", "data.train_examples_per_class", "data.max_bad_fraction", "tracking")
_SECTIONS_NOT_OF_ESTIMATORS = ("task", "pretrain", "scratch", "checkpoint", "report")
_NAMES = {path: name for name, path in PARAMETERS.items()} | {"data.source": "X", "source": "X", "what": "unfreeze"}
_QUOTED = re.compile(r"`([\w.]+)`|\b([a-z]+\.[a-z_0-9]+)=")


def make_config(parameters: Mapping[str, Any], task: str) -> TransferConfig:
    """Return the config of an estimator; the estimator may still change `data.image_size`.

    Args:
        parameters: the values of `PARAMETERS`, and "options": a dict of more options by their dotted names, or None.
        task: the name of the task.

    Raises:
        InputError: an option in "options" does not exist, or an estimator does not have it.
    """
    config = TransferConfig()
    values = {path: _plain(parameters[name]) for name, path in PARAMETERS.items()}
    values["seed"] = _seed(parameters["random_state"])
    values["finetune.unfreeze"] = str(values["finetune.unfreeze"])
    values |= _checked(parameters["options"] or {}) | {"task.name": task, "data.source": PYTHON_DATA}
    set_options(config, values)
    if needs_validation(config) or config.probe.l2:
        config.probe.folds = 0  # another split chooses λ, or nothing is left to choose
    if config.finetune.epochs:
        config.checkpoint.every_seconds = 0.0  # nothing continues a fit that was stopped
    return config


def needs_validation(config: TransferConfig) -> bool:
    """Return whether a part of the examples must be held out, because folds cannot replace it."""
    return bool(config.finetune.epochs or config.head.hidden_units or (config.features.views and not config.probe.l2))


@contextlib.contextmanager
def in_words_of_estimators() -> Iterator[None]:
    """Name the parameters of an estimator in errors, in place of the options of a config."""
    try:
        yield
    except InputError as error:
        raise InputError(_QUOTED.sub(_renamed, str(error))) from error


def _renamed(match: re.Match[str]) -> str:
    path = match[1] or match[2]
    return match[0].replace(path, _NAMES.get(path, path))


def _checked(options: Mapping[str, Any]) -> dict[str, Any]:
    for path in options:
        check_option(path)
        if path in PARAMETERS.values():
            raise InputError(f"`options` must not have {path!r}: set the parameter {_NAMES[path]!r} instead.")
        if path in _NOT_OF_ESTIMATORS or path.partition(".")[0] in _SECTIONS_NOT_OF_ESTIMATORS:
            raise InputError(f"`options` must be options that an estimator has. Received: {path!r}.")
    return {path: _plain(value) for path, value in options.items()}


def _plain(value: Any) -> Any:
    """Return a NumPy number as a number of Python: a grid from `np.logspace` has NumPy numbers."""
    return value.item() if isinstance(value, np.generic) else value


def _seed(random_state: Any) -> int:
    if isinstance(random_state, (int, np.integer)):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))
