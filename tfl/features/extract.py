"""Run the frozen part of a model over images, once: what is stored is not computed again."""

import dataclasses
import functools
import hashlib
import json
import math
import time
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfl.backbones.weights import weights_checksum, weights_fingerprint
from tfl.config import FeaturesConfig
from tfl.data import Source, make_dataset
from tfl.data.pipeline import RULES
from tfl.errors import InputError
from tfl.features.runtime import Forward, make_forward
from tfl.features.shards import estimate_bytes
from tfl.features.shelf import Shelf
from tfl.features.store import FeatureStore, default_store
from tfl.files.room import StoreFullError, human_size
from tfl.inputs.image import photo_cache
from tfl.inputs.image.depth import FULL_DEPTH
from tfl.models.inference import Outputs
from tfl.progress import say, track

BATCH = 32  # on a CPU larger ones are slower, and a last one that is not full costs as much as a full one
SHARD_ROWS = 1024
SHARD_BYTES = 64 * 2**20  # of large activations fewer rows go into one shard


@dataclasses.dataclass(frozen=True)
class View:
    """One augmented version of every image; stateless, so that the same view is the same pixels again.

    Attributes:
        augmentation: "light", "shift" or "rand".
        seed: of the augmentation.
        number: from 0, as the epoch of training that it stands for.
    """

    augmentation: str
    seed: int
    number: int


PLAIN: tuple[View | None, ...] = (None,)


