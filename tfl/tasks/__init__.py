"""Tasks: the kinds of prediction that a model can learn. A task declares its head, loss, metrics and answers.

    task = get_task("multiclass")
    task.headline.metric  # "accuracy"

The other packages use only these declarations. To add a task, write a subclass of `Task` and call `register_task`.
"""

import numpy as np

from tfl.config import TARGETS
from tfl.data.label_formats import SEPARATOR, BoxLabels, ClassLabels, LabelFormat, MaskLabels, SetLabels, ValueLabels
from tfl.registry import register, resolve
from tfl.tasks.classes import Binary, Multiclass, OneClass
from tfl.tasks.classification import ROUNDING, Classification
from tfl.tasks.detection import Detection
from tfl.tasks.label_sets import Multilabel
from tfl.tasks.loss_options import LossOptions
from tfl.tasks.segmentation import Segmentation
from tfl.tasks.task import Headline, Outcomes, Statistic, Task
from tfl.tasks.values import Regression

__all__ = [
    "Binary",
    "BoxLabels",
    "ClassLabels",
    "Classification",
    "Detection",
    "Headline",
    "LabelFormat",
    "LossOptions",
    "MaskLabels",
    "Multiclass",
    "Multilabel",
    "OneClass",
    "Outcomes",
    "Regression",
    "Segmentation",
    "SetLabels",
    "Statistic",
    "Task",
    "ValueLabels",
    "get_task",
    "register_task",
    "task_names",
    "task_of_labels",
    "task_of_scores",
]

_TASKS: dict[str, Task] = {
    task.name: task for task in (Multiclass(), Binary(), Multilabel(), Regression(), Segmentation(), Detection())
}


def get_task(task: "str | Task", argument: str = "target") -> Task:
    """Return the task with a name; upper and lower case are the same. A `Task` object is returned unchanged.

    Args:
        task: a name, or a task.
        argument: name of the caller's argument, for messages.

    Raises:
        InputError: there is no such task.

    Example:
        >>> get_task("Multiclass").name
        'multiclass'
    """
    return task if isinstance(task, Task) else _TASKS[resolve(task, task_names(), argument)]


def task_names() -> list[str]:
    """Return the names of all registered tasks."""
    return list(_TASKS)


def register_task(task: Task) -> Task:
    """Register a task under its name, so that configs and model files can use the name.

    A class that is defined again, as by a notebook cell that runs twice, replaces the earlier one.

    Raises:
        InputError: another task has this name.
    """
    register(_TASKS, task, "task")
    if task.name not in TARGETS:
        TARGETS.append(task.name)
    return task


def task_of_labels(labels: np.ndarray) -> Task:
    """Return the task that fits the labels of an index: one class, a set of labels, or values."""
    if labels.dtype.kind == "i":
        return _TASKS[Multiclass.name]
    is_set = labels.ndim == 2 and bool(np.isin(labels, (0, 1)).all())
    return _TASKS[Multilabel.name if is_set else Regression.name]


def prefixes() -> list[str]:
    """Return the prefixes of the columns of scores in files of predictions; see `Task.columns`."""
    return sorted({task.columns for task in _TASKS.values()}, key=len, reverse=True)


def task_of_scores(labels: list[str], scores: np.ndarray, names: tuple[str, ...], prefix: str = Task.columns) -> Task:
    """Return the task that fits a table of predictions best.

    Args:
        labels: the true labels, as in a file.
        scores: `(N, C)`.
        names: of the columns.
        prefix: of the columns, see `Task.columns`.
    """
    if prefix != Task.columns:
        return next(task for task in _TASKS.values() if task.columns == prefix)
    # The median, because some rows of a damaged file may not add up to 1; its task must still be found.
    if set(labels) <= set(names) and np.median(np.abs(scores.sum(axis=1) - 1.0)) <= ROUNDING:
        return _TASKS[Multiclass.name]
    return _TASKS[Regression.name if all(map(_is_values, labels)) else Multilabel.name]


def _is_values(label: str) -> bool:
    try:
        return bool([float(part) for part in label.split(SEPARATOR)])
    except ValueError:
        return False
