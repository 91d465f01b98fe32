"""The name of a shelf: a digest of everything that features depend on, except the example."""

import hashlib
import json
from typing import Any

import keras
import tensorflow as tf

from tfl.backbones.weights import weights_fingerprint
from tfl.inputs import Input


def digest_of(model: keras.Model, kind: Input) -> str:
    """Return the SHA-256 of everything that features depend on, except the example.

    It includes the minor versions of TensorFlow and Keras, which may compute in another order. It leaves out patch
    versions, which fix errors and do not change values.
    """
    digest = hashlib.sha256(weights_fingerprint(model).encode())
    names = {operation.name: f"#{number}" for number, operation in enumerate(model.operations)}
    graph = _renamed(json.loads(model.to_json()), {**names, model.name: "#"})  # names from Keras depend on the process
    versions = [".".join(version.split(".")[:2]) for version in (tf.__version__, keras.__version__)]
    digest.update(json.dumps([graph, kind.rules(), versions], sort_keys=True).encode())
    return digest.hexdigest()


def _renamed(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):  # `trainable` has no effect in inference mode
        return {name: _renamed(inner, names) for name, inner in value.items() if name != "trainable"}
    if isinstance(value, list):
        return [_renamed(inner, names) for inner in value]
    return names.get(value, value) if isinstance(value, str) else value
