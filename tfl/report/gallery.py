"""Photos worth a look: what went wrong most certainly, what was nearly wrong, and what the classes look like.

Only these few are explained, so that a report costs the same for a hundred and for a million test images.
"""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np

from tfl.data import Splits, make_dataset
from tfl.explain import (
    grad_cam,
    least_certain_hits,
    most_certain_errors,
    nearest,
    overlay,
    typical_examples,
)
from tfl.report.facts import Facts
from tfl.report.pictures import SMALL, thumbnail
from tfl.report.wording import figure, percent
from tfl.tasks import Judged

BATCH = 32
NEIGHBOURS = 3
MOST_TRAINING_IMAGES = 2000  # among which neighbours are looked for; more would cost a fine-tuned model too much
ROWS = ("top", "middle", "bottom")
COLUMNS = ("left", "centre", "right")


@dataclasses.dataclass(frozen=True)
class Neighbour:
    """A training image beside a test image, and its label."""

    picture: str
    label: str
    cosine: float


@dataclasses.dataclass(frozen=True)
class Card:
    """One test image: what is true, what was said, where the model looked, and what it had seen that is like it."""

    name: str
    truth: str
    said: str
    certainty: str
    is_error: bool
    picture: str
    heat: str
    looked_for: str
    where: str
    neighbours: list[Neighbour]


@dataclasses.dataclass(frozen=True)
class Gallery:
    """Images of one kind.

    Attributes:
        title: what they have in common.
        note: what to look for.
        cards: the images.
    """

    title: str
    note: str
    cards: list[Card]


def make_galleries(
    facts: Facts, model: keras.Model, splits: Splits, features: Callable[[np.ndarray], np.ndarray], most: int
) -> list[Gallery]:
    """Choose images, and explain them.

    Args:
        facts: of the run.
        model: its result.
        splits: its data.
        features: from rows of the index to what the head of the model sees of them, `(N, D)`.
        most: images of each kind; 0: none.

    Returns:
        The galleries that are not empty.
    """
    if not len(facts.table) or not most:
        return []
    judged = facts.task.judge(facts.probabilities, facts.table.labels)
    kinds = [(title, note, positions) for title, note, positions in _choose(facts, judged, most) if len(positions)]
    if not kinds:
        return []
    positions = np.unique(np.concatenate([found for _, _, found in kinds]))
    cards = dict(zip(positions.tolist(), _cards(facts, judged, positions, model, splits, features), strict=True))
    return [Gallery(title, note, [cards[position] for position in found.tolist()]) for title, note, found in kinds]


def _choose(facts: Facts, judged: Judged, most: int) -> list[tuple[str, str, np.ndarray]]:
    if not facts.task.is_classifier:
        order = np.argsort(judged.certainty, kind="stable")
        return [
            ("Largest errors", "Is the label right? Is there anything like it in training?", order[::-1][:most]),
            ("Smallest errors", "What these have in common is what the model has understood.", order[:most]),
        ]
    return [
        (
            "Most certain errors",
            "Look for wrong labels first: an error among training images of the predicted class may be none.",
            most_certain_errors(judged, most),
        ),
        (
            "Least certain hits",
            "Right, but only just: more images like these help most.",
            least_certain_hits(judged, most),
        ),
        (
            "Typical examples",
            "Hits of middling certainty. The heat should lie on what makes the class, not on the background.",
            _typical(facts, judged, 2 * most),
        ),
    ]


def _typical(facts: Facts, judged: Judged, most: int) -> np.ndarray:
    """Return up to two hits of every class, of many classes one each of the weakest."""
    if not facts.task.labels.has_one_class:  # an example has several classes: what is typical is so of all
        return typical_examples(dataclasses.replace(judged, predicted=np.zeros_like(judged.predicted)), 0, most)
    number = len(facts.metadata.class_names)
    recall = [np.mean(judged.is_hit[facts.table.labels == k]) for k in range(number)]
    weakest = np.argsort(np.nan_to_num(recall, nan=2.0), kind="stable")[:most]
    each = 2 if 2 * number <= most else 1
    return np.concatenate([typical_examples(judged, k, each) for k in sorted(weakest.tolist())])


