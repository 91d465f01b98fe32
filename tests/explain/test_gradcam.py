"""Grad-CAM says what its formula says, for every network and target, and sits where what matters is."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tfl.backbones import build_backbone
from tfl.errors import InputError
from tfl.explain import grad_cam
from tfl.models import HeadSpec, Metadata, build_classifier

SIZE = 32


def images_of(count, size=SIZE, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3)).astype(np.uint8)


def small_classifier(num_outputs=3, target="multiclass", hidden=(), pooling="avg"):
    keras.utils.set_random_seed(0)
    image = keras.Input((SIZE, SIZE, 3))
    tensor = layers.Rescaling(1 / 255)(image)
    tensor = layers.Conv2D(6, 3, 4, padding="same", activation="relu", name="low")(tensor)
    branch = layers.Conv2D(6, 3, padding="same", activation="relu", name="inner")(tensor)
    tensor = layers.Add(name="sum")([tensor, branch])
    tensor = layers.Conv2D(5, 3, padding="same", activation="tanh", name="top")(tensor)
    names = ("no", "yes") if target == "binary" else tuple("abc"[:num_outputs])
    metadata = Metadata("none", 1.0, SIZE, target, names)
    return build_classifier(
        keras.Model(image, tensor), HeadSpec(num_outputs, hidden_units=hidden, pooling=pooling), metadata
    )


def recomputed(model, images, classes, layer):
    """The formula, image by image and map by map, from slopes by finite differences of the layers above."""
    maps = keras.Model(model.input, model.get_layer(layer).output)(images.astype(np.float32)).numpy().astype(np.float64)
    above = keras.Model(model.get_layer(layer).output, model.output)
    heats = []
    for feature_map, number in zip(maps, classes, strict=True):
        slope = np.zeros_like(feature_map)
        for place in np.ndindex(feature_map.shape):
            step = np.zeros_like(feature_map)
            step[place] = 1e-2
            pair = above(np.stack([feature_map + step, feature_map - step]).astype(np.float32)).numpy()
            slope[place] = (pair[0, number] - pair[1, number]) / 2e-2
        heat = np.maximum(sum(slope[..., k].mean() * feature_map[..., k] for k in range(slope.shape[-1])), 0)
        heat = tf.image.resize(heat[..., None], (SIZE, SIZE))[..., 0].numpy()
        heats.append(heat / heat.max() if heat.max() else heat)
    return np.stack(heats)


@pytest.mark.parametrize("hidden", [(), (7,)], ids=["linear", "hidden"])
def test_the_heat_is_that_of_the_formula(hidden):
    model, images = small_classifier(hidden=hidden), images_of(4)
    classes = np.array([0, 1, 2, 1])
    np.testing.assert_allclose(grad_cam(model, images, classes), recomputed(model, images, classes, "top"), atol=2e-3)


def test_by_default_the_predicted_class_is_explained():
    model, images = small_classifier(), images_of(5)
    predicted = model(images.astype(np.float32)).numpy().argmax(axis=1)
    np.testing.assert_array_equal(grad_cam(model, images), grad_cam(model, images, predicted))
    assert not np.allclose(grad_cam(model, images), grad_cam(model, images, (predicted + 1) % 3))


def test_a_layer_that_others_pass_by_is_explained_by_the_whole_slope():
    """With respect to `inner`, the slope through the sum alone counts, and the graph cannot be cut there."""
    model, images = small_classifier(), images_of(2)
    with tf.GradientTape() as tape:
        low = keras.Model(model.input, model.get_layer("low").output)(images.astype(np.float32))
        inner = model.get_layer("inner")(low)
        tape.watch(inner)
        top = model.get_layer("top")(low + inner)
        score = model.get_layer("head_logits")(model.get_layer("head_pool")(top))[:, 2]
    slope = tape.gradient(score, inner).numpy()
    heat = np.maximum((slope.mean(axis=(1, 2), keepdims=True) * inner.numpy()).sum(axis=-1), 0)
    heat = tf.image.resize(heat[..., None], (SIZE, SIZE))[..., 0].numpy()
    heat /= np.maximum(heat.max(axis=(1, 2), keepdims=True), 1e-30)
    np.testing.assert_allclose(grad_cam(model, images, 2, layer="inner"), heat, atol=1e-5)


@pytest.mark.parametrize("corner", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_the_heat_sits_in_the_only_corner_that_matters(corner):
    """A network that answers to red alone, and an image that is red in one corner."""
    image = keras.Input((SIZE, SIZE, 3))
    red = layers.Conv2D(2, 4, 4, name="colour")(image)
    logits = layers.Dense(2, name="head_logits")(layers.GlobalAveragePooling2D(name="head_pool")(red))
    model = keras.Model(image, logits)
    kernel = np.zeros((4, 4, 3, 2), np.float32)
    kernel[:, :, 0, 0], kernel[:, :, 1, 0], kernel[:, :, 2, 1] = 1 / 16, -1 / 16, 1 / 16
    model.get_layer("colour").set_weights([kernel, np.zeros(2, np.float32)])
    model.get_layer("head_logits").set_weights([np.eye(2, dtype=np.float32), np.zeros(2, np.float32)])
    pixels = np.full((1, SIZE, SIZE, 3), 90, np.uint8)
    top, left = 16 * corner[0], 16 * corner[1]
    pixels[0, top : top + 16, left : left + 16] = (250, 10, 90)
    heat = grad_cam(model, pixels, 0)[0]
    inside = heat[top : top + 16, left : left + 16].sum() / heat.sum()
    assert heat.max() == 1
    assert inside > 0.85  # bilinear resizing spreads some over the edge


@pytest.mark.parametrize("pooling", ["avg", "max", "gem"])
@pytest.mark.parametrize("target", ["multiclass", "binary", "multilabel", "regression"])
def test_every_target_and_pooling_has_maps(target, pooling):
    outputs = {"binary": 1, "regression": 2}.get(target, 3)
    model = small_classifier(outputs, target, pooling=pooling)
    heat = grad_cam(model, images_of(3))
    assert heat.shape == (3, SIZE, SIZE)
    assert heat.dtype == np.float32
    assert heat.min() >= 0
    assert set(heat.max(axis=(1, 2))) <= {0.0, 1.0}


def test_of_one_logit_the_other_class_is_what_lowers_it():
    model, images = small_classifier(1, "binary"), images_of(6)
    logits = model(images.astype(np.float32)).numpy()[:, 0]
    yes, no, said = grad_cam(model, images, 1), grad_cam(model, images, 0), grad_cam(model, images)
    head = model.get_layer("head_logits")
    head.set_weights([-weight for weight in head.get_weights()])
    np.testing.assert_allclose(no, grad_cam(model, images, 1), atol=1e-6)
    assert not np.allclose(yes, no)
    for heat, one, other, logit in zip(said, yes, no, logits, strict=True):
        np.testing.assert_array_equal(heat, one if logit > 0 else other)


def test_batches_give_what_single_images_give():
    model, images = small_classifier(), images_of(19)
    together = grad_cam(model, images, np.arange(19) % 3)
    apart = np.concatenate([grad_cam(model, images[k : k + 1], k % 3) for k in range(19)])
    np.testing.assert_allclose(together, apart, atol=1e-5)
    assert grad_cam(model, images[:0]).shape == (0, SIZE, SIZE)


def test_every_family_is_explained(family):
    backbone = build_backbone(family, image_size=96, weights="none")
    model = build_classifier(backbone, HeadSpec(3))
    heat = grad_cam(model, images_of(2, 96), [0, 2])
    assert heat.shape == (2, 96, 96)
    assert np.isfinite(heat).all()
    assert set(heat.max(axis=(1, 2))) <= {0.0, 1.0}
    # The head is linear: the slope of the score of a class is the same at all places.
    maps = backbone(images_of(2, 96).astype(np.float32), training=False).numpy()
    kernel = model.get_layer("head_logits").kernel.numpy()
    expected = np.stack([np.maximum(maps[0] @ kernel[:, 0], 0), np.maximum(maps[1] @ kernel[:, 2], 0)])
    expected = tf.image.resize(expected[..., None], (96, 96))[..., 0].numpy()
    expected /= np.maximum(expected.max(axis=(1, 2), keepdims=True), 1e-30)
    np.testing.assert_allclose(heat, expected, atol=1e-3)


def test_mistakes_are_named():
    model, images = small_classifier(), images_of(2)
    with pytest.raises(InputError, match=r"`layer` must.*Did you mean 'top'"):
        grad_cam(model, images, layer="topp")
    with pytest.raises(InputError, match="between 0 and 2"):
        grad_cam(model, images, 3)
    with pytest.raises(InputError, match="one for each of 2 images"):
        grad_cam(model, images, [0, 1, 2])
    with pytest.raises(InputError, match="feature map"):
        grad_cam(keras.Sequential([keras.Input((8, 8, 3)), layers.Flatten(), layers.Dense(2)]), images[:, :8, :8])


def test_a_nested_model_is_refused_in_one_line():
    image = keras.Input((SIZE, SIZE, 3))
    inner = keras.Model(image, layers.Conv2D(4, 3)(image))
    outer = keras.Sequential([keras.Input((SIZE, SIZE, 3)), inner, layers.GlobalAveragePooling2D(), layers.Dense(2)])
    with pytest.raises(InputError, match=r"without a nested model\. Received: .*`occlusion`"):
        grad_cam(outer, images_of(1))


def test_a_sequential_model_is_explained_as_the_functional_one():
    steps = [layers.Conv2D(4, 3, activation="relu"), layers.GlobalAveragePooling2D(), layers.Dense(3)]
    keras.utils.set_random_seed(0)
    sequential = keras.Sequential([keras.Input((SIZE, SIZE, 3)), *steps])
    functional = keras.Model(sequential.inputs, sequential.outputs)
    images = images_of(2)
    np.testing.assert_array_equal(grad_cam(sequential, images), grad_cam(functional, images))
