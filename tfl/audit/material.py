"""What the audit looks at: the index of a data set, its stored features, small pictures and facts about its files."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence

import numpy as np

from tfl.audit.finding import Finding
from tfl.data import Source, make_dataset
from tfl.data.index import Index
from tfl.data.split_names import SPLITS
from tfl.progress import track
from tfl.tasks import Task

SIDE = 64  # pixels per side of the small pictures
BATCH = 64
FITTED = ("train", "validation")


@dataclasses.dataclass(frozen=True)
class Material:
    """A data set with its features.

    Attributes:
        source: the examples; its index has the splits of the run.
        features: float32 `(N, D)`, one row for each row of the index, from the frozen part of the network.
        task: what is predicted.
        seed: of folds, samples and permutations.
    """

    source: Source
    features: np.ndarray
    task: Task
    seed: int = 0

    @property
    def index(self) -> Index:
        """One row per example."""
        return self.source.index

    @property
    def has_classes(self) -> bool:
        """Whether each example has exactly one class."""
        return self.index.is_multiclass

    @functools.cached_property
    def fitting(self) -> np.ndarray:
        """The rows on which something may be fitted or chosen, those of train and validation, int64."""
        return np.flatnonzero(np.isin(self.index.splits, FITTED)).astype(np.int64)

    @functools.cached_property
    def used(self) -> np.ndarray:
        """The rows that a run uses, those of the three splits, int64."""
        return np.flatnonzero(np.isin(self.index.splits, SPLITS)).astype(np.int64)

    @functools.cached_property
    def directions(self) -> np.ndarray:
        """The features with length 1, float32 `(N, D)`; their products are cosines."""
        lengths = np.linalg.norm(self.features, axis=1, keepdims=True)
        return (self.features / np.maximum(lengths, np.finfo(np.float32).tiny)).astype(np.float32)

    @functools.cached_property
    def pictures(self) -> np.ndarray | None:
        """Small pictures of all examples, uint8 `(N, 64, 64, 3)`, as the network sees them; None if they are none."""
        if not self.source.kind.has_pictures:
            return None
        return small_pictures(self.source, np.arange(len(self.index)))

    @functools.cached_property
    def traits(self) -> Mapping[str, np.ndarray]:
        """Facts about the files that say nothing about what they show: N numbers or N texts by name."""
        found = [self.source.kind.file_traits(path) if path else {} for path in self.index.paths.tolist()]
        names = sorted({name for traits in found for name in traits})
        return {name: np.array([traits.get(name, "") for traits in found]) for name in names}

    def without_unused(self, findings: Sequence[Finding]) -> list[Finding]:
        """Return the findings without those about examples that a run does not use."""
        unused = set(self.index.ids.tolist()) - set(self.index.ids[self.used].tolist())
        return [finding for finding in findings if finding.id not in unused]

    def name(self, row: int) -> str:
        """Return the id of a row."""
        return str(self.index.ids[row])

    def label(self, row: int) -> str:
        """Return the label of a row as text."""
        return self.task.labels.text(self.index.labels[row], self.index.class_names)


def small_pictures(source: Source, rows: np.ndarray) -> np.ndarray:
    """Return small pictures of some rows, uint8 `(R, 64, 64, 3)`, in the order of `rows`.

    Args:
        source: of examples that are pictures.
        rows: int64 `(R,)`.
    """
    rows = np.asarray(rows, np.int64)
    pictures = np.empty((len(rows), *source.kind.sized(SIDE).spec.shape), np.uint8)
    if not len(rows):
        return pictures
    place = {row: number for number, row in enumerate(rows.tolist())}
    batches = make_dataset(source, rows, image_size=SIDE, batch_size=BATCH)
    for batch in track(batches, "small pictures", len(rows), source.kind.noun, scale=BATCH):
        pictures[[place[row] for row in batch["id"].numpy().tolist()]] = batch["input"].numpy()
    return pictures
