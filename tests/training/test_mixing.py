"""Mixup, CutMix, schedules and fused BatchNorm against their formulas."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfl
from tfl.errors import InputError
from tfl.training.objective.losses import per_example_loss
from tfl.training.update.fused_norm import fused_norms
from tfl.training.update.mixing import Examples, cutmix, mix_batch, mix_seed, mixup, sample_beta


def images(count: int = 6) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, (count, 10, 8, 3)).astype(np.float32)


def test_mixup_with_a_fixed_factor() -> None:
    x = images()
    np.testing.assert_allclose(mixup(x, x[::-1], 0.3), 0.3 * x + 0.7 * x[::-1], rtol=1e-5)


@pytest.mark.parametrize("centre", [(0.5, 0.5), (0.0, 0.9), (0.99, 0.0)])
@pytest.mark.parametrize("factor", [0.0, 0.4, 0.75, 1.0])
def test_cutmix_pastes_one_box_and_counts_its_pixels(factor: float, centre: tuple[float, float]) -> None:
    x = images()
    mixed, kept = cutmix(x, x[::-1].copy(), tf.constant(factor), tf.constant(centre))
    middle, half = np.floor(np.float32(centre) * [10, 8]), np.sqrt(1 - factor) * np.array([10, 8]) / 2
    low = np.maximum(np.round(middle - half), 0).astype(int)
    high = np.minimum(np.round(middle + half), [10, 8]).astype(int)
    expected = x.copy()
    expected[:, low[0] : high[0], low[1] : high[1]] = x[::-1][:, low[0] : high[0], low[1] : high[1]]
    np.testing.assert_array_equal(mixed, expected)
    assert float(kept) == pytest.approx(1 - max(0, high[0] - low[0]) * max(0, high[1] - low[1]) / 80, abs=1e-6)


@pytest.mark.parametrize("alphas", [(0.4, 0.0), (0.0, 1.0), (0.4, 1.0)])
def test_labels_are_mixed_as_the_pixels_are(alphas: tuple[float, float]) -> None:
    """Constant images carry their own number, so the mean pixel tells what every label must be."""
    count = 8
    numbers = np.arange(count, dtype=np.float32)
    x = np.broadcast_to(numbers[:, None, None, None], (count, 16, 16, 3)).copy()
    batch = Examples(tf.constant(x), tf.eye(count), tf.fill([count], 3.0))
    for step in range(4):
        seed = mix_seed(3, tf.constant(0), tf.constant(step))
        mixed, rows, weights = mix_batch(batch, alphas=alphas, seed=seed)
        np.testing.assert_allclose(np.mean(mixed, axis=(1, 2, 3)), rows.numpy() @ numbers, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(weights, 3.0, rtol=1e-5)
        np.testing.assert_allclose(np.sum(rows, axis=1), 1.0, rtol=1e-5)
        again, *_ = mix_batch(batch, alphas=alphas, seed=seed)
        np.testing.assert_array_equal(mixed, again)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_loss_of_a_mixture_is_the_sum_of_weight_times_share_times_loss(smoothing: float) -> None:
    rng = np.random.default_rng(0)
    classes, weights = rng.integers(0, 3, 8), rng.uniform(0, 9, 8).astype(np.float32)
    weights[2] = 0.0
    logits = rng.normal(size=(8, 3)).astype(np.float32)
    seed = mix_seed(1, tf.constant(0), tf.constant(0))
    # Mixed without weights, the rows of a batch of eight classes tell who was mixed with whom, and by how much.
    shares = mix_batch(Examples(images(8), tf.eye(8), tf.ones(8)), alphas=(0.4, 0.0), seed=seed).labels.numpy()
    mixed = mix_batch(Examples(images(8), tf.one_hot(classes, 3), weights), alphas=(0.4, 0.0), seed=seed)
    loss = tfl.make_loss("multiclass", smoothing)
    found = per_example_loss(loss, mixed.labels, tf.constant(logits)) * mixed.weights
    each = np.stack([per_example_loss(loss, tf.fill([8], c), tf.constant(logits)) for c in classes], axis=1)
    np.testing.assert_allclose(found, (shares * each) @ weights, rtol=1e-4, atol=1e-5)


def test_balanced_weights_give_every_class_the_same_share_of_a_mixed_epoch() -> None:
    classes = np.array([0] * 15 + [1])
    weights = tfl.training.balanced_class_weight(classes)
    batch = Examples(images(16), tf.one_hot(classes, 2), tf.constant([weights[c] for c in classes], tf.float32))
    total = np.zeros(2)
    for step in range(20):
        seed = mix_seed(0, tf.constant(0), tf.constant(step))
        _, rows, row_weights = mix_batch(batch, alphas=(0.4, 0.0), seed=seed)
        total += row_weights.numpy() @ rows.numpy()
    np.testing.assert_allclose(total / total.sum(), 0.5, rtol=1e-5)


def test_a_part_of_the_batch_is_mixed_as_in_the_whole() -> None:
    whole = Examples(tf.constant(images(7)), tf.eye(7), tf.range(1.0, 8.0))
    settings = {"alphas": (0.0, 1.0), "seed": mix_seed(4, tf.constant(0), tf.constant(1))}
    expected = mix_batch(whole, **settings)
    for start, end in ((0, 3), (3, 7)):
        part = mix_batch(Examples(*(v[start:end] for v in whole)), pool=whole, start=start, **settings)
        for found, values in zip(part, expected, strict=True):
            np.testing.assert_array_equal(found, values[start:end])


@pytest.mark.parametrize("form", ["numbers", "column", "rows"])
@pytest.mark.parametrize("loss", ["multiclass", "binary"])
def test_mixing_takes_labels_of_every_form(loss: str, form: str) -> None:
    """Class numbers, a column of them and one-hot rows are the same labels."""
    outputs, classes = (3 if loss == "multiclass" else 1), np.array([0, 1, 1, 0, 1, 0])
    labels = {"numbers": classes, "column": classes[:, None], "rows": np.eye(outputs)[classes * (outputs > 1)]}[form]
    if outputs == 1 and form == "rows":
        labels = classes[:, None].astype(np.float32)

    def loss_of(y: np.ndarray) -> float:
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((10, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(outputs)])
        tfl.compile(model, tfl.make_optimizer("sgd", 1e-3), loss=loss)
        history = tfl.fit(model, images() / 255, y, batch_size=6, mixup=0.4, verbose=False, class_weight={1: 3.0})
        return history.history["loss"][0]

    assert loss_of(labels) == pytest.approx(loss_of(classes), rel=1e-6)


def test_seeds_differ_by_seed_epoch_and_step() -> None:
    seeds = {
        tuple(mix_seed(seed, tf.constant(epoch), tf.constant(step)).numpy())
        for seed in range(3)
        for epoch in range(3)
        for step in range(3)
    }
    assert len(seeds) == 27


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_factors_follow_the_beta_distribution(alpha: float) -> None:
    draws = np.array([float(sample_beta(alpha, tf.constant([7, i]))) for i in range(800)])
    assert draws.mean() == pytest.approx(0.5, abs=0.05)
    assert draws.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.15)


def test_cosine_schedule_with_warm_up() -> None:
    schedule = tfl.make_schedule("cosine", 0.2, total_steps=100, warmup_fraction=0.1)
    rates = np.array([float(schedule(step)) for step in range(100)])
    np.testing.assert_allclose(rates[:10], 0.2 * np.arange(1, 11) / 11, rtol=1e-5)
    np.testing.assert_allclose(rates[10:], 0.1 * (1 + np.cos(np.pi * np.arange(90) / 90)), rtol=1e-4, atol=1e-6)


def test_step_and_constant_schedules() -> None:
    schedule = tfl.make_schedule("step", 1.0, total_steps=8)
    np.testing.assert_allclose([float(schedule(s)) for s in range(8)], [1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01], rtol=1e-6)
    for steps in range(1, 10):  # step s is lowered once it lies at one half, and at three quarters, of all steps
        schedule = tfl.make_schedule("step", 1.0, total_steps=steps)
        expected = [0.1 ** ((2 * s >= steps) + (4 * s >= 3 * steps)) for s in range(steps)]
        np.testing.assert_allclose([float(schedule(s)) for s in range(steps)], expected, rtol=1e-6)
    assert tfl.make_schedule("Constant", 0.5, total_steps=8) == 0.5
    with pytest.raises(InputError, match="Did you mean 'cosine'"):
        tfl.make_schedule("cosin", 1.0, 8)
    with pytest.raises(InputError, match="`learning_rate` must be positive"):
        tfl.make_schedule("cosine", 0.0, 8)


@pytest.mark.parametrize("settings", [{}, {"scale": False}, {"center": False}, {"epsilon": 1e-6}, {"axis": 1}])
@pytest.mark.parametrize("trainable", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_fused_batchnorm_is_that_of_keras(training: bool, trainable: bool, settings: dict) -> None:
    rng = np.random.default_rng(0)
    x = tf.constant(rng.normal(2, 3, (5, 4, 4, 4)).astype(np.float32))
    layer = keras.layers.BatchNormalization(**settings)
    model = keras.Sequential([keras.Input((4, 4, 4)), layer])
    start = [rng.uniform(0.5, 2, w.shape) for w in layer.get_weights()]
    layer.trainable = trainable

    def run() -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
        layer.set_weights(start)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = model(x, training=training)
            loss = tf.reduce_sum(y**3)
        return y.numpy(), tape.gradient(loss, x).numpy(), layer.get_weights()

    expected = run()
    with fused_norms(model):
        got = run()
    np.testing.assert_allclose(got[0], expected[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(got[1], expected[1], rtol=1e-3, atol=1e-3)
    for mine, other in zip(got[2], expected[2], strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-5)


@pytest.mark.parametrize("target", ["multiclass", "binary", "multilabel", "regression"])
def test_losses_are_those_of_the_objective(target: str) -> None:
    from tfl.tasks import get_task

    rng = np.random.default_rng(0)
    outputs = {"multiclass": 4, "multilabel": 4}.get(target, 1)
    logits = rng.normal(size=(9, outputs)) * 3
    labels = {
        "multiclass": rng.integers(0, 4, 9),
        "binary": rng.integers(0, 2, 9),
        "multilabel": rng.integers(0, 2, (9, 4)).astype(np.float32),
        "regression": rng.normal(size=9).astype(np.float32),
    }[target]
    expected = get_task(target).losses(logits, labels)
    values = per_example_loss(tfl.make_loss(target), tf.constant(labels), tf.constant(logits, tf.float32))
    np.testing.assert_allclose(values, expected, rtol=1e-4)


def test_balanced_class_weight() -> None:
    labels = np.array([0, 0, 0, 2])
    weights = tfl.training.balanced_class_weight(labels)
    assert weights == {0: pytest.approx(4 / 6), 2: pytest.approx(2.0)}
    assert np.mean([weights[int(label)] for label in labels]) == pytest.approx(1.0)
