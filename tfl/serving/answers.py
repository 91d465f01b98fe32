"""Build the responses of the service: those of TensorFlow Serving's API, and simpler ones for people."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfl.export.graph import PROBABILITIES
from tfl.export.saved_model import AREAS, BYTES_SIGNATURE, CLASS_NAMES, MASK_BYTES, prepared_signature
from tfl.files.mask_pictures import hex_colours, palette, to_png
from tfl.models.classifier import Metadata
from tfl.serving.certainty import Certainty
from tfl.tasks.cells import MOST_BOXES, SIDES
from tfl.tasks.detection import NUM_BOXES, OF_BOXES, OF_CLASSES, OF_SCORES

VERSION = "1"


def describe_predictions(rows: Sequence[np.ndarray], metadata: Metadata, by_row: bool) -> dict[str, Any]:
    """Return the response to `:predict`, the same as TensorFlow Serving's for a SavedModel that tfl exported.

    Args:
        rows: the probabilities `(C,)` of N examples; or their masks, uint8 `(H, W)`, or their boxes, `(100, 6)`.
        metadata: of the model.
        by_row: True if the request had "instances", False if it had "inputs".
    """
    names = list(metadata.class_names)
    if metadata.task.answers_masks:
        outputs = {
            MASK_BYTES: [{"b64": base64.b64encode(to_png(mask)).decode()} for mask in rows],
            AREAS: [(np.bincount(mask.ravel(), minlength=len(names)) / mask.size).tolist() for mask in rows],
        }
    elif metadata.task.answers_boxes:
        tensors = metadata.task.decode_further(tf.constant(np.stack(rows), tf.float32))
        outputs = {name: values.numpy().tolist() for name, values in tensors.items()}
    else:
        outputs = {PROBABILITIES: [row.tolist() for row in rows]}
    outputs[CLASS_NAMES] = [names] * len(rows)
    if not by_row:
        return {"outputs": outputs}
    return {"predictions": [dict(zip(outputs, values, strict=True)) for values in zip(*outputs.values(), strict=True)]}


def describe_mask(mask: np.ndarray, metadata: Metadata) -> dict[str, Any]:
    """Return the response to `:classify` of a model for maps: the area and the colour of each class, and the mask.

    Args:
        mask: the number of the class of each pixel, uint8 `(H, W)`.
        metadata: of the model.
    """
    names = list(metadata.class_names)
    areas = metadata.task.answer(mask, names, len(names))["areas"]
    return {
        "areas": [
            {**area, "pixels": round(area["share"] * mask.size), **_look_of(names.index(area["class"]))}
            for area in areas
        ],
        "size": [mask.shape[1], mask.shape[0]],
        "mask": "data:image/png;base64," + base64.b64encode(to_png(mask)).decode(),
    }


def describe_boxes(boxes: np.ndarray, metadata: Metadata) -> dict[str, Any]:
    """Return the response to `:classify` of a model for boxes: class, confidence, corners and colour of each.

    Args:
        boxes: `(100, 6)`, in pixels of the image.
        metadata: of the model.
    """
    names = list(metadata.class_names)
    found = metadata.task.answer(boxes, names, len(names))["boxes"]
    return {"boxes": [{**box, **_look_of(names.index(box["class"]) + 1)} for box in found]}


def _look_of(number: int) -> dict[str, Any]:
    """Return the number of a class among the colours of a mask, and its colour."""
    return {"number": number, "colour": hex_colours(palette())[number]}


def describe_classes(
    row: np.ndarray, metadata: Metadata, top: int, certainty: Certainty | None = None
) -> dict[str, Any]:
    """Return the response to `:classify`: the most probable classes; for a regression the values.

    If an example may have several labels, each of them says whether it is "present".

    Args:
        row: the probabilities or values of one example, `(C,)`.
        metadata: the class names and the target.
        top: the number of classes.
        certainty: adds how sure the model is; None: nothing is added.
    """
    task, names = metadata.task, metadata.class_names
    answer = task.answer(row, names, top)
    if task.labels.has_names and not task.labels.has_one_class:
        present = dict(zip(names, np.asarray(task.decide(row[None]))[0].tolist(), strict=True))
        answer["classes"] = [entry | {"present": bool(present[entry["class"]])} for entry in answer["classes"]]
    return answer | (certainty.describe(row) if certainty else {})


def describe_status(is_loaded: bool) -> dict[str, Any]:
    """Return the response to `GET /v1/models/NAME`."""
    status = {"error_code": "OK", "error_message": ""}
    state = "AVAILABLE" if is_loaded else "LOADING"
    return {"model_version_status": [{"version": VERSION, "state": state, "status": status}]}


def describe_signatures(name: str, metadata: Metadata, further: Mapping[str, Any]) -> dict[str, Any]:
    """Return the response to `GET /v1/models/NAME/metadata`; the entry "tfl" explains the outputs.

    Args:
        name: of the model in addresses.
        metadata: of the model.
        further: more entries of "tfl": the run, the limits and the abilities of the service.
    """
    kind, num_classes = metadata.input, len(metadata.class_names)
    raw_name, prepared_name = kind.tensors
    main = {PROBABILITIES: _tensor(PROBABILITIES, "DT_FLOAT", -1, num_classes)}
    if metadata.task.answers_masks:
        main = {MASK_BYTES: _tensor(MASK_BYTES, "DT_STRING", -1), AREAS: _tensor(AREAS, "DT_FLOAT", -1, num_classes)}
    if metadata.task.answers_boxes:
        main = _box_tensors()
    outputs = {**main, CLASS_NAMES: _tensor(CLASS_NAMES, "DT_STRING", -1, num_classes)}
    of_bytes = {raw_name: _tensor(raw_name, "DT_STRING", -1)}
    dtype = f"DT_{kind.spec.dtype.name.upper()}".replace("FLOAT32", "FLOAT")
    of_prepared = {prepared_name: _tensor(prepared_name, dtype, -1, *kind.spec.shape)}
    inputs = {"serving_default": of_bytes, BYTES_SIGNATURE: of_bytes, prepared_signature(metadata): of_prepared}
    method = "tensorflow/serving/predict"
    signatures = {
        key: {"inputs": value, "outputs": outputs, "method_name": method, "defaults": {}}
        for key, value in inputs.items()
    }
    return {
        "model_spec": {"name": name, "signature_name": "", "version": VERSION},
        "metadata": {
            "signature_def": {"signature_def": signatures},
            "tfl": {
                "class_names": list(metadata.class_names),
                "target": metadata.target,
                "noun": metadata.task.nouns[1],
                "has_names": metadata.task.labels.has_names,
                "image_size": metadata.image_size,
                "backbone": metadata.backbone,
                "temperature": metadata.temperature,
                "input": {
                    "noun": list(kind.noun),
                    "one": kind.one_example,
                    "has_pictures": kind.has_pictures,
                    "file_types": list(kind.file_types),
                    "typed": kind.typed,
                },
                **further,
            },
        },
    }


def _box_tensors() -> dict[str, Any]:
    most = MOST_BOXES
    return {
        OF_BOXES: _tensor(OF_BOXES, "DT_FLOAT", -1, most, SIDES),
        OF_SCORES: _tensor(OF_SCORES, "DT_FLOAT", -1, most),
        OF_CLASSES: _tensor(OF_CLASSES, "DT_INT32", -1, most),
        NUM_BOXES: _tensor(NUM_BOXES, "DT_INT32", -1),
    }


def _tensor(name: str, dtype: str, *shape: int) -> dict[str, Any]:
    dims = [{"size": str(size), "name": ""} for size in shape]
    return {"dtype": dtype, "tensor_shape": {"dim": dims, "unknown_rank": False}, "name": name}
