"""Labels and pixels that do not fit the model are one line in `tfl.fit`, from arrays and from streams."""

import logging as python_logging
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tfl
from tfl.errors import InputError

COUNT = 12
NUMBERS = np.arange(COUNT) % 3
ROWS = np.eye(3)[NUMBERS]
IMAGES = np.random.default_rng(0).normal(size=(COUNT, 2)).astype(np.float32)


def compiled(loss: Any, num_outputs: int) -> keras.Model:
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((2,)), layers.Dense(num_outputs)])
    tfl.compile(model, keras.optimizers.SGD(0.0), loss, metrics=[])
    return model


def stream(labels: Any) -> tf.data.Dataset:
    """Return what `tfl.fit` makes of arrays, so that both have one graph."""
    rows = {"image": IMAGES, "label": labels, "weight": np.ones(COUNT, np.float32), "id": np.arange(COUNT)}
    return tf.data.Dataset.from_tensor_slices(rows).batch(COUNT)


# Loss, outputs, labels, what the line must say.
WRONG = {
    "1 to K": (
        "multiclass",
        3,
        NUMBERS + 1,
        r"from 0 to 2 .* 4 of 12 other labels, the first is 3, .*labels 0 to 2: NAME - 1\?",
    ),
    "1 to K as values": (
        "multiclass",
        3,
        NUMBERS + 1.0,
        r"4 of 12 other labels, the first is 3, .*labels 0 to 2: NAME - 1\?",
    ),
    "-1 and 1": ("multiclass", 2, NUMBERS // 2 * 2 - 1, r"8 of 12 other labels.*labels 0 and 1: \(NAME \+ 1\) // 2\?"),
    "some without": ("multiclass", 3, np.where(NUMBERS, NUMBERS, -1), r"4 of 12 .*leave out the examples"),
    "out of range": ("multiclass", 3, NUMBERS * 4, r"8 of 12 .*a model of 9 outputs"),
    "fractions": ("multiclass", 3, NUMBERS / 2, "4 of 12 other labels, the first is 0.5.*'regression'"),
    "many labels": ("multiclass", 3, np.ones((COUNT, 3)), "12 of 12 other rows, the first adds up to 3.*'multilabel'"),
    "shares": (keras.losses.CategoricalCrossentropy(), 3, ROWS / 2, "adds up to 0.5.*NAME / NAME.sum"),
    "rows of -1 and 1": ("categorical_crossentropy", 3, 2 * ROWS - 1, "rows of 3 shares .*rows of 0 and 1"),
    "numbers 1 to K": ("categorical_crossentropy", 3, NUMBERS + 1, "labels 0 to 2: NAME - 1"),
    "rows of more": ("categorical_crossentropy", 3, np.eye(5)[NUMBERS], r"shape \(.*, 5\).*a model of 5 outputs"),
    "text": ("multiclass", 3, np.array(["a", "b", "c"])[NUMBERS], r"must be numbers .*np\.unique"),
    "1 and 2": ("binary", 1, NUMBERS % 2 + 1, r"from 0 to 1 .*labels 0 to 1: NAME - 1\?"),
    "margins": ("binary_crossentropy", 1, NUMBERS % 2 * 2 - 1, r"\(NAME \+ 1\) / 2"),
    "one-hot for one output": ("binary", 1, np.eye(2)[NUMBERS % 2], r"np.argmax\(NAME, axis=1\)"),
    "three for one output": ("binary", 1, NUMBERS, "a model of 3 outputs, one for each class"),
    "numbers for rows": ("multilabel", 3, NUMBERS, r"rows of 3 values for BinaryCrossentropy.*np.eye\(3\)\[NAME\]"),
    "1 and 2 in rows": ("multilabel", 3, ROWS + 1, "12 of 12 .*labels 0 to 1: NAME - 1"),
    "gaps": ("multilabel", 3, np.where(ROWS, np.nan, 0), "12 of 12 .*leave out the examples"),
    "no value": ("regression", 1, np.where(NUMBERS, np.inf, 1.0), "8 of 12 other labels, the first is inf.*leave out"),
    "three signs": ("hinge", 1, NUMBERS - 1, "must be -1 or 1 .* 4 of 12 other labels, the first is 0"),
    "negative counts": ("poisson", 1, NUMBERS - 1, "at least 0 .* 4 of 12 other labels, the first is -1"),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG)
def test_wrong_labels(case: tuple[Any, int, np.ndarray, str]) -> None:
    loss, num_outputs, labels, line = case
    model, good = compiled(loss, num_outputs), np.zeros((COUNT, num_outputs), np.float32)
    good[:, 0] = 1
    options = {"verbose": False, "batch_size": COUNT}
    with pytest.raises(InputError, match="^`y` .*" + line.replace("NAME", "y")) as from_arrays:
        tfl.fit(model, IMAGES, labels, **options)
    with pytest.raises(InputError, match="^`validation_data` .*" + line.replace("NAME", "validation_data")):
        tfl.fit(model, IMAGES, good, validation_data=(IMAGES, labels), **options)
    assert "\n" not in str(from_arrays.value)


@pytest.mark.parametrize("name", ["1 to K", "some without", "shares", "rows of more", "margins", "gaps", "text"])
def test_wrong_labels_of_streams(name: str) -> None:
    loss, num_outputs, labels, line = WRONG[name]
    model = compiled(loss, num_outputs)
    with pytest.raises(InputError, match=f"^`y` .*{line.replace('NAME', 'y')}") as error:
        tfl.fit(model, stream(labels), verbose=False)
    assert "\n" not in str(error.value) and int(model.optimizer.iterations.numpy()) == 0


def masked_error(y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean((tf.where(tf.math.is_nan(y_true), y_pred, y_true) - y_pred) ** 2, axis=-1)


# What Keras takes with the loss, or what tfl aligns.
RIGHT = {
    "numbers": ("multiclass", 3, NUMBERS),
    "column of numbers": ("sparse_categorical_crossentropy", 3, NUMBERS[:, None].astype(np.float32)),
    "list": ("multiclass", 3, NUMBERS.tolist()),
    "one-hot to a sparse loss": ("multiclass", 3, ROWS.astype(np.uint8)),
    "numbers to a categorical loss": ("categorical_crossentropy", 3, NUMBERS),
    "shares": ("categorical_crossentropy", 3, ((ROWS + 0.1) / 1.3).astype(np.float16)),
    "a class that the loss passes over": (
        keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255),
        3,
        np.where(NUMBERS, NUMBERS, 255),
    ),
    "booleans": ("binary", 1, NUMBERS > 0),
    "shares of binary": ("binary_crossentropy", 1, NUMBERS / 2),
    "hinge on 0 and 1": ("hinge", 1, NUMBERS % 2),
    "hinge on -1 and 1": ("squared_hinge", 1, NUMBERS % 2 * 2 - 1),
    "values": ("regression", 1, NUMBERS * -7.5),
    "counts": ("mean_squared_logarithmic_error", 1, NUMBERS),
    "a loss of one's own with gaps": (masked_error, 3, np.where(ROWS > 0, np.nan, 1).astype(np.float32)),
}


@pytest.mark.parametrize("case", RIGHT.values(), ids=RIGHT)
def test_right_labels(case: tuple[Any, int, Any]) -> None:
    loss, num_outputs, labels = case
    losses, model = [], compiled(loss, num_outputs)
    for arguments in ((IMAGES, labels), (stream(labels),)):
        history = tfl.fit(model, *arguments, verbose=False, batch_size=COUNT, shuffle=False).history
        assert history["skipped_steps"] == [0]
        losses += history["loss"]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


@pytest.mark.parametrize("gap", [None, "", np.nan])
def test_missing_labels(gap: Any) -> None:
    labels = np.array(["a", "b", "c"], object)[NUMBERS]
    labels[[4, 7]] = gap
    with pytest.raises(
        InputError,
        match=r"`y` must have a label for every example.*2 of 12 examples without a label, the first at position 4",
    ):
        tfl.fit(compiled("multiclass", 3), IMAGES, labels)


def test_a_source_of_more_classes_than_outputs() -> None:
    splits = tfl.load_data("digits")
    feed = tfl.EpochFeed(splits.source, splits.train, image_size=32, batch_size=8)
    with pytest.raises(
        InputError, match=r"`x.source` must be class numbers from 0 to 2 .*the first is 3, all in \[0, 9\]"
    ):
        model = keras.Sequential([keras.Input((32, 32, 3)), layers.Flatten(), layers.Dense(3)])
        tfl.compile(model, "sgd", loss="multiclass")
        tfl.fit(model, feed)


PIXELS = np.random.default_rng(1).integers(0, 256, (COUNT, 32, 32, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def classifier() -> keras.Model:
    backbone = tfl.build_backbone("MobileNetV2", image_size=32, alpha=0.35, weights="none")
    model = tfl.build_classifier(backbone, tfl.HeadSpec(num_outputs=3))
    for layer in model.layers[:-1]:
        layer.trainable = False
    tfl.compile(model, "sgd", metrics=[])
    return model


def one_scaled() -> np.ndarray:
    images = PIXELS.copy()
    images[7] /= 255
    return images


SCALED = {
    "0 to 1": (
        PIXELS / 255,
        r"12 of 12 other images, the first is number 0 in \[0.*, .*1\]\. Did you mean 255 \* images\?",
    ),
    "one of twelve": (one_scaled(), r"1 of 12 other images, the first is number 7 in .*Did you mean 255 \* images\?"),
    "-1 to 1": (PIXELS / 127.5 - 1, r"number 0 in \[-.*Did you mean 127\.5 \* \(images \+ 1\)\?"),
    "standardised": ((PIXELS - 120) / 50, "Did you mean the images before they were normalised"),
    "12 bits": (PIXELS * np.float32(4095 / 255), r"Did you mean images \* \(255 / 4095\)\?"),
    "booleans": (PIXELS > 127, r"Did you mean 255 \* images\?"),
}


@pytest.mark.parametrize("case", SCALED.values(), ids=SCALED)
def test_scaled_pixels_to_a_classifier(classifier: keras.Model, case: tuple[np.ndarray, str]) -> None:
    images, line = case
    with pytest.raises(InputError, match="^`x` must have pixels in .*" + line):
        tfl.fit(classifier, images, NUMBERS, verbose=False)
    with pytest.raises(InputError, match="^`validation_data` must have pixels in .*" + line):
        tfl.fit(classifier, PIXELS, NUMBERS, validation_data=(images, NUMBERS), verbose=False)
    batches = tf.data.Dataset.from_tensor_slices((images, NUMBERS)).batch(COUNT)
    with pytest.raises(InputError, match="^`x` must have pixels in .*" + line):
        tfl.fit(classifier, batches, verbose=False)


def test_zeros_and_ones_are_no_pixels(classifier: keras.Model) -> None:
    with pytest.raises(InputError, match=r"`x` must have pixels in \[0, 255\]\. Received: no pixel above 1\."):
        tfl.fit(classifier, (PIXELS > 127).astype(np.uint8), NUMBERS)


def test_pixels_that_may_be(classifier: keras.Model) -> None:
    """Black frames, what a bicubic resize adds, NaN (left to the step's guard), and a model that takes [0, 1]."""
    images = PIXELS.copy()
    images[1], images[2], images[3, 0, 0, 0] = 0, images[2] * 1.2 - 20, np.nan
    images[4] = images[4] > 127
    tfl.fit(classifier, images, NUMBERS, verbose=False)
    own = keras.Sequential([keras.Input((32, 32, 3)), layers.Flatten(), layers.Dense(3)])
    tfl.compile(own, "sgd")
    assert tfl.fit(own, PIXELS / 255, NUMBERS, verbose=False).history["skipped_steps"] == [0]


@pytest.mark.parametrize("name", ["MobileNet", "ResNet50V2"])
def test_a_pixel_that_the_network_hides_is_noticed(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """In a graph the ReLU of NaN is 0, so the loss of these networks stays finite."""
    backbone = tfl.build_backbone(name, image_size=32, weights="none")
    model = tfl.build_classifier(backbone, tfl.HeadSpec(num_outputs=3))
    for layer in model.layers[:-1]:
        layer.trainable = False
    tfl.compile(model, "sgd", metrics=[])
    images = PIXELS.copy()
    images[7, 0, 0, 0] = np.nan
    python_logging.getLogger("absl").propagate = True
    with caplog.at_level("WARNING", logger="absl"):
        history = tfl.fit(
            model, images, NUMBERS, batch_size=4, shuffle=False, verbose=False, validation_data=(images, NUMBERS)
        )
    assert history.history["skipped_steps"] == [1] and np.isfinite(history.history["loss"]).all()
    assert "Their examples: 7." in caplog.text
    assert np.isnan(history.history["val_loss"]).all()


def labelled(images: np.ndarray, labels: np.ndarray) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices({"image": images, "label": labels, "id": np.arange(COUNT)}).batch(COUNT)


def test_evaluation_of_a_stream(classifier: keras.Model) -> None:
    assert tfl.evaluate(classifier, labelled(PIXELS, NUMBERS))["num_examples"] == COUNT
    wrong = {
        r"4 of 12 other labels, the first is 3, .*labels 0 to 2: dataset - 1": (PIXELS, NUMBERS + 1, "multiclass"),
        r"class numbers \(N,\) for multiclass.*np.argmax\(dataset, axis=1\)": (PIXELS, ROWS, "multiclass"),
        r"be rows of 3 values for regression": (PIXELS, NUMBERS * 0.5, "regression"),
        r"be 0 or 1 for multilabel .* 12 of 12 other labels, the first is 0.9": (PIXELS, ROWS * 0.9, "multilabel"),
        r"pixels in \[0, 255\].*12 of 12 .*255 \* images": (PIXELS / 255, NUMBERS, "multiclass"),
    }
    for line, (images, labels, target) in wrong.items():
        with pytest.raises(InputError, match="^`dataset` must .*" + line) as error:
            tfl.evaluate(classifier, labelled(images, labels), target)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("explain", [tfl.grad_cam, tfl.occlusion])
def test_explanations_of_scaled_images(classifier: keras.Model, explain: Any) -> None:
    with pytest.raises(InputError, match=r"`images` must have pixels in .*255 \* images"):
        explain(classifier, PIXELS / 255)
