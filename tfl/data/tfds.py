"""`tfds:NAME`: a data set of the TensorFlow Datasets catalogue, from its files on this machine."""

import os
import socket
from typing import Any

import tensorflow as tf

from tfl import progress
from tfl.data.split_names import SPLIT_WORDS
from tfl.data.stream import StreamSource, load_streams
from tfl.errors import InputError
from tfl.inputs import Input

_HOST = ("storage.googleapis.com", 443)


def load_tfds(name: str, kind: Input, max_bad_fraction: float = 0.1) -> StreamSource:
    """Read a tfds data set with images and labels; the images are decoded by tfl, not by tfds.

    If the data set is not prepared yet, it is downloaded first. Without a network the error comes at once (tfds itself
    tries for minutes).

    Args:
        name: as tfds spells it: `name`, `name/config`, `name:version`, `name/config:version`. The folder is the
            environment variable TFDS_DATA_DIR, or the default folder of tfds.
        kind: what an example is.
        max_bad_fraction: more undecodable images than this fraction stop the run.

    Raises:
        InputError: the data set is not prepared and there is no network, or it has no images with labels.
    """
    import tensorflow_datasets as tfds

    builder = _prepared_builder(tfds, name)
    image_key, label_key = builder.info.supervised_keys or ("image", "label")
    features: Any = builder.info.features
    if not {image_key, label_key} <= set(features) or not isinstance(features[image_key], tfds.features.Image):
        raise InputError(f"`data.source` must have images with labels. Received: tfds:{name} with {list(features)}.")
    wanted = {SPLIT_WORDS[split.lower()]: split for split in builder.info.splits if split.lower() in SPLIT_WORDS}
    # One file after the other: the order of the examples must be the same on every pass.
    read_config = tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False)
    decoders = {image_key: tfds.decode.SkipDecoding()}

    def read(split: str) -> tf.data.Dataset:
        dataset = builder.as_dataset(split=split, shuffle_files=False, decoders=decoders, read_config=read_config)
        return dataset.map(lambda example: (example[image_key], example[label_key]))

    streams = {split: read(own) for split, own in wanted.items()}
    streams = {"": streams["train"]} if list(streams) == ["train"] else streams
    return load_streams(streams, kind, getattr(features[label_key], "names", None) or (), max_bad_fraction)


def _prepared_builder(tfds: Any, name: str) -> Any:
    data_dir = os.environ.get("TFDS_DATA_DIR")
    try:
        return tfds.core.read_only_builder.builder_from_files(name, **({"data_dir": data_dir} if data_dir else {}))
    except tfds.core.registered.DatasetNotFoundError as error:
        if not _is_online():
            folder = data_dir or tfds.core.constants.DATA_DIR
            raise InputError(
                f"`data.source` must name a data set that is prepared on this machine, because there is no network. "
                f"Received: tfds:{name}, not found in {folder} (TFDS_DATA_DIR sets another folder)."
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
