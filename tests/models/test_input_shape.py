"""Examples that do not fit the input of a model are one line, whatever function they are given to."""

import functools
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tfl
from tfl.errors import InputError

COUNT = 8
IMAGES = np.random.default_rng(0).integers(0, 256, (COUNT, 8, 8, 3)).astype(np.float32)
LABELS = np.arange(COUNT) % 3
MUST = r"must be examples of shape \(N, 8, 8, 3\), as the model takes them\. Received: shape "

# Wrong examples, and what the line must say.
WRONG = {
    "size": (IMAGES[:, :4, :6], MUST + r"\(.*, 4, 6, 3\)\. Did you mean tf\.image\.resize\(images, \(8, 8\)\)\?"),
    "one channel": (IMAGES[..., :1], MUST + r".*8, 8, 1\)\. Did you mean np\.repeat\(images, 3, axis=-1\)\?"),
    "alpha": (np.repeat(IMAGES, 2, axis=-1)[..., :4], MUST + r".*8, 8, 4\)\. Did you mean images\[\.\.\., :3\]\?"),
    "grey": (IMAGES[..., 0], MUST + r".*8, 8\)\. Did you mean np\.stack\(\[images\] \* 3, axis=-1\)\?"),
    "channels first": (np.moveaxis(IMAGES, -1, 1), MUST + r".*3, 8, 8\)\. Did you mean np\.moveaxis\(images, 1, -1\)"),
    "flat": (IMAGES.reshape(COUNT, -1), MUST + r"\(.*, 192\)\."),
    "text": (np.full(COUNT, "a.jpg"), r"must be an array of numbers\. Received: type (str|string)"),
    "complex": (IMAGES.astype(np.complex64), r"must be an array of numbers\. Received: type complex64"),
}


@functools.cache
def model() -> keras.Model:
    keras.utils.set_random_seed(0)
    own = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(3)])
    tfl.compile(own, "sgd", metrics=[])
    return own


def batches(images: np.ndarray, **more: Any) -> tf.data.Dataset:
    rows = {"image": images, "label": LABELS[: len(images)], "id": np.arange(len(images)), **more}
    return tf.data.Dataset.from_tensor_slices(rows).batch(4)


def of_unknown_shape(images: np.ndarray) -> tf.data.Dataset:
    types = (tf.TensorSpec(None, images.dtype), tf.TensorSpec(None, tf.int64))
    return tf.data.Dataset.from_generator(lambda: iter([(images, LABELS)]), output_signature=types)


ENTRIES = {
    "fit arrays": ("x", lambda images: tfl.fit(model(), images, LABELS, verbose=False)),
    "fit batches": ("x", lambda images: tfl.fit(model(), batches(images), verbose=False)),
    "fit pairs": ("x", lambda images: tfl.fit(model(), batches(images).map(pair), verbose=False)),
    "fit callable": ("x", lambda images: tfl.fit(model(), lambda epoch: batches(images), verbose=False)),
    "validation arrays": (
        "validation_data",
        lambda images: tfl.fit(model(), IMAGES, LABELS, validation_data=(images, LABELS), verbose=False),
    ),
    "validation batches": (
        "validation_data",
        lambda images: tfl.fit(model(), IMAGES, LABELS, validation_data=batches(images), verbose=False),
    ),
    "evaluate": ("dataset", lambda images: tfl.evaluate(model(), batches(images))),
    "predict": ("dataset", lambda images: tfl.predict(model(), batches(images), "multiclass")),
    "grad_cam": ("images", lambda images: tfl.grad_cam(model(), images)),
    "occlusion": ("images", lambda images: tfl.occlusion(model(), images)),
}


