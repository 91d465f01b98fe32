"""Write a LiteRT (TensorFlow Lite) file for phones and boards: from pixels to probabilities, with its labels."""

from collections.abc import Callable, Iterable

import keras
import numpy as np
import tensorflow as tf
from etils import epath

from tfl.export.format_table import QUANTIZATIONS
from tfl.export.graph import freeze, output_names
from tfl.export.litert_metadata import add_metadata
from tfl.models.classifier import Metadata
from tfl.registry import resolve

CALIBRATION_IMAGES = 128  # the ranges of activations hardly change after the first hundred images


def write_litert(
    model: keras.Model,
    metadata: Metadata,
    path: epath.PathLike,
    quantize: str = "none",
    calibration: Iterable[np.ndarray] = (),
) -> None:
    """Write a model as a `.tflite` file.

    LiteRT has no operator that decodes image files, so its input is uint8 pixels. The output is float32
    probabilities, for a map also the mask. All are the same for every quantization.

    Args:
        model: images to logits.
        metadata: labels, image size, target and temperature.
        path: the file to write, ending with `.tflite`.
        quantize: "none": float32. "float16": weights of half the size. "dynamic": int8 weights, and the range of the
            activations is measured for each image. "int8": int8 weights and activations, with the ranges that
            `calibration` gives; the softmax stays float32.
        calibration: batches of training images, uint8 `(n, S, S, 3)`; only "int8" uses them.
    """
    quantize = resolve(quantize, list(QUANTIZATIONS), "quantize")
    converter = tf.lite.TFLiteConverter.from_concrete_functions([_function(model, metadata)])
    if quantize != "none":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantize == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if quantize == "int8":
        converter.representative_dataset = _one_by_one(calibration)
    epath.Path(path).write_bytes(add_metadata(converter.convert(), metadata))


def _function(model: keras.Model, metadata: Metadata) -> tf.types.experimental.ConcreteFunction:
    definition = freeze(model, metadata)

    def load() -> None:
        tf.graph_util.import_graph_def(definition, name="")

    imported = tf.compat.v1.wrap_function(load, [])
    names = [metadata.input.tensors[1], *output_names(metadata)]
    tensors = {name: imported.graph.get_tensor_by_name(f"{name}:0") for name in names}
    return imported.prune(tensors.pop(names[0]), tensors)


def _one_by_one(calibration: Iterable[np.ndarray]) -> Callable[[], Iterable[list[np.ndarray]]]:
    images = (image for batch in calibration for image in batch)
    chosen = [image[None] for image, _ in zip(images, range(CALIBRATION_IMAGES), strict=False)]
    return lambda: ([image] for image in chosen)
