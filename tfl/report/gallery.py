"""Choose photos to look at: confident errors, correct predictions with low confidence, and typical examples.

Only these few photos are explained, so that a report takes as long for a million test images as for a hundred.
"""

import dataclasses
from collections.abc import Callable
from typing import ClassVar

import keras
import numpy as np

from tfl.data import Splits, make_dataset
from tfl.explain import (
    grad_cam,
    least_confident_hits,
    most_confident_errors,
    nearest,
    overlay,
    typical_examples,
)
from tfl.files.pictures import SMALL, thumbnail
from tfl.report.blocks import Block, Text
from tfl.report.facts import Facts
from tfl.report.wording import figure, percent
from tfl.tasks import Outcomes

BATCH = 32
NEIGHBOURS = 3
MOST_TRAINING_IMAGES = 2000  # searched for neighbours; more would take a fine-tuned model too long
ROWS = ("top", "middle", "bottom")
COLUMNS = ("left", "centre", "right")


@dataclasses.dataclass(frozen=True)
class Neighbour:
    """A training image that is similar to a test image, and its label."""

    picture: str
    label: str
    cosine: float


@dataclasses.dataclass(frozen=True)
class Card:
    """One test image: its label, the prediction, the heat map, and similar training images."""

    name: str
    truth: str
    predicted: str
    confidence: str
    is_error: bool
    picture: str
    heat: str
    looked_for: str
    where: str
    neighbours: list[Neighbour]


@dataclasses.dataclass(frozen=True)
class Gallery(Block):
    """Images of one kind.

    Attributes:
        title: the kind of the images.
        note: what to look for.
        cards: the images.
        nouns: the name of one example and of several.
    """

    kind: ClassVar[str] = "gallery"
    title: str
    note: str
    cards: list[Card]
    nouns: tuple[str, str]


def make_galleries(
    facts: Facts, model: keras.Model, splits: Splits, features: Callable[[np.ndarray], np.ndarray], most: int
) -> list[Block]:
    """Choose images, and explain the predictions on them.

    Args:
        facts: the facts of the run.
        model: the model of the run.
        splits: the data of the run.
        features: a function from rows of the index to the features that the head gets, `(N, D)`.
        most: the number of images of each kind; 0: none.

    Returns:
        The galleries that are not empty, and a sentence for each of the others; nothing if there is no image.
    """
    if not len(facts.table) or not most or not facts.metadata.input.has_pictures:
        return []
    outcomes = facts.task.outcomes(facts.probabilities, facts.table.labels)
    kinds = choose_kinds(facts, outcomes, most)
    positions = np.unique(np.concatenate([kind.positions for kind in kinds]))
    if not len(positions):
        return []
    cards = dict(zip(positions.tolist(), _cards(facts, outcomes, positions, model, splits, features), strict=True))
    return [
        Gallery(kind.title, kind.note, [cards[position] for position in kind.positions.tolist()], facts.nouns)
        if len(kind.positions)
        else Text(kind.if_none)
        for kind in kinds
    ]


@dataclasses.dataclass(frozen=True)
class Kind:
    """One kind of images: its title, what to look for, the chosen positions, and the sentence if there are none."""

    title: str
    note: str
    positions: np.ndarray
    if_none: str = ""


def choose_kinds(facts: Facts, outcomes: Outcomes, most: int) -> list[Kind]:
    """Choose test examples of each kind.

    Args:
        facts: the facts of the run.
        outcomes: what became of each test example.
        most: the number of examples of each kind.
    """
    several = facts.nouns[1]
    if not facts.task.is_classifier:
        order = np.argsort(outcomes.confidence, kind="stable")
        return [
            Kind(
                "Largest errors", f"Is the label correct? Are there similar {several} in training?", order[::-1][:most]
            ),
            Kind(
                "Smallest errors",
                f"What these {several} have in common shows what the model predicts well.",
                order[:most],
            ),
        ]
    return [
        Kind(
            "Errors with the highest confidence",
            f"Check the labels first. If the nearest training {several} belong to the predicted class, the label may "
            "be wrong.",
            most_confident_errors(outcomes, most),
            f"The model made no error on the test {several}, so there is none to look at.",
        ),
        Kind(
            "Correct predictions with the lowest confidence",
            f"The model nearly made an error here. More training {several} like these help most.",
            least_confident_hits(outcomes, most),
            f"The model predicted none of the test {several} correctly.",
        ),
        Kind(
            "Typical examples",
            "Correct predictions with a medium confidence. The heat should be on the object, not on the background.",
            _typical(facts, outcomes, 2 * most),
            "There is no correct prediction to show as a typical example.",
        ),
    ]


