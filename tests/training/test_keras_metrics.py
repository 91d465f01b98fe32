"""Every metric of keras.metrics against keras.Model.evaluate on a model that ends in softmax or sigmoid."""

from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfl
from tfl.errors import InputError

K = keras.metrics
RNG = np.random.default_rng(1)
X = (3 * RNG.normal(size=(40, 5))).astype(np.float32)
CLASSES = RNG.integers(0, 3, 40)
SETS = (RNG.uniform(size=(40, 3)) < 0.4).astype(np.float32)
VALUES = RNG.normal(size=(40, 3)).astype(np.float32) + 2
NO_METRICS = {"Mean", "Sum", "Metric", "MeanMetricWrapper"}
AT = {name: (lambda cls: lambda: cls(0.5))(getattr(K, name)) for name in vars(K) if "At" in name}
MADE: dict[str, Callable[[], keras.metrics.Metric]] = AT | {
    "IoU": lambda: K.IoU(3, [0, 1]),
    "MeanIoU": lambda: K.MeanIoU(3),
    "OneHotIoU": lambda: K.OneHotIoU(3, [0, 2]),
    "OneHotMeanIoU": lambda: K.OneHotMeanIoU(3),
    "TopKCategoricalAccuracy": lambda: K.TopKCategoricalAccuracy(2),
    "SparseTopKCategoricalAccuracy": lambda: K.SparseTopKCategoricalAccuracy(2),
}
ALL = [n for n, cls in vars(K).items() if isinstance(cls, type) and n not in NO_METRICS]
OF_CLASSES = [n for n in ALL if "Categorical" in n or "OneHot" in n]
OF_VALUES = ["ConcordanceCorrelation", "CosineSimilarity", "LogCoshError", "PearsonCorrelation", "Poisson", "R2Score"]
OF_VALUES += [n for n in ALL if n.startswith(("Mean", "Root")) and n != "MeanIoU"]
DECISIONS = {"Accuracy", "IoU", "MeanIoU"}  # Keras wants class numbers as predictions: the oracle gets them
SCORES = {"Hinge", "SquaredHinge", "CategoricalHinge"}  # the oracle ends in the scores themselves
FITTING = {
    "multiclass": [n for n in ALL if n != "BinaryIoU"],
    "binary": [n for n in ALL if n not in OF_CLASSES],
    "multilabel": [n for n in ALL if "Sparse" not in n and "OneHot" not in n],
    "regression": OF_VALUES,
}
LABELS = {"multiclass": CLASSES, "binary": CLASSES % 2, "multilabel": SETS, "regression": VALUES}
EXTRA = {
    "multiclass": [lambda: K.Precision(class_id=1, name="p1"), lambda: K.AUC(multi_label=True, name="aucs")],
    "binary": [lambda: K.AUC(from_logits=True, name="logit_auc"), lambda: K.BinaryAccuracy("strict", threshold=0.9)],
    "multilabel": [lambda: K.F1Score(average="macro", threshold=0.5, name="f1")],
    "regression": [lambda: K.MeanMetricWrapper(keras.losses.huber, name="huber")],
}


def make(name: str) -> keras.metrics.Metric:
    metric = MADE[name]() if name in MADE else getattr(K, name)()
    metric.name = name
    return metric


def network(outputs: int, activation: str | None = None) -> keras.Model:
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((5,)), keras.layers.Dense(outputs, activation=activation)])


def fitted(model: keras.Model, labels: np.ndarray, metrics: object, loss: object) -> dict[str, float]:
    tfl.compile(model, keras.optimizers.SGD(1e-12), loss=loss, metrics=metrics)
    history = tfl.fit(model, X, labels, batch_size=16, validation_data=(X, labels)).history
    return {name[4:]: values[-1] for name, values in history.items() if name.startswith("val_")}


def form_of(metric: keras.metrics.Metric) -> str:
    """Return which labels and outputs Keras wants for a metric."""
    name = type(metric).__name__
    if name in SCORES or metric.get_config().get("from_logits"):
        return "sparse scores" if name.startswith("Sparse") else "scores"
    if name in DECISIONS:
        return "decisions"
    return "sparse" if name.startswith("Sparse") else "rows"


def oracle(metrics: list[keras.metrics.Metric], target: str, logits: np.ndarray) -> dict[str, np.ndarray]:
    """Return what Keras gives for metrics of one form on a model with the activation, and labels in that form."""
    form, labels = form_of(metrics[0]), LABELS[target]
    outputs = {"multiclass": tf.nn.softmax, "regression": tf.identity}.get(target, tf.nn.sigmoid)(logits).numpy()
    rows = np.eye(3, dtype=np.float32)[labels] if target == "multiclass" else labels.reshape(outputs.shape)
    if "scores" in form:
        outputs = logits
    if form == "decisions":
        outputs = outputs.argmax(axis=1) if target == "multiclass" else (outputs > 0.5).astype(int)
        rows = labels.reshape(outputs.shape)
    if "sparse" in form:
        rows = labels
    inputs = keras.Input(outputs.shape[1:])
    same = keras.Model(inputs, keras.layers.Identity()(inputs))
    same.compile(loss=lambda t, p: tf.reduce_sum(p), metrics=metrics)
    return same.evaluate(
        outputs.astype(np.float32), rows.astype(np.float32), batch_size=16, verbose=0, return_dict=True
    )


