"""Write a SavedModel that takes files directly, for TensorFlow Serving and any program with TensorFlow."""

import tempfile
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from etils import epath

from tfl.export.graph import batch_spec, decode_batch, metadata_to_json, outputs_of
from tfl.export.model_files import METADATA_NAME
from tfl.models.classifier import Metadata
from tfl.tasks.detection import OF_BOXES
from tfl.tasks.segmentation import MASK

BYTES_SIGNATURE, CLASS_NAMES = "serving_bytes", "class_names"
MASK_BYTES, AREAS = "mask_bytes", "areas"  # TensorFlow Serving writes outputs that end with "_bytes" as base64


def prepared_signature(metadata: Metadata) -> str:
    """Return the name of the signature that takes prepared examples: "serving_pixels" for images."""
    return f"serving_{metadata.input.tensors[1]}"


def write_saved_model(model: keras.Model, metadata: Metadata, path: epath.PathLike) -> None:
    """Write a model as a SavedModel that decodes images itself and runs without Python.

    The signature `serving_bytes` (also `serving_default`) takes `images`: any number of image files as strings, of
    any size, in the formats in the table of `tfl.inputs.image.decode`. `serving_pixels` takes `pixels`: uint8
    `(N, S, S, 3)` images that are already resized. Both return `probabilities`, float32 `(N, C)`, and `class_names`,
    strings `(N, C)`: the REST interface of TensorFlow Serving requires that every output has a row for each image.
    Of a model for boxes, `serving_default` and `serving_bytes` also give `boxes`, float32 `(N, 100, 4)`, x1, y1, x2 and
    y2, those of `serving_default` in pixels of the image as displayed; `scores`, float32 `(N, 100)`; `classes`, int32
    `(N, 100)`; and `num_boxes`, int32 `(N,)`; `serving_default` has no `probabilities`, which are the same as a table.
    Of a map, `serving_default` gives for each image `mask_bytes`, a grey PNG with the number of the class in each pixel
    at the size of the image, and `areas`, float32 `(N, C)`, the share of each class; `serving_bytes` and
    `serving_pixels` also give `mask`, uint8 `(N, S, S)`, and their probabilities are `(N, S, S, C)`.
    The metadata is in `assets/tfl.json`. Another kind of example has other names; see `Input.tensors`.

    Args:
        model: images to logits.
        metadata: labels, image size, target and temperature.
        path: a folder that does not exist yet.
    """
    names, (raw_name, _) = list(metadata.class_names), metadata.input.tensors

    @tf.function(input_signature=[batch_spec(metadata)])
    def of_prepared(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        logits = model(tf.cast(inputs, model.input.dtype), training=False)
        labels = tf.tile(tf.constant([names]), [tf.shape(inputs)[0], 1])
        return {**outputs_of(logits, metadata), CLASS_NAMES: labels}

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name=raw_name)])
    def of_bytes(encoded: tf.Tensor) -> dict[str, tf.Tensor]:
        return of_prepared(decode_batch(encoded, metadata))  # a call, so that the file holds the network only once

    signatures = {
        BYTES_SIGNATURE: of_bytes,
        "serving_default": _default_signature(of_bytes, metadata),
        prepared_signature(metadata): of_prepared,
    }
    module = tf.Module()
    module.weights = [variable.value for variable in model.variables]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / METADATA_NAME
        file.write_text(metadata_to_json(metadata), "utf-8")
        module.metadata = tf.saved_model.Asset(str(file))  # saved to the folder `assets`
        options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
        tf.saved_model.save(module, str(path), signatures, options)


def _default_signature(of_bytes: Any, metadata: Metadata) -> Any:
    """Return the signature from files to answers: those of masks and boxes are in the pixels of the image itself."""
    if metadata.task.answers_masks:
        return _mask_signature(of_bytes, metadata)
    return _box_signature(of_bytes, metadata) if metadata.task.answers_boxes else of_bytes


def _box_signature(of_bytes: Any, metadata: Metadata) -> Any:
    kind = metadata.input

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name=kind.tensors[0])])
    def of_boxes(encoded: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs = of_bytes(encoded)
        boxes = outputs[OF_BOXES]
        spec = tf.TensorSpec(boxes.shape[1:], tf.float32)
        fitted = tf.map_fn(lambda pair: kind.fit_boxes(*pair), (encoded, boxes), fn_output_signature=spec)
        names = (*metadata.task.further_outputs, CLASS_NAMES)
        return {name: outputs[name] for name in names} | {OF_BOXES: fitted}

    return of_boxes


def _mask_signature(of_bytes: Any, metadata: Metadata) -> Any:
    """Return the signature from files to masks at their own size, which are a thousandth of the probabilities."""
    num_classes, kind = len(metadata.class_names), metadata.input

    def finish(pair: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        mask = kind.fit_map(*pair)
        counts = tf.math.bincount(tf.cast(tf.reshape(mask, [-1]), tf.int32), minlength=num_classes)
        shares = tf.cast(counts, tf.float32) / tf.cast(tf.size(mask), tf.float32)
        return tf.io.encode_png(mask[:, :, None]), tf.ensure_shape(shares, (num_classes,))

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name=kind.tensors[0])])
    def of_masks(encoded: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs = of_bytes(encoded)
        kinds = (tf.TensorSpec((), tf.string), tf.TensorSpec((num_classes,), tf.float32))
        masks, areas = tf.map_fn(finish, (encoded, outputs[MASK]), fn_output_signature=kinds)
        return {MASK_BYTES: masks, AREAS: areas, CLASS_NAMES: outputs[CLASS_NAMES]}

    return of_masks
