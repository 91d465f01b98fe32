"""A LiteRT (TensorFlow Lite) file: pixels in, probabilities out, labels and metadata inside, for phones and boards."""

from collections.abc import Callable, Iterable

import keras
import numpy as np
import tensorflow as tf
from etils import epath

from tfl.export.graph import PIXELS, PROBABILITIES, freeze
from tfl.export.litert_metadata import add_metadata
from tfl.models.classifier import Metadata
from tfl.registry import resolve

QUANTIZATIONS = ("none", "dynamic", "float16", "int8")
CALIBRATION_IMAGES = 128  # ranges of activations hardly move after the first hundred


def write_litert(
    model: keras.Model,
    metadata: Metadata,
    path: epath.PathLike,
    quantize: str = "none",
    calibration: Iterable[np.ndarray] = (),
) -> None:
    """Write a model as a `.tflite` file.

    LiteRT has no operator that decodes image files, so uint8 pixels go in, whatever is inside; probabilities come
    out as float32.

    Args:
        model: images to logits.
        metadata: labels, image size, target and temperature.
        path: the file, ending with `.tflite`.
        quantize: "none": float32. "float16": weights at half the size. "dynamic": weights as int8, activations
            measured for each image. "int8": weights and activations as int8, at the ranges that `calibration` has;
            the softmax stays float32.
        calibration: batches of training images, uint8 (n, S, S, 3); "int8" alone looks at them.
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
    entrance, exit_ = (imported.graph.get_tensor_by_name(f"{name}:0") for name in (PIXELS, PROBABILITIES))
    return imported.prune(entrance, {PROBABILITIES: exit_})


def _one_by_one(calibration: Iterable[np.ndarray]) -> Callable[[], Iterable[list[np.ndarray]]]:
    images = (image for batch in calibration for image in batch)
    chosen = [image[None] for image, _ in zip(images, range(CALIBRATION_IMAGES), strict=False)]
    return lambda: ([image] for image in chosen)
