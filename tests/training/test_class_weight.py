"""`class_weight` in the forms that users of Keras and scikit-learn give it, in `tfl.fit` and where a head is solved."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.utils.class_weight import compute_class_weight

import tfl
from tfl.errors import InputError
from tfl.features import cross_validate_head
from tfl.models import Metadata
from tfl.models.inference import Outputs

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 4)).astype(np.float32)
Y = np.array([0] * 18 + [1] * 9 + [2] * 3)
ROWS = np.eye(3, dtype=np.float32)[Y]
NAMES = ("cat", "Käfer", "7")
WEIGHTS = {0: 0.5, 1: 2.0, 2: 3.0}
FORMS: dict[str, Any] = {
    "dict": WEIGHTS,
    "dict of NumPy numbers": {np.int64(k): np.float32(v) for k, v in WEIGHTS.items()},
    "dict of floats": {float(k): v for k, v in WEIGHTS.items()},
    "names": {"cat": 0.5, "Ka\u0308fer": 2, "7": 3.0},
    "array": np.array([0.5, 2.0, 3.0]),
    "list": [0.5, 2, 3],
}
BALANCED = dict(enumerate(compute_class_weight("balanced", classes=np.arange(3), y=Y).tolist()))


def network(outputs: int = 3, activation: str | None = None) -> keras.Model:
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(outputs, activation=activation)])
    model.metadata = Metadata("none", 1.0, 4, "multiclass", NAMES)
    return model


def loss(class_weight: Any, x: Any = X, y: Any = Y, model: Any = None, loss: Any = "multiclass") -> float:
    model = network() if model is None else model
    tfl.compile(model, keras.optimizers.SGD(1e-9), loss=loss, metrics=[])
    return tfl.fit(model, x, y, class_weight=class_weight, verbose=False).history["loss"][0]


def stock_loss(class_weight: dict[int, float], model: keras.Model, y: Any, loss: Any) -> float:
    model.compile(keras.optimizers.SGD(1e-9), loss)
    return model.fit(X, y, class_weight=class_weight, verbose=0).history["loss"][0]


@pytest.fixture(scope="module")
def expected() -> float:
    return stock_loss(WEIGHTS, network(), Y, keras.losses.SparseCategoricalCrossentropy(from_logits=True))


@pytest.mark.parametrize("form", ["dict", "names", "array"])
def test_every_form_weighs_as_in_keras(form: str, expected: float) -> None:
    assert loss(FORMS[form]) == pytest.approx(expected, rel=1e-5)


def test_classes_that_are_not_named_weigh_one_and_empty_weights_are_none() -> None:
    assert loss({"cat": 0.5}) == pytest.approx(loss([0.5, 1, 1]), rel=1e-6)
    assert loss({}) == pytest.approx(loss([1, 1, 1]), rel=1e-6)


def test_balanced_is_that_of_scikit_learn() -> None:
    reference = loss(BALANCED)
    images = RNG.integers(0, 256, (30, 4, 4, 3), np.uint8)
    for y in (Y[:, None].tolist(), ROWS):
        assert loss("balanced", y=y) == pytest.approx(reference, rel=1e-6)
    splits = tfl.load_data({"train": (images, Y), "test": (images[::3], Y[::3])})
    feed = tfl.EpochFeed(splits.source, splits.train, image_size=4, batch_size=8)
    counts = np.bincount(feed.labels)
    flat = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Flatten(), keras.layers.Dense(3)])
    weights = counts.sum() / (3 * counts)
    assert loss("Balanced", feed, None, flat) == pytest.approx(loss(weights, feed, None, flat), rel=1e-5)


def test_labels_of_every_form_have_a_class() -> None:
    binary = stock_loss({0: 2.0, 1: 0.5}, network(1), Y > 0, keras.losses.BinaryCrossentropy(from_logits=True))
    column = (Y > 0)[:, None].astype(np.float32)
    assert loss([2.0, 0.5], y=column, model=network(1), loss="binary") == pytest.approx(binary, rel=1e-5)
    squared = stock_loss(WEIGHTS, network(3, "softmax"), ROWS, "mse")
    assert loss(WEIGHTS, y=ROWS, model=network(3, "softmax"), loss="mse") == pytest.approx(squared, rel=1e-5)
    dataset = tf.data.Dataset.from_tensor_slices((X, ROWS)).batch(32)
    assert loss(WEIGHTS, dataset, None) == pytest.approx(loss(WEIGHTS), rel=1e-5)


def test_heads_are_solved_with_every_form() -> None:
    head = tfl.solve_head(X, Y, l2=1e-2, class_weight=WEIGHTS)
    for form in FORMS.keys() - {"names"}:
        np.testing.assert_array_equal(tfl.solve_head(X, Y, l2=1e-2, class_weight=FORMS[form]).kernel, head.kernel)
    train = Outputs(X, Y, np.arange(30))
    for solve in (
        lambda weights: tfl.solve_head(X, Y, l2=1e-2, class_weight=weights),
        lambda weights: tfl.choose_head(train, train, l2=1e-2, class_weight=weights).chosen,
        lambda weights: cross_validate_head(X, Y, folds=2, class_weight=weights).chosen,
    ):
        np.testing.assert_array_equal(solve("balanced").kernel, solve(BALANCED).kernel)
        with pytest.raises(InputError, match=r"`class_weight` must have class numbers from 0 to 2\. Received: 3"):
            solve({3: 1.0})
        with pytest.raises(InputError, match="`class_weight` must have finite weights"):
            solve([1.0, 1.0, np.nan])


@pytest.mark.parametrize(
    ("class_weight", "line"),
    [
        ({3: 1.0}, "must have class numbers from 0 to 2. Received: 3"),
        ({-1: 1.0}, "must have class numbers from 0 to 2. Received: -1"),
        ({0.5: 1.0}, "must have class numbers from 0 to 2"),
        ({np.nan: 1.0}, "must have class numbers from 0 to 2"),
        ({True: 1.0}, "must have class numbers from 0 to 2"),
        ({None: 1.0}, "must have class numbers from 0 to 2"),
        ({"cats": 1.0}, "must name classes of the model. Received: 'cats'.*Did you mean 'cat'"),
        ({0: 1.0, "cat": 2.0}, "must name each class once"),
        ({0: np.nan}, "must have finite weights, at least 0. Received: nan for class 0"),
        ({0: -1.0}, "must have finite weights, at least 0"),
        ({0: np.inf}, "must have finite weights"),
        ({0: "2"}, "must have finite weights"),
        ({0: None}, "must have finite weights"),
        ([1.0, np.nan, 1.0], "must have finite weights"),
        ([1.0, 2.0], "3 weights. Received:"),
        (np.ones((3, 1)), "3 weights. Received:"),
        ([[1.0], [1.0, 2.0], []], "must have finite weights"),
        (2.0, "3 weights. Received: 2.0"),
        ([0, 0, 0], "must not be 0 for every class"),
        ("balance", "Received: 'balance'. Did you mean 'balanced'"),
    ],
)
def test_what_fits_no_class_is_refused_in_one_line(class_weight: Any, line: str) -> None:
    with pytest.raises(InputError, match=f"`class_weight` .*{line}") as caught:
        loss(class_weight)
    assert "\n" not in str(caught.value)


def test_where_labels_or_classes_are_not_known_it_is_refused() -> None:
    dataset = tf.data.Dataset.from_tensor_slices((X, Y)).batch(8)
    with pytest.raises(InputError, match="`class_weight` must be given as numbers if the labels are known only"):
        loss("balanced", dataset, None)
    for target, labels in (("multilabel", ROWS), ("regression", ROWS)):
        with pytest.raises(
            InputError, match="`class_weight` must be None if an example does not have exactly one class"
        ):
            loss(WEIGHTS, y=labels, loss=target)
    plain = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    with pytest.raises(InputError, match="its class names: not known"):
        loss({"cat": 1.0}, model=plain)