@pytest.mark.parametrize("target", FITTING)
def test_every_metric_that_fits_is_that_of_keras(target: str) -> None:
    model = network(1 if target == "binary" else 3)
    makers = [lambda name=name: make(name) for name in FITTING[target]] + EXTRA[target]
    found = fitted(model, LABELS[target], [maker() for maker in makers], target)
    logits = model.predict(X, verbose=0)
    assert len(found) == len(makers) + 1
    forms: dict[str, list[keras.metrics.Metric]] = {}
    for maker in makers:  # one stock model for all metrics of a form: to trace one for each would take minutes
        forms.setdefault(form_of(maker()), []).append(maker())
    expected = {name: value for same in forms.values() for name, value in oracle(same, target, logits).items()}
    for maker in makers:
        name = maker().name
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-4, atol=1e-5, err_msg=name)


def test_every_metric_of_keras_is_in_the_contract() -> None:
    assert set().union(*FITTING.values()) | {"BinaryIoU"} == set(ALL) and len(ALL) >= 40


NAMES = ["AUC", "precision", "Recall", "binary_accuracy", "true_positives", "binary_crossentropy", "mse", "accuracy"]


def test_names_are_those_of_a_model_with_a_sigmoid() -> None:
    """The stock model has the activation; tfl's own model ends in logits. Both are asked by the same names."""
    stock, own, labels = network(1, "sigmoid"), network(1), CLASSES % 2
    stock.compile(loss="binary_crossentropy", metrics=NAMES)
    expected = stock.evaluate(X, labels[:, None], verbose=0, return_dict=True)
    for model, loss in ((own, "binary_crossentropy"), (network(1, "sigmoid"), keras.losses.BinaryCrossentropy())):
        found = fitted(model, labels, NAMES, loss)
        values = {name.lower(): value for name, value in expected.items()}
        assert {name.lower() for name in found} >= set(values)
        for name, value in found.items():
            assert value == pytest.approx(values[name.lower()], rel=1e-4), name


class Shapes(keras.metrics.Metric):
    """Records the form of what it is given."""

    def __init__(self) -> None:
        super().__init__(name="shapes")
        self.code = self.add_variable((4,), "zeros", name="code")

    def update_state(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: object = None) -> None:
        dtypes = [float(len(y_true.shape)), float(y_true.dtype == "int64"), float(len(y_pred.shape))]
        self.code.assign([*dtypes, float(sample_weight is not None)])

    def result(self) -> tf.Tensor:
        return keras.ops.sum(self.code * [1.0, 10.0, 100.0, 1000.0])


def own_accuracy(y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.argmax(y_pred, axis=-1) == y_true, tf.float32)


@pytest.mark.parametrize("labels", [CLASSES, CLASSES[:, None], np.eye(3)[CLASSES]], ids=["numbers", "column", "rows"])
def test_metrics_of_users_get_what_keras_gives(labels: np.ndarray) -> None:
    metrics = [Shapes, *([own_accuracy] if labels.ndim == 1 else [])]
    model = network(3)
    model.compile(
        loss=lambda t, p: tf.reduce_sum(p),
        metrics=[metric() if isinstance(metric, type) else metric for metric in metrics],
    )
    expected = model.evaluate(X, labels, verbose=0, return_dict=True)
    found = fitted(model, labels, metrics, "multiclass")
    for name in ("shapes", "own_accuracy")[: len(metrics)]:
        assert found[name] == pytest.approx(expected[name])


def test_stock_evaluate_of_a_compiled_model_reports_nothing_wrong() -> None:
    """Keras feeds logits: a metric that would be wrong on them is not in the stock model."""
    model = network(3)
    found = fitted(model, CLASSES, ["accuracy", K.AUC(name="auc"), K.CategoricalAccuracy(name="rows")], "multiclass")
    result = model.evaluate(X, CLASSES, verbose=0, return_dict=True)
    assert "auc" not in result and result["accuracy"] == pytest.approx(found["accuracy"])
    assert result["loss"] == pytest.approx(found["loss"], rel=1e-5)


def plain(y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
    return tf.square(y_pred[:, 0] - tf.cast(y_true, tf.float32))


@pytest.mark.parametrize(
    ("metrics", "loss", "outputs", "line"),
    [
        ([K.AUC()], "regression", 1, "must not need probabilities, because the model predicts values"),
        ([K.AUC()], plain, 1, "must not need probabilities, because this loss does not tell"),
        (["accuracy"], "regression", 1, "not a loss of a classifier"),
        ([K.SparseCategoricalAccuracy()], "binary", 1, "must fit a model with one output"),
        ([K.Mean()], "multiclass", 3, "must compare labels"),
        ([K.AUC(name="auc"), K.AUC(name="auc")], "multiclass", 3, "must have different names"),
        (["accuracyy"], "multiclass", 3, "must be Keras metrics or their names"),
        ({"a": ["mse"], "b": ["mse"]}, "regression", 1, "must have one key"),
    ],
)
def test_metrics_that_cannot_be_used_are_refused(metrics: object, loss: object, outputs: int, line: str) -> None:
    with pytest.raises(InputError, match=line):
        tfl.compile(network(outputs), loss=loss, metrics=metrics)


def test_one_metric_needs_no_list() -> None:
    found = fitted(network(3), CLASSES, "accuracy", "multiclass")
    assert found == fitted(network(3), CLASSES, ["accuracy"], "multiclass")
    model = network(3)
    assert found == fitted(model, CLASSES, {model.layers[-1].name: ["accuracy"]}, "multiclass")
