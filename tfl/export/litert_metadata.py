"""Write labels and metadata into a `.tflite` file, in the TensorFlow Lite metadata standard.

The standard puts a flatbuffer (schema `metadata_schema.fbs`, identifier M001) among the model's buffers, under the
name `TFLITE_METADATA`. The files that it names are in a zip archive after the model. Android Studio, MediaPipe and
the LiteRT task libraries read it. The standard's own writer, `tflite-support`, has had no release since 2023 and
cannot be installed with a current TensorFlow, so this module writes the few tables that a classifier needs.
"""

import io
import zipfile
from typing import Any

import flatbuffers
import numpy as np
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils

from tfl.export.graph import metadata_to_json, output_names
from tfl.export.model_files import METADATA_NAME
from tfl.models.classifier import Metadata

LABELS_NAME, SIGNATURE = "labels.txt", "serving_default"
_BUFFER_NAME, _IDENTIFIER = b"TFLITE_METADATA", b"M001"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # a fixed time, so that the same model gives the same bytes


def add_metadata(content: bytes, metadata: Metadata) -> bytes:
    """Add the metadata of a classifier to a `.tflite` file.

    Args:
        content: the bytes of the converter's file, with pixels as its one input, and the outputs of `output_names`.
        metadata: written as `labels.txt` (one class per line) and `tfl.json` to the archive after the model.

    Returns:
        The bytes of the new file, with a signature from pixels to the outputs; `zipfile` and every LiteRT runtime can
        read it.
    """
    model: Any = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    model.signatureDefs = [_signature(model.subgraphs[0], metadata)]
    entry: Any = schema.MetadataT()
    buffer: Any = schema.BufferT()
    entry.name, entry.buffer = _BUFFER_NAME, len(model.buffers)
    buffer.data = np.frombuffer(_describe(metadata), np.uint8)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]
    file = io.BytesIO()
    file.write(flatbuffer_utils.convert_object_to_bytearray(model))
    with zipfile.ZipFile(file, "a") as archive:
        for name, text in {
            LABELS_NAME: "\n".join(metadata.class_names) + "\n",
            METADATA_NAME: metadata_to_json(metadata),
        }.items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), text)
    return file.getvalue()


def _signature(graph: Any, metadata: Metadata) -> Any:
    """Return a signature with named inputs and outputs for `get_signature_runner()`, as a SavedModel would get."""
    signature: Any = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = SIGNATURE, 0
    (input_tensor,) = graph.inputs
    signature.inputs = [_name(metadata.input.tensors[1], input_tensor)]
    signature.outputs = [_name(*pair) for pair in zip(output_names(metadata), graph.outputs, strict=True)]
    return signature


def _name(name: str, tensor: int) -> Any:
    entry: Any = schema.TensorMapT()
    entry.name, entry.tensorIndex = name, tensor
    return entry


class _Writer:
    """Writer for the tables of a flatbuffer.

    Each field is a pair (slot, value). A value is a string, a list of tables, a table, or a number of 1 or 4 bytes.
    """

    def __init__(self) -> None:
        self.builder = flatbuffers.Builder()

    def table(self, *fields: tuple[int, Any]) -> "_Table":
        ready = [(slot, self._before(value)) for slot, value in fields]  # flatbuffers builds one object at a time
        self.builder.StartObject(max(slot for slot, _ in fields) + 1)
        for slot, value in ready:
            if isinstance(value, _Byte):
                self.builder.PrependInt8Slot(slot, value, 0)
            elif isinstance(value, _Table):
                self.builder.PrependUOffsetTRelativeSlot(slot, value, 0)
            else:
                self.builder.PrependUint32Slot(slot, value, 0)
        return _Table(self.builder.EndObject())

    def _before(self, value: Any) -> int:
        if isinstance(value, str):
            return _Table(self.builder.CreateString(value))
        if isinstance(value, list):
            self.builder.StartVector(4, len(value), 4)
            for table in reversed(value):
                self.builder.PrependUOffsetTRelative(table)
            return _Table(self.builder.EndVector())
        return value


class _Table(int):
    """The position in the buffer where a table, string or vector begins."""


class _Byte(int):
    """A value of one of the schema's enumerations, 1 byte."""


def _describe(metadata: Metadata) -> bytes:
    """Return the flatbuffer; the numbers are the positions of the fields in the tables of the schema."""
    writer = _Writer()
    table, kind, size = writer.table, metadata.input, metadata.image_size
    if kind.has_pictures:
        image = table((0, _RGB), (1, table((0, size), (1, size))))
        what = f"RGB image, {size} by {size} pixels, uint8 in [0, 255], without normalization."
        content = [(3, table((0, _IMAGE_PROPERTIES), (1, image)))]
    else:
        what, content = f"{kind.noun[1]} of shape {tuple(kind.spec.shape)}, {kind.spec.dtype.name}", []
    input_table = table((0, kind.tensors[1]), (1, what), *content)
    output_tables = []
    for name in output_names(metadata):
        text, labels_of = _meaning(name, metadata)
        files = []
        if labels_of != _NO_LABELS:
            of = "One class on each line, in the order of the outputs."
            files = [(6, [table((0, LABELS_NAME), (1, of), (2, labels_of))])]
        output_tables.append(table((0, name), (1, text), *files))
    root = table(
        (0, f"{metadata.backbone} classifier"),
        (1, f"{kind.noun[0].capitalize()} classifier of {len(metadata.class_names)} classes, trained with tfl."),
        (3, [table((2, [input_table]), (3, output_tables))]),
        (6, [table((0, METADATA_NAME), (1, "Metadata of tfl."), (2, _DESCRIPTIONS))]),
        (7, "1.0.0"),
    )
    writer.builder.Finish(root, _IDENTIFIER)
    return bytes(writer.builder.Output())


def _meaning(name: str, metadata: Metadata) -> tuple[str, _Byte]:
    """Return the description of an output, and what its labels are of: an axis, or its values."""
    if (further := metadata.task.further_outputs.get(name)) is not None:
        return f"{further.meaning} ({metadata.target}).", _VALUE_LABELS if further.is_class else _NO_LABELS
    has_probabilities = metadata.task.activation != ""
    meaning = "Probability of each class" if has_probabilities else "Values"
    return f"{meaning}, float32 ({metadata.target}).", _AXIS_LABELS


_NO_LABELS, _IMAGE_PROPERTIES, _RGB, _DESCRIPTIONS, _AXIS_LABELS, _VALUE_LABELS = map(_Byte, (0, 2, 1, 1, 2, 3))
