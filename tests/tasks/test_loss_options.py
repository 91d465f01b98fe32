"""Losses for unequal classes and wrong labels, computed again in NumPy, and compared with those of Keras."""

import keras
import numpy as np
import pytest
import scipy.special
import tensorflow as tf

from tfl.errors import InputError
from tfl.tasks import LossOptions, Multiclass, Regression, Task, get_task
from tfl.training.objective.losses import evaluation_loss, make_loss, per_example_loss

RNG = np.random.default_rng(0)
COUNT = 64
OFFSETS = np.array([-0.1, -1.0, -3.0])
LABEL_WEIGHTS = np.array([[0.5, 1.0, 0.9], [4.0, 1.0, 7.0]])
SHAPES = {"multiclass": 3, "binary": 1, "multilabel": 3}
FORMS = {
    "cross_entropy": (0.0, lambda p: -np.log(p)),
    "focal": (2.0, lambda p: -((1 - p) ** 2) * np.log(p)),
    "generalized_cross_entropy": (0.7, lambda p: (1 - p**0.7) / 0.7),
}


def example(target: str) -> tuple[Task, np.ndarray, np.ndarray, np.ndarray]:
    """Return a task, logits, labels, and the labels as rows of 0 and 1."""
    task, num_outputs = get_task(target), SHAPES[target]
    logits = RNG.normal(0, 2, (COUNT, num_outputs)).astype(np.float32)
    if target == "multilabel":
        labels = RNG.integers(0, 2, (COUNT, num_outputs)).astype(np.float32)
        return task, logits, labels, labels
    labels = RNG.integers(0, max(2, num_outputs), COUNT)
    return task, logits, labels, np.eye(3)[labels] if num_outputs == 3 else labels[:, None].astype(float)


def values(task: Task, labels: np.ndarray, logits: np.ndarray, smoothing: float = 0.0) -> np.ndarray:
    """Return the loss of each example as a training step computes it."""
    return per_example_loss(task.loss(smoothing), tf.constant(labels), tf.constant(logits)).numpy()


