"""The settings of training: `tfl.compile`, the options of `tfl.fit`, and the trainer that both define."""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from etils import epath

from tfl.distribution.replicas import check_optimizer, strategy_of
from tfl.distribution.strategy import num_workers
from tfl.errors import InputError
from tfl.models.freezing import learning_rate_multipliers
from tfl.progress import say
from tfl.registry import did_you_mean
from tfl.tasks import Task
from tfl.training.objective.calibrated_loss import CalibratedLoss
from tfl.training.objective.compiled import activation_of, ends_in_probabilities, of_one_output, resolve_loss
from tfl.training.objective.losses import evaluation_loss, is_stock
from tfl.training.objective.metrics import resolve_metrics, takes_outputs
from tfl.training.objective.optimizers import bind_optimizer, make_optimizer
from tfl.training.update.step import StepOptions, Trainer

MOST_PARTS = 64
_IN_PLACE_OF = {  # for options of keras.Model.fit that tfl.fit does not have
    "validation_split": "validation_data=(x[n:], y[n:])",
    "validation_steps": "validation_data=dataset.take(n)",
    "validation_batch_size": "validation_data=dataset.batch(n)",
    "validation_freq": "to leave it out: validation runs after every epoch",
}


@dataclasses.dataclass(frozen=True)
class Plan:
    """The arguments of `compile`, after they are resolved."""

    losses: tuple[keras.losses.Loss, keras.losses.Loss]
    metrics: tuple[keras.metrics.Metric, ...]
    layer_decay: float | Mapping[str, float]
    clip_norm: float
    ema: float
    accumulate: int
    jit_compile: bool
    task: Task | None  # meaning of the outputs; None if it is not known
    activation: str  # from outputs to probabilities: "softmax", "sigmoid" or ""


@dataclasses.dataclass(frozen=True)
class CheckpointOptions:
    """Folder and frequency of the checkpoints of a training.

    Attributes:
        folder: folder of the checkpoints; if it has checkpoints, training continues from the newest.
        every_seconds: time between two checkpoints, in seconds; 0: only by steps and at the end.
        every_steps: steps between two checkpoints; 0: only by time and at the end.
        keep: number of checkpoints to keep, at least 1.
        fingerprint: everything else that training depends on, such as config and data: JSON values by name. If the
            fingerprint of a checkpoint is different, it is refused with an error that names the differences.

    Example:
        >>> tfl.compile(model)
        >>> options = CheckpointOptions("training/checkpoints", every_steps=100)
        >>> history = tfl.fit(model, images, labels, epochs=2, checkpoint=options)
    """

    folder: epath.PathLike
    every_seconds: float = 300.0
    every_steps: int = 0
    keep: int = 2
    fingerprint: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FitOptions:
    """The arguments of `fit` that say how to train, without the data; `fit` describes them.

    Raises:
        InputError: a number is out of range.

    Example:
        >>> FitOptions(epochs=3, mixup=0.2).seed
        0
    """

    class_weight: Mapping[int, float] | None = None
    seed: int = 0
    mixup: float = 0.0
    cutmix: float = 0.0
    epochs: int = 1
    steps_per_epoch: int | None = None
    initial_epoch: int = 0
    verbose: bool | int | str = True
    checkpoint: CheckpointOptions | None = None
    max_skipped_steps: int = 0
    names: Sequence[str] | np.ndarray | None = None

    def __post_init__(self) -> None:
        if not (0 <= self.mixup < math.inf and 0 <= self.cutmix < math.inf):
            raise InputError(
                f"`mixup` and `cutmix` must be at least 0. Received: mixup={self.mixup!r}, cutmix={self.cutmix!r}."
            )
        for name, least in (("epochs", 1), ("steps_per_epoch", 1), ("initial_epoch", 0), ("max_skipped_steps", 0)):
            value = getattr(self, name)
            whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
            if value is not None and not (whole and value >= least):
                raise InputError(f"`{name}` must be a whole number, at least {least}. Received: {name}={value!r}.")


