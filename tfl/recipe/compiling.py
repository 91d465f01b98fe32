"""Compile a model for fine-tuning, with the options of `finetune`."""

from collections.abc import Callable

import keras

from tfl.config import FinetuneConfig
from tfl.distribution.replicas import strategy_of
from tfl.models.batch_norm import shorten_statistics
from tfl.models.freezing import learning_rate_multipliers
from tfl.recipe.balance import Balance
from tfl.training import compile, make_optimizer, make_schedule


def compile_tuning(
    options: FinetuneConfig,
    model: keras.Model,
    steps: int,
    balance: Balance,
    *,
    part: keras.Model | None = None,
    metrics: Callable[[], list[keras.metrics.Metric]] = list,
) -> None:
    """Compile a model, or the part of it that is trained on stored activations.

    Args:
        options: of fine-tuning.
        model: the whole model.
        steps: of the training.
        balance: with the loss.
        part: the part above the cut; None: the whole model is trained.
        metrics: makes the metrics that are told after each epoch.
    """
    if options.batch_norm == "train":
        shorten_statistics(model, steps)
    schedule = make_schedule(options.schedule, options.learning_rate, steps, warmup_fraction=options.warmup_fraction)
    optimizer = make_optimizer(
        options.optimizer,
        schedule,
        momentum=options.momentum,
        nesterov=options.nesterov,
        weight_decay=options.weight_decay,
    )
    decay = options.layer_decay
    if part is not None:  # only the whole model shows the stage of each layer
        decay = learning_rate_multipliers(model, decay)
    trained = part or model
    with strategy_of(trained).scope():  # so that each replica gets its own copy of the metrics
        compile(
            trained,
            optimizer,
            loss=balance.trained.loss(options.label_smoothing),
            metrics=metrics(),
            layer_decay=decay,
            clip_norm=options.clip_norm,
            ema=options.ema,
            accumulate=options.accumulate,
            jit_compile=options.jit_compile,
        )
