"""Build a backbone with its preprocessing and its weights, as one flat graph of layers."""

import collections
import contextlib
import hashlib
import math
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras.src.applications import efficientnet
from keras.src.backend.common import global_state

from tfl.backbones.buildable import check_backbone
from tfl.backbones.catalog import get_backbone_spec
from tfl.backbones.channels import widen
from tfl.backbones.published import published_weights
from tfl.backbones.saved import SavedWeights, copy_weights
from tfl.backbones.spec import BackboneSpec
from tfl.backbones.weight_files import PUBLISHED, RANDOM, find_weights
from tfl.errors import InputError
from tfl.inputs import get_input
from tfl.keras_settings import check_keras_settings

INDICES = "int32"  # examples of this type are numbers of rows in a table, which half precision would round


def build_backbone(
    name: str,
    *,
    image_size: int = 0,
    alpha: float = 1.0,
    weights: str = "imagenet",
    channels: int = 3,
    columns: str = "",
) -> keras.Model:
    """Return a pretrained network without its top: it takes pixels and returns a feature map.

    The graph contains the preprocessing of the network's family and the layers of nested blocks: the model is an
    ordinary flat functional model. Layer names do not depend on models that were built before.
    For random weights (`weights="none"`) set the seed first, with `keras.utils.set_random_seed`.

    Args:
        name: of the network, as keras.applications spells it; upper and lower case are the same. Or "hf:FOLDER", a
            folder of the library transformers.
        image_size: pixels per side, or pieces of a text; 0 or less: the size at pre-training. MobileNet and MobileNetV2
            have separate published weights for 128, 160, 192 and 224 pixels (MobileNetV2 also for 96); every other size
            takes the weights for 224 pixels.
        alpha: width multiplier; MobileNet families only.
        weights: "imagenet" (the file that Keras publishes), "none", a weights file (`.h5`, `.weights.h5`, `.keras`),
            or a tfl workdir (the folder with `model.keras`), from which the backbone is used.
        channels: of an image; more than 3: the first convolution is widened by its mean weights, see
            `tfl.backbones.channels.widen`.
        columns: as `data.columns`: with a second text, the network takes pairs of texts.

    Returns:
        A model: RGB in [0, 255], uint8 or float, (B, image_size, image_size, channels) -> float32 (B, h, w, C).

    Raises:
        InputError: the network is unknown, it does not accept the size or alpha, the weights do not exist, or they
            belong to another network; or a setting of Keras is not supported (`tfl.keras_settings`).

    Example:
        >>> build_backbone("MobileNetV2", alpha=0.35, weights="none").output.shape
        (None, 7, 7, 1280)
    """
    check_keras_settings()
    spec = get_backbone_spec(name).for_columns(columns)
    image_size = spec.size_of(image_size)
    check_backbone(spec, image_size, alpha, weights)
    saved = None if weights in (PUBLISHED, RANDOM) else SavedWeights(find_weights(weights, spec, alpha), spec)
    with _names_from_zero():
        nested = _build(spec, image_size, alpha, PUBLISHED if weights == PUBLISHED else None)
        is_loaded = saved is not None and saved.as_keras_builds_it(nested)
        model = _flatten(nested)
    if spec.input_of(channels) == spec.input:
        if saved is not None and not is_loaded:
            _load(saved, model)
    else:
        model = _widened(model, channels, None if is_loaded else saved)
    _check_finite(model, weights)
    return model


def _load(saved: SavedWeights, model: keras.Model) -> None:
    load_file = saved.spec.loaders.get(saved.path.suffix)
    if load_file is None:
        saved.load(model)
    else:
        load_file(Path(saved.path), model)


def _widened(model: keras.Model, channels: int, saved: SavedWeights | None) -> keras.Model:
    """Return a network of more channels; `saved` holds weights for three channels, or for as many."""
    if saved is None:
        return widen(model, channels)
    try:
        saved.load(model)
        return widen(model, channels)
    except InputError:
        wide = widen(model, channels)
        saved.load(wide)
        return wide


