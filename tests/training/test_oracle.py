"""A softmax regression trained by the loop against the same formulas written out in NumPy, in float64."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from scipy.special import softmax

import tfl
from tfl.training.update.averaging import WeightAverage

INPUTS, CLASSES, COUNT = 5, 3, 22
Weights = list[np.ndarray]  # kernel, bias


def network() -> keras.Model:
    keras.utils.set_random_seed(3)
    inputs = keras.Input((INPUTS,))
    return keras.Model(inputs, keras.layers.Dense(CLASSES, name="head_logits", bias_initializer="ones")(inputs))


def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(COUNT, INPUTS)).astype(np.float32), rng.integers(0, CLASSES, COUNT)


def gradient(weights: Weights, x: np.ndarray, rows: np.ndarray, example_weight: np.ndarray, l2: float = 0.0) -> Weights:
    residual = (softmax(x @ weights[0] + weights[1], axis=1) - rows) * example_weight[:, None] / len(x)
    return [x.T @ residual + 2 * l2 * weights[0], residual.sum(0)]


def descend(
    update: Callable[[Weights, Weights, int], Weights], epochs: int, batch_size: int, **options: Any
) -> Weights:
    """Walk over uneven batches in order; `options`: rows, weight, l2, clip."""
    x, labels = data()
    rows = options.get("rows", np.eye(CLASSES)[labels])
    weight = options.get("weight", np.ones(COUNT))
    weights, step = [w.astype(np.float64) for w in network().get_weights()], 0
    for _ in range(epochs):
        for start in range(0, COUNT, batch_size):
            part = slice(start, start + batch_size)
            slope = gradient(weights, x[part].astype(np.float64), rows[part], weight[part], options.get("l2", 0.0))
            norm = np.sqrt(sum(np.sum(g**2) for g in slope))
            slope = [g * min(1.0, options.get("clip", np.inf) / norm) for g in slope]
            step += 1
            weights = update(weights, slope, step)
    return weights


def momentum(rate: float, nesterov: bool = False) -> Callable[[Weights, Weights, int], Weights]:
    speed = [np.zeros((INPUTS, CLASSES)), np.zeros(CLASSES)]

    def update(weights: Weights, slope: Weights, step: int) -> Weights:
        speed[:] = [0.9 * v - rate * g for v, g in zip(speed, slope, strict=True)]
        moves = [0.9 * v - rate * g if nesterov else v for v, g in zip(speed, slope, strict=True)]
        return [w + m for w, m in zip(weights, moves, strict=True)]

    return update


def adam(
    rate: float, decay: float = 0.0, factors: tuple[float, float] = (1.0, 1.0)
) -> Callable[[Weights, Weights, int], Weights]:
    """AdamW on the kernel, Adam on the bias; `factors` scale the updates."""
    first, second = [0.0, 0.0], [0.0, 0.0]

    def update(weights: Weights, slope: Weights, step: int) -> Weights:
        result = []
        for i, (w, g) in enumerate(zip(weights, slope, strict=True)):
            first[i] = 0.9 * first[i] + 0.1 * g
            second[i] = 0.999 * second[i] + 0.001 * g**2
            rate_now = rate * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)  # as Keras has it: epsilon is not corrected
            move = -(decay * rate * w if i == 0 else 0.0) - rate_now * first[i] / (np.sqrt(second[i]) + 1e-7)
            result.append(w + factors[i] * move)
        return result

    return update


def run(optimizer: Any, epochs: int, batch_size: int, loss: Any = None, l2: float = 0.0, **options: Any) -> keras.Model:
    model = network()
    tfl.regularize(model, head_l2=l2)
    compile_options = {k: options.pop(k) for k in ("layer_decay", "clip_norm", "ema") if k in options}
    tfl.compile(model, optimizer, loss, **compile_options)
    tfl.fit(model, *data(), batch_size=batch_size, epochs=epochs, shuffle=False, verbose=False, **options)
    return model


def check(model: keras.Model, expected: Weights) -> None:
    for mine, other in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_allclose(mine, other, rtol=2e-5, atol=2e-5)  # float32 against float64


@pytest.mark.parametrize(("epochs", "batch_size"), [(1, COUNT), (5, 6)])  # one step; 20 steps, every fourth one short
@pytest.mark.parametrize(
    ("name", "oracle"),
    [
        ("sgd", lambda: momentum(0.1)),
        ("nesterov", lambda: momentum(0.1, nesterov=True)),
        ("adam", lambda: adam(0.05)),
        ("adamw", lambda: adam(0.05, decay=0.1)),
    ],
)
def test_steps_are_those_of_the_formula(name: str, oracle: Any, epochs: int, batch_size: int) -> None:
    optimizer = {
        "sgd": tfl.make_optimizer("sgd", 0.1),
        "nesterov": tfl.make_optimizer("sgd", 0.1, nesterov=True),
        "adam": tfl.make_optimizer("adam", 0.05),
        "adamw": tfl.make_optimizer("adamw", 0.05, weight_decay=0.1),
    }[name]
    check(run(optimizer, epochs, batch_size), descend(oracle(), epochs, batch_size))


def test_penalty_counts_once_per_step_however_short_the_batch() -> None:
    check(run(tfl.make_optimizer("sgd", 0.1), 3, 8, l2=0.05), descend(momentum(0.1), 3, 8, l2=0.05))


def test_clipping_is_by_the_global_norm_with_the_penalty_in() -> None:
    model = run(tfl.make_optimizer("sgd", 0.1), 3, 8, l2=0.05, clip_norm=0.2)
    check(model, descend(momentum(0.1), 3, 8, l2=0.05, clip=0.2))


def test_class_weights_and_sample_weights_scale_the_loss_not_the_count() -> None:
    _, labels = data()
    weight = np.array([2.0, 0.5, 1.0])[labels] * np.linspace(0, 1, COUNT)
    model = run(
        tfl.make_optimizer("sgd", 0.1), 3, 8, class_weight={0: 2.0, 1: 0.5}, sample_weight=np.linspace(0, 1, COUNT)
    )
    check(model, descend(momentum(0.1), 3, 8, weight=weight))


def test_label_smoothing() -> None:
    rows = 0.8 * np.eye(CLASSES)[data()[1]] + 0.2 / CLASSES
    check(
        run(tfl.make_optimizer("sgd", 0.1), 3, 8, tfl.make_loss("multiclass", 0.2)),
        descend(momentum(0.1), 3, 8, rows=rows),
    )


def test_multipliers_scale_the_update_also_under_adam() -> None:
    factors = {"head_logits/kernel": 0.25, "head_logits/bias": 0.5}
    model = run(tfl.make_optimizer("adamw", 0.05, weight_decay=0.1), 5, 6, layer_decay=factors)
    check(model, descend(adam(0.05, decay=0.1, factors=(0.25, 0.5)), 5, 6))


def test_schedule_is_read_step_by_step() -> None:
    schedule = tfl.make_schedule("step", 0.1, total_steps=12)
    rates = [0.1] * 6 + [0.01] * 3 + [0.001] * 3
    model = run(tfl.make_optimizer("sgd", schedule, momentum=0.0), 3, 6)
    check(model, descend(lambda w, g, t: [a - rates[t - 1] * b for a, b in zip(w, g, strict=True)], 3, 6))


def test_the_average_has_no_bias_of_its_start_and_is_the_result() -> None:
    path: list[Weights] = []
    step = momentum(0.1)

    def update(weights: Weights, slope: Weights, number: int) -> Weights:
        path.append(step(weights, slope, number))
        return path[-1]

    descend(update, 5, 6)
    share = 0.9 ** np.arange(len(path))[::-1]
    expected = [sum(s * w[i] for s, w in zip(share, path, strict=True)) / share.sum() for i in (0, 1)]
    model = run(tfl.make_optimizer("sgd", 0.1), 5, 6, ema=0.9)
    check(model, expected)


def test_the_average_takes_in_the_statistics_of_trained_batch_norm_and_leaves_those_of_frozen() -> None:
    x, labels = data()
    keras.utils.set_random_seed(0)
    inputs = keras.Input((INPUTS,))
    frozen = keras.layers.BatchNormalization(name="frozen", trainable=False)
    hidden = frozen(keras.layers.BatchNormalization(momentum=0.5, name="norm")(inputs))
    model = keras.Model(inputs, keras.layers.Dense(3, name="head_logits")(hidden))
    before = [v.numpy() for v in frozen.variables]
    tfl.compile(model, tfl.make_optimizer("sgd", 0.1), ema=0.9)
    tfl.fit(model, x, labels, batch_size=8, epochs=2, shuffle=False, verbose=False)
    path, mean = [], np.zeros(INPUTS)
    for _ in range(2):
        for start in range(0, len(x), 8):
            mean = 0.5 * mean + 0.5 * x[start : start + 8].mean(axis=0)
            path.append(mean)
    share = 0.9 ** np.arange(len(path))[::-1]
    expected = sum(s * m for s, m in zip(share, path, strict=True)) / share.sum()
    np.testing.assert_allclose(model.get_layer("norm").moving_mean, expected, rtol=1e-4, atol=1e-5)
    for variable, value in zip(frozen.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_first_average_is_the_first_weights() -> None:
    variable = keras.Variable([5.0, 7.0])
    average = WeightAverage([variable], 0.99)
    variable.assign([1.0, 2.0])
    average.update()
    np.testing.assert_allclose(average.averages[0], [1.0, 2.0], rtol=1e-5)
    average.swap_in()
    average.swap_out()
    np.testing.assert_array_equal(variable, [1.0, 2.0])


@pytest.mark.parametrize("target", ["binary", "multilabel", "regression"])
def test_other_targets_take_flat_labels_and_report_exact_figures(target: str) -> None:
    x, labels = data()
    outputs = 3 if target == "multilabel" else 1
    y = np.eye(3)[labels] if target == "multilabel" else (labels > 0).astype(np.float32)
    keras.utils.set_random_seed(0)
    inputs = keras.Input((INPUTS,))
    model = keras.Model(inputs, keras.layers.Dense(outputs)(inputs))
    tfl.compile(model, tfl.make_optimizer("sgd", 1e-9, momentum=0.0), target)
    history = tfl.fit(model, x, y, batch_size=8, validation_data=(x, y), verbose=False)
    z = model.predict(x, verbose=0).astype(np.float64)
    y = y.reshape(z.shape)
    if target == "regression":
        expected = {"val_loss": np.mean((z - y) ** 2), "val_mean_absolute_error": np.mean(np.abs(z - y))}
    else:
        loss = np.logaddexp(0, z) - y * z
        expected = {"val_loss": loss.mean(), "val_accuracy": np.mean((z > 0) == (y > 0.5))}
    got = {name: history.history[name][0] for name in expected}
    assert got == pytest.approx(expected, rel=1e-5)
    stock = model.evaluate(x, y, batch_size=8, verbose=0, return_dict=True)
    assert stock == pytest.approx({name.removeprefix("val_"): value for name, value in expected.items()}, rel=1e-5)
