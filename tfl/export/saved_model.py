"""Write a SavedModel that takes image files directly, for TensorFlow Serving and any program with TensorFlow."""

import tempfile
from pathlib import Path

import keras
import tensorflow as tf
from etils import epath

from tfl.export.graph import (
    METADATA_NAME,
    PROBABILITIES,
    decode_batch,
    metadata_to_json,
    pixel_spec,
    probabilities_of,
)
from tfl.models.classifier import Metadata

BYTES_SIGNATURE, PIXELS_SIGNATURE = "serving_bytes", "serving_pixels"
IMAGES, CLASS_NAMES = "images", "class_names"


def write_saved_model(model: keras.Model, metadata: Metadata, path: epath.PathLike) -> None:
    """Write a model as a SavedModel that decodes images itself and runs without Python.

    The signature `serving_bytes` (also `serving_default`) takes `images`: any number of image files as strings, of
    any size, in the formats in the table of `tfl.inputs.image.decode`. `serving_pixels` takes `pixels`: uint8
    `(N, S, S, 3)` images that are already resized. Both return `probabilities`, float32 `(N, C)`, and `class_names`,
    strings `(N, C)`: the REST interface of TensorFlow Serving requires that every output has a row for each image.
    The metadata is in `assets/tfl.json`.

    Args:
        model: images to logits.
        metadata: labels, image size, target and temperature.
        path: a folder that does not exist yet.
    """
    names = list(metadata.class_names)

    @tf.function(input_signature=[pixel_spec(metadata)])
    def of_pixels(pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        logits = model(tf.cast(pixels, model.input.dtype), training=False)
        labels = tf.tile(tf.constant([names]), [tf.shape(pixels)[0], 1])
        return {PROBABILITIES: probabilities_of(logits, metadata), CLASS_NAMES: labels}

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name=IMAGES)])
    def of_bytes(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return of_pixels(decode_batch(images, metadata))  # a call, so that the file holds the network only once

    signatures = {
        BYTES_SIGNATURE: of_bytes,
        "serving_default": of_bytes,
        PIXELS_SIGNATURE: of_pixels,
    }
    module = tf.Module()
    module.weights = [variable.value for variable in model.variables]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / METADATA_NAME
        file.write_text(metadata_to_json(metadata))
        module.metadata = tf.saved_model.Asset(str(file))  # saved to the folder `assets`
        options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
        tf.saved_model.save(module, str(path), signatures, options)