def weights_fingerprint(model: keras.Model) -> str:
    """Return the SHA-256 of a model's weights, in hexadecimal.

    States of random generators and of metrics are not weights, so they are left out.

    Args:
        model: any built Keras model.

    Example:
        >>> model.save("saved.keras")
        >>> weights_fingerprint(model) == weights_fingerprint(keras.saving.load_model("saved.keras"))
        True
    """
    digest = hashlib.sha256()
    for variable in model.weights:
        value = np.ascontiguousarray(keras.ops.convert_to_numpy(variable))
        digest.update(f"{value.dtype.str}{value.shape}".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()


def weights_checksum(model: keras.Model) -> int:
    """Return the CRC-32 of a model's weights: fast enough to check before every use that they have not changed.

    If the weights are in main memory, they are not copied.

    Args:
        model: any built Keras model.

    Example:
        >>> before = weights_checksum(model)
        >>> model.set_weights([weight + 1 for weight in model.get_weights()])
        >>> weights_checksum(model) == before
        False
    """
    checksum = 0
    for variable in model.weights:
        value = tf.convert_to_tensor(variable.value)
        if value.dtype == tf.bfloat16:  # Python's buffer protocol has no bfloat16
            value = tf.bitcast(value, tf.uint16)
        checksum = zlib.crc32(memoryview(value), checksum)
    return checksum


def _build(spec: BackboneSpec, image_size: int, alpha: float, weights: str | None) -> keras.Model:
    """Build the network as Keras defines it, on top of the preprocessing of its family."""
    prepared = get_input(spec.input).sized(image_size).spec
    shape = tuple(prepared.shape)
    entrance = keras.Input(shape, dtype=INDICES if prepared.dtype == INDICES else None, name=spec.input)
    options = {"alpha": alpha} if spec.has_alpha else {}
    inputs = spec.preprocess(entrance)
    with published_weights(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*Weights for input shape")  # see `build_backbone`
        try:
            network = spec.build(
                include_top=False, weights=weights, input_tensor=inputs, input_shape=shape, pooling=None, **options
            )
        except InputError as error:  # the file of weights is not there
            if not spec.has_alpha:
                raise
            raise InputError(
                f"{error} It is the file for backbone.name={spec.name!r}, backbone.alpha={alpha} and "
                f"data.image_size={image_size}; another width or size may need another file."
            ) from error
        except ValueError as error:
            raise InputError(
                "`backbone.name` must be a network that can be built with these options. Received: backbone.name="
                f"{spec.name!r}, backbone.alpha={alpha}, data.image_size={image_size} ({' '.join(str(error).split())})."
            ) from error
    return keras.Model(entrance, network.outputs[0], name=network.name)


def _flatten(model: keras.Model) -> keras.Model:
    """Move the layers of nested blocks into the main graph, and add the last preprocessing step of EfficientNet.

    ConvNeXt has `Sequential` blocks; cuts and heat maps could not reach the tensors inside them.
    Keras adds the second scaling of EfficientNet only for `weights="imagenet"`. Without it, a published file that
    the user gives by its path would get other pixels than in its training, so this function always adds it.
    """
    scalings = sum(isinstance(layer, keras.layers.Rescaling) for layer in model.layers)
    unscaled = model.name.startswith("efficientnetb") and scalings == 1
    if not unscaled and not any(isinstance(layer, keras.Sequential) for layer in model.layers):
        return model
    copies: list[tuple[keras.Operation, keras.Operation]] = []

    def copy_and_call(layer, *args, **kwargs):
        if isinstance(layer, keras.Sequential):
            for inner in layer.layers:
                args = (copy_and_call(inner, *args),)
            return args[0]
        copies.append((layer, type(layer).from_config(layer.get_config())))
        output = copies[-1][1](*args, **kwargs)
        if unscaled and isinstance(layer, keras.layers.Normalization):
            output = keras.layers.Rescaling([1 / math.sqrt(x) for x in efficientnet.IMAGENET_STDDEV_RGB])(output)
        return output

    # If a layer stood in two graphs, its `.output` would be the tensor of the first graph. So each layer is copied.
    flat = keras.models.clone_model(model, clone_function=lambda layer: layer, call_function=copy_and_call)
    pairs = [(old, new) for old, new in copies if isinstance(old, keras.layers.Layer)]
    copy_weights([weight for old, _ in pairs for weight in old.weights], [new for _, new in pairs])
    return flat


def _check_finite(model: keras.Model, weights: str) -> None:
    """Refuse weights with NaN or infinity: Keras has no hash for some files, and a damaged one gives NaN much later."""
    for variable in model.weights:
        if not np.isfinite(keras.ops.convert_to_numpy(variable)).all():
            raise InputError(
                f"`backbone.weights` must be finite numbers. Received: backbone.weights={weights!r} with NaN or "
                f"infinity in {variable.path}. Did you mean to download the file again?"
            )


@contextlib.contextmanager
def _names_from_zero() -> Iterator[None]:
    """Number unnamed layers from 0, whatever was built before, and never use a number again afterwards.

    The command line and checkpoints name layers, so a layer must have the same name in every process.
    """
    key = "object_name_uids"
    before = dict(global_state.get_global_attribute(key) or {})
    counts: dict[str, int] = collections.defaultdict(int)
    global_state.set_global_attribute(key, counts)
    try:
        yield
    finally:
        for name, count in before.items():
            counts[name] = max(count, counts[name])
