"""Shorten a run before it starts, so that it ends within its budget."""

import time
from collections.abc import Iterator

from tfl.config import TransferConfig, set_options, value_of, with_options
from tfl.features import Extractor
from tfl.features.speed import Speed
from tfl.models.classifier import split_at_features
from tfl.progress import human_time, say
from tfl.recipe.plan import trained_share
from tfl.recipe.run import Run
from tfl.recipe.work import remaining_work

SAMPLE = 64  # images whose features are computed first, to know the speed
MAY_SHRINK = ("features.views", "finetune.epochs")  # options that become smaller until a run fits, if tfl may choose


def shorten(run: Run, may_change: set[str]) -> TransferConfig:
    """Return the config of a run with fewer stored versions and epochs, so that it ends in time.

    The speed is measured on some images, whose features are stored. Options that the user gave stay as they are.

    Args:
        run: the run, before its first phase; its budget has begun.
        may_change: the options that were left to tfl.
    """
    config = with_options(run.config, {}).validate()
    if not config.budget_minutes or config.probe.solver == "none":
        return config
    lower, _ = split_at_features(run.model)
    speed = _measure(run, run.extractor(lower))
    left = run.budget.seconds_to_train()
    seconds = whole = _seconds(run, config, speed)
    for options in _smaller(config, may_change):
        set_options(config, options)
        seconds = _seconds(run, config, speed)
        if seconds <= left:
            break
    if seconds < whole:
        chosen = ", ".join(f"{path}={value_of(config, path)}" for path in sorted(may_change & set(MAY_SHRINK)))
        say(f"budget_minutes: {chosen}, because without a budget this run would take about {human_time(whole)}")
    if seconds > left:
        say(
            f"Warning: budget_minutes={config.budget_minutes:g} is too short for this run, which takes about "
            f"{human_time(seconds)} at least. A smaller network or data.image_size takes less."
        )
    return config


def _smaller(config: TransferConfig, may_change: set[str]) -> Iterator[dict[str, int]]:
    """Yield options that take less and less time: first fewer versions, then fewer epochs, at last none."""
    views, epochs = config.features.views, config.finetune.epochs
    sizes = [(views, epochs), (2, epochs), (1, epochs), (1, epochs // 2), (1, 3), (0, 3), (0, 0)]
    for size in sizes:
        options = dict(zip(MAY_SHRINK, map(min, size, (views, epochs)), strict=True))
        yield {path: value for path, value in options.items() if path in may_change}


def _measure(run: Run, extractor: Extractor) -> Speed:
    """Return the speed of the frozen network, from features that are stored."""
    rows = run.rows("train")[:SAMPLE]
    start = time.monotonic()
    extractor.fill(rows)
    speed = extractor.recorded_speed()
    if speed is None:  # nothing is stored, so nothing is recorded
        per_image = extractor.seconds_per_image(rows)
        speed = Speed(0.0, max(0.0, time.monotonic() - start - 2 * per_image * len(rows)), 1.5 * per_image)
    return speed


def _seconds(run: Run, config: TransferConfig, speed: Speed) -> float:
    counts = {name: len(run.rows(name)) for name in ("train", "validation", "test")}
    images = counts["train"] + counts["validation"]
    missing = images * (1 + config.features.views) + counts["test"]
    share = trained_share(config, run.model)
    return remaining_work(config, counts, missing=missing, trained_share=share).seconds(speed)