class Extractor:
    """The frozen part of a model over one source of images, with a memory.

    With a store, features are found again by content: what they depend on (weights, graph, preprocessing,
    image size, the rules of decoding and augmentation, the minor versions of TensorFlow and Keras) names the
    shelf, and the bytes of an image, with a view's augmentation, seed and number, name the row. So another head,
    another λ or ten more photos cost nothing that was paid before, and a changed pixel or weight is computed anew,
    also where the model's weights change between two calls.

    Args:
        model: from uint8 images `(B, S, S, 3)` to activations `(B, ...)`; run in inference mode.
        source: where the images are.
        image_size: S, pixels per side.
        store: None keeps features in memory.
        runtime: "auto", "tensorflow" or "openvino"; of a shelf that has been begun the first one counts.
        dtype: "float32" or "float16", on disk.

    Example:
        >>> extractor = Extractor(split_at_features(model)[0], splits.source, 224)
        >>> features = extractor(splits.train)
        >>> features.values.shape
        (1259, 1280)
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
        self._forward: Forward | None = None
        self._weights, self._digest = -1, ""
        self._in_memory: dict[Any, np.ndarray] = {}  # what is not stored, by rows and views

    def __call__(
        self, rows: np.ndarray, views: Sequence[View | None] = PLAIN, description: str = "features"
    ) -> Outputs:
        """Return the features of some rows of the source, computed where they are not stored.

        Args:
            rows: int64 `(N,)`, positions in the index.
            views: V of them; None is the image as it is.
            description: shown beside the progress bar.

        Returns:
            Values `(V N, ...)` float32, the rows of the first view first, with labels and ids. The values are
            an array, or a `StoredArray` that reads from disk what is asked of it.
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
        """Compute what the store lacks of some rows in one pass; without a store nothing is done.

        Each pass waits for its first images and ends on a batch that may not be full: one over all rows that
        will be asked for costs less than one for each split.

        Args:
            rows: int64 `(N,)`, positions in the index.
            views: as in a call.
            description: shown beside the progress bar.
        """
        self._forget_other_weights()
        shelf = self._shelf()
        if shelf is not None:
            self._fill(shelf, np.asarray(rows, np.int64), views, description)

    def _run(self, rows: np.ndarray, views: Sequence[View | None], description: str) -> np.ndarray:
        """Compute everything into one array."""
        values = np.empty((len(views) * len(rows), *self.shape), np.float32)
        for number, view in enumerate(views):
            place = dict(zip(rows.tolist(), range(number * len(rows), (number + 1) * len(rows)), strict=True))
            for found, block in self._compute(rows, view, description):
                values[[place[row] for row in found.tolist()]] = block
        return values

    def stored_bytes(self, num_examples: int) -> int:
        """Return about how many bytes the features of so many examples take."""
        return estimate_bytes(num_examples, self.shape, self.dtype)

    def has_room(self, num_examples: int) -> bool:
        """Say whether there is a store, and room in it for so many more examples."""
        return self.store is not None and self.store.room_for(num_examples, self.shape, self.dtype)

    def seconds_per_image(self, rows: np.ndarray) -> float:
        """Time the frozen part alone, on images that are decoded already."""
        self._forget_other_weights()
        rows = np.sort(rows[:BATCH])
        dataset = make_dataset(self.source, rows, image_size=self.image_size, batch_size=BATCH)
        images = next(iter(dataset))["image"].numpy()
        self._forward = self._forward or self._make_forward(images, len(self.source.index))
        self._forward(images)
        start = time.perf_counter()
        self._forward(images)
        return (time.perf_counter() - start) / len(images)

    def _forget_other_weights(self) -> None:
        """Begin anew where the model's weights are not those of the last call any more."""
        weights = weights_checksum(self.model)
        if weights != self._weights:
            self._weights, self._digest, self._forward = weights, "", None
            self._in_memory.clear()

    def _shelf(self) -> Shelf | None:
        """Open the shelf of this extractor; None where nothing is to be stored."""
        if self.store is None:
            return None
        self._digest = self._digest or _digest(self.model, self.image_size, self.source.bit_depth)
        return self.store.open(self._digest, self.shape, self.dtype)

    def _fill(self, shelf: Shelf, rows: np.ndarray, views: Sequence[View | None], description: str) -> bool:
        """Compute what is missing, shard by shard, in an order that does not depend on what is there already.

        Returns:
            False, with a line that says so, where the store has no room for it.
        """
        wanted = {view: self._missing(shelf, rows, view) for view in views}
        count = sum(map(len, wanted.values()))
        size = human_size(self.stored_bytes(count))
        if count and not self.has_room(count):
            say(f"{description}: not stored, the store has no room for {size} more (features.max_bytes, or the disk)")
            return False
        if count:
            say(f"{description}: {count} of {len(rows) * len(views)} to compute, {size} into {shelf.folder.parent}")
        row_bytes = max(1, math.prod(self.shape) * np.dtype(self.dtype).itemsize)
        shard_rows = max(1, min(SHARD_ROWS, SHARD_BYTES // row_bytes) // BATCH) * BATCH
        try:
            for view, missing in wanted.items():
                batches = self._compute(missing, view, description) if len(missing) else iter(())
                for found, block in _regroup(batches, shard_rows):
                    shelf.write([self._key(row, view) for row in found.tolist()], block)
        except StoreFullError as error:  # another process has filled it meanwhile
            say(f"{description}: not stored, computed again and kept in memory: {error}")
            return False
        return True

    def _missing(self, shelf: Shelf, rows: np.ndarray, view: View | None) -> np.ndarray:
        """Return the rows whose features are not stored, in order; of equal images the first."""
        by_key = {self._key(row, view): row for row in sorted(rows.tolist(), reverse=True)}
        keys = sorted(by_key, key=by_key.__getitem__)
        return np.array([by_key[keys[position]] for position in shelf.missing(keys)], np.int64)

    def _compute(
        self, rows: np.ndarray, view: View | None, description: str
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield ids and values, batch by batch, in the order of the source."""
        dataset = make_dataset(
            self.source,
            rows,
            image_size=self.image_size,
            batch_size=BATCH,
            augmentation=view.augmentation if view else "none",
            seed=view.seed if view else 0,
            epoch=view.number if view else None,
            shuffle=False,
        )
        for batch in track(dataset, description, unit="image", scale=BATCH):
            images = batch["image"].numpy()
            if self._forward is None:
                self._forward = self._make_forward(images, len(rows))
            yield batch["id"].numpy(), self._forward(images)

    def _make_forward(self, sample: np.ndarray, num_images: int) -> Forward:
        """Compile the frozen part; one shelf is computed by one runtime, so that its bytes do not depend on timing."""
        compile_for = functools.partial(make_forward, self.model, batch_size=BATCH, sample=sample)
        shelf = self._shelf()
        if shelf is None or self.runtime != "auto":
            return compile_for(self.runtime, num_images=num_images)
        known = shelf.facts().get("runtime", "auto")
        try:
            forward = compile_for(known, num_images=num_images)
        except InputError:  # it was installed when the shelf was begun
            say(f"features: begun by {known}, which is not installed any more; going on with tensorflow")
            return compile_for("tensorflow")
        agreed = shelf.agree({"runtime": forward.name})["runtime"]
        return forward if agreed in (forward.name, known) else compile_for(agreed)

    def _key(self, row: int, view: View | None) -> str:
        index = self.source.index
        facts = "x".join(str(values[row]) for values in index.facts.values())
        key = f"{index.sha256[row]}-{facts}"
        return key if view is None else f"{key}-{view.augmentation}-{view.seed}-{view.number}"


def open_store(options: FeaturesConfig) -> FeatureStore | None:
    """Return the store that a config asks for, or None; None too where the user's cache folder cannot be used.

    Raises:
        InputError: a folder that was asked for by name cannot be used.
    """
    if options.store == "none":
        return None
    if options.store != "cache":
        return FeatureStore(options.store, options.max_bytes)
    try:
        return FeatureStore(default_store(), options.max_bytes)
    except InputError as error:
        say(f"features stay in memory, and are computed again by the next run: {error}")
        return None


def _regroup(batches: Iterator[tuple[np.ndarray, np.ndarray]], size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Join batches to groups of `size` rows; the last may be short."""
    held: list[tuple[np.ndarray, np.ndarray]] = []
    for batch in batches:
        held.append(batch)
        if sum(len(ids) for ids, _ in held) >= size:
            yield _join(held)
            held = []
    if held:
        yield _join(held)


def _join(parts: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    ids, values = zip(*parts, strict=True)
    return np.concatenate(ids), np.concatenate(values)


def _digest(model: keras.Model, image_size: int, bit_depth: int = FULL_DEPTH) -> str:
    """Return the SHA-256 of everything that features depend on, but for the image.

    Patch releases of TensorFlow and Keras mend faults and change no values; minor ones may compute in another order.
    """
    digest = hashlib.sha256(weights_fingerprint(model).encode())
    names = {operation.name: f"#{number}" for number, operation in enumerate(model.operations)}
    graph = _renamed(json.loads(model.to_json()), {**names, model.name: "#"})  # Keras numbers names per process
    versions = [".".join(version.split(".")[:2]) for version in (tf.__version__, keras.__version__)]
    decoding = [image_size, bit_depth, RULES, photo_cache.RULES]
    digest.update(json.dumps([graph, decoding, versions], sort_keys=True).encode())
    return digest.hexdigest()


def _renamed(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):  # what is trainable later changes nothing in inference mode
        return {name: _renamed(inner, names) for name, inner in value.items() if name != "trainable"}
    if isinstance(value, list):
        return [_renamed(inner, names) for inner in value]
    return names.get(value, value) if isinstance(value, str) else value
