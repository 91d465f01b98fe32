"""The graph that every export format computes, from prepared examples to probabilities, without the training parts."""

import contextlib
import json
from collections.abc import Iterator

import keras
import tensorflow as tf

from tfl.errors import InputError
from tfl.files.reading import parse_json
from tfl.models.classifier import Metadata

PROBABILITIES = "probabilities"  # name of the main output in every format; `Input.tensors` names the input


def metadata_to_json(metadata: Metadata) -> str:
    """Return metadata as JSON text."""
    return json.dumps(metadata.to_dict(), indent=2)


def metadata_from_json(text: str | bytes) -> Metadata:
    """Read metadata from the text that `metadata_to_json` wrote.

    Raises:
        ValueError: the text is not such metadata.
    """
    try:
        return Metadata.from_dict(parse_json(text))
    except InputError as error:
        raise ValueError(str(error)) from error


def probabilities_of(logits: tf.Tensor, metadata: Metadata) -> tf.Tensor:
    """Compute probabilities from logits at the temperature of the metadata, in the graph.

    Args:
        logits: `(N, K)` float32.
        metadata: its target and temperature are used.

    Returns:
        `(N, C)` float32, one column per class (binary: two columns); for regression the values, unchanged.
    """
    return metadata.task.decode(logits, metadata.temperature)


def outputs_of(logits: tf.Tensor, metadata: Metadata) -> dict[str, tf.Tensor]:
    """Compute all outputs of an exported model from logits, by name: "probabilities", and what the task adds."""
    probabilities = probabilities_of(logits, metadata)
    return {PROBABILITIES: probabilities, **metadata.task.decode_further(probabilities)}


def output_names(metadata: Metadata) -> list[str]:
    """Return the names of all outputs of an exported model, in alphabetical order, as TensorFlow sorts them."""
    return sorted([PROBABILITIES, *metadata.task.further_outputs])


def decode_batch(encoded: tf.Tensor, metadata: Metadata) -> tf.Tensor:
    """Prepare encoded examples, for example image files of any formats and sizes, as training did.

    Args:
        encoded: `(N,)` strings, each a whole file.
        metadata: its input is used.

    Returns:
        `(N, ...)`; for images RGB, `(N, image_size, image_size, 3)` uint8.
    """
    return tf.map_fn(metadata.input.prepare, encoded, fn_output_signature=metadata.input.spec)


def batch_spec(metadata: Metadata) -> tf.TensorSpec:
    """Return the input of a model in every format: any number of prepared examples."""
    spec = metadata.input.spec
    return tf.TensorSpec((None, *spec.shape), spec.dtype, name=metadata.input.tensors[1])


def freeze(model: keras.Model, metadata: Metadata) -> tf.compat.v1.GraphDef:
    """Return the graph from prepared examples to the outputs, with every weight as a constant in it.

    Converters fail on tensors that a graph captures from outside: tf2onnx turns the constants of Keras'
    Normalization and Rescaling (EfficientNet, and the preprocessing of VGG and ResNet) into inputs without a value.

    Args:
        model: prepared examples to logits.
        metadata: its input, target and temperature are used.

    Returns:
        A graph of constants; its input has the name in `Input.tensors`, its outputs those of `output_names`.
    """
    trainable = [variable.numpy() for variable in model.trainable_variables]
    others = [variable.numpy() for variable in model.non_trainable_variables]

    @tf.function(input_signature=[batch_spec(metadata)], autograph=False)
    def forward(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        weights = [[tf.constant(value) for value in values] for values in (trainable, others)]
        with _functions_inlined():
            logits, _ = model.stateless_call(*weights, tf.cast(inputs, model.input.dtype), training=False)
        return {name: tf.identity(value, name=name) for name, value in outputs_of(logits, metadata).items()}

    function = forward.get_concrete_function()
    definition = function.graph.as_graph_def()
    captured = {inner.op.name: outer for outer, inner in function.graph.captures}
    for node in definition.node:
        if node.name in captured:
            node.op = "Const"
            node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(captured[node.name]))
    return definition


@contextlib.contextmanager
def _functions_inlined() -> Iterator[None]:
    """Trace nested functions directly into the graph that calls them.

    Keras wraps grouped convolutions (ConvNeXt) in a function for XLA, and no converter can open such a function.
    """
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)
