"""Ridge regression against scikit-learn's and against leaving out in earnest; its statistics against solving anew."""

import dataclasses

import numpy as np
import pytest
import scipy.optimize
from sklearn.linear_model import Ridge, RidgeCV

from tfl.errors import InputError
from tfl.features import Statistics, ridge, ridge_targets, solve_head, solve_ridge
from tfl.features import rows as rows_module
from tfl.features.statistics_file import StoredStatistics, example_key, read_statistics
from tfl.tasks import get_task

RNG = np.random.default_rng(0)
TARGETS = {  # labels from three numbers of each example
    "multiclass": lambda signal: signal.argmax(axis=1),
    "binary": lambda signal: (signal[:, 0] > 0).astype(int),
    "multilabel": lambda signal: (signal > [0.0, 0.5, 1.0]).astype(np.float32),
    "regression": lambda signal: (signal[:, :2] @ [[1.0, 0.2], [0.5, -1.0]]).astype(np.float32),
}
OUTPUTS = {"multiclass": 3, "binary": 1, "multilabel": 3, "regression": 2}


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """scikit-learn too: where cores are shared its threads wait for each other most of the time."""
    with rows_module.single_threaded():
        yield


def make(target, count=60, dim=12):
    """Return features that are far from 0, labels with noise, weights, and groups, some of several members."""
    rng = np.random.default_rng(1)
    features = rng.normal(size=(count, dim)) * np.linspace(1, 3, dim) + 7
    signal = (features - 7)[:, :3] + rng.normal(size=(count, 3))
    groups = np.where(np.arange(count) < 20, np.arange(count) // 4, np.arange(count))
    return features, TARGETS[target](signal), rng.uniform(0.5, 2, count), groups


def fit_alone(features, targets, weights, penalty):
    """Solve the weighted ridge problem of some rows, with a bias, by scikit-learn."""
    model = Ridge(alpha=penalty, solver="cholesky").fit(features, targets, sample_weight=weights)
    return model.coef_.reshape(targets.shape[1], -1).T, model.intercept_


@pytest.mark.parametrize("dim", [12, 90], ids=["more rows", "more columns"])
@pytest.mark.parametrize("target", TARGETS)
def test_left_out_predictions_are_those_of_heads_that_never_saw_the_group(target, dim):
    features, labels, weights, groups = make(target, dim=dim)
    result = solve_ridge(features, labels, target=target, weights=weights, groups=groups)
    count = OUTPUTS[target]
    targets = ridge_targets(get_task(target), labels, count)
    penalty = result.chosen.l2 * count * weights.sum()
    outputs = np.empty_like(targets)
    for row, group in enumerate(groups):
        others = groups != group
        kernel, bias = fit_alone(features[others], targets[others], weights[others], penalty)
        outputs[row] = features[row] @ kernel + bias
    offsets = np.median(result.held_out_logits - result.factor * outputs, axis=0)
    np.testing.assert_allclose(result.held_out_logits, result.factor * outputs + offsets, atol=1e-8)
    assert target == "multilabel" or target == "binary" or not np.abs(offsets).max() > 1e-8
    kernel, bias = fit_alone(features, targets, weights, penalty)
    np.testing.assert_allclose(result.chosen.kernel, result.factor * kernel, atol=1e-8)
    np.testing.assert_allclose(result.chosen.bias, result.factor * bias + offsets, atol=1e-7)


@pytest.mark.parametrize("target", TARGETS)
def test_the_factor_and_lambda_have_the_smallest_loss_of_what_was_left_out(target):
    features, labels, weights, groups = make(target)
    result = solve_ridge(features, labels, target=target, weights=weights, groups=groups)
    losses = [point.validation_loss for point in result.path]
    assert result.chosen.l2 == result.path[int(np.argmin(losses))].l2
    task, shares = get_task(target), weights / weights.sum()

    def loss(logits):
        return shares @ task.convex.loss_and_residual(logits, task.as_targets(labels, OUTPUTS[target]))[0]

    best = loss(result.held_out_logits)
    assert best == pytest.approx(min(losses), rel=1e-9)
    if target == "regression":
        assert result.factor == 1
        return
    found = scipy.optimize.minimize_scalar(lambda scale: loss(scale * result.held_out_logits), bounds=(0.1, 10))
    assert best <= found.fun + 1e-9 and found.x == pytest.approx(1, abs=1e-3)


def test_lambda_is_that_of_ridge_cv_for_values():
    features, labels, weights, _ = make("regression")
    result = solve_ridge(features, labels, target="regression", weights=weights)
    alphas = [point.l2 * 2 * weights.sum() for point in result.path]
    oracle = RidgeCV(alphas=alphas).fit(features, labels, sample_weight=weights)
    assert oracle.alpha_ == pytest.approx(result.chosen.l2 * 2 * weights.sum())
    np.testing.assert_allclose(result.chosen.kernel, oracle.coef_.T, atol=1e-8)


def test_values_have_the_objective_of_the_other_solver():
    features, labels, weights, _ = make("regression")
    result = solve_ridge(features, labels, target="regression", weights=weights, l2=0.01)
    other = solve_head(features, labels, target="regression", weights=weights, l2=0.01)
    assert result.chosen.objective == pytest.approx(other.objective, rel=1e-9)
    assert result.path[0].objective == pytest.approx(other.objective, rel=1e-9)
    np.testing.assert_allclose(result.chosen.kernel, other.kernel, atol=1e-6)


def test_class_weights_count_as_weights_of_the_examples():
    features, labels, weights, _ = make("multiclass")
    first = solve_ridge(features, labels, weights=weights, class_weight={0: 2.0, 1: 1.0, 2: 0.5})
    second = solve_ridge(features, labels, weights=weights * np.array([2.0, 1.0, 0.5])[labels])
    np.testing.assert_allclose(first.chosen.kernel, second.chosen.kernel, atol=1e-12)
    np.testing.assert_allclose(first.held_out_logits, second.held_out_logits, atol=1e-9)


def test_features_larger_than_the_memory_give_the_same_head(monkeypatch):
    """Many passes over blocks of float32, with the groups in different blocks."""
    features, labels, weights, groups = make("multiclass", count=300)
    groups = np.arange(300) % 150
    options = {"weights": weights, "groups": groups}
    features = features.astype(np.float32)
    whole = solve_ridge(features, labels, **options)
    monkeypatch.setattr(rows_module, "MEMORY_ELEMENTS", 10)
    monkeypatch.setattr(rows_module, "BLOCK_ELEMENTS", 12 * 64)
    monkeypatch.setattr(ridge, "HELD_ELEMENTS", 300 * 3 * 7)
    parts = solve_ridge(features, labels, **options)
    assert parts.chosen.l2 == pytest.approx(whole.chosen.l2, rel=1e-5)
    np.testing.assert_allclose(parts.held_out_logits, whole.held_out_logits, atol=1e-4)
    np.testing.assert_allclose(parts.chosen.kernel, whole.chosen.kernel, rtol=1e-4, atol=1e-6)


def test_noise_gives_a_head_that_says_nothing_and_no_head_that_is_wrong():
    features, labels = RNG.normal(size=(80, 30)), np.arange(80) % 2
    result = solve_ridge(features, labels, num_outputs=2)
    assert result.path[-1].validation_loss <= 0.75 and result.factor > 0
    assert min(point.validation_loss for point in result.path) <= np.log(2) + 1e-6


def test_a_new_class_and_ten_examples_less_are_as_solving_anew():
    features, labels, weights, _ = make("multiclass", count=300, dim=40)
    labels[250:] = 3
    rows = np.r_[10:300]
    old = Statistics.of(features[:250], np.eye(3)[labels[:250]], "abc", weights[:250])
    less = old.remove(features[:10], np.eye(3)[labels[:10]], weights[:10])
    targets = np.eye(4)[labels][:, [3, 0, 1, 2]]  # the new class is the first by name
    more = less.with_names("@abc").add(features[250:], targets[250:], weights[250:])
    anew = Statistics.of(features[rows], targets[rows], "@abc", weights[rows])
    first, second = more.solve(1e-4), anew.solve(1e-4)
    assert more.count == anew.count == 290
    assert abs(first.objective - second.objective) < 1e-12 and first.gradient_norm < 1e-12
    np.testing.assert_allclose(first.logits(features), second.logits(features), atol=1e-10)
    merged = Statistics.of(features[250:], targets[250:], "@abc", weights[250:]).merge(less.with_names("@abc"))
    assert abs(merged.solve(1e-4).objective - second.objective) < 1e-12
    with pytest.raises(ValueError, match="must have the targets"):
        merged.merge(old)


def test_a_thousand_random_changes_keep_twelve_digits():
    rng = np.random.default_rng(2)
    features = (rng.normal(size=(400, 20)) * 2 + 50).astype(np.float32)  # far from 0, as after ReLU
    targets, inside = np.eye(3)[rng.integers(0, 3, 400)], np.arange(400) < 200
    known = Statistics.of(features[inside], targets[inside], "abc")
    for row in rng.integers(0, 400, 1000):
        change = known.remove if inside[row] else known.add
        known = change(features[row : row + 1], targets[row : row + 1])
        inside[row] = not inside[row]
    anew = Statistics.of(features[inside], targets[inside], "abc", origin=known.origin)
    assert known.count == anew.count == inside.sum()
    assert np.abs(known.products - anew.products).max() < 1e-12 * np.abs(anew.products).max()
    assert known.solve(1e-6).objective == pytest.approx(anew.solve(1e-6).objective, rel=1e-12)


def test_statistics_of_standardised_values_are_those_of_the_standardised_labels():
    features, labels, weights, _ = make("regression")
    mean, scale = labels.mean(axis=0), labels.std(axis=0)
    known = Statistics.of(features, labels, "ab", weights).standardized(mean, scale)
    anew = Statistics.of(features, (labels - mean) / scale, "ab", weights)
    for field in dataclasses.fields(known):
        if field.name != "names":
            np.testing.assert_allclose(getattr(known, field.name), getattr(anew, field.name), atol=1e-4)
    assert known.solve(0.1).objective == pytest.approx(anew.solve(0.1).objective, rel=1e-6)


def test_a_file_of_statistics_comes_back_to_the_bit_and_a_damaged_one_is_named(tmp_path):
    features, labels, weights, _ = make("multiclass")
    keys = tuple(example_key(row, labels[row]) for row in range(60))
    stored = StoredStatistics(Statistics.of(features, np.eye(3)[labels], ("ä", "b", "c"), weights), keys, "net")
    stored.write(tmp_path / "statistics.npz")
    again = read_statistics(tmp_path / "statistics.npz")
    assert again.digest() == stored.digest() and again.statistics.names == ("ä", "b", "c") and again.examples == keys
    content = (tmp_path / "statistics.npz").read_bytes()
    values = dict(np.load(tmp_path / "statistics.npz"))
    damaged = {"cut": content[:3000], "other": b"x"}
    for name, found in damaged.items():
        (tmp_path / name).write_bytes(found)
    with (tmp_path / "changed").open("wb") as file:
        np.savez(file, **{**values, "sums": values["sums"] + 1})
    with (tmp_path / "pickled").open("wb") as file:
        np.savez(file, **{**values, "sums": np.array([{}], object)})
    for name in (*damaged, "changed", "pickled", "missing"):
        with pytest.raises(InputError, match="must have only complete, readable files"):
            read_statistics(tmp_path / name)


def test_too_many_features_and_wrong_numbers_are_refused():
    with pytest.raises(InputError, match="for more than 4,096 features"):
        Statistics.of(np.zeros((2, 5000)), np.eye(2), "ab")
    with pytest.raises(InputError, match="must be finite"):
        solve_ridge(np.full((4, 2), np.nan), np.array([0, 1, 0, 1]))
    with pytest.raises(InputError, match="must be finite"):
        Statistics.of(np.full((4, 2), np.inf), np.eye(4), "abcd")
