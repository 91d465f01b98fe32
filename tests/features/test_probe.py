"""The solved head against scikit-learn, closed forms and finite differences."""

import keras
import numpy as np
import pytest
import scipy.optimize
import scipy.special
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss

from tfl.errors import InputError
from tfl.features import probe
from tfl.features import rows as rows_module
from tfl.features.probe import choose_head, score_heads, solve_head
from tfl.features.probe import make_problem as make_problem_for_solver
from tfl.features.solver import WORSE, follow_path, minimize
from tfl.models.inference import Outputs
from tfl.tasks import get_task


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """scikit-learn too: where cores are shared its threads wait for each other most of the time."""
    with rows_module.single_threaded():
        yield


def make_problem(num_classes, num_examples=120, dim=30, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, num_classes, num_examples)
    centers = rng.normal(size=(num_classes, dim))
    # float64: scikit-learn solves in the precision of its input, and stops early in float32
    return centers[labels] + 2.0 * rng.normal(size=(num_examples, dim)) + 2.0, labels


def make_targets(target, num_examples=120):
    """Features and labels of a kind that is not solved exactly by any head."""
    features, labels = make_problem(2 if target == "binary" else 4, num_examples)
    noise = np.random.default_rng(9).normal(size=(num_examples, 2))
    values = features[:, :2] + features[:, 2:4] + 3 * noise
    return features, {"multilabel": (values > 4.0).astype(np.float32), "regression": values}.get(target, labels)


def make_problem_of(features, labels):
    return make_problem_for_solver(features, labels, "multiclass", 0, None, None)


class OnlySlices:
    """What a store gives: rows by slice, and no more."""

    def __init__(self, values):
        self.values, self.shape = values, values.shape

    def __len__(self):
        return len(self.values)

    def __getitem__(self, rows):
        assert isinstance(rows, slice)
        assert rows.stop - rows.start <= 64
        return self.values[rows]


@pytest.fixture(scope="module")
def real_features(shared, keras_home):
    """Pooled features of MobileNetV2 for a few images of three real sets, with the real weights."""
    from tfl.backbones import build_backbone
    from tfl.data import load_data, make_dataset
    from tfl.models.inference import run_over

    backbone = build_backbone("MobileNetV2", alpha=0.35, image_size=112)
    pooled = keras.Model(backbone.input, keras.layers.GlobalAveragePooling2D()(backbone.output))
    sets = {}
    for name in ("hymenoptera", "dogs_cats_small", "sign_language_digits"):
        splits = load_data(f"folder:{shared}/data/{name}")
        sets[name] = make_dataset(splits.source, splits.train[::2], image_size=112, batch_size=64)
    return [(found.values, found.labels) for found in run_over(pooled, sets).values()]


def outputs(values, labels):
    return Outputs(values, labels, np.arange(len(labels)))


@pytest.mark.parametrize("l2", [1e-4, 1e-2, 1.0])
@pytest.mark.parametrize("num_classes", [3, 7])
def test_multiclass_reaches_the_optimum_of_scikit_learn(num_classes, l2):
    features, labels = make_problem(num_classes)
    head = solve_head(features, labels, l2=l2)
    reference = LogisticRegression(C=1 / (2 * l2 * len(labels)), tol=1e-10, max_iter=50000).fit(features, labels)
    expected = log_loss(labels, reference.predict_proba(features)) + l2 * np.sum(reference.coef_**2)
    assert head.objective == pytest.approx(expected, rel=1e-6)
    # The kernel is unique; biases are only up to a common shift.
    np.testing.assert_allclose(head.kernel, reference.coef_.T, atol=2e-4)
    shift = head.bias - reference.intercept_
    np.testing.assert_allclose(shift, shift.mean(), atol=2e-3)


def test_two_classes_as_softmax_are_half_the_penalty_of_scikit_learns_sigmoid():
    features, labels = make_problem(2)
    l2 = 1e-2
    head = solve_head(features, labels, l2=l2)
    reference = LogisticRegression(C=1 / (l2 * len(labels)), tol=1e-10, max_iter=50000).fit(features, labels)
    np.testing.assert_allclose(head.kernel[:, 1] - head.kernel[:, 0], reference.coef_[0], atol=2e-4)


