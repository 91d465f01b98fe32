"""What every shipped format computes: pixels in, probabilities out, and nothing that only training needs."""

import contextlib
import json
from collections.abc import Iterator

import keras
import tensorflow as tf

from tfl.errors import InputError
from tfl.files.reading import parse_json
from tfl.models.classifier import Metadata

METADATA_NAME = "tfl.json"  # of the entry in which an artefact says what `Metadata` holds
PIXELS, PROBABILITIES = "pixels", "probabilities"  # names of input and output in every format


def metadata_to_json(metadata: Metadata) -> str:
    """Return what an artefact must say of itself, as text."""
    return json.dumps(metadata.to_dict(), indent=2)


def metadata_from_json(text: str | bytes) -> Metadata:
    """Read what `metadata_to_json` wrote.

    Raises:
        ValueError: the text is something else.
    """
    try:
        return Metadata.from_dict(parse_json(text))
    except InputError as error:
        raise ValueError(str(error)) from error


def probabilities_of(logits: tf.Tensor, metadata: Metadata) -> tf.Tensor:
    """Return the probabilities of some logits at the temperature of the metadata, in the graph.

    Args:
        logits: `(N, K)` float32.
        metadata: its target and temperature count.

    Returns:
        `(N, C)` float32, one column a class (binary: both); for regression the values as they are.
    """
    return metadata.task.decode(logits, metadata.temperature)


def decode_batch(images: tf.Tensor, metadata: Metadata) -> tf.Tensor:
    """Decode image files of any formats and sizes to one batch, with the decoder that training used.

    Args:
        images: `(N,)` strings, each a whole file.
        metadata: its image size and bit depth count.

    Returns:
        uint8 (N, image_size, image_size, 3), RGB.
    """
    image_input = metadata.input
    return tf.map_fn(image_input.prepare, images, fn_output_signature=image_input.spec)


def pixel_spec(metadata: Metadata) -> tf.TensorSpec:
    """Return what the pixel signature of every format takes: any number of uint8 RGB images of the model's size."""
    size = metadata.image_size
    return tf.TensorSpec((None, size, size, 3), tf.uint8, name=PIXELS)


def freeze(model: keras.Model, metadata: Metadata) -> tf.compat.v1.GraphDef:
    """Return the graph from pixels to probabilities with every weight written into it.

    Converters stumble over what a graph captures instead of holding: tf2onnx leaves the constants of Keras'
    Normalization and Rescaling (EfficientNet, and the preprocessing of VGG and ResNet) as inputs that nobody feeds.

    Args:
        model: images to logits.
        metadata: its image size, target and temperature count.

    Returns:
        A graph of constants with the input "pixels" and the output "probabilities".
    """
    trainable = [variable.numpy() for variable in model.trainable_variables]
    others = [variable.numpy() for variable in model.non_trainable_variables]

    @tf.function(input_signature=[pixel_spec(metadata)], autograph=False)
    def forward(pixels: tf.Tensor) -> tf.Tensor:
        weights = [[tf.constant(value) for value in values] for values in (trainable, others)]
        with _functions_inlined():
            logits, _ = model.stateless_call(*weights, tf.cast(pixels, model.input.dtype), training=False)
        return tf.identity(probabilities_of(logits, metadata), name=PROBABILITIES)

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
    """Trace what stands in functions of its own into the graph around it.

    Keras wraps grouped convolutions (ConvNeXt) in a function for XLA, which no converter takes apart.
    """
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)
