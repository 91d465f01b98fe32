"""Write an ONNX file, from pixels to probabilities, for ONNX Runtime and other programs that read the format."""

import importlib
import json
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from etils import epath

from tfl.export.graph import freeze, metadata_to_json, output_names
from tfl.export.model_files import METADATA_NAME
from tfl.models.classifier import Metadata

OPSET = 18  # released in 2022; every runtime in use reads it


def write_onnx(model: keras.Model, metadata: Metadata, path: epath.PathLike) -> None:
    """Write a model as an ONNX file, with labels and metadata in its `metadata_props`.

    Images are NHWC, as everywhere in tfl. ONNX has no operator that decodes image files, so the input is pixels.

    Args:
        model: images to logits.
        metadata: labels, image size, target and temperature.
        path: the file to write, ending with `.onnx`.
    """
    definition = freeze(model, metadata)
    _replace_erfc(definition)
    names = [metadata.input.tensors[1], *output_names(metadata)]
    proto = _convert(definition, *names)
    _rename(proto.graph, names)
    for key, value in {METADATA_NAME: metadata_to_json(metadata), "labels": json.dumps(metadata.class_names)}.items():
        proto.metadata_props.add(key=key, value=value)
    epath.Path(path).write_bytes(proto.SerializeToString())


def _convert(definition: tf.compat.v1.GraphDef, input_name: str, *outputs: str) -> Any:
    """Do the steps of `tf2onnx.convert.from_graph_def`, without its copies of the graph.

    That function copies the graph with all weights before each of about 36 optimizations, in case one fails. For a
    network of 200 MB this takes 10 GB. Here the copies are made only if an optimization fails, as it does for
    MobileNetV3.
    """
    from keras.src.export.tf2onnx_lib import patch_tf2onnx  # what `keras.Model.export` does for NumPy 2

    patch_tf2onnx()
    loader, converter, optimizer = (
        importlib.import_module(f"tf2onnx.{name}") for name in ("tf_loader", "tfonnx", "optimizer")
    )
    names = {"input_names": [f"{input_name}:0"], "output_names": [f"{name}:0" for name in outputs]}
    with tf.Graph().as_default():
        definition = loader.tf_optimize(*names.values(), definition)

    def convert() -> Any:
        with tf.Graph().as_default() as graph:
            tf.import_graph_def(definition, name="")
            return converter.process_tf_graph(graph, continue_on_error=True, opset=OPSET, **names)

    converted = convert()
    try:
        optimized = optimizer.optimize_graph(converted, catch_errors=False)
    except Exception:  # with copies tf2onnx skips an optimization that fails, whatever its error
        optimized = optimizer.optimize_graph(convert(), catch_errors=True)
    return optimized.make_model("converted by tfl")


def _replace_erfc(definition: tf.compat.v1.GraphDef) -> None:
    """Replace erfc by 1 - erf: TensorFlow's GELU (ConvNeXt) uses erfc, and ONNX does not have it."""
    for node in [node for node in definition.node if node.op == "Erfc"]:
        kind = node.attr["T"]
        definition.node.add(name=f"{node.name}/erf", op="Erf", input=node.input).attr["T"].CopyFrom(kind)
        one = definition.node.add(name=f"{node.name}/one", op="Const")
        one.attr["dtype"].CopyFrom(kind)
        one.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(1.0, kind.type))
        node.op, node.input[:] = "Sub", [one.name, f"{node.name}/erf"]


def _rename(graph: Any, names: Sequence[str]) -> None:
    """Remove TensorFlow's ":0" from the names of input and outputs, and name the batch dimension "N"."""
    plain = {f"{name}:0": name for name in names}
    for value in (*graph.input, *graph.output):
        value.name = plain.get(value.name, value.name)
        value.type.tensor_type.shape.dim[0].dim_param = "N"
    for node in graph.node:
        node.input[:] = [plain.get(name, name) for name in node.input]
        node.output[:] = [plain.get(name, name) for name in node.output]
