"""A small data set that tfds itself writes, for tests without a network."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

SPLITS = {"train": slice(0, 40), "test": slice(40, 60)}


def write_tfds(
    folder: Path,
    seed: int = 0,
    splits: Mapping[str, slice] = SPLITS,
    names: Sequence[str] = ("ant", "bee"),
    *,
    images: np.ndarray | None = None,
    labels: np.ndarray | None = None,
) -> Path:
    """Write the data set `tiny` of PNG images into a folder of tfds."""
    import tensorflow_datasets as tfds

    count, rng = max(part.stop for part in splits.values()), np.random.default_rng(seed)
    labels = np.arange(count) % len(names) if labels is None else labels
    if images is None:
        bright = 80 + 90 * labels[:, None, None, None] / len(names)
        images = np.clip(rng.normal(bright, 40, (count, 32, 32, 3)), 0, 255).astype(np.uint8)
    pairs = {name: {"image": images[part], "label": labels[part]} for name, part in splits.items()}
    tfds.dataset_builders.store_as_tfds_dataset(
        name="tiny",
        version="1.0.0",
        features=tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=(None, None, 3), encoding_format="png"),
                "label": tfds.features.ClassLabel(names=list(names)),
            }
        ),
        split_datasets={name: tf.data.Dataset.from_tensor_slices(pair) for name, pair in pairs.items()},
        data_dir=str(folder),
        disable_shuffling=True,
    )
    return folder
