"""Show photos with their true and predicted boxes: certain false alarms, missed objects, and good examples."""

import dataclasses
from typing import ClassVar

import numpy as np
from PIL import Image, ImageDraw

from tfl.data import Splits, make_dataset
from tfl.files.mask_pictures import hex_colours, palette
from tfl.files.pictures import thumbnail
from tfl.report.blocks import Block
from tfl.report.facts import Facts
from tfl.report.wording import count, figure
from tfl.tasks.boxes.matching import overlaps_of
from tfl.tasks.boxes.values import Boxes
from tfl.tasks.detections import SURE, Detections

BATCH = 8
SIDE = 280  # pixels of the longer side of a picture
LINE = 0.012  # width of a line, as a share of the side of the prepared photo
RIGHT = 0.5  # overlap with a true box of the same class from which a predicted box is right
MOST_NAMES = 30  # in the legend
BOXES_NOTE = (
    "The first picture of a photo has its true boxes, the second one the predicted boxes of a score of at least "
    f"{SURE:g}, in the colours of the classes. A predicted box is right if at least half of its union with a "
    "true box of its class is common to both."
)


@dataclasses.dataclass(frozen=True)
class BoxCard:
    """One photo with its true boxes and with its predicted boxes, as data URIs, and what they are in words."""

    name: str
    truth: str
    predicted: str
    true_names: str
    predicted_names: str
    verdict: str


@dataclasses.dataclass(frozen=True)
class BoxGallery(Block):
    """Photos with boxes of one kind.

    Attributes:
        title: the kind of the photos.
        note: what to look for.
        cards: the photos.
        legend: (name, colour) of the classes, as in "#800000".
    """

    kind: ClassVar[str] = "outlines"
    title: str
    note: str
    cards: list[BoxCard]
    legend: list[tuple[str, str]]


@dataclasses.dataclass(frozen=True)
class _Photo:
    """The boxes of one photo: `true`, `(T, 5)`; `shown`, `(P, 6)`; and which of both have a partner."""

    true: np.ndarray
    shown: np.ndarray
    is_found: np.ndarray
    is_right: np.ndarray

    @classmethod
    def of(cls, found: np.ndarray, truth: np.ndarray) -> "_Photo":
        shown = found[found[:, 4] >= SURE]
        detections, objects = Boxes.of(shown), Boxes.of(truth)
        fits = (overlaps_of(detections, objects) >= RIGHT) & (detections.classes[:, None] == objects.classes)
        counts = ~fits[:, objects.is_crowd].any(axis=1)  # in a crowd a box is neither right nor wrong
        fits = fits[counts][:, ~objects.is_crowd]
        return cls(truth[~objects.is_crowd], shown[counts], fits.any(axis=0), fits.any(axis=1))

    @property
    def alarm(self) -> float:
        """The highest score of a box that is not right; 0 if all are."""
        return float(self.shown[~self.is_right, 4].max(initial=0.0))

    @property
    def missed(self) -> int:
        """The number of true boxes that no predicted box fits."""
        return int((~self.is_found).sum())


def make_box_galleries(facts: Facts, splits: Splits, most: int) -> list[Block]:
    """Choose test photos by their boxes in the table of predictions, and draw the boxes.

    Args:
        facts: the facts of the run.
        splits: the data of the run.
        most: the number of photos of each kind; 0: none.
    """
    if not len(facts.table) or not most or not facts.metadata.input.has_pictures:
        return []
    table = Detections(facts.table.logits)
    photos = [_Photo.of(*pair) for pair in zip(table.found(), table.true(), strict=True)]
    alarms, missed = np.array([photo.alarm for photo in photos]), np.array([photo.missed for photo in photos])
    found = np.array([photo.is_found.sum() for photo in photos])
    good = np.flatnonzero((alarms == 0) & (missed == 0) & (found > 0))
    kinds = [
        (
            "Most certain false alarms",
            "Photos with the highest scores of boxes that are not right. Is a label missing?",
            np.argsort(-alarms, kind="stable")[: min(most, int((alarms > 0).sum()))],
        ),
        (
            "Missed objects",
            "Photos with the most true boxes that no predicted box fits. Are they small, hidden or unusual?",
            np.argsort(-missed, kind="stable")[: min(most, int((missed > 0).sum()))],
        ),
        (
            "Photos in which all is right",
            "What these have in common shows what the model does well.",
            good[np.argsort(-found[good], kind="stable")][:most],
        ),
    ]
    legend = list(zip(facts.metadata.class_names, hex_colours(_colours()), strict=False))[:MOST_NAMES]
    cards = _cards(facts, splits, photos, np.unique(np.concatenate([positions for _, _, positions in kinds])))
    return [
        BoxGallery(title, note, [cards[position] for position in positions.tolist()], legend)
        for title, note, positions in kinds
        if len(positions)
    ]


def _cards(facts: Facts, splits: Splits, photos: list[_Photo], positions: np.ndarray) -> dict[int, BoxCard]:
    """Return a card for each of some positions in the table of predictions."""
    if not len(positions):
        return {}
    rows = splits.index.rows_of(np.asarray(facts.table.ids)[positions])
    position_of = dict(zip(rows.tolist(), positions.tolist(), strict=True))
    cards = {}
    for batch in make_dataset(splits.source, np.sort(rows), image_size=facts.metadata.image_size, batch_size=BATCH):
        for row, pixels in zip(batch["id"].numpy().tolist(), batch["input"].numpy(), strict=True):
            photo, shape = photos[position_of[row]], facts.metadata.input.aspect(splits.index.facts, row)
            classes = facts.metadata.class_names
            cards[position_of[row]] = BoxCard(
                name=str(splits.index.ids[row]),
                truth=thumbnail(_drawn(pixels, photo.true), shape, SIDE),
                predicted=thumbnail(_drawn(pixels, np.delete(photo.shown, 4, axis=1)), shape, SIDE),
                true_names=", ".join(classes[int(box[4])] for box in photo.true) or "none",
                predicted_names=", ".join(f"{classes[int(box[5])]} {figure(box[4])}" for box in photo.shown) or "none",
                verdict=_verdict(photo),
            )
    return cards


def _verdict(photo: _Photo) -> str:
    false = int((~photo.is_right).sum())
    score = f" (the highest score is {figure(photo.alarm)})" if false else ""
    return (
        f"{int(photo.is_found.sum())} of {count(len(photo.true), 'object', 'objects')} found, "
        f"{count(false, 'false alarm', 'false alarms')}{score}"
    )


def _drawn(pixels: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Draw boxes `(N, 5)` in the colours of their classes."""
    picture = Image.fromarray(pixels)
    draw, colours = ImageDraw.Draw(picture), _colours()
    for *corners, number in boxes.tolist():
        draw.rectangle(
            corners, outline=tuple(colours[int(number) % len(colours)]), width=max(1, round(LINE * len(pixels)))
        )
    return np.asarray(picture)


def _colours() -> np.ndarray:
    """Return a bright colour for each class."""
    numbers = palette()[1:].astype(np.int64)
    return np.minimum(numbers + numbers // 2 + 40, 255).astype(np.uint8)
