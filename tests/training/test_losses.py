"""Losses as Keras users give them, against stock Keras."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfl
from tfl.errors import InputError
from tfl.training.objective.compiled import resolve_loss
from tfl.training.objective.losses import per_example_loss

RNG = np.random.default_rng(0)
X = RNG.normal(size=(8, 5)).astype(np.float32)
CLASSES = RNG.integers(0, 3, 8)
REFUSED = {"CTC": "one value", "Circle": "one value", "Dice": "one value", "Tversky": "one value"}
ON_PROBABILITIES = {"KLDivergence", "CategoricalGeneralizedCrossEntropy"}
FOUND = [
    name
    for name, found in vars(keras.losses).items()
    if isinstance(found, type) and found is not keras.losses.Loss and issubclass(found, keras.losses.Loss)
]


def network(outputs: int = 3, activation: str | None = None) -> keras.Model:
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((5,)), keras.layers.Dense(outputs, activation=activation)])


def loss_of(model: keras.Model, loss: object, labels: np.ndarray, **options: Any) -> float:
    tfl.compile(model, keras.optimizers.SGD(1e-9), loss=loss, metrics=[])
    return tfl.fit(model, X, labels, batch_size=8, verbose=False, **options).history["loss"][0]


def stock_loss(model: keras.Model, loss: object, labels: np.ndarray) -> float:
    model.compile(loss=loss)
    return float(np.ravel(model.evaluate(X, labels, batch_size=8, verbose=0))[0])


def test_every_loss_of_keras_is_in_this_contract() -> None:
    assert len(FOUND) >= 22


@pytest.mark.parametrize("name", sorted(set(FOUND) - set(REFUSED)))
def test_stock_losses_on_logits_are_those_of_keras_on_probabilities(name: str) -> None:
    found, logits = getattr(keras.losses, name), RNG.normal(size=(8, 3)).astype(np.float32)
    rows = np.eye(3, dtype=np.float32)[CLASSES]
    if name.startswith("Binary"):
        labels, outputs, activation = (CLASSES > 0).astype(np.int64), logits[:, :1], tf.nn.sigmoid
        model, stock_labels = network(1), labels[:, None].astype(np.float32)
    elif "Categorical" in name or name in ON_PROBABILITIES:
        labels, outputs, activation = CLASSES, logits, tf.nn.softmax
        model, stock_labels = network(3), CLASSES if name.startswith(("Sparse", "CategoricalGeneralized")) else rows
    else:
        labels = stock_labels = rows + 0.5 if "Hinge" not in name else 2 * rows - 1
        model, outputs, activation = network(3), np.abs(logits), tf.identity
    if name in ON_PROBABILITIES:
        with pytest.raises(InputError, match="must end in a softmax"):
            resolve_loss(found(), model)
        model, outputs, activation = network(3, "softmax"), tf.nn.softmax(logits), tf.identity
    if name == "CategoricalHinge":
        activation = tf.identity
    loss, _ = resolve_loss(found(), model)
    values = per_example_loss(loss, tf.constant(labels), tf.constant(outputs))
    expected = found(reduction="none")(stock_labels, activation(outputs)).numpy()
    np.testing.assert_allclose(values, expected.reshape(8, -1).mean(axis=1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_losses_that_give_no_value_for_each_example_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"`loss` must give {REFUSED[name]}.*Received: {name}"):
        tfl.compile(network(), loss=getattr(keras.losses, name)())


def own_sparse(y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
    return keras.losses.sparse_categorical_crossentropy(y_true, y_pred, from_logits=True) + 1.0


def own_scalar(y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
    return tf.reduce_max(y_pred) + tf.reduce_mean(tf.cast(y_true, tf.float32))


class OwnLoss(keras.losses.Loss):
    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        assert y_true.shape.rank == 1 and y_true.dtype == tf.float32
        return tf.gather(-tf.nn.log_softmax(y_pred), tf.cast(y_true, tf.int32), batch_dims=1) * 3.0


@pytest.mark.parametrize(
    "loss", [own_sparse, own_scalar, OwnLoss, OwnLoss(), {"out": own_sparse}, [own_scalar], lambda t, p: p[:, 0] + t]
)
def test_losses_of_users_are_what_keras_makes_of_them(loss: object) -> None:
    model = network()
    keras_loss = loss() if isinstance(loss, type) else loss
    if isinstance(loss, dict):
        keras_loss, loss = loss["out"], {model.layers[-1].name: loss["out"]}
    expected = stock_loss(model, keras_loss, CLASSES)
    assert loss_of(model, loss, CLASSES) == pytest.approx(expected, rel=1e-5)
    weight = {0: 2.0, 1: 1.0, 2: 0.5}
    weights = np.array([weight[c] for c in CLASSES], np.float32)
    model.compile(loss=keras_loss, optimizer=keras.optimizers.SGD(0.0))
    expected = model.fit(X, CLASSES, sample_weight=weights, batch_size=8, verbose=0).history["loss"][0]
    assert loss_of(model, loss, CLASSES, class_weight=weight) == pytest.approx(expected, rel=1e-5)


SPARSE = keras.losses.SparseCategoricalCrossentropy
FORMS = {
    "function": keras.losses.sparse_categorical_crossentropy,
    "class": SPARSE,
    "probabilities": SPARSE(),
    "logits": SPARSE(from_logits=True),
    "name": "sparse_categorical_crossentropy",
    "class name": "SparseCategoricalCrossentropy",
    "config": keras.losses.serialize(SPARSE()),
    "categorical": keras.losses.CategoricalCrossentropy(),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_stock_loss_is_the_target(form: str) -> None:
    loss, target = resolve_loss(FORMS[form], network())
    logits = tf.constant(RNG.normal(size=(8, 3)), tf.float32)
    expected = per_example_loss(tfl.make_loss("multiclass"), tf.constant(CLASSES), logits)
    np.testing.assert_allclose(per_example_loss(loss, tf.constant(CLASSES), logits), expected, rtol=1e-5)
    assert target.name == "multiclass"


def test_a_model_that_ends_in_softmax_takes_losses_on_probabilities() -> None:
    model = network(3, "softmax")
    expected = stock_loss(model, "sparse_categorical_crossentropy", CLASSES)
    assert loss_of(model, "sparse_categorical_crossentropy", CLASSES) == pytest.approx(expected, rel=1e-5)


class OwnCall(keras.losses.Loss):
    def __call__(self, y_true: object, y_pred: object, sample_weight: object = None) -> object:
        return 0.0


@pytest.mark.parametrize(
    ("loss", "outputs", "activation", "line"),
    [
        ("multiclass", 3, "softmax", "`model` must end in logits"),
        (None, 3, "softmax", "`model` must end in logits"),
        (SPARSE(from_logits=True), 3, "softmax", "from_logits=False"),
        (None, 1, None, "one output for each class"),
        (SPARSE(), 1, None, "one output for each class"),
        (SPARSE(reduction="sum"), 3, None, "reduction"),
        ({"other": SPARSE()}, 3, None, "must have one key"),
        ([SPARSE(), SPARSE()], 3, None, "must be one"),
        ("crossentrop", 3, None, "`loss` must be a target"),
        (3.0, 3, None, "`loss` must be a target"),
        (OwnCall(), 3, None, "must define `call`"),
    ],
)
def test_what_cannot_be_used_is_refused(loss: object, outputs: int, activation: str | None, line: str) -> None:
    with pytest.raises(InputError, match=line):
        tfl.compile(network(outputs, activation), loss=loss)


def test_labels_that_keras_would_broadcast_are_refused() -> None:
    with pytest.raises(InputError, match="`y` must be rows of 3 values for BinaryCrossentropy"):
        loss_of(network(), keras.losses.BinaryCrossentropy(), CLASSES)
    with pytest.raises(InputError, match="`y` must be one-hot rows for mixup"):
        loss_of(network(), own_sparse, CLASSES, mixup=0.4)
