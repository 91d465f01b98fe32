"""Choose the features of texts that are left to tfl (`head.pooling=auto`): which hidden states stand for a text."""

import keras
import numpy as np

from tfl.backbones.catalog import get_backbone_spec
from tfl.backbones.spec import state_poolings
from tfl.backbones.stages import block_ends
from tfl.build import make_extractor
from tfl.config import CHOSEN_NAME, STATE_POOLINGS, TransferConfig, with_options
from tfl.data import Splits
from tfl.distribution.strategy import make_strategy
from tfl.distribution.workers import Workers
from tfl.errors import InputError
from tfl.features import Extractor, open_store
from tfl.models.states import ALL, columns_of, pool_states
from tfl.progress import say
from tfl.recipe.backbone import backbone_of
from tfl.recipe.rounds import MOST, predict_held_out, say_held_out, subset
from tfl.recipe.run import Run
from tfl.recipe.size import choose_size
from tfl.tasks import get_task

FOLDS = 5


def choose_features(config: TransferConfig, splits: Splits, most: int = MOST) -> TransferConfig:
    """Return a config in which tfl has chosen what decides the features of a frozen network, where it is left to tfl.

    That is the size of an example and, of texts, the hidden states; see `choose_size` and `choose_pooling`.
    """
    return choose_pooling(choose_size(config, splits), splits, most)


def choose_pooling(config: TransferConfig, splits: Splits, most: int = MOST) -> TransferConfig:
    """Return a config that says which hidden states stand for a text: the given one, or the best kind of features.

    The network stays frozen and reads each text once. The heads of cross-validation on train and validation examples
    decide, by the headline of the task and then by the loss. The test split is not used.

    Args:
        config: a checked config, with the size of its examples.
        splits: its data.
        most: number of examples that decide, at most; they are drawn class by class.
    """
    if config.head.pooling != CHOSEN_NAME:
        return config
    workers, place = Workers(make_strategy(config.strategy)), 0.0
    if workers.index == 0:  # one decides for all, because the workers may round differently
        place = float(STATE_POOLINGS.index(_best(config, splits, most)))
    (place,) = (float(total) for total in workers.sum((place,)))
    return with_options(config, {"head.pooling": STATE_POOLINGS[round(place)]}).validate()


def _best(config: TransferConfig, splits: Splits, most: int) -> str:
    """Return the kind of features with the best held-out predictions, and tell the choice."""
    backbone, headline = backbone_of(config), get_task(config.task.name).headline
    whole = make_extractor(_all(backbone), splits.source, config.features, open_store(config.features))
    rows = subset(splits, config.seed, most)
    values = np.asarray(whole(rows, description="features of all layers").values[:])
    found = {}
    try:
        for pooling in state_poolings(get_backbone_spec(config.backbone.name)):
            table = predict_held_out(values[:, _columns(backbone, pooling)], rows, config, splits, FOLDS)
            metric, loss = say_held_out(f"head.pooling={pooling}", table)
            found[pooling] = (-metric if headline.higher_is_better else metric, loss)
    except InputError as error:  # too few examples of a class
        say(f"head.pooling={STATE_POOLINGS[0]}, because cross-validation cannot choose: {error}")
        return STATE_POOLINGS[0]
    best = min(found, key=found.__getitem__)
    examples = f"{len(rows):,} {splits.source.kind.noun[1]}"
    say(f"head.pooling={best}, because its head has the best {headline.noun} on held-out folds of {examples}")
    return best


def take_stored(run: Run, extractor: Extractor) -> None:
    """Let the extractor of a run take what the choice of the features has stored, so that no text is read twice."""
    pooling = run.config.head.pooling
    if not block_ends(run.model) or pooling not in STATE_POOLINGS or pooling in (ALL, "cls"):
        return  # with "cls" the model does not have the other features
    extractor.take_from(run.extractor(_all(run.model)), _columns(run.model, pooling))


def _all(model: keras.Model) -> keras.Model:
    return keras.Model(model.input, pool_states(model, ALL), name="extractor")


def _columns(model: keras.Model, pooling: str) -> np.ndarray:
    ends = block_ends(model)
    return columns_of(pooling, len(ends), int(ends[-1].shape[-1]))
