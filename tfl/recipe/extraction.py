"""Write features for other programs: scikit-learn, a vector database, a notebook."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from etils import epath

from tfl.build import checked, load_splits, make_extractor
from tfl.config import TransferConfig
from tfl.data import Splits, reading_explained
from tfl.data.index import describe_order
from tfl.features import Extractor, open_store
from tfl.features.rows import read_blocks
from tfl.files.writing import write_atomically
from tfl.models.classifier import build_classifier, split_at_features
from tfl.models.heads import HeadSpec
from tfl.models.inference import Outputs
from tfl.progress import say
from tfl.recipe.backbone import backbone_of
from tfl.recipe.feature_file import check_format
from tfl.recipe.pooling import choose_features
from tfl.workdir import write_csv


@reading_explained()
def extract_features(config: TransferConfig, output: epath.PathLike, file_format: str = "npy") -> Outputs:
    """Run the frozen backbone over every image of a source, and write the features.

    Args:
        config: the options; only `data`, `backbone`, `features` and `head.pooling` are used.
        output: for "npy" a folder (`features.npy` (N, D) float32, `labels.npy`, and `examples.csv` with id,
            label and split of each row); for the other formats one file.
        file_format: "npy"; "parquet" with the columns id, label, split and features; or "tfrecord", with
            `tf.train.Example` records that have the same names.

    Returns:
        The features, with their labels and their rows in the index, in the order of the rows written.

    Raises:
        InputError: the config or the data cannot be used, or the output cannot be written.

    Example:
        >>> config = tfl.TransferConfig(data=tfl.DataConfig(source="folder:photos"))
        >>> features = tfl.extract_features(config, "features.parquet", "parquet")
    """
    config = checked(config)
    write = _WRITERS[check_format(file_format, output)]
    output = epath.Path(output).expanduser()
    splits = load_splits(config)
    features = frozen_features(choose_features(config, splits), splits)
    write(output, features, splits)
    say(f"written: {output}: {features.values.shape[0]} rows of {features.values.shape[1]} features")
    order = describe_order(splits.class_names) if splits.index.is_multiclass else ""
    if order:
        say(order)
    return features


def frozen_features(config: TransferConfig, splits: Splits, weights: str = "") -> Outputs:
    """Return the features of every example from the frozen backbone; those in the store are not computed again.

    Args:
        config: a checked config.
        splits: its data.
        weights: of the backbone; empty: those of the config.
    """
    return frozen_extractor(config, splits, weights)(np.arange(len(splits.index)))


def frozen_extractor(config: TransferConfig, splits: Splits, weights: str = "") -> Extractor:
    """Return the extractor of these features; see `frozen_features`."""
    backbone = backbone_of(config, weights)
    lower, _ = split_at_features(build_classifier(backbone, HeadSpec(1, config.head.pooling)))
    return make_extractor(lower, splits.source, config.features, open_store(config.features))


def _write_npy(output: epath.Path, features: Outputs, splits: Splits) -> None:
    def fill(path: epath.Path) -> None:
        target = np.lib.format.open_memmap(os.fspath(path), "w+", np.float32, features.values.shape)
        for rows, block in read_blocks(features.values, slice(0, len(features))):
            target[rows] = block
        target.flush()

    write_atomically(output / "features.npy", fill)
    write_atomically(output / "labels.npy", lambda path: np.save(os.fspath(path), features.labels))
    write_csv(output / "examples.csv", ("id", "label", "split"), zip(*_names(splits, slice(None)), strict=True))


def _write_parquet(output: epath.Path, features: Outputs, splits: Splits) -> None:
    import pyarrow as pa  # the import takes a second, and only this function needs it
    import pyarrow.parquet as pq

    width = features.values.shape[1]
    schema = pa.schema(
        [*((name, pa.string()) for name in ("id", "label", "split")), ("features", pa.list_(pa.float32(), width))]
    )

    def fill(path: epath.Path) -> None:
        with pq.ParquetWriter(os.fspath(path), schema) as writer:
            for rows, block in read_blocks(features.values, slice(0, len(features))):
                columns: list[Any] = [pa.array(column) for column in _names(splits, rows)]
                columns.append(pa.FixedSizeListArray.from_arrays(pa.array(block.ravel()), width))
                writer.write_table(pa.Table.from_arrays(columns, schema=schema))

    write_atomically(output, fill)


def _write_tfrecord(output: epath.Path, features: Outputs, splits: Splits) -> None:
    def fill(path: epath.Path) -> None:
        with tf.io.TFRecordWriter(os.fspath(path)) as writer:
            for rows, block in read_blocks(features.values, slice(0, len(features))):
                for *texts, values in zip(*_names(splits, rows), block, strict=True):
                    columns = {
                        name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[os.fsencode(text)]))
                        for name, text in zip(("id", "label", "split"), texts, strict=True)
                    }
                    columns["features"] = tf.train.Feature(float_list=tf.train.FloatList(value=values))
                    writer.write(tf.train.Example(features=tf.train.Features(feature=columns)).SerializeToString())

    write_atomically(output, fill)


def _names(splits: Splits, rows: slice) -> tuple[list[str], list[str], list[str]]:
    index = splits.index
    return index.ids[rows].tolist(), index.label_texts()[rows], index.splits[rows].tolist()


_WRITERS: dict[str, Callable[[epath.Path, Outputs, Splits], None]] = {
    "npy": _write_npy,
    "parquet": _write_parquet,
    "tfrecord": _write_tfrecord,
}