def pair(row: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
    return row["image"], row["label"]


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_wrong_examples_are_one_line(entry: tuple[str, Any]) -> None:
    name, call = entry
    for images, line in WRONG.values():
        with pytest.raises(InputError, match=f"^`{name}` {line}") as error:
            call(images)
        assert "\n" not in str(error.value)


def test_a_shape_that_is_known_only_when_it_is_read() -> None:
    line = r"`x` must be examples of shape \(N, 8, 8, 3\), as the model takes them\. Received: shape \(8, 4, 8, 3\)\."
    unknown = batches(IMAGES[:, :4]).map(pair).unbatch().batch(8)
    known_rank = tf.data.Dataset.from_generator(
        lambda: iter([(IMAGES[:, :4], LABELS)]),
        output_signature=(tf.TensorSpec((None, None, None, 3), tf.float32), tf.TensorSpec((None,), tf.int64)),
    )
    with pytest.raises(InputError, match=line):
        tfl.fit(model(), known_rank, verbose=False)
    with pytest.raises(InputError, match=r"`x` must be examples of shape \(N, 8, 8, 3\)"):
        tfl.fit(model(), unknown, verbose=False)


def test_one_example_and_data_without_batches() -> None:
    with pytest.raises(InputError, match=r"^`x` must be examples of .*Did you mean x\[None\]\?"):
        tfl.fit(model(), IMAGES[0], LABELS[:8], verbose=False)
    with pytest.raises(InputError, match=r"^`x` must be examples of .*Did you mean x\.batch\(32\)\?"):
        tfl.fit(model(), batches(IMAGES).unbatch(), verbose=False)
    with pytest.raises(InputError, match=r"^`dataset` must be examples of .*Did you mean dataset\.batch\(32\)\?"):
        tfl.evaluate(model(), batches(IMAGES).unbatch())
    with pytest.raises(InputError, match=r"^`x` must be one array \(N, \.\.\.\)\. Received: .* different shapes"):
        tfl.fit(model(), [IMAGES[0], IMAGES[1, :4]], LABELS[:2], verbose=False)


def test_a_feed_of_another_size() -> None:
    splits = tfl.load_data("digits")
    feed = tfl.EpochFeed(splits.source, splits.train, image_size=16, batch_size=8)
    with pytest.raises(InputError, match=r"^`x` " + MUST + r"\(\?, 16, 16, 3\)"):
        tfl.fit(model(), feed, verbose=False)


def test_shapes_that_keras_completes_are_taken() -> None:
    def fit(shape: tuple[int | None, ...], images: np.ndarray) -> Any:
        own = keras.Sequential([keras.Input(shape), layers.GlobalAveragePooling2D(), layers.Dense(3)])
        tfl.compile(own, "sgd", metrics=[])
        return tfl.fit(own, images, LABELS, verbose=False).history["skipped_steps"]

    assert fit((8, 8, 1), IMAGES[..., 0]) == fit((8, 8, 1), IMAGES[..., :1]) == [0]
    assert fit((None, None, 3), IMAGES[:, :4]) == fit((None, None, 3), IMAGES.astype(np.int64)) == [0]


WEIGHTS = {
    "text": (np.full(COUNT, "a"), r"must be numbers\. Received: could not convert"),
    "a gap": (
        np.array([1.0, np.nan] * 4),
        r"at least 0\. Received: 4 of 8 .*, the first is nan at position 1",
    ),
    "infinite": (np.full(COUNT, np.inf), "8 of 8 other weights, the first is inf at position 0"),
    "negative": (np.linspace(-1, 1, COUNT), "4 of 8 other weights, the first is -1 at position 0"),
    "rows": (np.ones((COUNT, 2)), r"must have shape \(8,\)\. Received: shape \(8, 2\)"),
    "too few": (np.ones(3), r"must have shape \(8,\)\. Received: shape \(3,\)"),
}


@pytest.mark.parametrize("case", WEIGHTS.values(), ids=WEIGHTS)
def test_wrong_weights_are_one_line(case: tuple[np.ndarray, str]) -> None:
    weights, line = case
    with pytest.raises(InputError, match=r"^`sample_weight` " + ".*" + line):
        tfl.fit(model(), IMAGES, LABELS, sample_weight=weights, verbose=False)


def test_rows_of_weights_in_batches() -> None:
    with pytest.raises(InputError, match=r"^`x` must have one weight for each example\. Received: weights .*2\)"):
        tfl.fit(model(), batches(IMAGES, weight=np.ones((COUNT, 2))), verbose=False)


def test_batches_without_an_entry_and_empty_data() -> None:
    rows = batches(IMAGES)
    pairs = rows.map(pair)
    entries = r"^`dataset` must be a batched tf\.data\.Dataset of dicts with 'input', 'label', 'id'\. Received: "
    without = {
        "batches with id, image": rows.map(lambda row: {"image": row["image"], "id": row["id"]}),
        "batches with image, label": rows.map(lambda row: {"image": row["image"], "label": row["label"]}),
        "tuple": pairs,
        "ndarray": IMAGES,
    }
    for received, dataset in without.items():
        with pytest.raises(InputError, match=entries + received):
            tfl.evaluate(model(), dataset)
    with pytest.raises(InputError, match=r"^`dataset` must have at least one example to evaluate"):
        tfl.evaluate(model(), rows.take(0))
    with pytest.raises(InputError, match=r"^`y` must be as long as `x`, and not empty"):
        tfl.fit(model(), IMAGES[:0], LABELS[:0], verbose=False)
    with pytest.raises(InputError, match=r"^`x` must have at least one batch"):
        tfl.fit(model(), rows.take(0), verbose=False)
    with pytest.raises(InputError, match=r"^`validation_data` must have at least one batch"):
        tfl.fit(model(), IMAGES, LABELS, validation_data=rows.take(0), verbose=False)