@pytest.mark.parametrize("target", SHAPES)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_every_form_is_its_formula_with_offsets_and_smoothing(target: str, form: str, smoothing: float) -> None:
    task, logits, labels, rows = example(target)
    (power, term), offsets = FORMS[form], OFFSETS[: SHAPES[target]]
    ours = values(task.with_loss(LossOptions(form, power, offsets)), labels, logits, smoothing)
    shifted = logits + offsets
    if target == "multiclass":
        shares = rows * (1 - smoothing) + smoothing / 3
        expected = (shares * term(scipy.special.softmax(shifted, axis=1))).sum(axis=1)
    else:
        shares, p = rows * (1 - smoothing) + smoothing / 2, scipy.special.expit(shifted)
        expected = (shares * term(p) + (1 - shares) * term(1 - p)).mean(axis=1)
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 5.0])
def test_focal_loss_is_that_of_keras(gamma: float) -> None:
    task, logits, labels, rows = example("multiclass")
    theirs = keras.losses.CategoricalFocalCrossentropy(1.0, gamma, from_logits=True, reduction="none")(rows, logits)
    ours = values(task.with_loss(LossOptions("focal", gamma)), labels, logits)
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-4, atol=1e-6)
    for target in ("binary", "multilabel"):
        task, logits, labels, rows = example(target)
        binary = keras.losses.BinaryFocalCrossentropy(gamma=gamma, from_logits=True, reduction="none")
        ours = values(task.with_loss(LossOptions("focal", gamma)), labels, logits)
        np.testing.assert_allclose(ours, binary(rows, logits).numpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("q", [0.3, 0.7, 0.99])  # Keras refuses 1
def test_generalized_cross_entropy_is_that_of_keras(q: float) -> None:
    task, logits, labels, _ = example("multiclass")
    theirs = keras.losses.CategoricalGeneralizedCrossEntropy(q, reduction="none")(
        labels, scipy.special.softmax(logits, axis=1).astype(np.float32)
    )
    ours = values(task.with_loss(LossOptions("generalized_cross_entropy", q)), labels, logits)
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("target", SHAPES)
def test_no_option_is_the_plain_loss_and_limits_are_cross_entropy(target: str) -> None:
    task, logits, labels, _ = example(target)
    plain = values(task, labels, logits)
    for options in (LossOptions(), LossOptions("focal", 0.0), LossOptions("generalized_cross_entropy", 1e-4)):
        np.testing.assert_allclose(values(task.with_loss(options), labels, logits), plain, rtol=2e-3, atol=1e-6)


@pytest.mark.parametrize("target", SHAPES)
@pytest.mark.parametrize("form", FORMS)
def test_slopes_are_finite_at_certain_predictions_right_and_wrong(target: str, form: str) -> None:
    task, logits, labels, _ = example(target)
    for scale in (0.0, 1e3, 1e6):
        outputs = tf.constant(logits * scale)
        with tf.GradientTape() as tape:
            tape.watch(outputs)
            for power in (FORMS[form][0], 0.1):
                loss = task.with_loss(LossOptions(form, power)).loss()
                losses = per_example_loss(loss, tf.constant(labels), outputs)
                assert np.isfinite(losses.numpy()).all()
        assert np.isfinite(tape.gradient(losses, outputs).numpy()).all()


@pytest.mark.parametrize("target", SHAPES)
def test_the_solver_minimises_the_same_with_the_right_derivatives(target: str) -> None:
    task, logits, labels, _ = example(target)
    weights = LABEL_WEIGHTS if target == "multilabel" else None
    other = task.with_loss(LossOptions(offsets=OFFSETS[: SHAPES[target]], label_weights=weights))
    outputs, targets = logits.astype(np.float64), task.as_targets(labels, logits.shape[1])
    losses, residual = other.convex.loss_and_residual(outputs, targets)
    np.testing.assert_allclose(values(other, labels, logits), losses, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(other.losses(logits, labels), losses)
    step = 1e-6 * np.random.default_rng(1).normal(size=outputs.shape[1])
    moved, slope = other.convex.loss_and_residual(outputs + step, targets)
    np.testing.assert_allclose(moved - losses, residual @ step, atol=1e-9)
    share = np.full(COUNT, 1 / COUNT)
    second = other.convex.curvature(residual, targets, share)
    np.testing.assert_allclose(share @ (slope - residual), second @ step, rtol=1e-3, atol=1e-10)


def test_weights_of_labels_multiply_the_term_of_the_answer() -> None:
    task, logits, labels, rows = example("multilabel")
    ours = values(task.with_loss(LossOptions(label_weights=LABEL_WEIGHTS)), labels, logits)
    p = scipy.special.expit(logits.astype(np.float64))
    terms = -np.log(np.where(rows > 0, p, 1 - p)) * np.where(rows > 0, *LABEL_WEIGHTS[::-1])
    np.testing.assert_allclose(ours, terms.mean(axis=1), rtol=1e-4)


@pytest.mark.parametrize("target", SHAPES)
def test_a_mixed_label_has_the_mixed_loss(target: str) -> None:
    task, logits, _, rows = example(target)
    rows = rows.astype(np.float32)
    for form, (power, _) in FORMS.items():
        other = task.with_loss(LossOptions(form, power))
        mixed = values(other, 0.3 * rows + 0.7 * rows[::-1], logits)
        parts = 0.3 * values(other, rows, logits) + 0.7 * values(other, rows[::-1], logits)
        np.testing.assert_allclose(mixed, parts, rtol=1e-4, atol=1e-6)


def test_evaluation_and_saved_models_have_the_plain_loss() -> None:
    focal = get_task("multiclass").with_loss(LossOptions("focal", 2.0))
    found = evaluation_loss(focal.loss(0.1))
    assert type(found) is keras.losses.SparseCategoricalCrossentropy and found.from_logits
    assert type(make_loss("multiclass")) is type(found)  # the task itself has not changed


class Own(Multiclass):
    """A task with a loss of its own."""

    name = "own"

    def loss(self, label_smoothing: float = 0.0) -> keras.losses.Loss:
        return keras.losses.CategoricalHinge(reduction="none")


def test_a_task_without_cross_entropy_has_no_other_loss() -> None:
    for task in (Regression(), Own()):
        assert not task.is_cross_entropy
        with pytest.raises(InputError, match="`target` must be a task with a cross-entropy"):
            task.with_loss(LossOptions("focal", 2.0))
