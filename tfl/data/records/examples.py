"""`tf.train.Example` without TensorFlow: a wrong command is answered before TensorFlow is imported."""

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

Values = list[bytes] | list[int] | list[float]

_FIELD = descriptor_pb2.FieldDescriptorProto
_LISTS = {"BytesList": _FIELD.TYPE_BYTES, "FloatList": _FIELD.TYPE_FLOAT, "Int64List": _FIELD.TYPE_INT64}
_KINDS = {"bytes_list": "BytesList", "float_list": "FloatList", "int64_list": "Int64List"}


def parse_example(record: bytes) -> dict[str, Values]:
    """Return the features of a record by their keys.

    Raises:
        ValueError: the record is no `tf.train.Example`.

    Example:
        >>> parse_example(serialize_example({"label": [3], "name": [b"bee"]}))
        {'label': [3], 'name': [b'bee']}
    """
    try:
        features = _EXAMPLE.FromString(record).features.feature
    except message.DecodeError as error:
        raise ValueError("no tf.train.Example") from error
    return {key: _values(features[key]) for key in sorted(features)}


def serialize_example(features: Mapping[str, Sequence[bytes] | Sequence[int] | Sequence[float]]) -> bytes:
    """Return a record with these features; equal features give equal bytes.

    Args:
        features: by key, a list of bytes, of whole numbers or of numbers. An empty list is a list of bytes.
    """
    example = _EXAMPLE()
    for key, values in features.items():
        first = next(iter(values), b"")
        kind = "bytes_list" if isinstance(first, bytes) else "int64_list" if isinstance(first, int) else "float_list"
        values_of = getattr(example.features.feature[key], kind)
        values_of.SetInParent()
        values_of.value.extend(values)
    return example.SerializeToString(deterministic=True)


def _values(feature: Any) -> Values:
    kind = feature.WhichOneof("kind")
    return list(getattr(feature, kind).value) if kind else []


def _make_example_class() -> Any:
    """Build the message class from the fields of tensorflow/core/example/example.proto, in a pool of its own."""
    file = descriptor_pb2.FileDescriptorProto(name="tfl_example.proto", package="tfl", syntax="proto3")
    for name, kind in _LISTS.items():
        file.message_type.add(name=name).field.add(name="value", number=1, label=_FIELD.LABEL_REPEATED, type=kind)
    feature = file.message_type.add(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, (name, of) in enumerate(_KINDS.items(), start=1):
        feature.field.add(name=name, number=number, type_name=f".tfl.{of}", oneof_index=0, **_MESSAGE)
    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=_FIELD.TYPE_STRING, label=_FIELD.LABEL_OPTIONAL)
    entry.field.add(name="value", number=2, type_name=".tfl.Feature", **_MESSAGE)
    features.field.add(
        name="feature",
        number=1,
        type_name=".tfl.Features.FeatureEntry",
        type=_FIELD.TYPE_MESSAGE,
        label=_FIELD.LABEL_REPEATED,
    )
    file.message_type.add(name="Example").field.add(name="features", number=1, type_name=".tfl.Features", **_MESSAGE)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tfl.Example"))


_MESSAGE: Any = {"type": _FIELD.TYPE_MESSAGE, "label": _FIELD.LABEL_OPTIONAL}
_EXAMPLE = _make_example_class()
