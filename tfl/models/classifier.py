"""A classifier: one flat functional `keras.Model` from pixels to logits, with its metadata; build, save and load it."""

import contextlib
import json
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

import keras
from etils import epath
from keras import layers
from keras.src.models.functional import Functional

from tfl.backbones.stages import HEAD_PREFIX, head_layers
from tfl.config import STATE_POOLINGS
from tfl.errors import InputError
from tfl.files.writing import write_atomically
from tfl.inputs import Input, get_input, input_names
from tfl.keras_settings import check_keras_settings
from tfl.models.box_head import apply_box_head
from tfl.models.heads import HeadSpec, apply_head, pool
from tfl.models.map_head import FEATURES, apply_map_head
from tfl.models.metadata import METADATA_FILE, Classifier, Metadata, load_classifier, read_metadata
from tfl.models.states import pool_states
from tfl.workdir import check_finished

_DAMAGE = (
    *(AttributeError, EOFError, LookupError, NotImplementedError, OSError, RuntimeError, TypeError, ValueError),
    *(zipfile.BadZipFile, zlib.error),
)


def build_classifier(backbone: keras.Model, head: HeadSpec, metadata: Metadata | None = None) -> keras.Model:
    """Put a head on a backbone.

    The graph holds the layers of the backbone one by one (no nested model), so that freezing, cuts,
    Grad-CAM and exports see them. The layers are shared with `backbone`, not copied.

    Args:
        backbone: from `build_backbone`, or your own: functional or Sequential, without nested models, with one
            output `(B, h, w, C)`.
        head: shape of the head.
        metadata: stored as `model.metadata`, and saved by `save_model`.

    Returns:
        A model from images `(B, H, W, 3)`, uint8 or float RGB in [0, 255], to logits
        `(B, num_outputs)` float32; of a head on maps to logits `(B, H, W, num_outputs)`, and of one
        for boxes to `(B, h, w, num_outputs)`, see `apply_box_head`.

    Raises:
        InputError: the backbone is subclassed, nested, pooled or not built, or has several outputs.

    Example:
        >>> backbone = tfl.build_backbone("MobileNetV2", image_size=96, weights="none")
        >>> model = tfl.build_classifier(backbone, tfl.HeadSpec(num_outputs=10))
    """
    check_keras_settings()
    start, feature_map = _ends(backbone)
    if head.stands_on == "vector":
        by_states = head.pooling.lower() in STATE_POOLINGS[1:]
        features = pool_states(backbone, head.pooling) if by_states else pool(feature_map, head.pooling)
        logits = apply_head(features, head)
    else:
        apply_on_maps = apply_map_head if head.stands_on == "map" else apply_box_head
        logits = apply_on_maps(backbone, head.num_outputs)
    _name_operations(logits, backbone)
    model = Classifier(start, logits, name="classifier")
    model.metadata = metadata
    return model


def _name_operations(output: Any, backbone: keras.Model) -> None:
    """Let the names of a head's operations begin as those of its layers.

    Keras counts names from 1 again in each process and after `clear_session`. So a network that was loaded or built
    before may have an operation `add`, like the head, and a model must not have two.
    """
    known, left = set(getattr(backbone, "operations", backbone.layers)), [output]  # a Sequential has only layers
    while left:
        operation, number, _ = left.pop()._keras_history
        if operation in known:
            continue
        known.add(operation)
        if not isinstance(operation, keras.layers.Layer):
            operation.name = HEAD_PREFIX + operation.name
        left += operation._inbound_nodes[number].input_tensors


def input_of_model(model: keras.Model) -> Input | None:
    """Return the input of a classifier with metadata, or on a backbone from `build_backbone`; None for other models.

    A user's own backbone without metadata may take other examples, for example pixels of another range.
    """
    if not isinstance(model, Classifier):
        return None
    if model.metadata is not None:
        return model.metadata.input
    name = model.inputs[0].name  # `build_backbone` names the input layer after the kind of example
    return get_input(name).sized(model.inputs[0].shape[1] or 0) if name in input_names() else None


def _ends(backbone: keras.Model) -> tuple[Any, Any]:
    """Return the input and the output of a backbone; refuse one whose layers are not all in one graph."""

    def refusal(received: str, remedy: str) -> InputError:
        return InputError(
            "`backbone` must be a flat functional or Sequential model from images to one feature map (B, h, w, C). "
            f"Received: {received}. Did you mean {remedy}?"
        )

    if not isinstance(backbone, keras.Model):
        raise refusal(f"{type(backbone).__name__}", "tfl.build_backbone(name)")
    try:
        inputs, outputs = backbone.inputs, backbone.outputs
    except (AttributeError, ValueError):
        inputs, outputs = None, None
    if not inputs or not outputs:
        remedy = "to start it with keras.Input" if isinstance(backbone, keras.Sequential) else "a functional model"
        raise refusal(f"{type(backbone).__name__} {backbone.name!r}, whose layers Keras does not know yet", remedy)
    nested = next((layer for layer in backbone.layers if isinstance(layer, keras.Model)), None)
    if nested is not None:
        raise refusal(
            f"the model {nested.name!r} nested in {backbone.name!r}",
            f"build_classifier(backbone.get_layer({nested.name!r}), ...), "
            "or backbone.weights=FILE, which finds a known network in a saved one",
        )
    ranks = (4,) if len(inputs[0].shape) == 4 else (2, 4)  # `head.pooling` is for the maps of a network on images
    if len(inputs) != 1 or len(outputs) != 1 or len(outputs[0].shape) not in ranks:
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in outputs)
        raise refusal(f"{len(inputs)} inputs and outputs of shape {shapes}", "the model up to the layer before pooling")
    return inputs[0], outputs[0]


