"""Train a small network under some strategy, and write down all that must not depend on it: see test_distribution.py.

python distributed_program.py one|cpu:2|workers CASE OUTPUT.npz
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

import tfl
from tfl.distribution.strategy import make_strategy
from tfl.models.precision import computing_in

COUNT, BATCH, EPOCHS = 45, 12, 3  # 4 steps an epoch, the last one on 9 examples
SIZE = (9, 7)  # with 3 channels no multiple of four bytes, which bytes are gathered by
CASES = {
    "frozen": {"batch_norm": False},
    "batch norm": {"batch_norm": True},
    "batch norm of vectors": {"batch_norm": True, "norm_of_vectors": True},
    "bfloat16": {"batch_norm": True, "precision": "mixed_bfloat16"},
    "empty share": {"batch_norm": True, "count": 37},  # the last batch has one example
    "adamw, multipliers, average, clipping": {"optimizer": "adamw", "ema": 0.9, "clip_norm": 0.5, "layer_decay": 0.5},
    "accumulate": {"batch_norm": False, "accumulate": 3},
    "generator": {"batch_norm": False, "generator": True},
    "steps of a generator": {"batch_norm": False, "generator": True, "fit": {"steps_per_epoch": 3}},
    "one by one": {"batch_norm": False, "callback": True},
    "mixup": {"batch_norm": True, "fit": {"mixup": 0.4, "class_weight": {0: 5.0, 2: 0.5}}},
    "cutmix": {"batch_norm": False, "accumulate": 3, "fit": {"cutmix": 1.0}, "bytes": True, "count": 37},
    "nan": {"batch_norm": True, "nan": 5},
    "dropout": {"dropout": 0.5},
}


def build(case: dict) -> keras.Model:
    keras.utils.set_random_seed(3)
    inputs = keras.Input((*SIZE, 3))
    x = keras.layers.Conv2D(8, 3, use_bias=False, name="conv_1")(inputs)
    x = keras.layers.BatchNormalization(momentum=0.8, name="norm_1")(x)
    x = keras.layers.Activation("tanh")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    if case.get("norm_of_vectors"):
        x = keras.layers.BatchNormalization(momentum=0.8)(keras.layers.Dense(6)(x))
    x = keras.layers.Dropout(case.get("dropout", 0.0))(x)
    model = keras.Model(inputs, keras.layers.Dense(3, name="head_logits")(x))
    model.get_layer("norm_1").trainable = case.get("batch_norm", True)
    return model


def train(strategy: tf.distribute.Strategy, case: dict) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    count = case.get("count", COUNT)
    images, labels = rng.normal(size=(count, *SIZE, 3)).astype(np.float32), rng.integers(0, 3, count)
    held = rng.normal(size=(29, *SIZE, 3)).astype(np.float32), rng.integers(0, 3, 29)
    if "nan" in case:
        images[case["nan"]] = np.nan
    with strategy.scope():
        model = build(case)
    tfl.regularize(model, head_l2=1e-3)
    decay = {v.path: case["layer_decay"] for v in model.trainable_variables[:2]} if "layer_decay" in case else 1.0
    tfl.compile(
        model,
        case.get("optimizer", "sgd") if "optimizer" in case else tfl.make_optimizer("sgd", 0.05),
        loss="multiclass",
        layer_decay=decay,
        ema=case.get("ema", 0.0),
        clip_norm=case.get("clip_norm", 0.0),
        accumulate=case.get("accumulate", 1),
    )
    if "bytes" in case:
        images = np.clip(images * 2 + 8, 0, 255).astype(np.uint8)
    x, y = images, labels
    if "generator" in case:
        spec = (tf.TensorSpec([None, *SIZE, 3]), tf.TensorSpec([None], tf.int64))
        starts = range(0, count, BATCH)
        x = tf.data.Dataset.from_generator(
            lambda: ((images[i : i + BATCH], labels[i : i + BATCH]) for i in starts), output_signature=spec
        )
        y = None
    callbacks = [keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None)] * bool(
        case.get("callback")
    )
    with computing_in(model, case.get("precision", "float32")):
        history = tfl.fit(
            model,
            x,
            y,
            batch_size=BATCH,
            epochs=EPOCHS,
            validation_data=held,
            verbose=False,
            callbacks=callbacks,
            **case.get("fit", {}),
        )
    values = {f"history {name}": np.array(column) for name, column in history.history.items()}
    values |= {f"weight {v.path}": v.numpy() for v in model.variables if v.name != "seed_generator_state"}
    values |= {f"optimizer {v.path}": v.numpy() for v in model.optimizer.variables}
    copies = [strategy.experimental_local_results(v.value) for v in model.variables]
    values["apart"] = np.array(
        max(float(np.abs(a.numpy() - b.numpy()).max()) for a, *rest in copies for b in rest or [a])
    )
    return values


if __name__ == "__main__":
    strategy = make_strategy("auto" if sys.argv[1] == "workers" else sys.argv[1])
    index = strategy.cluster_resolver.task_id if sys.argv[1] == "workers" else 0
    for name in sys.argv[2].split("|"):
        file = Path(sys.argv[3], f"{name}-{index}.npz")
        np.savez(file, **train(strategy, CASES[name]))
