"""A classifier: one flat functional `keras.Model` from pixels to logits, and what must travel with it."""

import contextlib
import json
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

import keras
from etils import epath
from keras import layers

from tfl.backbones.stages import HEAD_PREFIX, head_layers
from tfl.backbones.weights import INPUT_NAME
from tfl.errors import InputError
from tfl.files.writing import write_atomically
from tfl.models.heads import HeadSpec, apply_head, pool
from tfl.models.metadata import METADATA_FILE, Classifier, Metadata, load_classifier, read_metadata
from tfl.workdir import check_finished

_DAMAGE = (
    *(AttributeError, EOFError, LookupError, NotImplementedError, OSError, RuntimeError, TypeError, ValueError),
    *(zipfile.BadZipFile, zlib.error),
)


def build_classifier(backbone: keras.Model, head: HeadSpec, metadata: Metadata | None = None) -> keras.Model:
    """Put a head on a backbone.

    The backbone's layers stay in the graph one by one (no nested model), so that freezing, cuts,
    Grad-CAM and exports see them. The layers are shared with `backbone`, not copied.

    Args:
        backbone: from `build_backbone`, or your own: functional or Sequential, without nested models, one output
            `(B, h, w, C)`.
        head: the head's shape.
        metadata: recorded on the model as `model.metadata` and saved by `save_model`.

    Returns:
        A model from images `(B, H, W, 3)`, uint8 or float RGB in [0, 255], to logits
        `(B, num_outputs)` float32.

    Raises:
        InputError: a backbone of another kind: subclassed, nested, pooled, not built, or with several outputs.

    Example:
        >>> backbone = tfl.build_backbone("MobileNetV2", image_size=96, weights="none")
        >>> model = tfl.build_classifier(backbone, tfl.HeadSpec(num_outputs=10))
    """
    image, feature_map = _ends(backbone)
    model = Classifier(image, apply_head(pool(feature_map, head.pooling), head), name="classifier")
    model.metadata = metadata
    return model


def takes_pixels(model: keras.Model) -> bool:
    """Say whether a model is a classifier whose input is [0, 255]: it stands on a network of `build_backbone`.

    A backbone of a user's own, without metadata, may take another range.
    """
    if not isinstance(model, Classifier):
        return False
    return model.metadata is not None or model.inputs[0].name == INPUT_NAME


def _ends(backbone: keras.Model) -> tuple[Any, Any]:
    """Return input and output of a backbone whose layers all stand in one graph."""

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
        remedy = "to begin it with keras.Input" if isinstance(backbone, keras.Sequential) else "a functional model"
        raise refusal(f"{type(backbone).__name__} {backbone.name!r}, whose layers are not known", remedy)
    nested = next((layer for layer in backbone.layers if isinstance(layer, keras.Model)), None)
    if nested is not None:
        raise refusal(
            f"the model {nested.name!r} nested in {backbone.name!r}",
            f"build_classifier(backbone.get_layer({nested.name!r}), ...), "
            "or backbone.weights=FILE, which finds a known network in a saved one",
        )
    if len(inputs) != 1 or len(outputs) != 1 or len(outputs[0].shape) != 4:
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in outputs)
        raise refusal(f"{len(inputs)} inputs and outputs of shape {shapes}", "the model up to the layer before pooling")
    return inputs[0], outputs[0]


def split_at_features(model: keras.Model) -> tuple[keras.Model, keras.Model]:
    """Return the two halves of a classifier: images to pooled features, and features to logits.

    Both share their layers with `model`: training one trains the other.
    """
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


def save_model(model: keras.Model, path: epath.PathLike) -> None:
    """Write `model` as one `.keras` file that plain Keras loads, with tfl's metadata inside.

    The file is written aside and renamed, so a crash or a full disk leaves the old one.
    """
    metadata = getattr(model, "metadata", None)
    if metadata is not None:
        metadata.check_model(model)

    def write(temporary: epath.Path) -> None:
        model.save(temporary)
        if metadata is not None:  # Keras ignores entries it does not know
            with zipfile.ZipFile(temporary, "a") as archive:
                archive.writestr(METADATA_FILE, json.dumps(metadata.to_dict(), indent=2))

    write_atomically(path, write)


def load_model(path: epath.PathLike) -> keras.Model:
    """Load a classifier from a workdir or a `.keras` file; only data is read, never code.

    Returns:
        The model, with `model.metadata` where the file has it, else None.

    Raises:
        InputError: no such file, not a Keras model, or the workdir of a run that is still being made.
    """
    path = epath.Path(path).expanduser()
    file = path / "model.keras" if path.is_dir() else path
    check_finished(path, "model")
    if not file.exists():
        found = f"no {file.name} in it" if path.is_dir() else "does not exist"
        raise InputError(f"`model` must be a finished workdir or a .keras file. Received: {str(path)!r}: {found}.")
    with _naming_damage(file):
        return load_classifier(file)


def read_model_metadata(path: epath.PathLike) -> Metadata | None:
    """Read what a `.keras` file says of its model, without loading it; None where the file says nothing.

    Raises:
        InputError: the file is damaged, or its metadata is that of no model.
    """
    with _naming_damage(epath.Path(path)):
        return read_metadata(path)


@contextlib.contextmanager
def _naming_damage(file: epath.Path) -> Iterator[None]:
    """Say in one line what is wrong with a `.keras` file; Keras has an error of another kind for every damage."""
    if not zipfile.is_zipfile(file):
        raise InputError(f"`model` must be a .keras file. Received: {str(file)!r}: not a zip archive, or cut short.")
    try:
        yield
    except _DAMAGE as error:
        reason = " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
        raise InputError(f"`model` must be a whole .keras file. Received: {str(file)!r}: {reason}.") from error
