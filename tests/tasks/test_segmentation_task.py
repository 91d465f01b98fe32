"""Segmentation: a table has the confusion of each example, and metrics are those of scikit-learn on the pixels."""

import numpy as np
import pytest
import scipy.special
import sklearn.metrics
import tensorflow as tf

from tfl.data.masks.table import VOID
from tfl.evaluation import Predictions, Slicing, compare_predictions, measure_slices
from tfl.evaluation.regions import region_metrics
from tfl.tasks import get_task
from tfl.tasks.convex import SoftmaxCrossEntropy, SoftmaxOfShares

TASK = get_task("segmentation")


def drawn(kind="random", count=5, num_classes=4, seed=0):
    """Return masks and logits of some examples."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, num_classes, (count, 6, 7))
    logits = rng.normal(0, 1, (count, 6, 7, num_classes)).astype(np.float32)
    logits[np.arange(count)[:, None, None], np.arange(6)[:, None], np.arange(7), truth] += 1.0
    if kind == "void":
        truth[rng.random(truth.shape) < 0.3] = VOID
    if kind == "absent class":
        truth[truth == 2] = 0
        logits[..., 2] = -50
    if kind == "never predicted":
        logits[..., 1] = -50
    if kind == "never true":
        truth[truth == 3] = VOID
    if kind == "void only":
        truth[1] = VOID
    if kind == "one class":
        truth[:] = 1
        logits[..., 1] = 50
    return truth.astype(np.uint8), logits


def table_of(truth, logits):
    outputs = TASK.collect(tf.constant(logits), tf.constant(truth)).numpy()
    return Predictions(np.arange(len(truth)), np.full(len(truth), ""), outputs, TASK)


KINDS = ["random", "void", "absent class", "never predicted", "never true", "void only", "one class"]


@pytest.mark.parametrize("kind", KINDS)
def test_metrics_are_those_of_scikit_learn_on_the_pixels(kind):
    truth, logits = drawn(kind)
    table, counted = table_of(truth, logits), truth != VOID
    true, guess = truth[counted], logits.argmax(axis=-1)[counted]
    metrics = table.metrics()
    assert metrics["mean_iou"] == pytest.approx(sklearn.metrics.jaccard_score(true, guess, average="macro"), abs=1e-12)
    assert metrics["mean_dice"] == pytest.approx(sklearn.metrics.f1_score(true, guess, average="macro"), abs=1e-12)
    assert metrics["pixel_accuracy"] == pytest.approx(sklearn.metrics.accuracy_score(true, guess), abs=1e-12)
    log_p = logits - scipy.special.logsumexp(logits, axis=-1, keepdims=True)
    each = [
        -np.take_along_axis(p[c], t[c][:, None].astype(int), axis=1).mean() if c.any() else 0.0
        for p, t, c in zip(log_p, truth, counted, strict=True)
    ]
    np.testing.assert_allclose(table.losses(), each, rtol=1e-5)
    assert metrics["loss"] == pytest.approx(np.mean(each), rel=1e-5)
    every = np.arange(4)
    for row, number in zip(region_metrics(table, "abcd"), every, strict=True):
        if not (np.isin(number, true) or np.isin(number, guess)):
            assert (row.iou, row.dice, row.share, row.num_examples) == (None, None, 0.0, 0)
            continue
        assert row.iou == pytest.approx(sklearn.metrics.jaccard_score(true == number, guess == number))
        assert row.dice == pytest.approx(sklearn.metrics.f1_score(true == number, guess == number))
        assert row.share == pytest.approx(np.mean(true == number))
        assert row.num_examples == sum(bool((t == number).any()) for t in truth)
        assert row.low is None or row.low <= row.iou <= row.high


def test_without_a_pixel_that_counts_no_metric_is_invented():
    truth, logits = drawn()
    assert table_of(np.full_like(truth, VOID), logits).metrics() == {"loss": 0.0, "num_examples": 5}


def test_a_resampled_table_has_the_metrics_of_its_examples():
    truth, logits = drawn("void")
    table, chosen = table_of(truth, logits), np.array([0, 0, 3, 4, 4])
    counts = np.bincount(chosen, minlength=5)[None].astype(float)
    statistic = {name: values[0] for name, values in TASK.statistic(table.logits, table.labels)(counts).items()}
    metrics = table.take(chosen).metrics()
    assert statistic == pytest.approx({name: metrics[name] for name in statistic})


def test_two_models_differ_by_the_metric_of_all_examples_together():
    truth, logits = drawn("void")
    first, second = table_of(truth, logits), table_of(truth, logits + np.array([0.5, 0, 0, 0], np.float32))
    comparison = compare_predictions(first, second)
    expected = first.metrics()["mean_iou"] - second.metrics()["mean_iou"]
    assert comparison.difference == pytest.approx(expected)
    assert comparison.low <= expected <= comparison.high
    (part,) = measure_slices(first, {"size": Slicing(("large",), np.array([0, -1, 0, -1, 0]))})["size"]
    assert part.value == first.take(np.array([0, 2, 4])).metrics()["mean_iou"]
    assert part.low < part.value < part.high


def test_the_file_of_predictions_gives_the_table_again(tmp_path):
    from tfl.evaluation import read_predictions, write_predictions

    table = table_of(*drawn("absent class"))
    names = [f"{row}.png" for row in range(5)]
    for ending in ("csv", "parquet"):
        write_predictions(table, tmp_path / f"p.{ending}", names, "abcd")
        read, classes = read_predictions(tmp_path / f"p.{ending}")
        assert (read.task.name, classes, read.ids.tolist()) == ("segmentation", tuple("abcd"), names)
        np.testing.assert_array_equal(read.logits[:, :-1], table.logits[:, :-1])
        np.testing.assert_allclose(read.logits[:, -1], table.logits[:, -1], rtol=1e-8)


def test_a_notebook_shows_the_overlap_of_each_class():
    table = table_of(*drawn())
    assert "mean IoU" in repr(table)
    assert f"{table.probabilities[0, 0]:.3g}"[:4] in table._repr_html_()
    assert table.probabilities.shape == (5, 4)


def test_an_answer_has_the_share_of_each_class_that_occurs():
    _, logits = drawn("absent class")
    scores = TASK.decode(tf.constant(logits), 1.0).numpy()
    np.testing.assert_allclose(scores, TASK.scores(logits), rtol=1e-5)
    masks = TASK.kept(scores)
    np.testing.assert_array_equal(masks, logits.argmax(axis=-1))
    areas = TASK.answer(masks[0], "abcd", top=5)["areas"]
    assert [area["share"] for area in areas] == sorted((area["share"] for area in areas), reverse=True)
    assert {area["class"]: area["share"] for area in areas} == {
        name: np.mean(masks[0] == number) for number, name in enumerate("abcd") if (masks[0] == number).any()
    }
    assert list(map(float, TASK.table_row(masks[0], "abcd", 5))) == pytest.approx(
        [np.mean(masks[0] == number) for number in range(4)], abs=1e-6
    )
    assert TASK.agree(scores, scores).all()
    other = scores[..., ::-1]
    share = np.mean(scores.argmax(axis=-1) == other.argmax(axis=-1), axis=(1, 2))
    assert TASK.agree(scores, other).tolist() == share.tolist() and share.max() < 0.5


def test_the_loss_of_shares_has_its_slope_and_is_that_of_classes_for_whole_shares():
    rng = np.random.default_rng(0)
    outputs, shares, weights = rng.normal(size=(6, 4)), rng.dirichlet(np.ones(4), 6), rng.random(6)
    loss, residual = SoftmaxOfShares().loss_and_residual(outputs, shares)
    step = 1e-6 * rng.normal(size=outputs.shape)
    moved, slope = SoftmaxOfShares().loss_and_residual(outputs + step, shares)
    np.testing.assert_allclose(moved - loss, (residual * step).sum(axis=1), rtol=1e-4)
    curved = [
        (weights[:, None] * (SoftmaxOfShares().loss_and_residual(outputs + 1e-6 * axis, shares)[1] - residual)).sum(
            axis=0
        )
        for axis in np.eye(4)
    ]
    np.testing.assert_allclose(
        SoftmaxOfShares().curvature(residual, shares, weights), np.stack(curved) / 1e-6, rtol=1e-3, atol=1e-5
    )
    numbers = rng.integers(0, 4, 6)
    for ours, theirs in zip(
        SoftmaxOfShares().loss_and_residual(outputs, np.eye(4)[numbers]),
        SoftmaxCrossEntropy().loss_and_residual(outputs, numbers),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-12)
    assert slope.shape == outputs.shape