def _cards(
    facts: Facts,
    judged: Judged,
    positions: np.ndarray,
    model: keras.Model,
    splits: Splits,
    features: Callable[[np.ndarray], np.ndarray],
) -> list[Card]:
    row_of = {name: row for row, name in enumerate(splits.index.ids.tolist())}
    rows = np.array([row_of[name] for name in np.asarray(facts.table.ids)[positions].tolist()], np.int64)
    train = splits.train
    if len(train) > MOST_TRAINING_IMAGES:
        train = np.sort(np.random.default_rng(facts.config.seed).choice(train, MOST_TRAINING_IMAGES, replace=False))
    near, cosines = nearest(features(rows), features(train), NEIGHBOURS)
    pixels = _pixels(splits, np.concatenate([rows, train[near].ravel()]), facts.metadata.image_size)
    images = np.stack([pixels[row] for row in rows.tolist()])
    heats = grad_cam(model, images, judged.predicted[positions])
    index, labels = splits.index, splits.index.label_texts()
    cards = []
    for place, (position, row) in enumerate(zip(positions.tolist(), rows.tolist(), strict=True)):
        truth, said, certainty = _said(facts, judged, position)
        beside = zip(train[near[place]].tolist(), cosines[place].tolist(), strict=True)
        shape = (int(index.facts["width"][row]), int(index.facts["height"][row]))
        cards.append(
            Card(
                name=str(index.ids[row]),
                truth=truth,
                said=said,
                certainty=certainty,
                is_error=facts.task.is_classifier and not judged.is_hit[position],
                picture=thumbnail(images[place], shape),
                heat=thumbnail(overlay(images[place], heats[place]), shape),
                looked_for=facts.metadata.class_names[judged.predicted[position]],
                where=_where(heats[place]),
                neighbours=[
                    Neighbour(thumbnail(pixels[other], (1, 1), SMALL), _plain(labels[other]), cosine)
                    for other, cosine in beside
                ],
            )
        )
    return cards


def _pixels(splits: Splits, rows: np.ndarray, image_size: int) -> dict[int, np.ndarray]:
    """Read images as the model sees them, each once."""
    dataset = make_dataset(splits.source, np.unique(rows), image_size=image_size, batch_size=BATCH)
    return {
        int(row): image for batch in dataset for row, image in zip(batch["id"], batch["image"].numpy(), strict=True)
    }


def _said(facts: Facts, judged: Judged, position: int) -> tuple[str, str, str]:
    """Return what is true of a test example, what was said, and how certainly."""
    names, values = facts.metadata.class_names, facts.probabilities[position]
    label, certainty = facts.table.labels[position], judged.certainty[position]
    if not facts.has_classes:
        truth, said = (", ".join(map(figure, np.ravel(found).tolist())) for found in (label, values))
    else:
        decided = facts.task.decide(values[None])[0]
        truth, said = (_plain(facts.task.labels.text(found, names)) or "none" for found in (label, decided))
    if not facts.task.is_classifier:
        return truth, said, f"off by {figure(float(certainty))}"
    of_name = "" if facts.task.labels.has_one_class else f" of {names[judged.predicted[position]]}"
    return truth, said, f"{percent(certainty)} sure{of_name}"


def _plain(label: str) -> str:
    return label.replace("|", ", ")


def _where(heat: np.ndarray) -> str:
    """Say in words where in the image the heat is, for those who do not see it."""
    if not heat.any():
        return "nothing in the image speaks for it"
    row, column = np.unravel_index(int(heat.argmax()), heat.shape)
    place = f"{ROWS[3 * row // heat.shape[0]]} {COLUMNS[3 * column // heat.shape[1]]}"
    place = "centre" if place == "middle centre" else place
    return f"hottest at the {place}, at least half as hot over {percent(float(np.mean(heat > 0.5)))} of it"
