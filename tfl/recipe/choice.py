"""Choose the backbone that is left to tfl (`backbone.name=auto`) from those whose published weights are at hand."""

import time
from collections.abc import Sequence

import numpy as np

from tfl.backbones.catalog import list_backbones
from tfl.backbones.left import candidates_of, is_left
from tfl.config import BackboneConfig, TransferConfig, with_options
from tfl.data import Splits
from tfl.distribution.strategy import make_strategy
from tfl.distribution.workers import Workers
from tfl.progress import human_time, say
from tfl.recipe.budget import Budget
from tfl.recipe.extraction import frozen_extractor
from tfl.recipe.rounds import Candidate, Rules, Standing, run_rounds, surely_worse_or_worse_half

FOLDS = 5
SHARE = 0.4  # of the time for features and training, at most; the features of the chosen network are used again


def choose_backbone(config: TransferConfig, splits: Splits, budget: Budget) -> TransferConfig:
    """Return a config that names its network: the given one, or the best at hand, which is told with the reason.

    The networks stay frozen. The heads of cross-validation on train and validation examples decide, in rounds on more
    and more examples, as in `tfl.rank_backbones`; after each round the worse half is left out. The test split is not
    used. With a budget the rounds take at most 40 % of the time for features and training, and a network is chosen only
    if its features of all examples can be computed in the time that is left.

    Args:
        config: a checked config.
        splits: its data.
        budget: the time of the run, which has begun.

    Reference:
        Jamieson and Talwalkar 2016, Non-stochastic best arm identification and hyperparameter optimization,
        arXiv:1502.07943 (successive halving).
    """
    if not is_left(config):
        return config
    workers, names, mine = Workers(make_strategy(config.strategy)), list_backbones(), (0.0, 0.0)
    if workers.index == 0:  # the workers measure different times, so one decides for all
        best = _best(candidates_of(config), splits, budget)
        mine = (float(names.index(best.name)), best.alpha)
    place, alpha = (float(total) for total in workers.sum(mine))
    return with_options(config, {"backbone.name": names[round(place)], "backbone.alpha": alpha}).validate()


def _best(candidates: Sequence[TransferConfig], splits: Splits, budget: Budget) -> BackboneConfig:
    """Return the best candidate, and tell the choice."""
    start, end = time.monotonic(), time.monotonic() + SHARE * budget.seconds_to_train()
    prepared = (Candidate(one, splits, frozen_extractor(one, splits)) for one in candidates)
    ordered, rounds = run_rounds(prepared, Rules(FOLDS, surely_worse_or_worse_half, end))
    fastest = min(ordered, key=lambda one: one.seconds / len(one.table))
    best = next((one for one in ordered if _fits(one, budget)), fastest)
    options = best.candidate.config.backbone
    say(f"backbone.name={options.name}, backbone.alpha={options.alpha:g}, because {_reason(best, ordered)}")
    examples, seconds = rounds[-1].examples, human_time(time.monotonic() - start)
    say(f"the choice of the network took {seconds}, with {examples:,} examples in its last round")
    return options


def _fits(one: Standing, budget: Budget) -> bool:
    """Return whether the features of all examples can be computed in the time that is left."""
    extractor, splits = one.candidate.extractor, one.candidate.splits
    missing = extractor.count_missing(np.concatenate([splits.outside_of_test, splits.test]))
    speed = extractor.recorded_speed()
    per_example = one.seconds / len(one.table) if speed is None else speed.per_example
    return per_example * missing <= budget.seconds_to_train()


def _reason(best: Standing, ordered: Sequence[Standing]) -> str:
    noun = best.table.task.headline.noun
    found = f"{noun} {best.metric:.4f} on held-out folds of {len(best.table):,} examples"
    others = ", ".join(f"{one.label} {one.metric:.4f}" for one in ordered if one is not best)
    if not others:
        return f"it is the only network at hand that was measured ({found})"
    if best is not ordered[0]:
        return f"the features of better ones take longer than budget_minutes leaves: {found}; {others}"
    return f"its head has the best {found}; {others}"
