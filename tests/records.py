"""TFRecord files for tests, written with TensorFlow's own `tf.train.Example`."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

HEAD = 12  # bytes before the content of a record


def make_example(features: Mapping[str, Any]) -> bytes:
    """Return a serialized example; a value is bytes, text, a number, or a list of these."""
    made = {}
    for key, value in features.items():
        values = list(value) if isinstance(value, (list, tuple)) else [value]
        values = [item.encode() if isinstance(item, str) else item for item in values]
        if all(isinstance(item, bytes) for item in values):
            made[key] = tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
        elif all(isinstance(item, int) for item in values):
            made[key] = tf.train.Feature(int64_list=tf.train.Int64List(value=values))
        else:
            made[key] = tf.train.Feature(float_list=tf.train.FloatList(value=values))
    return tf.train.Example(features=tf.train.Features(feature=made)).SerializeToString()


def write_records(path: Path, records: Iterable[Mapping[str, Any] | bytes]) -> Path:
    """Write a TFRecord file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record if isinstance(record, bytes) else make_example(record))
    return path


def usual(image: bytes, name: str, names: Sequence[str]) -> dict[str, Any]:
    """Return an example with the usual keys."""
    return {"image/encoded": image, "image/class/label": names.index(name), "image/class/text": name}
