"""Train with checkpoints, and write down what an interruption must not change: see test_resume.py.

python resume_program.py FOLDER CASE [parallel threads]
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import tfl
from tfl.errors import StoppedError
from tfl.training import CheckpointOptions

COUNT, BATCH, EPOCHS, SIZE = 90, 8, 4, 16
CASES = {
    "adam": {"optimizer": "adam"},
    "average": {"optimizer": "sgd", "ema": 0.9, "mixup": 0.4},
    "stopping": {"optimizer": "adam", "patience": 2, "min_delta": 100.0},  # ends after 3 epochs, the first is the best
}


def build() -> keras.Model:
    keras.utils.set_random_seed(1)
    inputs = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Conv2D(8, 3, strides=2)(inputs)
    x = keras.layers.BatchNormalization(momentum=0.9)(x)
    x = keras.layers.ReLU()(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dropout(0.3)(x)
    return keras.Model(inputs, keras.layers.Dense(3, name="head_logits")(x))


def train(folder: Path, case: dict, callbacks: list[keras.callbacks.Callback] | None = None, **options) -> keras.Model:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (COUNT, SIZE, SIZE, 3), np.uint8)
    splits = tfl.load_data({"train": (images, np.arange(COUNT) % 3), "test": (images[:9], np.arange(9) % 3)})
    model = build()
    tfl.compile(
        model, tfl.make_optimizer(case["optimizer"], case.get("rate", 0.01)), loss="multiclass", ema=case.get("ema", 0)
    )
    feed = tfl.EpochFeed(splits.source, splits.train, image_size=SIZE, batch_size=BATCH, augmentation="light", seed=0)
    stop = keras.callbacks.EarlyStopping(
        min_delta=case.get("min_delta", 0.0), patience=case.get("patience", 9), restore_best_weights=True
    )
    slower = keras.callbacks.ReduceLROnPlateau(patience=1)
    validation = images[60:], np.arange(60, COUNT) % 3
    history = tfl.fit(
        model,
        feed,
        epochs=EPOCHS,
        validation_data=validation,
        callbacks=[stop, slower, *(callbacks or [])],
        mixup=case.get("mixup", 0.0),
        verbose=False,
        checkpoint=CheckpointOptions(
            folder / "checkpoints", **{"every_steps": 5, "fingerprint": {"seed": 0}} | options
        ),
    )
    weights = {f"weight {place}": values for place, values in enumerate(model.get_weights())}
    weights |= {f"optimizer {place}": v.numpy() for place, v in enumerate(model.optimizer.variables)}
    columns = {f"history {name}": np.array(column) for name, column in history.history.items()}
    np.savez(
        folder / "result.npz", steps=history.steps, train=len(splits.train), epochs=history.epoch, **weights, **columns
    )
    return model


if __name__ == "__main__":
    try:
        train(Path(sys.argv[1]), CASES[sys.argv[2]])
    except StoppedError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(128 + error.signal_number)