def compile(
    model: keras.Model,
    optimizer: str | keras.optimizers.Optimizer = "adam",
    loss: Any = None,
    metrics: Any = None,
    *,
    layer_decay: float | Mapping[str, float] = 1.0,
    clip_norm: float = 0.0,
    ema: float = 0.0,
    accumulate: int = 1,
    jit_compile: bool = False,
) -> None:
    """Configure a model for training with `tfl.fit`.

    This also calls `model.compile` with stock Keras objects only. So `model.evaluate`, `predict` and `save` of Keras
    work, and the saved file loads without tfl.

    Args:
        model: any model with one output: logits `(B, K)`, or probabilities if it ends in a softmax or sigmoid and
            `loss` is a Keras loss on probabilities.
        optimizer: `"sgd"`, `"adam"` or `"adamw"` at its default learning rate, or any Keras optimizer. Decoupled
            weight decay does not apply to biases and normalisation.
        loss: a task or its name (`"multiclass"`, `"binary"`, `"multilabel"`, `"regression"`), or anything that Keras
            takes: an object, class, function, name or config. None takes the task recorded in the model, else
            multiclass. If the model returns logits, a stock loss on probabilities is used in its form on logits. A
            loss of your own gets labels and outputs as in Keras; its values are averaged over the batch.
        metrics: anything that Keras takes; None for the metrics of the task. Stock metrics get the form that they
            expect, such as probabilities or one-hot rows; metrics of your own get labels and outputs as in Keras.
        layer_decay: factor in (0, 1] between the updates of a stage and of the stage above it; or a dict from
            `variable.path` to the factor of its update.
        clip_norm: largest global norm of the gradients; larger gradients are scaled down to it. 0 for off.
        ema: momentum, in [0, 1), of an average of the weights and of the statistics of trained BatchNorm layers.
            Validation, callbacks at the end of an epoch and the final model use the average. 0 for off.
        accumulate: number of parts that each batch is divided into to save memory, at least 1. The gradients of the
            parts add up to the gradient of the whole batch, unless BatchNorm is trained: it sees the parts.
        jit_compile: let XLA compile the forward and backward pass; on one replica only. It can help on a GPU or TPU,
            because it fuses the operations between convolutions. On a CPU convolutions become many times slower.

    Raises:
        InputError: a name is unknown, a number is out of range, or a loss or metric does not fit the outputs.

    Example:
        >>> tfl.compile(model, tfl.make_optimizer("adam", 1e-4), layer_decay=0.7)
    """
    if not isinstance(layer_decay, Mapping) and not 0 < layer_decay <= 1:
        raise InputError(f"`layer_decay` must be in (0, 1]. Received: layer_decay={layer_decay!r}.")
    if not 0 <= clip_norm < math.inf or not 0 <= ema < 1:
        raise InputError(
            f"`clip_norm` must be at least 0, `ema` in [0, 1). Received: clip_norm={clip_norm!r}, ema={ema!r}."
        )
    if accumulate < 1:
        raise InputError(f"`accumulate` must be at least 1. Received: accumulate={accumulate!r}.")
    optimizer = make_optimizer(optimizer) if isinstance(optimizer, str) else optimizer
    train_loss, task = resolve_loss(loss, model)
    test_loss, activation = evaluation_loss(train_loss), activation_of(task, model)
    metrics, probabilities = of_one_output(metrics, model, "metrics"), ends_in_probabilities(model)
    with strategy_of(model).scope():  # so that new metrics get a copy for each replica
        resolved = resolve_metrics(metrics, task, activation, model.output_shape, probabilities=probabilities)
    # Keras passes the outputs to the metrics. Metrics that would be wrong on logits run only in `tfl.fit`.
    stock = [m for m in resolved if not activation or not is_stock(m) or takes_outputs(m)]
    stock = [metric for metric in stock if not isinstance(metric, CalibratedLoss)]
    model.compile(optimizer=optimizer, loss=test_loss, metrics=stock, jit_compile=False)
    model._tfl_plan = Plan(
        (train_loss, test_loss), resolved, layer_decay, clip_norm, ema, accumulate, jit_compile, task, activation
    )


