"""What a run does about classes of different sizes and wrong labels: its weights, offsets and losses."""

import dataclasses
from typing import Self

import numpy as np

from tfl.config import FinetuneConfig, TransferConfig
from tfl.data import Splits
from tfl.data.feed import check_sampling
from tfl.errors import InputError
from tfl.models.balance import effective_class_weight, label_weights, logit_offsets
from tfl.models.class_weights import balanced_class_weight
from tfl.tasks import LossOptions, Task

FORM_NAMES = {"focal": "focal loss", "generalized_cross_entropy": "generalized cross-entropy"}


@dataclasses.dataclass(frozen=True)
class Balance:
    """The weights, offsets and losses of a run, all from its training split.

    Attributes:
        class_weight: class number to weight, where the head is solved and in choices on validation; None: no weights.
        step_weight: the same for training in steps: None if its epochs already draw the classes in equal parts.
        solved: the task with the loss that the head is solved with, and by which models are compared on validation.
        trained: the task with the loss of training in steps.
    """

    class_weight: dict[int, float] | None
    step_weight: dict[int, float] | None
    solved: Task
    trained: Task

    @classmethod
    def of(cls, options: FinetuneConfig, task: Task, splits: Splits) -> Self:
        """Return the balance of a run.

        Raises:
            InputError: the options do not fit the data.
        """
        if options.sampling == "balanced":
            check_sampling(splits.source, "finetune.sampling")
        class_weight = _class_weight(options, task, splits.index.labels[splits.train])
        offsets, weights = _offsets(options, task, splits), _label_weights(options, task, splits)
        changes = LossOptions(offsets=offsets, label_weights=weights)
        form = dataclasses.replace(changes, form=options.loss, power=_power(options))
        return cls(
            class_weight,
            None if options.sampling == "balanced" else class_weight,
            task if offsets is None and weights is None else task.with_loss(changes),
            task if offsets is None and weights is None and not form.power else task.with_loss(form),
        )


def _power(options: FinetuneConfig) -> float:
    return {"focal": options.focal_gamma, "generalized_cross_entropy": options.gce_q}.get(options.loss, 0.0)


def _class_weight(options: FinetuneConfig, task: Task, labels: np.ndarray) -> dict[int, float] | None:
    if not task.labels.has_one_class:
        return None
    if options.class_weight == "effective":
        return effective_class_weight(labels, options.class_weight_beta)
    return balanced_class_weight(labels) if "balanced" in (options.class_weight, options.sampling) else None


def _label_weights(options: FinetuneConfig, task: Task, splits: Splits) -> np.ndarray | None:
    if task.labels.has_one_class or options.class_weight == "none":
        return None
    beta = options.class_weight_beta if options.class_weight == "effective" else None
    return label_weights(splits.index.labels[splits.train], beta)


def _offsets(options: FinetuneConfig, task: Task, splits: Splits) -> np.ndarray | None:
    if not options.logit_adjustment:
        return None
    labels, names = splits.index.labels[splits.train], splits.class_names
    try:
        return logit_offsets(labels, task.num_outputs(len(names)), options.logit_adjustment, task, names)
    except InputError as error:
        rule = "`finetune.logit_adjustment` must be 0 for this training split"
        raise InputError(f"{rule}. Received: {options.logit_adjustment:g}. {error}") from error


def describe_balance(config: TransferConfig) -> list[str]:
    """Return what a user must know about the losses of the two phases, in sentences without a full stop."""
    options, lines = config.finetune, []
    solves = config.probe.solver != "none" and not config.head.hidden_units
    if options.loss in FORM_NAMES:
        name = FORM_NAMES[options.loss]
        if solves:
            lines.append(f"the head is solved with cross-entropy, because the {name} is not convex")
        lines.append(f"validation compares by cross-entropy, also after training with the {name}")
    if options.sampling == "balanced" and config.probe.solver != "none":
        verb = "solved" if solves else "trained"
        lines.append(
            f"the head is {verb} with weights by which every class counts the same, as in balanced sampling on average"
        )
    if options.logit_adjustment:
        lines.append(
            "the frequencies of the classes are added to the logits in training and left out of the model "
            f"(tau {options.logit_adjustment:g}): its probabilities are those for classes of equal size"
            + ("" if options.logit_adjustment == 1 else " only with tau 1")
        )
    return lines
