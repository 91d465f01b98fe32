"""Show photos beside their true and predicted masks: the worst, the typical and the best ones."""

import dataclasses
from typing import ClassVar

import keras
import numpy as np

from tfl.data import Splits, make_dataset
from tfl.data.masks.table import VOID
from tfl.files.mask_pictures import hex_colours, palette
from tfl.files.pictures import thumbnail
from tfl.report.blocks import Block
from tfl.report.facts import Facts
from tfl.report.wording import figure

BATCH = 8
OPACITY = 0.6  # of the colours over the photo
MOST_NAMES = 30  # in the legend
MASKS_NOTE = (
    "Beside each photo stand its true mask and the predicted mask, in the colours of the classes. What does not count "
    "keeps the colours of the photo."
)


@dataclasses.dataclass(frozen=True)
class MaskCard:
    """One photo: the photo, its true mask and its predicted mask, as data URIs, and how well they overlap."""

    name: str
    picture: str
    truth: str
    predicted: str
    overlap: str
    classes: str


@dataclasses.dataclass(frozen=True)
class MaskGallery(Block):
    """Photos with masks of one kind.

    Attributes:
        title: the kind of the photos.
        note: what to look for.
        cards: the photos.
        legend: (name, colour) of the classes, as in "#800000".
    """

    kind: ClassVar[str] = "masks"
    title: str
    note: str
    cards: list[MaskCard]
    legend: list[tuple[str, str]]


def make_mask_galleries(facts: Facts, model: keras.Model, splits: Splits, most: int) -> list[Block]:
    """Choose test photos by the mean IoU of each alone, and draw their masks.

    Args:
        facts: the facts of the run.
        model: the model of the run.
        splits: the data of the run.
        most: the number of photos of each kind; 0: none.
    """
    if not len(facts.table) or not most or not facts.metadata.input.has_pictures:
        return []
    values = facts.task.headline_values(facts.table.logits, facts.table.labels)
    order = np.argsort(values, kind="stable")
    median = np.sort(np.argsort(np.abs(values - np.median(values)), kind="stable")[:most])
    kinds = [
        ("Photos with the smallest overlap", "Is the true mask right? Which regions are mistaken for which?", order),
        ("Typical photos", "How the model usually does: photos with a medium overlap.", median),
        ("Photos with the largest overlap", "What these have in common shows what the model does well.", order[::-1]),
    ]
    chosen = np.unique(np.concatenate([positions[:most] for _, _, positions in kinds]))
    cards = _cards(facts, model, splits, chosen, values)
    legend = list(zip(facts.metadata.class_names, hex_colours(palette()), strict=False))[:MOST_NAMES]
    return [
        MaskGallery(title, note, [cards[position] for position in positions[:most].tolist()], legend)
        for title, note, positions in kinds
    ]


def _cards(
    facts: Facts, model: keras.Model, splits: Splits, positions: np.ndarray, values: np.ndarray
) -> dict[int, MaskCard]:
    """Return a card for each of some positions in the table of predictions."""
    rows = splits.index.rows_of(np.asarray(facts.table.ids)[positions])
    position_of = dict(zip(rows.tolist(), positions.tolist(), strict=True))
    cards = {}
    for batch in make_dataset(splits.source, np.sort(rows), image_size=facts.metadata.image_size, batch_size=BATCH):
        predicted = np.asarray(model(batch["input"], training=False)).argmax(axis=-1)
        parts = (batch["id"].numpy().tolist(), batch["input"].numpy(), batch["label"].numpy(), predicted)
        for row, pixels, truth, guess in zip(*parts, strict=True):
            shape = facts.metadata.input.aspect(splits.index.facts, row)
            present = np.unique(truth[truth != VOID]).tolist()
            cards[position_of[row]] = MaskCard(
                name=str(splits.index.ids[row]),
                picture=thumbnail(pixels, shape),
                truth=thumbnail(_coloured(pixels, truth), shape),
                predicted=thumbnail(_coloured(pixels, guess), shape),
                overlap=f"mean IoU {figure(float(values[position_of[row]]))}",
                classes=", ".join(facts.metadata.class_names[number] for number in present[:MOST_NAMES]),
            )
    return cards


def _coloured(pixels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Draw the colours of a mask over its photo; what does not count stays as it is."""
    blended = (1 - OPACITY) * pixels + OPACITY * palette()[mask]
    return np.where((mask == VOID)[..., None], pixels, np.round(blended)).astype(np.uint8)