def halve_batches(model: keras.Model, error: tf.errors.ResourceExhaustedError) -> None:
    """Divide each batch into twice as many parts from now on, because memory ran out, and tell the user.

    Raises:
        ResourceExhaustedError: `error`, if more parts cannot help.
    """
    plan = model._tfl_plan
    if plan.accumulate >= MOST_PARTS or num_workers(tf.distribute.get_strategy()) > 1:  # other workers wait in a sum
        raise error
    model._tfl_plan = dataclasses.replace(plan, accumulate=2 * plan.accumulate)
    say(
        f"memory ran out in the first step; each batch is now divided into {2 * plan.accumulate} parts, whose "
        "gradients are added (finetune.accumulate)"
    )


def check_options(unknown: Iterable[str], known: Iterable[str]) -> None:
    """Refuse options that `tfl.fit` does not have, and suggest a replacement for an option of Keras, or a near name."""
    for name in unknown:
        names = [option for option in known if option not in ("model", "x", "y", "unknown")]
        instead = _IN_PLACE_OF.get(name)
        hint = f" Did you mean {instead}?" if instead else did_you_mean(name, names)
        raise InputError(f"`{name}` must be an option of tfl.fit: {', '.join(names)}.{hint}")


def plan_of(model: keras.Model) -> Plan:
    """Return the plan that `tfl.compile` stored in the model.

    Raises:
        InputError: the model is not compiled with `tfl.compile`.
    """
    plan = getattr(model, "_tfl_plan", None)
    if plan is None:
        raise InputError("`model` must be compiled with tfl.compile before tfl.fit.")
    return plan


def make_trainer(model: keras.Model, options: FitOptions = FitOptions()) -> Trainer:
    """Return the training graph of `model` for the layers that are trainable now; reuse the last graph if it fits.

    Raises:
        InputError: the model is not compiled with `tfl.compile`, or it has no trainable variable.
    """
    plan = plan_of(model)
    if not model.trainable_variables:
        raise InputError("`model` must have trainable variables. Received: a model in which everything is frozen.")
    model.optimizer = bind_optimizer(model.optimizer, model)
    if tf.distribute.get_strategy().num_replicas_in_sync > 1:
        check_optimizer(model.optimizer)
        if plan.jit_compile:
            raise InputError(
                "`jit_compile` must be False with several replicas, because XLA cannot sum over them. Received: True."
            )
    multipliers = plan.layer_decay
    if not isinstance(multipliers, Mapping):
        multipliers = {} if multipliers == 1 else learning_rate_multipliers(model, multipliers)
    step = StepOptions(
        dict(multipliers),
        plan.clip_norm,
        plan.ema,
        options.class_weight,
        options.mixup,
        options.cutmix,
        options.seed,
        plan.accumulate,
        plan.jit_compile,
        plan.activation,
    )
    # Everything that a trace depends on. The key keeps the objects alive, so that no id is used twice.
    modes = [(layer.trainable, layer.dtype_policy.name) for layer in model._flatten_layers()]
    pulls = [variable.regularizer for variable in model.trainable_variables]
    key = (plan, model.optimizer, step, modes, pulls, tf.distribute.get_strategy())
    cached = getattr(model, "_tfl_trainer", None)
    if cached is None or not _same(cached.key, key):
        cached = _Cached(key, Trainer(model, plan.losses, plan.metrics, step))
        model._tfl_trainer = cached
    return cached.trainer


@dataclasses.dataclass(frozen=True, eq=False)
class _Cached:
    key: tuple[Any, ...]
    trainer: Trainer


def _same(old: tuple[Any, ...], new: tuple[Any, ...]) -> bool:
    same = [a is b for a, b in zip(old[4], new[4], strict=False)]
    return old[0] is new[0] and old[1] is new[1] and old[2:4] == new[2:4] and all(same) and old[5] is new[5]
