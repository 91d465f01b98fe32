"""`tfds:NAME`: a data set of the TensorFlow Datasets catalogue, from its files on this machine."""

import os
import socket
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from tfl import progress
from tfl.config.values import parse_tfds_splits
from tfl.data.reading import Reading
from tfl.data.split_names import SPLIT_WORDS
from tfl.data.stream import StreamSource, load_streams
from tfl.errors import InputError
from tfl.inputs import Input

_AS_IT_IS = Reading()
_HOST = ("storage.googleapis.com", 443)


def load_tfds(name: str, kind: Input, reading: Reading = _AS_IT_IS) -> StreamSource:
    """Read a tfds data set with images and labels; the images are decoded by tfl, not by tfds.

    If the data set is not prepared yet, it is downloaded first. Without a network the error comes at once (tfds itself
    tries for minutes).

    Args:
        name: as tfds spells it: `name`, `name/config`, `name:version`, `name/config:version`.
        kind: what an example is.
        reading: the splits, the folder, and the fraction of undecodable images that stops the run.

    Raises:
        InputError: the data set is not prepared and there is no network, or it has no images with labels.
    """
    import tensorflow_datasets as tfds

    builder = _prepared_builder(tfds, name, reading.tfds_dir or os.environ.get("TFDS_DATA_DIR"))
    image_key, label_key = builder.info.supervised_keys or ("image", "label")
    features: Any = builder.info.features
    if not {image_key, label_key} <= set(features) or not isinstance(features[image_key], tfds.features.Image):
        raise InputError(f"`data.source` must have images with labels. Received: tfds:{name} with {list(features)}.")
    wanted = parse_tfds_splits(reading.tfds_splits) or {
        SPLIT_WORDS[split.lower()]: split for split in builder.info.splits if split.lower() in SPLIT_WORDS
    }
    _check_splits(builder, name, wanted)
    # One file after the other: the order of the examples must be the same on every pass.
    read_config = tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False)
    decoders = {image_key: tfds.decode.SkipDecoding()}

    def read(split: str) -> tf.data.Dataset:
        dataset = builder.as_dataset(split=split, shuffle_files=False, decoders=decoders, read_config=read_config)
        return dataset.map(lambda example: (example[image_key], example[label_key]))

    streams = {split: read(own) for split, own in wanted.items()}
    streams = {"": streams["train"]} if list(streams) == ["train"] else streams
    return load_streams(streams, kind, getattr(features[label_key], "names", None) or (), reading.max_bad_fraction)


def _check_splits(builder: Any, name: str, wanted: Mapping[str, str]) -> None:
    """Refuse splits that the data set does not have, and slices that tfds cannot read or that are empty."""
    for split in wanted.values():
        try:
            count = builder.info.splits[split].num_examples
        except (KeyError, ValueError, AssertionError) as error:
            raise InputError(
                f"`data.tfds_splits` must name splits of tfds:{name}: {', '.join(builder.info.splits)}, or slices of "
                f"them. Received: {split!r}."
            ) from error
        if not count:
            raise InputError(f"`data.tfds_splits` must name splits with examples. Received: {split!r}, which is empty.")


def _prepared_builder(tfds: Any, name: str, data_dir: str | None) -> Any:
    try:
        return tfds.core.read_only_builder.builder_from_files(name, **({"data_dir": data_dir} if data_dir else {}))
    except tfds.core.registered.DatasetNotFoundError as error:
        if not _is_online():
            folder = data_dir or tfds.core.constants.DATA_DIR
            raise InputError(
                f"`data.source` must name a data set that is prepared on this machine, because there is no network. "
                f"Received: tfds:{name}, not found in {folder} (data.tfds_dir sets another folder)."
            ) from error
    progress.say(f"Downloading and preparing tfds:{name} ...")
    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except tfds.core.registered.DatasetNotFoundError as error:
        raise InputError(f"`data.source` must name a tfds data set. Received: tfds:{name}.") from error
    if not progress.shows_bars():
        tfds.disable_progress_bar()  # its bars draw over one line, which a file or a pipe cannot show
    builder.download_and_prepare()
    return builder


def _is_online() -> bool:
    try:
        socket.create_connection(_HOST, timeout=3).close()
    except OSError:
        return False
    return True
