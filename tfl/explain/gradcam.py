"""Grad-CAM: the parts of an image that raise the score of a class."""

import keras
import numpy as np
import tensorflow as tf

from tfl.errors import InputError
from tfl.explain.scores import Classes, check_images, choose_classes, class_scores
from tfl.registry import did_you_mean

BATCH = 16  # gradients keep every activation above the layer in memory


def grad_cam(model: keras.Model, images: np.ndarray, classes: Classes = None, layer: str | None = None) -> np.ndarray:
    """Return heat maps of the image regions that raise the score of a class.

    The heat is relu(Σ_k mean_ij(∂y/∂A_k,ij) A_k): each feature map A_k of a layer is weighted by the mean gradient of
    the score y with respect to it. The maximum of each map is scaled to 1, so a map shows where the evidence is, but
    not how strong it is. A map of zeros means that nothing in the image supports the class. The maps are coarse: the
    default layer often has only 7 x 7 positions at 224 pixels.

    Args:
        model: a functional Keras classifier from images `(B, H, W, 3)` to logits; it runs in inference mode.
        images: `(N, H, W, 3)`, RGB in [0, 255], in the input size of the model.
        classes: one class number for all images, one for each image, or None for the predicted class. If the model
            has a single logit, the map of class 0 shows the regions that lower this logit.
        layer: name of a layer with a feature map `(B, h, w, C)`; None for the last such layer, before the pooling.

    Returns:
        float32 `(N, H, W)` in [0, 1], resized bilinearly to the size of the images.

    Raises:
        InputError: the layer or class does not exist, the layer has no feature map or is in a nested model, or the
            images are not in [0, 255].

    Example:
        >>> heat = grad_cam(tfl.load_model("runs/photos"), images)
        >>> pictures = [tfl.overlay(image, h) for image, h in zip(images, heat)]

    Reference:
        Selvaraju et al. 2017, Grad-CAM: visual explanations from deep networks via gradient-based
        localization, arXiv:1610.02391.
    """
    check_images(model, images)
    tensor = _feature_map(model, layer)
    heats = [np.zeros((0, *images.shape[1:3]), np.float32)]
    for start in range(0, len(images), BATCH):
        batch = images[start : start + BATCH]
        of_batch = classes if classes is None or np.ndim(classes) == 0 else classes[start : start + BATCH]  # type: ignore
        activations, slopes = _activations_and_slopes(model, tensor, batch, of_batch)
        weights = slopes.mean(axis=(1, 2), keepdims=True)
        heat = np.maximum((weights * activations).sum(axis=-1), 0.0)
        resized = tf.image.resize(heat[..., None], images.shape[1:3])[..., 0].numpy()
        heats.append(resized / np.maximum(resized.max(axis=(1, 2), keepdims=True), np.finfo(np.float32).tiny))
    return np.concatenate(heats)


def _feature_map(model: keras.Model, layer: str | None) -> keras.KerasTensor:
    """Return the output tensor of a named layer, or of the last layer with a feature map."""
    steps = [step for step in model.layers if not isinstance(step, keras.layers.InputLayer)]
    maps = {step.name: step.output for step in steps if len(getattr(step.output, "shape", ())) == 4}
    if layer is None:
        if not maps:
            raise InputError(
                "`model` must have a layer with a feature map (B, h, w, C). Received: a model without such a layer."
            )
        return list(maps.values())[-1]
    if layer not in maps:
        raise InputError(
            f"`layer` must name a layer with a feature map. Received: layer={layer!r}.{did_you_mean(layer, list(maps))}"
        )
    return maps[layer]


def _activations_and_slopes(
    model: keras.Model, tensor: keras.KerasTensor, images: np.ndarray, classes: Classes
) -> tuple[np.ndarray, np.ndarray]:
    """Return the feature maps of a batch `(B, h, w, C)`, and the gradient of the scores with respect to them."""
    halves = _halves(model, tensor)
    pixels = tf.convert_to_tensor(images, model.inputs[0].dtype)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        if halves is None:
            tape.watch(pixels)
            activations, logits = _both(model, tensor)(pixels, training=False)
        else:
            with tape.stop_recording():  # the layers below need no gradient
                activations = halves[0](pixels, training=False)
            tape.watch(activations)
            logits = halves[1](activations, training=False)
        scores = class_scores(model, logits, choose_classes(model, logits.numpy(), classes))
    slopes = tape.gradient(scores, activations, unconnected_gradients="zero")
    return activations.numpy().astype(np.float32), slopes.numpy().astype(np.float32)


def _halves(model: keras.Model, tensor: keras.KerasTensor) -> tuple[keras.Model, keras.Model] | None:
    """Split a model at a tensor; return None if another path of the model bypasses the tensor."""
    try:
        return keras.Model(model.inputs, tensor), keras.Model(tensor, model.outputs[0])
    except ValueError:
        return None


def _both(model: keras.Model, tensor: keras.KerasTensor) -> keras.Model:
    """Return the model from the images to a tensor and to the outputs."""
    try:
        return keras.Model(model.inputs, [tensor, model.outputs[0]])
    except ValueError as error:  # the tensor belongs to the graph of an inner model
        raise InputError(
            f"`model` must have all its layers in one graph, without a nested model. Received: {model.name!r}. "
            "Did you mean `occlusion`, which needs no layers?"
        ) from error
