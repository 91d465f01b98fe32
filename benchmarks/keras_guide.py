"""The peer of other benchmarks: the recipe of Keras' transfer-learning guide, written without tfl.

    python benchmarks/keras_guide.py --train=DIR --test=DIR --backbone=MobileNetV2 --alpha=0.35

The guide (keras.io/guides/transfer_learning): resize, flip and rotate at random, frozen backbone in inference
mode, average pooling, dropout 0.2, one dense layer, Adam, 20 epochs; then unfreeze all and train a few more
epochs with Adam at 1e-5. It prints one line of JSON: the accuracy on the test folder after both steps, the seconds, and
which test images are classified correctly after each step (bits in hexadecimal, in the order of the sorted paths).
"""

import json
import os
import time

import numpy as np
from absl import app, flags

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

_TRAIN = flags.DEFINE_string("train", None, "Folder of class folders.", required=True)
_TEST = flags.DEFINE_string("test", None, "Folder of class folders.", required=True)
_BACKBONE = flags.DEFINE_string("backbone", "MobileNetV2", "MobileNet or MobileNetV2.")
_ALPHA = flags.DEFINE_float("alpha", 1.0, "Width multiplier.")
_IMAGE_SIZE = flags.DEFINE_integer("image_size", 224, "Pixels per side.")
_EPOCHS = flags.DEFINE_integer("epochs", 20, "Frozen epochs.")
_FINETUNE_EPOCHS = flags.DEFINE_integer("finetune_epochs", 2, "Unfrozen epochs.")
_SEED = flags.DEFINE_integer("seed", 0, "Seed.")


def main(argv: list[str]) -> None:
    del argv
    import keras

    keras.utils.set_random_seed(_SEED.value)
    start = time.perf_counter()
    train, test = _datasets(keras)
    model, base = _model(keras, len(train.class_names))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(), loss, metrics=["accuracy"])
    model.fit(train.prefetch(2), epochs=_EPOCHS.value, verbose=0)
    frozen = _correct(model, test)
    frozen_seconds = time.perf_counter() - start
    base.trainable = True
    model.compile(keras.optimizers.Adam(1e-5), loss, metrics=["accuracy"])
    model.fit(train.prefetch(2), epochs=_FINETUNE_EPOCHS.value, verbose=0)
    finetuned = _correct(model, test)
    seconds = time.perf_counter() - start
    print(
        json.dumps(
            {
                "frozen": float(frozen.mean()),
                "frozen_seconds": frozen_seconds,
                "finetuned": float(finetuned.mean()),
                "frozen_correct": np.packbits(frozen).tobytes().hex(),
                "finetuned_correct": np.packbits(finetuned).tobytes().hex(),
                "seconds": seconds,
            }
        )
    )


def _correct(model, test) -> np.ndarray:
    """Return for each test image, in the order of the sorted paths, whether its class is predicted."""
    logits, labels = model.predict(test, verbose=0), np.concatenate([labels for _, labels in test.as_numpy_iterator()])
    return (logits.argmax(axis=-1) == labels)[np.argsort(test.file_paths)]


def _datasets(keras):
    size = (_IMAGE_SIZE.value, _IMAGE_SIZE.value)
    read = keras.utils.image_dataset_from_directory
    train = read(_TRAIN.value, image_size=size, batch_size=32, seed=_SEED.value, verbose=False)
    return train, read(_TEST.value, image_size=size, batch_size=32, shuffle=False, verbose=False)


def _model(keras, num_classes: int):
    shape = (_IMAGE_SIZE.value, _IMAGE_SIZE.value, 3)
    build = getattr(keras.applications, _BACKBONE.value)
    base = build(alpha=_ALPHA.value, include_top=False, weights="imagenet", input_shape=shape)
    base.trainable = False
    inputs = keras.Input(shape)
    x = keras.layers.RandomFlip("horizontal")(inputs)
    x = keras.layers.RandomRotation(0.1)(x)
    x = keras.layers.Rescaling(1 / 127.5, offset=-1)(x)
    x = base(x, training=False)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dropout(0.2)(x)
    return keras.Model(inputs, keras.layers.Dense(num_classes)(x)), base


if __name__ == "__main__":
    app.run(main)
