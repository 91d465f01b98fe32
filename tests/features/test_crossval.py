"""Cross-validation against scikit-learn's, and the rule of one standard error."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import StratifiedKFold

from tfl.errors import InputError
from tfl.features import rows as rows_module
from tfl.features.crossval import cross_validate_head
from tfl.features.probe import solve_head


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """scikit-learn too: where cores are shared its threads wait for each other most of the time."""
    with rows_module.single_threaded():
        yield


def make_problem(num_examples=150, dim=20, num_classes=3):
    rng = np.random.default_rng(0)
    labels = np.sort(rng.integers(0, num_classes, num_examples))  # sorted: folds that are not shuffled would fail
    return rng.normal(size=(num_classes, dim))[labels] + np.sqrt(dim / 5) * rng.normal(size=(num_examples, dim)), labels


@pytest.fixture(scope="module", params=[20, 400], ids=["more rows", "more columns"])
def problem(request):
    features, labels = make_problem(dim=request.param)
    return features, labels, cross_validate_head(features, labels, folds=4, seed=3)


def test_losses_equal_those_of_scikit_learn_on_the_same_folds(problem):
    features, labels, result = problem
    for point, error in list(zip(result.path, result.standard_errors, strict=True))[4:16:4]:
        losses, accuracies = [], []
        for train, held_out in StratifiedKFold(4, shuffle=True, random_state=3).split(features, labels):
            model = LogisticRegression(C=1 / (2 * point.l2 * len(train)), tol=1e-8, max_iter=20000)
            probabilities = model.fit(features[train], labels[train]).predict_proba(features[held_out])
            losses.append(log_loss(labels[held_out], probabilities))
            accuracies.append(accuracy_score(labels[held_out], probabilities.argmax(axis=1)))
        assert point.validation_loss == pytest.approx(np.mean(losses), rel=5e-3)
        assert point.validation_accuracy == pytest.approx(np.mean(accuracies), abs=0.015)
        assert error == pytest.approx(np.std(losses, ddof=1) / 2, rel=0.05)


def test_strongest_lambda_within_one_standard_error_is_chosen_and_solved_on_everything(problem):
    features, labels, best_result = problem
    result = cross_validate_head(features, labels, folds=4, seed=3, rule="One_Standard_Error")
    losses = np.array([point.validation_loss for point in result.path])
    best = losses.argmin()
    bound = losses[best] + result.standard_errors[best]
    lambdas = [point.l2 for point in result.path]
    chosen = lambdas.index(result.chosen.l2)
    assert chosen < best == lambdas.index(best_result.chosen.l2)  # the rule changes something here
    assert losses[chosen] <= bound < losses[chosen - 1]
    alone = solve_head(features, labels, l2=result.chosen.l2)
    assert result.chosen.objective == pytest.approx(alone.objective, rel=1e-9)
    np.testing.assert_allclose(result.chosen.kernel, alone.kernel, atol=1e-5)


def test_what_is_left_out_is_judged_by_a_head_that_has_not_seen_it(problem):
    features, labels, result = problem
    for train, held_out in StratifiedKFold(4, shuffle=True, random_state=3).split(features, labels):
        alone = solve_head(features[train], labels[train], l2=result.chosen.l2, num_outputs=3)
        np.testing.assert_allclose(
            result.held_out_logits[held_out], alone.logits(features[held_out]), rtol=0.01, atol=0.1
        )
    point = next(point for point in result.path if point.l2 == result.chosen.l2)
    assert np.mean(result.held_out_logits.argmax(axis=1) == labels) == pytest.approx(
        point.validation_accuracy, abs=0.01
    )


def test_copies_are_never_on_both_sides_of_a_fold():
    """Each example three times: with its copies in the other folds the weakest λ would look best."""
    features, labels = make_problem(num_examples=60, dim=40)
    alone = cross_validate_head(features, labels, folds=3)
    thrice = np.repeat(np.arange(60), 3)
    names = np.array([f"digest{row}" for row in thrice])
    grouped = cross_validate_head(features[thrice], labels[thrice], folds=3, groups=names)
    naive = cross_validate_head(features[thrice], labels[thrice], folds=3)
    best = [min(point.validation_loss for point in each.path) for each in (alone, grouped, naive)]
    assert best[2] < 0.5 * best[0] and best[1] == pytest.approx(best[0], rel=0.25)
    assert grouped.chosen.l2 > 10 * naive.chosen.l2
    same = cross_validate_head(features, labels, folds=3, groups=np.array([""] * 60))
    assert same.chosen.l2 == alone.chosen.l2  # what has no digest is no copy
    with pytest.raises(InputError, match="`folds` must be at most the number of different"):
        cross_validate_head(features[thrice[:6]], np.arange(6) % 2, folds=3, groups=np.array(["one", "two"] * 3))


def test_features_that_are_read_in_blocks_choose_the_same(problem, monkeypatch):
    features, labels, expected = problem
    monkeypatch.setattr(rows_module, "MEMORY_ELEMENTS", 0)
    result = cross_validate_head(features, labels, folds=4, seed=3)
    assert result.chosen.l2 == pytest.approx(expected.chosen.l2, rel=1e-4)
    got, wanted = ([point.validation_loss for point in each.path] for each in (result, expected))
    np.testing.assert_allclose(got, wanted, rtol=1e-2)


@pytest.mark.parametrize("target", ["binary", "multilabel", "regression"])
def test_other_targets(target):
    features, labels = make_problem(num_classes=2)
    values = {"multilabel": np.eye(2)[labels], "regression": features @ np.ones(20) + labels}.get(target, labels)
    result = cross_validate_head(features, values, target=target)
    assert result.chosen.gradient_norm < 1e-5
    assert (result.path[0].validation_accuracy is None) == (target == "regression")
    assert min(point.validation_loss for point in result.path) < result.path[0].validation_loss


def test_weights_leave_examples_out_of_the_folds_too():
    features, labels = make_problem()
    noise = np.random.default_rng(1).permutation(labels)
    wrong = np.arange(150) % 3 == 0
    result = cross_validate_head(features, np.where(wrong, noise, labels), weights=np.where(wrong, 0.0, 1.0))
    spoilt = cross_validate_head(features, np.where(wrong, noise, labels))
    assert min(p.validation_loss for p in result.path) < min(p.validation_loss for p in spoilt.path) - 0.05


def test_class_weights_are_counted_once():
    features, labels = make_problem()
    weighted = cross_validate_head(features, labels, class_weight={0: 5.0})
    same = cross_validate_head(features, labels, weights=np.where(labels == 0, 5.0, 1.0))
    assert weighted.chosen.objective == pytest.approx(same.chosen.objective)
    assert [p.validation_loss for p in weighted.path] == pytest.approx([p.validation_loss for p in same.path])


@pytest.mark.parametrize("folds", [0, 1, 200])
def test_folds_that_cannot_be_made_are_refused(folds):
    features, labels = make_problem()
    with pytest.raises(InputError, match="`folds` must be from 2 to"):
        cross_validate_head(features, labels, folds=folds)


def test_versions_of_an_example_train_but_are_never_held_out():
    """With views=3, the held-out rows are the plain examples, and no version of them is in the training rows."""
    features, labels = make_problem(num_examples=90)
    noise = np.random.default_rng(1).normal(size=(2, *features.shape))
    versions = np.concatenate([features, *(features + 0.3 * noise)])
    result = cross_validate_head(versions, np.tile(labels, 3), folds=3, seed=3, views=3)
    assert result.held_out_logits.shape == (90, 3)
    for train, held_out in StratifiedKFold(3, shuffle=True, random_state=3).split(features, labels):
        rows = np.concatenate([train, train + 90, train + 180])
        alone = solve_head(versions[rows], np.tile(labels, 3)[rows], l2=result.chosen.l2)
        np.testing.assert_allclose(result.held_out_logits[held_out], alone.logits(features[held_out]), atol=0.1)
    whole = solve_head(versions, np.tile(labels, 3), l2=result.chosen.l2)
    np.testing.assert_allclose(result.chosen.kernel, whole.kernel, atol=1e-5)
    with pytest.raises(InputError, match="`views` must divide the number of rows"):
        cross_validate_head(versions, np.tile(labels, 3), views=4)


def test_path_ends_where_weaker_penalties_only_get_worse():
    """Noise is fitted better and better by weaker λ: the path ends after its minimum, which it has passed."""
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(60, 200)), rng.integers(0, 2, 60)
    path = cross_validate_head(features, labels, folds=3).path
    losses = [point.validation_loss for point in path]
    assert len(path) < 20 and losses[-1] > 1.05 * min(losses)
    assert int(np.argmin(losses)) <= len(path) - 1 - 4
