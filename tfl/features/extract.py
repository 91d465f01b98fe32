"""Run the frozen part of a model over images, and store the features, so that they are computed only once."""

import dataclasses
import functools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np

from tfl.backbones.weights import weights_checksum
from tfl.data import Source, make_dataset
from tfl.errors import InputError
from tfl.features.digest import digest_of
from tfl.features.runtime import Forward, make_forward
from tfl.features.shards import estimate_bytes
from tfl.features.shelf import Shelf
from tfl.features.speed import Speed, SpeedMeter
from tfl.features.store import FeatureStore
from tfl.features.view import PLAIN, View, drawn_as
from tfl.files.room import StoreFullError, human_size
from tfl.models.inference import Outputs
from tfl.progress import say, track

BATCH = 32  # on a CPU larger batches are slower, and a last batch that is not full costs as much as a full one
BATCH_ELEMENTS = BATCH * 256**2 * 3  # numbers in a batch: of larger pictures there are fewer in it
SHARD_ROWS = 1024
SHARD_BYTES = 64 * 2**20  # so a shard of large activations has fewer rows


class Extractor:
    """Compute and store the features of one source of images with the frozen part of a model.

    With a store, features are found again by content. The shelf has a name that depends on everything that changes
    features: weights, graph, preprocessing, image size, the rules of decoding and augmentation, and the minor
    versions of TensorFlow and Keras. The key of a row depends on the bytes of the image and on the augmentation, seed
    and number of the view. So a new head or a new λ needs no new features, and ten more photos need only their own
    features. If a pixel or a weight changes, the features are computed again, even if the weights of the model change
    between two calls.

    Args:
        model: model from uint8 images `(B, S, S, 3)` to activations `(B, ...)`; it runs in inference mode.
        source: source of the images.
        image_size: S, pixels per side; for another kind of example its size.
        store: the store on disk; None keeps features in memory.
        runtime: "auto", "tensorflow" or "openvino". With "auto", a shelf keeps the runtime that it was started with.
        dtype: "float32" or "float16", on disk.

    Example:
        >>> extractor = Extractor(lower, splits.source, 224)
        >>> features = extractor(splits.train)
        >>> len(features.values) == len(splits.train)
        True
    """

    def __init__(
        self,
        model: keras.Model,
        source: Source,
        image_size: int,
        *,
        store: FeatureStore | None = None,
        runtime: str = "auto",
        dtype: str = "float32",
    ) -> None:
        self.model, self.source, self.image_size = model, source, image_size
        self.store, self.runtime, self.dtype = store, runtime, dtype
        self.shape = tuple(int(size) for size in model.output.shape[1:])
        self.batch_size = max(1, min(BATCH, BATCH_ELEMENTS // math.prod(source.kind.sized(image_size).spec.shape)))
        self.tell: Callable[[Speed], None] = lambda speed: None  # called when the speed of a pass is known
        self._forward: Forward | None = None
        self._below: _Below | None = None
        self._whole: tuple[Extractor, np.ndarray] | None = None
        self._weights, self._digest = -1, ""
        self._in_memory: dict[Any, np.ndarray] = {}  # features that are not stored, by rows and views

    def __call__(
        self, rows: np.ndarray, views: Sequence[View | None] = PLAIN, description: str = "features"
    ) -> Outputs:
        """Return the features of some rows of the source; features that are not stored are computed.

        Args:
            rows: int64 `(N,)`, positions in the index.
            views: V views; None is the image without augmentation.
            description: text beside the progress bar.

        Returns:
            Values `(V N, ...)` float32, the rows of the first view first, with labels and ids. The values are an
            array, or a `StoredArray` that reads the requested rows from disk.
        """
        self._forget_other_weights()
        rows = np.asarray(rows, np.int64)
        ids, labels = np.tile(rows, len(views)), self.source.index.labels[np.tile(rows, len(views))]
        shelf = self._shelf()
        if shelf is None or not self._fill(shelf, rows, views, description):
            asked = (rows.tobytes(), tuple(views))
            if asked not in self._in_memory:
                self._in_memory[asked] = self._run(rows, views, description)
            return Outputs(self._in_memory[asked], labels, ids)
        keys = [self._key(row, view) for view in views for row in rows]
        return Outputs(shelf.read(keys), labels, ids)

    def fill(self, rows: np.ndarray, views: Sequence[View | None] = PLAIN, description: str = "features") -> None:
        """Compute in one pass the features of some rows that the store does not have; without a store, do nothing.

        Each pass waits for its first images, and its last batch may not be full. So one pass over the rows of all
        splits costs less than one pass for each split.

        Args:
            rows: int64 `(N,)`, positions in the index.
            views: as in a call of the extractor.
            description: text beside the progress bar.
        """
        self._forget_other_weights()
        shelf = self._shelf()
        if shelf is not None:
            self._fill(shelf, np.asarray(rows, np.int64), views, description)

    def continue_from(self, below: "Extractor") -> None:
        """Compute features from the activations that another extractor has stored, where it has, not from the images.

        The features are the same: to the bit between two blocks of a network, and to rounding between two layers that
        a runtime computes together. The images are not read again. Activations in float16 are not used.

        Args:
            below: extractor of a lower part of the same model, with the same source and its own shelf in a store.
        """
        rest = keras.Model(below.model.output, self.model.output)
        self._below = _Below(below, rest) if below.dtype == "float32" else None

    def take_from(self, whole: "Extractor", columns: np.ndarray) -> None:
        """Take features that another extractor has stored as some of its columns; the others are computed.

        Args:
            whole: extractor of a model whose output has more features of the same examples.
            columns: int64 `(D,)`, the places of these features in its output.
        """
        self._whole = whole, columns

    def is_stored(self, rows: np.ndarray, view: View | None = None) -> np.ndarray:
        """Return for each of some rows whether its features are stored, bool `(N,)`."""
        self._forget_other_weights()
        shelf = self._shelf()
        if shelf is None:
            return np.zeros(len(rows), bool)
        return ~np.isin(np.arange(len(rows)), shelf.missing([self._key(row, view) for row in rows.tolist()]))

    def count_missing(self, rows: np.ndarray, views: Sequence[View | None] = PLAIN) -> int:
        """Return how many features of some rows and views are not stored; all of them without a store."""
        self._forget_other_weights()
        shelf = self._shelf()
        rows = np.asarray(rows, np.int64)
        return len(rows) * len(views) if shelf is None else sum(len(self._missing(shelf, rows, v)) for v in views)

    def recorded_speed(self) -> Speed | None:
        """Return the speed at which the stored features were last computed; None if it is not recorded."""
        self._forget_other_weights()
        shelf = self._shelf()
        return None if shelf is None else shelf.speed()

    def _run(self, rows: np.ndarray, views: Sequence[View | None], description: str) -> np.ndarray:
        """Compute the features of all rows and views into one array."""
        values = np.empty((len(views) * len(rows), *self.shape), np.float32)
        for number, view in enumerate(views):
            place = dict(zip(rows.tolist(), range(number * len(rows), (number + 1) * len(rows)), strict=True))
            for found, block in self._compute(rows, view, description):
                values[[place[row] for row in found.tolist()]] = block
        return values

    def stored_bytes(self, num_examples: int) -> int:
        """Return the approximate number of bytes that the features of `num_examples` examples take."""
        return estimate_bytes(num_examples, self.shape, self.dtype)

    def has_room(self, num_examples: int) -> bool:
        """Return whether there is a store with room for `num_examples` more examples."""
        return self.store is not None and self.store.room_for(num_examples, self.shape, self.dtype)

    def seconds_per_image(self, rows: np.ndarray) -> float:
        """Return the time of the frozen part alone, in seconds per image, on images that are already decoded."""
        self._forget_other_weights()
        rows = np.sort(rows[: self.batch_size])
        dataset = make_dataset(self.source, rows, image_size=self.image_size, batch_size=self.batch_size)
        images = next(iter(dataset))["input"].numpy()
        self._forward = self._forward or self._make_forward(images, len(self.source.index))
        self._forward(images)
        start = time.perf_counter()
        self._forward(images)
        return (time.perf_counter() - start) / len(images)

    def _forget_other_weights(self) -> None:
        """Drop the compiled function and the features in memory if the weights of the model have changed."""
        weights = weights_checksum(self.model)
        if weights != self._weights:
            self._weights, self._digest, self._forward = weights, "", None
            if self._below is not None:
                self._below.forward = None
            self._in_memory.clear()

    def _shelf(self) -> Shelf | None:
        """Return the shelf of this extractor; None if there is no store."""
        return None if self.store is None else self.store.open(self.digest(), self.shape, self.dtype)

    def digest(self) -> str:
        """Return the SHA-256 of everything that features depend on, except the example."""
        self._digest = self._digest or digest_of(self.model, self.source.kind.sized(self.image_size))
        return self._digest

    def _fill(self, shelf: Shelf, rows: np.ndarray, views: Sequence[View | None], description: str) -> bool:
        """Compute the missing features, shard by shard, in an order that does not depend on the stored features.

        Returns:
            False, after a message to the user, if the store has no room for them.
        """
        wanted = {view: self._missing(shelf, rows, view) for view in views}
        count = sum(map(len, wanted.values()))
        size = human_size(self.stored_bytes(count))
        if count and not self.has_room(count):
            say(f"{description}: not stored, because features.max_bytes or the disk leaves no room for {size} more")
            return False
        if count:
            say(f"{description}: computing {count} of {len(rows) * len(views)}, {size} into {shelf.folder.parent}")
        row_bytes = max(1, math.prod(self.shape) * np.dtype(self.dtype).itemsize)
        shard_rows = max(1, min(SHARD_ROWS, SHARD_BYTES // row_bytes) // BATCH) * BATCH
        try:
            for view, missing in wanted.items():
                for found, block in _regroup(self._compute(missing, view, description), shard_rows):
                    shelf.write([self._key(row, view) for row in found.tolist()], block)
        except StoreFullError as error:  # another process filled the store in the meantime
            say(f"{description}: not stored, but computed again and kept in memory: {error}")
            return False
        return True

    def _missing(self, shelf: Shelf, rows: np.ndarray, view: View | None) -> np.ndarray:
        """Return the rows whose features are not stored, in order; for equal images only the first row."""
        by_key = {self._key(row, view): row for row in sorted(rows.tolist(), reverse=True)}
        keys = sorted(by_key, key=by_key.__getitem__)
        return np.array([by_key[keys[position]] for position in shelf.missing(keys)], np.int64)

    def _compute(
        self, rows: np.ndarray, view: View | None, description: str
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield ids and values, batch by batch; those that are computed from images have the order of the source."""
        if self._whole is not None:
            whole, columns = self._whole
            is_stored = whole.is_stored(rows, view)
            for found in _blocks(rows[is_stored]):
                yield found, np.asarray(whole(found, [view]).values)[:, columns]
            rows = rows[~is_stored]
        if self._below is not None:
            is_stored = self._below.extractor.is_stored(rows, view)
            yield from self._compute_above(self._below, rows[is_stored], view)
            rows = rows[~is_stored]
        if not len(rows):
            return
        dataset = make_dataset(
            self.source,
            rows,
            image_size=self.image_size,
            batch_size=self.batch_size,
            shuffle=False,
            **drawn_as(view),
        )
        meter = SpeedMeter(self._take_speed, time.perf_counter())
        for batch in track(dataset, description, len(rows), self.source.kind.noun, scale=self.batch_size):
            images = batch["input"].numpy()
            meter.read(time.perf_counter())
            if self._forward is None:
                self._forward = self._make_forward(images, len(rows))
            yield batch["id"].numpy(), self._forward(images)
            meter.add(len(images), time.perf_counter())
        meter.finish()

    def _compute_above(
        self, below: "_Below", rows: np.ndarray, view: View | None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield ids and values, batch by batch, from stored activations."""
        activations = below.extractor(rows, [view]).values if len(rows) else np.zeros(0)
        for start in range(0, len(rows), self.batch_size):
            block = np.asarray(activations[start : start + self.batch_size])
            below.forward = below.forward or self._make_forward(block, len(rows), below.rest)
            yield rows[start : start + self.batch_size], below.forward(block)

    def _take_speed(self, speed: Speed) -> None:
        self.tell(speed)
        shelf = self._shelf()
        if shelf is not None:
            shelf.record_speed(speed)

    def _make_forward(self, sample: np.ndarray, num_images: int, model: keras.Model | None = None) -> Forward:
        """Compile the frozen part, or the model that continues from stored activations.

        Each shelf uses one runtime only, so its bytes do not depend on timing.
        """
        several = self.source.kind.noun[1]
        model = model or self.model
        compile_for = functools.partial(
            make_forward, model, batch_size=self.batch_size, sample=sample, examples=several
        )
        shelf = self._shelf()
        if shelf is None or self.runtime != "auto":
            return compile_for(self.runtime, num_images=num_images)
        known = shelf.facts().get("runtime", "auto")
        try:
            forward = compile_for(known, num_images=num_images)
        except InputError:  # the runtime was installed when the shelf was started, but is not installed now
            say(
                f"features: {known} computed the stored ones and is no longer installed; tensorflow computes the others"
            )
            return compile_for("tensorflow")
        agreed = shelf.agree({"runtime": forward.name})["runtime"]
        return forward if agreed in (forward.name, known) else compile_for(agreed)

    def _key(self, row: int, view: View | None) -> str:
        index = self.source.index
        facts = "x".join(str(values[row]) for values in index.facts.values())
        key = f"{index.sha256[row]}-{facts}"
        return key if view is None else f"{key}-{view.augmentation}-{view.seed}-{view.number}"


@dataclasses.dataclass
class _Below:
    """Stored activations of a lower part, and the rest of the model, which continues from them."""

    extractor: Extractor
    rest: keras.Model
    forward: Forward | None = None


def _blocks(rows: np.ndarray) -> Iterator[np.ndarray]:
    return (rows[start : start + SHARD_ROWS] for start in range(0, len(rows), SHARD_ROWS))


def _regroup(batches: Iterator[tuple[np.ndarray, np.ndarray]], size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Join batches into groups of at least `size` rows; the last group may be shorter."""
    held: list[tuple[np.ndarray, np.ndarray]] = []
    for batch in batches:
        held.append(batch)
        if sum(len(ids) for ids, _ in held) >= size:
            yield _join(held)
            held = []
    if held:
        yield _join(held)


def _join(parts: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    ids, values = map(np.concatenate, zip(*parts, strict=True))
    return ids, values
