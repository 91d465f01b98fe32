"""Certify one family of networks in every format: see test_families.py. A process of its own gives its memory back.

python family_program.py FAMILY FOLDER
"""

import dataclasses
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import tfl
from tfl.export import FORMATS, Limits, Product, Reference, build, certify
from tfl.models.classifier import Metadata

SIZES = {"InceptionResNetV2": 75, "InceptionV3": 75, "Xception": 71}  # the smallest that they take; else 64
# With random weights TensorFlow's own float32 is 1.8e-5, 9e-6 and 8e-6 from float64, ONNX Runtime's 9e-6, 4e-6 and
# 5e-6; how far depends on the processor.
ROUNDING = {"EfficientNetV2B0": 5e-5, "InceptionResNetV2": 3e-5, "InceptionV3": 3e-5}


def make_images(size, count=32):
    """Smooth images with a little noise, each of another colour and brightness."""
    rng = np.random.default_rng(0)
    coarse = rng.uniform(0, 255, (count, 4, 4, 3)) * rng.uniform(0, 1, (count, 1, 1, 3))
    images = tf.image.resize(coarse, (size, size), "bicubic").numpy()
    return np.clip(images + rng.normal(0, 10, images.shape), 0, 255).astype(np.uint8)


def scale(model, images):
    """Bring activations and logits of a random network to the size that trained ones have.

    A norm gets one variance for all of its channels, so that no activation vanishes; with one for each channel, the
    rounding of the first layer would grow from layer to layer as it does in no trained network.
    """
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for norm in norms:
        norm.momentum = 0.0
    if norms:
        model(images, training=True)
    for norm in norms:
        power = norm.moving_variance.numpy() + norm.moving_mean.numpy() ** 2
        norm.moving_variance.assign(np.full(power.shape, power.mean(), np.float32))
        norm.moving_mean.assign(np.zeros(power.shape, np.float32))
    logits = model(images, training=False).numpy()
    kernel, _ = model.get_layer("head_logits").get_weights()
    gain = 1.0 / logits.std(axis=0)
    model.get_layer("head_logits").set_weights([kernel * gain, -gain * logits.mean(axis=0)])


def make_classifier(family, images):
    keras.utils.set_random_seed(0)
    size = images.shape[1]
    backbone = tfl.build_backbone(family, image_size=size, weights="none")
    metadata = Metadata(family, 1.0, size, "multiclass", tuple("abcde"), 0.8)
    model = tfl.build_classifier(backbone, tfl.HeadSpec(num_outputs=5), metadata)
    scale(model, images)
    return model


def certify_family(family, folder):
    images = make_images(SIZES.get(family, 64))
    model = make_classifier(family, images)
    logits = model(images, training=False).numpy()
    probabilities = model.metadata.task.scores(logits, model.metadata.temperature)
    assert probabilities.std(axis=0).min() > 0.05  # else every network would do
    encoded = [tf.io.encode_png(image).numpy() for image in images]
    reference = Reference(model.metadata, images, encoded, probabilities, probabilities.argmax(axis=1))
    limits = Limits(tolerance=ROUNDING.get(family, 1e-5))
    for name in FORMATS:
        entry = certify(build(model, name, folder), reference, limits, timed=False)
        assert entry["failures"] == [], (name, entry)
        assert entry["agreement"] == 1.0
    wrong = dataclasses.replace(reference, probabilities=np.roll(probabilities, 1, axis=1))
    assert certify(Product(folder / "model.tflite", "litert"), wrong, limits, timed=False)["failures"]


if __name__ == "__main__":
    certify_family(sys.argv[1], Path(sys.argv[2]))