def _typical(facts: Facts, outcomes: Outcomes, most: int) -> np.ndarray:
    """Return up to two correct predictions of every class; with many classes, one of each of the weakest classes."""
    if not facts.task.labels.has_one_class:  # an example has several classes: choose among all examples together
        return typical_examples(dataclasses.replace(outcomes, predicted=np.zeros_like(outcomes.predicted)), 0, most)
    number = len(facts.metadata.class_names)
    recall = [np.mean(outcomes.is_correct[facts.table.labels == k]) for k in range(number)]
    weakest = np.argsort(np.nan_to_num(recall, nan=2.0), kind="stable")[:most]
    each = 2 if 2 * number <= most else 1
    return np.concatenate([typical_examples(outcomes, k, each) for k in sorted(weakest.tolist())])


def _cards(
    facts: Facts,
    outcomes: Outcomes,
    positions: np.ndarray,
    model: keras.Model,
    splits: Splits,
    features: Callable[[np.ndarray], np.ndarray],
) -> list[Card]:
    rows = splits.index.rows_of(np.asarray(facts.table.ids)[positions])
    train = splits.train
    if len(train) > MOST_TRAINING_IMAGES:
        train = np.sort(np.random.default_rng(facts.config.seed).choice(train, MOST_TRAINING_IMAGES, replace=False))
    near, cosines = nearest(features(rows), features(train), NEIGHBOURS)
    pixels = _pixels(splits, np.concatenate([rows, train[near].ravel()]), facts.metadata.image_size)
    images = np.stack([pixels[row] for row in rows.tolist()])
    heats = grad_cam(model, images, outcomes.predicted[positions])
    index, labels = splits.index, splits.index.label_texts()
    cards = []
    for place, (position, row) in enumerate(zip(positions.tolist(), rows.tolist(), strict=True)):
        truth, predicted, confidence = describe_prediction(facts, outcomes, position)
        neighbours = zip(train[near[place]].tolist(), cosines[place].tolist(), strict=True)
        shape = facts.metadata.input.aspect(index.facts, row)
        cards.append(
            Card(
                name=str(index.ids[row]),
                truth=truth,
                predicted=predicted,
                confidence=confidence,
                is_error=facts.task.is_classifier and not outcomes.is_correct[position],
                picture=thumbnail(images[place], shape),
                heat=thumbnail(overlay(images[place], heats[place]), shape),
                looked_for=facts.metadata.class_names[outcomes.predicted[position]],
                where=_where(heats[place]),
                neighbours=[
                    Neighbour(thumbnail(pixels[other], (1, 1), SMALL), _plain(labels[other]), cosine)
                    for other, cosine in neighbours
                ],
            )
        )
    return cards


def _pixels(splits: Splits, rows: np.ndarray, image_size: int) -> dict[int, np.ndarray]:
    """Read images with the preprocessing of the model, each image once."""
    dataset = make_dataset(splits.source, np.unique(rows), image_size=image_size, batch_size=BATCH)
    return {
        int(row): image for batch in dataset for row, image in zip(batch["id"], batch["input"].numpy(), strict=True)
    }


def describe_prediction(facts: Facts, outcomes: Outcomes, position: int) -> tuple[str, str, str]:
    """Return the label of a test example, the prediction and its confidence, in words."""
    names, values = facts.metadata.class_names, facts.probabilities[position]
    label, confidence = facts.table.labels[position], outcomes.confidence[position]
    if not facts.has_classes:
        truth, predicted = (", ".join(map(figure, np.ravel(value).tolist())) for value in (label, values))
    else:
        decided = facts.task.decide(values[None])[0]
        truth, predicted = (_plain(facts.task.labels.text(value, names)) or "none" for value in (label, decided))
    if not facts.task.is_classifier:
        return truth, predicted, f"error {figure(float(confidence))}"
    of_name = "" if facts.task.labels.has_one_class else f" in {names[outcomes.predicted[position]]}"
    return truth, predicted, f"confidence {percent(confidence)}{of_name}"


def _plain(label: str) -> str:
    return label.replace("|", ", ")


def _where(heat: np.ndarray) -> str:
    """Describe in words where in the image the heat is, for readers who cannot see it."""
    if not heat.any():
        return "no place in the image raises its score"
    row, column = np.unravel_index(int(heat.argmax()), heat.shape)
    place = f"{ROWS[3 * row // heat.shape[0]]} {COLUMNS[3 * column // heat.shape[1]]}"
    place = "centre" if place == "middle centre" else place
    return (
        f"strongest at the {place}, and at least half as strong in {percent(float(np.mean(heat > 0.5)))} of the image"
    )
