"""Train the layers above a cut on stored activations: the batches, and whether storing saves time."""

import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfl.data import Source
from tfl.data.index import Index
from tfl.data.order import epoch_order, split_draws
from tfl.data.pipeline import make_label_dataset
from tfl.distribution.shares import make_shares
from tfl.features.extract import Extractor
from tfl.features.view import PLAIN, View, drawn_as
from tfl.files.room import human_size
from tfl.models.inference import Outputs
from tfl.progress import say

SAMPLE = 64  # images for timing the two ways


def make_feature_dataset(
    features: Outputs, positions: np.ndarray, batch_size: int, index: Index | None = None
) -> tf.data.Dataset:
    """Make batches of features in the form of `make_dataset`; each batch is read from disk when it is needed.

    Args:
        features: features from an `Extractor`.
        positions: int64 `(N,)`, positions of the rows of `features`, in the wanted order.
        batch_size: examples per batch; the last batch may be shorter.
        index: has the weights of the examples; None: all weights are 1.

    Returns:
        Dataset of {"input": float32 (B, ...), "label", "id": int64 (B,), "weight": float32 (B,)}; without labels if the
        index has them as texts, which stand for the labels that the source prepares.
    """
    shape = (None, *features.values.shape[1:])
    weights = np.ones(len(features.ids), np.float32) if index is None else index.weights_of(features.ids)
    are_texts = features.labels.dtype.kind in "UT"

    def gather(rows: tf.Tensor) -> dict[str, tf.Tensor]:
        values = tf.numpy_function(lambda chosen: features.values[chosen], [rows], tf.float32)
        batch = {"input": tf.ensure_shape(values, shape), "id": tf.gather(features.ids, rows)}
        known = {} if are_texts else {"label": tf.gather(features.labels, rows)}
        return batch | known | {"weight": tf.gather(weights, rows)}

    batches = tf.data.Dataset.from_tensor_slices(np.asarray(positions, np.int64)).batch(batch_size)
    return batches.map(gather).prefetch(2)


def with_labels(
    batches: tf.data.Dataset,
    source: Source,
    rows: np.ndarray,
    *,
    image_size: int,
    batch_size: int,
    view: View | None = None,
) -> tf.data.Dataset:
    """Return batches of features with the labels of their examples as the source prepares them, such as masks.

    Args:
        batches: from `make_feature_dataset`, in the order of `rows`.
        source: of the examples.
        rows: of the examples in the index.
        image_size: of a prepared example.
        batch_size: examples per batch.
        view: the version of the examples; None: they are not augmented.
    """
    labels = make_label_dataset(source, rows, image_size=image_size, batch_size=batch_size, **drawn_as(view))
    return tf.data.Dataset.zip(batches, labels).map(lambda batch, truth: batch | {"label": truth["label"]})


class StoredPhase:
    """The training data of a phase that trains above a cut, as stored activations.

    Args:
        extractor: extractor of the part below the cut.
        rows: rows of the training examples in the index.
        views: versions of each image; epoch e takes view e modulo the number of views, and the next one if it draws
            the image again.
        batch_size: examples per batch.
        seed: seed of the order, which is the same as in `make_dataset`.
        sampling: "uniform" or "balanced", as for `EpochFeed`.
    """

    def __init__(
        self,
        extractor: Extractor,
        rows: np.ndarray,
        views: Sequence[View | None],
        batch_size: int,
        seed: int,
        sampling: str = "uniform",
    ) -> None:
        self.classes = None if sampling == "uniform" else extractor.source.index.labels[rows].reshape(-1)
        self.rows, self.views, self.batch_size, self.seed = rows, tuple(views), batch_size, seed
        self.source, self.image_size = extractor.source, extractor.image_size
        self.features = extractor(rows, views, "activations of train")
        self.num_batches = math.ceil(len(rows) / batch_size)

    def __call__(self, epoch: int) -> tf.data.Dataset:
        """Return the batches of one epoch."""
        return self.from_batch(epoch, 0)

    def from_batch(self, epoch: int, start: int) -> tf.data.Dataset:
        """Return the batches of one epoch without the first `start`."""
        return self._make(self._order(epoch, start), self.batch_size)

    def shares(self, epoch: int, start: int, mine: range, num_replicas: int) -> tf.data.Dataset:
        """Return the shares of some replicas in the batches of `from_batch`."""
        return make_shares(self._order(epoch, start), self.batch_size, self._make, mine, num_replicas)

    def _make(self, order: np.ndarray, batch_size: int) -> tf.data.Dataset:
        batches = make_feature_dataset(self.features, order, batch_size, self.source.index)
        if not self.source.labels_have_places or not len(order):
            return batches
        version, places = np.divmod(order, len(self.rows))  # all of one version: no example is drawn again
        size, view = self.image_size, self.views[version[0]]
        return with_labels(batches, self.source, self.rows[places], image_size=size, batch_size=batch_size, view=view)

    def _order(self, epoch: int, start: int) -> np.ndarray:
        draws = epoch_order(np.arange(len(self.rows)), self.seed, epoch, self.classes)
        order, again = split_draws(draws[start * self.batch_size :])
        return order + (epoch + again) % len(self.views) * len(self.rows)


def is_worth_storing(extractor: Extractor, rows: dict[str, np.ndarray], views: int, epochs: int) -> bool:
    """Return whether to store the activations below a cut, and tell the user the reason in one line.

    Versions of the images that were asked for are stored if there is room: with them training sees other images than
    without, and a result must not depend on a clock. Plain images give the same results in both ways. Without storing,
    the frozen part runs once per image and epoch; with storing, it runs once per image, and the activations are read
    once per image and epoch. Both ways are timed on some images of the run, whose activations stay stored.

    Args:
        extractor: extractor of the part below the cut.
        rows: "train" and "validation" rows.
        views: versions of each training image that were asked for; 0: the plain images.
        epochs: number of epochs of the phase.
    """
    needed = max(1, views) * len(rows["train"]) + len(rows["validation"])
    size, kind = human_size(extractor.stored_bytes(needed)), extractor.source.kind
    if not extractor.has_room(needed):
        say(
            f"fine-tuning runs {kind.noun[1]} through the frozen part in every epoch, because the store has no room "
            f"for {size}"
        )
        return False
    if views:
        versions = f"{views} version{'' if views == 1 else 's'} of {kind.one_example}"
        say(f"fine-tuning: the frozen part runs once for {versions}, and its output is stored ({size})")
        return True
    run, read = _seconds_per_image(extractor, rows["validation"][:SAMPLE])
    again, stored = epochs * run, run + epochs * read
    stores = stored < again
    decision = f"runs once and its output is stored ({size})" if stores else "runs in every epoch"
    say(
        f"fine-tuning: the frozen part {decision}, because it takes {1000 * run:.2g} ms for {kind.one_example}, and "
        f"reading its output takes {1000 * read:.2g} ms"
    )
    return stores


def _seconds_per_image(extractor: Extractor, rows: np.ndarray) -> tuple[float, float]:
    stored = extractor(rows, PLAIN, "activations of a sample").values
    start = time.perf_counter()
    values: Any = stored[:]
    read = time.perf_counter() - start
    return extractor.seconds_per_image(rows), (read + 1e-9 * values.nbytes) / len(rows)