def split_at_features(model: keras.Model) -> tuple[keras.Model, keras.Model]:
    """Return the two halves of a classifier: images to pooled features (or maps), and these to logits.

    Both halves share their layers with `model`: if you train one of them, you train the model.
    """
    if FEATURES in (layer.name for layer in model.layers):
        maps = model.get_layer(FEATURES).output
        return keras.Model(model.input, maps, name="extractor"), keras.Model(maps, model.output, name="head")
    first = next(layer for layer in head_layers(model) if isinstance(layer, (layers.Dense, layers.Dropout)))
    features = first.input
    entrance = keras.Input(batch_shape=features.shape, dtype=features.dtype, name="features")
    tensor = entrance
    for layer in head_layers(model):
        if isinstance(layer, (layers.Dense, layers.Dropout)):
            tensor = layer(tensor)
    return keras.Model(model.input, features, name="extractor"), keras.Model(entrance, tensor, name="head")


def logits_layer(model: keras.Model) -> layers.Dense:
    """Return the last layer of a classifier, `head_logits`."""
    return model.get_layer(HEAD_PREFIX + "logits")


def before_logits(model: keras.Model) -> keras.Model:
    """Return the layers between the maps of a head on maps and its last layer: maps to what that layer gets."""
    return keras.Model(model.get_layer(FEATURES).output, logits_layer(model).input, name="wide")


def save_model(model: keras.Model, path: epath.PathLike) -> None:
    """Write `model` as one `.keras` file with tfl's metadata inside; Keras can load it without tfl.

    The file has the weights of the model, but not its optimizer, loss and metrics: Adam would make the file more than
    twice as large. So call `compile` before you train or evaluate a loaded model. (Checkpoints have the optimizer, and
    so has a file from `model.save`.)

    The file is written under another name and then renamed, so a crash or a full disk does not destroy an older file.

    Args:
        model: a classifier; its `metadata`, if it has any, must fit its input size and its outputs.
        path: of the file; its folder is created if it does not exist.

    Raises:
        InputError: the metadata belongs to another model, the disk is full or the folder is not writable.

    Example:
        >>> tfl.save_model(model, "models/insects.keras")
        >>> tfl.load_model("models/insects.keras").metadata.image_size
        224
    """
    metadata = getattr(model, "metadata", None)
    if metadata is not None:
        metadata.check_model(model)

    def write(temporary: epath.Path) -> None:
        _without_training(model).save(temporary)
        if metadata is not None:  # Keras ignores unknown entries
            with zipfile.ZipFile(temporary, "a") as archive:
                archive.writestr(METADATA_FILE, json.dumps(metadata.to_dict(), indent=2))

    write_atomically(path, write)


def _without_training(model: keras.Model) -> keras.Model:
    """Return an uncompiled model with the same layers; a model that is no graph of layers is returned as it is."""
    if not isinstance(model, Classifier) and type(model) is not Functional:
        return model
    return type(model)(model.input, model.output, name=model.name)


def load_model(path: epath.PathLike) -> keras.Model:
    """Load a classifier from a workdir or a `.keras` file; it reads only data, and never runs code from the file.

    Args:
        path: of the file, or of the workdir of a finished run; `~` is the home folder.

    Returns:
        The model; `model.metadata` is the metadata of the file, or None if the file has none.

    Raises:
        InputError: the file does not exist, is not a Keras model, or the workdir belongs to an unfinished run.

    Example:
        >>> model = tfl.load_model("runs/photos")
        >>> model.metadata.class_names
        ('ant', 'bee', 'wasp')
    """
    check_keras_settings()
    path = epath.Path(path).expanduser()
    file = path / "model.keras" if path.is_dir() else path
    check_finished(path, "model")
    if not file.exists():
        found = f"which has no {file.name}" if path.is_dir() else "which does not exist"
        raise InputError(f"`model` must be a finished workdir or a .keras file. Received: {str(path)!r}, {found}.")
    with _naming_damage(file):
        return load_classifier(file)


def read_model_metadata(path: epath.PathLike) -> Metadata | None:
    """Read the metadata of a `.keras` file without loading the model; None if the file has no metadata.

    Raises:
        InputError: the file is damaged, or its metadata is not valid.
    """
    with _naming_damage(epath.Path(path)):
        return read_metadata(path)


@contextlib.contextmanager
def _naming_damage(file: epath.Path) -> Iterator[None]:
    """Report a damaged `.keras` file in one line; Keras raises a different error for each kind of damage."""
    if not zipfile.is_zipfile(file):
        raise InputError(
            f"`model` must be a .keras file. Received: {str(file)!r}, which is not a zip archive or is truncated."
        )
    try:
        yield
    except _DAMAGE as error:
        text = " ".join(str(error).split())
        if "`Lambda` layer" in text and "disallowed" in text:  # the whole message is a paragraph about security
            found = f"{str(file)!r}, which has a `Lambda` layer"
            raise InputError(f"`model` must be a .keras file without Python code. Received: {found}.") from error
        reason = text[:200].rstrip(".") or type(error).__name__
        raise InputError(f"`model` must be an undamaged .keras file. Received: {str(file)!r}: {reason}.") from error