def test_binary_equals_scikit_learn():
    features, labels = make_problem(2)
    head = solve_head(features, labels, l2=1e-2, target="binary")
    reference = LogisticRegression(C=1 / (2 * 1e-2 * len(labels)), tol=1e-10, max_iter=50000).fit(features, labels)
    assert head.kernel.shape == (30, 1)
    np.testing.assert_allclose(head.kernel[:, 0], reference.coef_[0], atol=2e-4)
    np.testing.assert_allclose(head.bias, reference.intercept_, atol=2e-3)


def test_multilabel_is_one_logistic_regression_a_label():
    features, _ = make_problem(2)
    labels = (np.random.default_rng(1).random((120, 3)) < 0.4).astype(np.float32)
    head = solve_head(features, labels, l2=1e-2, target="multilabel")
    for k in range(3):  # the loss is a mean over 3 labels, so each label's own λ is 3 times as large
        reference = LogisticRegression(C=1 / (2 * 3e-2 * 120), tol=1e-10, max_iter=50000).fit(features, labels[:, k])
        np.testing.assert_allclose(head.kernel[:, k], reference.coef_[0], atol=2e-4)


def test_regression_is_ridge():
    features, _ = make_problem(2)
    labels = features @ np.random.default_rng(2).normal(size=(30, 2)) + 5.0
    head = solve_head(features, labels, l2=1e-2, target="regression")
    reference = Ridge(alpha=1e-2 * 120 * 2).fit(features.astype(np.float64), labels)
    np.testing.assert_allclose(head.kernel, reference.coef_.T, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(head.bias, reference.intercept_, rtol=1e-6)


@pytest.mark.parametrize("target", ["multiclass", "binary", "multilabel", "regression"])
def test_residual_is_the_slope_of_the_loss(target):
    rng = np.random.default_rng(3)
    logits = rng.normal(size=(1, 1 if target == "binary" else 4))
    labels = {
        "multiclass": np.array([2]),
        "binary": np.array([1.0]),
        "multilabel": np.array([[1.0, 0.0, 1.0, 0.0]]),
        "regression": rng.normal(size=(1, 4)),
    }[target]
    labels = get_task(target).as_targets(labels, 0)
    _, residual = get_task(target).convex.loss_and_residual(logits, labels)
    numeric = scipy.optimize.approx_fprime(
        logits.ravel(),
        lambda flat: get_task(target).convex.loss_and_residual(flat.reshape(logits.shape), labels)[0][0],
        1e-7,
    )
    np.testing.assert_allclose(residual.ravel(), numeric, atol=1e-5)


@pytest.mark.parametrize("target", ["multiclass", "binary", "multilabel", "regression"])
def test_loss_equals_the_keras_loss_that_trains_the_network(target):
    from tfl.training.objective.losses import make_loss

    rng = np.random.default_rng(4)
    logits = (3 * rng.normal(size=(8, 1 if target == "binary" else 4))).astype(np.float32)
    labels = {
        "multiclass": rng.integers(0, 4, 8),
        "binary": rng.integers(0, 2, 8),
        "multilabel": rng.integers(0, 2, (8, 4)),
        "regression": rng.normal(size=(8, 4)),
    }[target]
    ours, _ = get_task(target).convex.loss_and_residual(
        logits.astype(np.float64), get_task(target).as_targets(labels, 0)
    )
    y_true = get_task(target).as_targets(labels, 0)
    np.testing.assert_allclose(ours, make_loss(target)(y_true, logits).numpy(), rtol=2e-5, atol=1e-6)


def test_the_optimum_is_flat():
    features, labels = make_problem(4)
    assert solve_head(features, labels, l2=1e-3).gradient_norm < 1e-6


def test_large_offset_of_the_features_changes_nothing_but_the_bias():
    features, labels = make_problem(3)
    head = solve_head(features, labels, l2=1e-2)
    moved = solve_head(features.astype(np.float64) + 1000.0, labels, l2=1e-2)
    np.testing.assert_allclose(moved.kernel, head.kernel, atol=1e-5)


def test_lambda_of_the_smallest_validation_loss_is_chosen():
    features, labels = make_problem(4, num_examples=200)
    train, validation = outputs(features[:120], labels[:120]), outputs(features[120:], labels[120:])
    result = choose_head(train, validation)
    losses = [point.validation_loss for point in result.path]
    chosen = result.path[int(np.argmin(losses))]
    assert losses[0] > min(losses) < losses[-1]  # the path brackets the optimum
    logits = result.chosen.logits(validation.values)
    assert chosen.validation_loss == pytest.approx(log_loss(validation.labels, scipy.special.softmax(logits, axis=1)))
    assert chosen.validation_accuracy == pytest.approx(np.mean(logits.argmax(axis=1) == validation.labels))
    assert (chosen.l2, chosen.objective) == (result.chosen.l2, result.chosen.objective)
    alone = solve_head(train.values, train.labels, l2=result.chosen.l2)
    assert result.chosen.objective == pytest.approx(alone.objective, rel=1e-8)


def test_a_path_ends_where_weaker_lambdas_only_get_worse_and_the_choice_is_that_of_the_whole_path(monkeypatch):
    features, labels = make_problem(4, num_examples=200)
    train, validation = outputs(features[:120], labels[:120]), outputs(features[120:], labels[120:])
    short = choose_head(train, validation)
    monkeypatch.setattr(probe, "only_get_worse", lambda losses: False)
    whole = choose_head(train, validation)
    assert len(short.path) < len(whole.path) == probe.GRID_POINTS
    assert short.chosen.l2 == whole.chosen.l2
    np.testing.assert_array_equal(short.chosen.kernel, whole.chosen.kernel)
    assert whole.path[: len(short.path)] == short.path
    left = [point.validation_loss for point in whole.path[len(short.path) :]]
    assert min(left) > WORSE * min(point.validation_loss for point in short.path)


@pytest.mark.parametrize("target", ["multiclass", "binary", "multilabel", "regression"])
def test_every_point_of_the_path_is_near_its_optimum(target):
    features, labels = make_targets(target)
    result = choose_head(outputs(features, labels), outputs(features, labels), target=target)
    for point in result.path:
        optimum = solve_head(features, labels, l2=point.l2, target=target).objective
        assert optimum * (1 - 1e-9) <= point.objective <= optimum * (1 + 1e-3)
    assert (result.path[0].validation_accuracy is None) == (target == "regression")


def test_a_path_takes_few_passes_and_leads_to_the_optimum():
    features, labels = make_problem(5, num_examples=400, dim=50)
    problem = make_problem_of(features, labels)
    grid = list(problem.rows.total_variance * np.logspace(0, -7, 20))
    points = list(follow_path(problem, grid))
    assert problem.passes < 90
    for l2, point in zip(grid[::6], points[::6], strict=True):
        np.testing.assert_allclose(
            minimize(problem, l2, point).weights, minimize(problem, l2).weights, atol=1e-3 * np.abs(point.weights).max()
        )


@pytest.mark.parametrize("l2", [1e-1, 1e-3])
def test_real_features_reach_the_objective_of_scikit_learn(real_features, l2):
    for features, labels in real_features:
        head = solve_head(features, labels, l2=l2)
        # Two classes are a sigmoid to scikit-learn, with half the penalty: two heads of w / 2 each.
        factor = 1.0 if labels.max() > 1 else 2.0
        model = LogisticRegression(C=factor / (2 * l2 * len(labels)), tol=1e-8, max_iter=50000)
        model.fit(features.astype(np.float64), labels)
        loss = log_loss(labels, model.predict_proba(features.astype(np.float64)))
        assert head.objective == pytest.approx(loss + l2 / factor * np.sum(model.coef_**2), rel=1e-6)


@pytest.mark.parametrize("target", ["multiclass", "binary", "multilabel", "regression"])
def test_features_read_in_blocks_give_the_same_head(target, monkeypatch, tmp_path):
    features, labels = make_targets(target, num_examples=900)
    weights = np.random.default_rng(7).random(900)
    whole = solve_head(features, labels, l2=1e-3, target=target, weights=weights)
    monkeypatch.setattr(rows_module, "MEMORY_ELEMENTS", 0)
    monkeypatch.setattr(rows_module, "HELD_ELEMENTS", 0)
    monkeypatch.setattr(rows_module, "BLOCK_ELEMENTS", 64 * 30)
    file = np.memmap(tmp_path / "features", np.float32, "w+", shape=features.shape)
    file[:] = features
    file.flush()
    blocks = solve_head(OnlySlices(file), labels, l2=1e-3, target=target, weights=weights)
    assert blocks.objective == pytest.approx(whole.objective, rel=1e-6)
    np.testing.assert_allclose(blocks.kernel, whole.kernel, atol=1e-4 * np.abs(whole.kernel).max())
    monkeypatch.setattr(rows_module, "MAX_AXES", 0)  # more columns than a covariance can be had of
    axes = solve_head(file, labels, l2=1e-3, target=target, weights=weights)
    assert axes.objective == pytest.approx(whole.objective, rel=1e-6)
    monkeypatch.setattr(rows_module, "SAMPLE_ROWS", 0)
    with pytest.raises(InputError, match="`features` must be finite"):
        solve_head(np.where(np.arange(900)[:, None] == 700, np.inf, features), labels, l2=1e-3, target=target)


def test_fewer_examples_than_columns_are_solved_in_their_span():
    features, labels = make_problem(3, num_examples=40, dim=300)
    problem = make_problem_of(features, labels)
    assert problem.shape == (41, 3)
    reference = LogisticRegression(C=1 / (2 * 1e-2 * 40), tol=1e-10, max_iter=50000).fit(features, labels)
    np.testing.assert_allclose(solve_head(features, labels, l2=1e-2).kernel, reference.coef_.T, atol=2e-4)


@pytest.mark.parametrize("dim", [30, 200])
def test_weights_equal_those_of_scikit_learn(dim):
    features, labels = make_problem(3, dim=dim)
    weights = np.random.default_rng(5).integers(0, 4, 120)
    class_weight = {0: 2.0, 2: 0.5}
    head = solve_head(features, labels, l2=1e-2, weights=weights, class_weight=class_weight)
    total = weights @ np.array([2.0, 1.0, 0.5])[labels]
    reference = LogisticRegression(
        C=1 / (2 * 1e-2 * total), tol=1e-10, max_iter=50000, class_weight={0: 2.0, 1: 1.0, 2: 0.5}
    ).fit(features, labels, sample_weight=weights)
    np.testing.assert_allclose(head.kernel, reference.coef_.T, atol=2e-4)
    repeated = np.repeat(np.arange(120), weights)  # a weight of n is the example n times
    again = solve_head(features[repeated], labels[repeated], l2=1e-2, class_weight=class_weight)
    assert head.objective == pytest.approx(again.objective, rel=1e-9)


def test_weighted_ridge_equals_scikit_learn():
    features, labels = make_targets("regression")
    weights = np.random.default_rng(5).random(120)
    head = solve_head(features, labels, l2=1e-2, target="regression", weights=weights)
    reference = Ridge(alpha=1e-2 * weights.sum() * 2).fit(features, labels, sample_weight=weights)
    np.testing.assert_allclose(head.kernel, reference.coef_.T, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("target", ["multiclass", "binary", "multilabel", "regression"])
def test_curvature_is_the_slope_of_the_residual(target):
    rng = np.random.default_rng(6)
    _, labels = make_targets(target, num_examples=5)
    labels = get_task(target).as_targets(labels, 0)
    logits, weights = rng.normal(size=(5, {"multiclass": 4, "binary": 1}.get(target, 2))), rng.random(5)
    _, residual = get_task(target).convex.loss_and_residual(logits, labels)
    numeric = [
        weights @ (get_task(target).convex.loss_and_residual(logits + 1e-6 * unit, labels)[1] - residual) / 1e-6
        for unit in np.eye(logits.shape[1])
    ]
    np.testing.assert_allclose(get_task(target).convex.curvature(residual, labels, weights), numeric, atol=1e-5)


def test_heads_are_scored_alike_together_and_alone(monkeypatch):
    features, labels = make_targets("multilabel", num_examples=300)
    heads = [solve_head(features, labels, l2=l2, target="multilabel") for l2 in (1e-1, 1e-3)]
    weights = np.random.default_rng(8).random(300)
    weights /= weights.sum()
    monkeypatch.setattr(rows_module, "BLOCK_ELEMENTS", 64 * 30)
    for head, (loss, accuracy) in zip(
        heads, score_heads(heads, features, labels, get_task("multilabel"), weights), strict=True
    ):
        logits = head.logits(features)
        expected = np.mean(np.logaddexp(0, logits) - labels * logits, axis=1)
        assert loss == pytest.approx(weights @ expected)
        assert accuracy == pytest.approx(weights @ np.all((logits > 0) == labels, axis=1))


def test_a_class_that_train_lacks_still_has_a_logit():
    features, labels = make_problem(3)
    head = solve_head(features, labels, l2=1e-2, num_outputs=5)
    assert head.kernel.shape == (30, 5)
    assert np.all(head.logits(features).argmax(axis=1) < 3)


@pytest.mark.parametrize("l2", [0.0, -1.0, float("nan")])
def test_a_lambda_without_an_optimum_is_refused(l2):
    features, labels = make_problem(3)
    with pytest.raises(InputError, match="`l2` must be positive"):
        solve_head(features, labels, l2=l2)


def test_features_with_nan_are_refused():
    features, labels = make_problem(3)
    features[3, 4] = np.nan
    with pytest.raises(InputError, match="`features` must be finite"):
        solve_head(features, labels, l2=1.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"labels": [0, 1]}, "`labels` must be one for each row of features. Received: 2 labels and 120 rows."),
        (
            {"num_outputs": 2},
            "`labels` must be class numbers from 0 to 1 for multiclass and 2 outputs. Received: 44 of 120 other labels",
        ),
        ({"labels": np.eye(3)[np.arange(120) % 3]}, "Did you mean np.argmax.labels, axis=1"),
        ({"labels": np.arange(120) % 3 + 1, "num_outputs": 3}, "Did you mean labels 0 to 2: labels - 1"),
        ({"labels": np.arange(120) % 2 * 2 - 1, "target": "binary"}, "Did you mean labels 0 and 1: .labels . 1. / 2"),
        ({"labels": ["cat", "dog", "eel"] * 40}, "must be numbers for multiclass"),
        ({"weights": np.ones(3)}, "`weights` must be one finite number >= 0 per example"),
        ({"weights": -np.ones(120)}, "`weights` must be one finite number >= 0 per example"),
        ({"weights": np.zeros(120)}, "`weights` must be one finite number >= 0 per example, and not all 0"),
        ({"class_weight": {0: 2.0}, "target": "regression"}, "`class_weight` must be None"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message):
    features, labels = make_problem(3)
    with pytest.raises(InputError, match=message):
        solve_head(features, **{"labels": labels, "l2": 1e-2} | arguments)


def test_an_empty_validation_split_is_refused():
    features, labels = make_problem(3)
    with pytest.raises(InputError, match="`labels` must hold examples"):
        choose_head(outputs(features, labels), outputs(features[:0], labels[:0]))


def test_a_target_in_any_case_is_the_same_target():
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(40, 5)).astype(np.float32), np.arange(40) % 2
    plain, shouted = (solve_head(features, labels, l2=0.1, target=target) for target in ("binary", "Binary"))
    np.testing.assert_array_equal(plain.kernel, shouted.kernel)
    assert shouted.kernel.shape == (5, 1)
