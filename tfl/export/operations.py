"""Is a SavedModel only arithmetic? Its graph is a program: it could also read and write files of whoever loads it."""

from collections.abc import Iterator
from typing import Any

import tensorflow as tf
from etils import epath
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.framework import op_def_registry

from tfl.errors import InputError

# What the graphs of `tfl.export.saved_model` need beside arithmetic: calls, weights, lists, and decoders of images.
_NEEDED = frozenset({
    *("StatefulPartitionedCall", "VarHandleOp", "ReadVariableOp", "DisableCopyOnRead"),
    *("TensorListFromTensor", "TensorListReserve", "TensorListStack", "TensorListGetItem", "TensorListSetItem"),
    *("TensorListLength", "EmptyTensorList", "TensorListPushBack", "TensorListPopBack", "TensorListElementShape"),
    *("DecodeBmp", "DecodeGif", "DecodeImage", "DecodeJpeg", "DecodePng", "DecodeWebP", "DecodeRaw"),
    *("StringLength", "Substr", "StringJoin", "ReduceJoin", "RegexFullMatch", "StaticRegexFullMatch"),
    *("RegexReplace", "StaticRegexReplace"),
    *("AsString", "StringFormat", "Assert"),
    *("If", "While", "Case"),
})  # fmt: skip
# Operations on numbers that do more than compute: they map files, end the process, run Python or talk to devices.
_NEVER = (
    *("Abort", "Batch", "Copy", "Debug", "DestroyTemporaryVariable", "ImmutableConst", "PyFunc", "TPU"),
    *("Unbatch", "Xla"),
)
_NO_NUMBERS = tuple(kind.as_datatype_enum for kind in (tf.string, tf.resource, tf.variant))


def check_operations(folder: epath.PathLike) -> None:
    """Refuse a SavedModel whose functions hold operations that do more than compute, before anything of it is loaded.

    Every operation must take and give numbers and have no side effect, or be one of those that tfl itself writes
    (calls, weights, decoders of images). All functions are checked that loading or a signature can reach; the
    functions by which TensorFlow saves and restores weights are not among them.

    Args:
        folder: of the SavedModel.

    Raises:
        InputError: such an operation is there, with the name of its function, or the file is no SavedModel.
    """
    file = epath.Path(folder) / "saved_model.pb"
    saved = saved_model_pb2.SavedModel()
    try:
        saved.ParseFromString(file.read_bytes())
    except DecodeError as error:
        raise InputError(
            f"`model` must be a whole SavedModel. Received: {str(file)!r}: it cannot be parsed."
        ) from error
    for graph in saved.meta_graphs:
        library = {function.signature.name: function for function in graph.graph_def.library.function}
        waiting, seen = list(graph.object_graph_def.concrete_functions), set()
        while waiting:
            name = waiting.pop()
            if name in seen or name not in library:
                continue
            seen.add(name)
            for node in library[name].node_def:
                if not only_computes(node.op) and node.op not in library:
                    raise InputError(
                        "`model` must be a SavedModel that only computes, as tfl writes it. "
                        f"Received: {str(folder)!r} with the operation {node.op} in {name}: it was not loaded."
                    )
                waiting.extend(_called_by(node))


def only_computes(operation: str) -> bool:
    """Say whether a TensorFlow operation is one of those that a SavedModel of tfl may hold.

    Args:
        operation: its name, as in `tf.raw_ops`.

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
    """Return the names of the functions that a node calls: itself, a branch, a loop's body."""
    yield node.op
    for value in node.attr.values():
        if value.WhichOneof("value") == "func":
            yield value.func.name
        yield from (function.name for function in value.list.func)
