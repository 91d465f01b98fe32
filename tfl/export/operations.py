"""Check that a SavedModel only computes: its graph is a program that could also read and write the user's files."""

from collections.abc import Iterator
from typing import Any

import tensorflow as tf
from etils import epath
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.framework import op_def_registry

from tfl.errors import InputError

# The graphs of `tfl.export.saved_model` also need these operations: calls, weights, lists, image decoders, and strings.
_NEEDED = frozenset({
    *("StatefulPartitionedCall", "VarHandleOp", "ReadVariableOp", "DisableCopyOnRead"),
    *("TensorListFromTensor", "TensorListReserve", "TensorListStack", "TensorListGetItem", "TensorListSetItem"),
    *("TensorListLength", "EmptyTensorList", "TensorListPushBack", "TensorListPopBack", "TensorListElementShape"),
    *("DecodeBmp", "DecodeGif", "DecodeImage", "DecodeJpeg", "DecodePng", "DecodeWebP", "DecodeRaw"),
    *("EncodePng",),  # of masks
    *("DecodeWav",),  # audio clips
    *("StringLength", "Substr", "StringJoin", "ReduceJoin", "RegexFullMatch", "StaticRegexFullMatch"),
    *("RegexReplace", "StaticRegexReplace", "StringSplit", "StringSplitV2", "StringStrip", "StringToNumber"),
    *("DecodeCSV", "ParseTensor"),
    *("BatchMatMul", "BatchMatMulV2", "BatchMatMulV3"),  # attention
    *("UnicodeDecode", "UnicodeDecodeWithOffsets", "UnicodeEncode", "StringToHashBucketFast"),  # texts
    *("AsString", "StringFormat", "Assert"),
    *("If", "While", "Case"),
})  # fmt: skip
# These operations take numbers but do more than compute: they map files, end the process, run Python or use devices.
_NEVER = (
    *("Abort", "Batch", "Copy", "Debug", "DestroyTemporaryVariable", "ImmutableConst", "PyFunc", "TPU"),
    *("Unbatch", "Xla"),
)
_NO_NUMBERS = tuple(kind.as_datatype_enum for kind in (tf.string, tf.resource, tf.variant))


def check_operations(folder: epath.PathLike) -> None:
    """Refuse a SavedModel with operations that do more than compute, before any part of it is loaded.

    Every operation must have numbers as inputs and outputs and no side effect, or it must be one that tfl itself
    writes (calls, weights, image decoders). The check covers all functions that loading or a signature can reach. The
    functions that save and restore TensorFlow's weights are not among them.

    Args:
        folder: the folder of the SavedModel.

    Raises:
        InputError: there is such an operation (the message names it and its function), or the file is not a
            SavedModel.
    """
    file = epath.Path(folder) / "saved_model.pb"
    saved = saved_model_pb2.SavedModel()
    try:
        saved.ParseFromString(file.read_bytes())
    except DecodeError as error:
        raise InputError(
            f"`model` must be an undamaged SavedModel. Received: {str(file)!r}, which cannot be parsed."
        ) from error
    for graph in saved.meta_graphs:
        library = {function.signature.name: function for function in graph.graph_def.library.function}
        pending, seen = list(graph.object_graph_def.concrete_functions), set()
        while pending:
            name = pending.pop()
            if name in seen or name not in library:
                continue
            seen.add(name)
            for node in library[name].node_def:
                if not only_computes(node.op) and node.op not in library:
                    raise InputError(
                        "`model` must be a SavedModel that only computes, as tfl writes it. "
                        f"Received: {str(folder)!r} with the operation {node.op} in {name}, so tfl did not load it."
                    )
                pending.extend(_called_by(node))


def only_computes(operation: str) -> bool:
    """Return whether a SavedModel of tfl may have a TensorFlow operation.

    Args:
        operation: the name of the operation, as in `tf.raw_ops`.

    Example:
        >>> only_computes("Conv2D"), only_computes("WriteFile")
        (True, False)
    """
    definition = op_def_registry.get(operation)
    if definition is None:
        return False
    if operation in _NEEDED:
        return True
    arguments = [*definition.input_arg, *definition.output_arg]
    on_numbers = not any(argument.type in _NO_NUMBERS for argument in arguments)
    return on_numbers and not definition.is_stateful and not operation.startswith(_NEVER)


def _called_by(node: Any) -> Iterator[str]:
    """Yield the names of the functions that a node calls: its own operation, a branch, the body of a loop."""
    yield node.op
    for value in node.attr.values():
        if value.WhichOneof("value") == "func":
            yield value.func.name
        yield from (function.name for function in value.list.func)
