"""Detection: cells and boxes are inverse, boxes are chosen by the rules, and a file of predictions keeps all."""

import numpy as np
import pytest
import tensorflow as tf
from box_formulas import box_of_cell, cell_loss, iou
from box_models import SIZE, make_box_model

from tfl.evaluation import Predictions, compare_predictions, predict, read_predictions, write_predictions
from tfl.tasks import get_task
from tfl.tasks.cell_loss import CellLoss, overlap_and_gap
from tfl.tasks.cells import MOST_BOXES, OVERLAP, STRIDE, VOTING, assign, cell_centres, choose_boxes, overlaps
from tfl.tasks.detections import Detections

TASK = get_task("detection")
GRID = (6, 8)


def drawn_labels(count=3, most=4, seed=0):
    """Return labels of some pictures of 64 x 48 pixels, `(count, most, 5)`, some rows of which are no boxes."""
    rng = np.random.default_rng(seed)
    low, size = rng.uniform(0, 30, (count, most, 2)), rng.uniform(2, 18, (count, most, 2))
    labels = np.concatenate([low, low + size, rng.integers(-1, 2, (count, most, 1))], axis=-1)
    return np.where(labels[..., 4:] < 0, [0, 0, 0, 0, -1], labels).astype(np.float32)


def outputs_of(targets, sure=12.0):
    """Return the outputs of cells that say exactly what they are to say, for 2 classes."""
    distances = STRIDE * np.exp(targets.distances.numpy())
    centres = cell_centres(*GRID).numpy()
    boxes = np.concatenate([centres - distances[..., :2], centres + distances[..., 2:]], axis=-1)
    return np.concatenate([sure * np.eye(3)[targets.classes.numpy()], boxes], axis=-1).astype(np.float32)


@pytest.mark.parametrize("seed", range(3))
def test_a_cell_answers_for_the_smallest_box_with_the_cell_in_its_middle(seed):
    labels = drawn_labels(seed=seed)
    targets = assign(tf.constant(labels), *GRID, 2)
    for image, row, column in np.ndindex(*targets.classes.shape):
        x, y = STRIDE * (column + 0.5), STRIDE * (row + 0.5)
        best = box_of_cell(labels[image], x, y)
        assert targets.boxes[image, row, column] == best
        assert targets.classes[image, row, column] == (labels[image, best, 4] if best >= 0 else 2)


def test_outputs_that_say_what_they_are_to_say_give_the_true_boxes_again():
    labels = np.array([[[8, 10, 40, 44, 0], [44, 8, 60, 20, 1], [0, 0, 0, 0, -1]]], np.float32)
    targets = assign(tf.constant(labels), *GRID, 2)
    (found,) = TASK.scores(outputs_of(targets))
    kept = found[found[:, 5] >= 0]
    kept = kept[kept[:, 4] > 0.5]
    order = np.argsort(kept[:, 5])
    np.testing.assert_allclose(kept[order][:, :4], labels[0, :2, :4], atol=1e-3)
    assert kept[order][:, 5].tolist() == [0, 1]
    assert found.shape == (MOST_BOXES, 6)
    assert set(found[len(kept) :, 5]) <= {-1.0, 0.0, 1.0}
    table = Predictions(np.arange(1), np.array([""]), TASK.collect(outputs_of(targets), labels).numpy(), TASK)
    assert {name: table.metrics()[name] for name in ("ap", "ap50", "ap75")} == pytest.approx(
        {"ap": 1.0, "ap50": 1.0, "ap75": 1.0}
    )
    assert table.correct().tolist() == [True]


def test_a_crowd_is_neither_a_class_nor_background():
    labels = np.array([[[0, 0, 32, 32, -2], [40, 8, 60, 20, 1]]], np.float32)  # -2 is a crowd of class 0
    targets = assign(tf.constant(labels), *GRID, 2)
    assert not targets.weights[0, :4, :4].numpy().any()
    assert (targets.weights.numpy() > 0).sum() == GRID[0] * GRID[1] - 16
    assert set(np.unique(targets.classes)) == {1, 2}


@pytest.mark.parametrize("seed", range(3))
def test_boxes_are_chosen_as_by_hand(seed):
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 40, (30, 2))
    boxes = np.concatenate([low, low + rng.uniform(10, 24, (30, 2))], axis=1).astype(np.float32)
    scores = rng.uniform(0.05, 1, (30, 2)).astype(np.float32)
    expected = []
    for number in range(2):
        kept = []
        for place in np.argsort(-scores[:, number]):
            if all(iou(boxes[place], boxes[other]) <= OVERLAP for other in kept):
                kept.append(place)
        for place in kept:
            shared = np.array([iou(boxes[place], other) for other in boxes])
            votes = np.where(shared >= VOTING, scores[:, number], 0.0)
            expected.append([*(votes @ boxes / votes.sum()), scores[place, number], number])
    expected = np.array(sorted(expected, key=lambda row: -row[4]))
    (found,) = choose_boxes(tf.constant(boxes[None]), tf.constant(scores[None])).numpy()
    np.testing.assert_allclose(found[: len(expected)], expected, rtol=1e-4, atol=1e-3)
    assert found[len(expected) :].tolist() == [[0, 0, 0, 0, 0, -1]] * (MOST_BOXES - len(expected))


def test_overlaps_are_those_by_hand():
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 5, (2, 4, 2))
    first, second = np.concatenate([low, low + rng.uniform(0.1, 4, (2, 4, 2))], axis=-1)
    expected = [[iou(a, b) for b in second] for a in first]
    np.testing.assert_allclose(overlaps(tf.constant(first[None]), tf.constant(second[None]))[0], expected, rtol=1e-9)
    one = tf.constant([[0.0, 0, 2, 2]])
    assert np.ravel(overlap_and_gap(one, tf.constant([[4.0, 0, 6, 2]]))).tolist() == pytest.approx([0, 1 / 3])
    assert np.ravel(overlap_and_gap(one, one)).tolist() == [1, 0]


def test_the_loss_is_that_of_its_formula():
    labels = drawn_labels()
    targets = assign(tf.constant(labels), *GRID, 2)
    outputs = outputs_of(targets, sure=1.0) + np.random.default_rng(0).normal(0, 0.3, (3, *GRID, 7)).astype(np.float32)
    outputs[..., 5:] = np.maximum(outputs[..., 5:], outputs[..., 3:5] + 0.1)
    losses = CellLoss()(labels, outputs).numpy()
    np.testing.assert_allclose(losses, list(map(cell_loss, labels, outputs)), rtol=1e-4)
    labels[..., 4] = -1  # no box: only the background is left
    np.testing.assert_allclose(CellLoss()(labels, outputs), list(map(cell_loss, labels, outputs)), rtol=1e-4)


def test_evaluations_of_few_pictures_make_tensorflow_warn_of_nothing(caplog):
    model, pictures = make_box_model(), np.zeros((2, SIZE, SIZE, 3), np.uint8)
    batch = {"input": pictures, "label": np.zeros((2, 1, 5), np.float32), "id": np.arange(2)}
    with caplog.at_level("WARNING", logger="tensorflow"):
        tables = [predict(model, tf.data.Dataset.from_tensor_slices(batch).batch(2), TASK) for _ in range(6)]
    assert caplog.messages == []
    assert tables[0].logits.shape == tables[5].logits.shape == (2, TASK.table_width(7) + 5)


def test_the_cells_of_a_box_count_less_the_more_they_are():
    labels = np.array([[[0, 0, 64, 48, 0], [44, 8, 60, 20, 1]]], np.float32)
    targets = assign(tf.constant(labels), *GRID, 2)
    boxes, weights = targets.boxes.numpy()[0], targets.weights.numpy()[0]
    for number in (0, 1):
        count = (boxes == number).sum()
        np.testing.assert_allclose(weights[boxes == number], count**-0.5)
    assert (boxes == 0).sum() > 4
    assert set(weights[boxes < 0]) == {1.0}


def test_objects_count_the_same_and_bad_boxes_are_not_given_up():
    """A small object has the gradient of a large one, and a box of twice the size that of one that nearly fits."""
    labels = np.array([[[0, 0, 32, 48, 0], [44, 20, 60, 28, 0]]], np.float32)
    targets = assign(tf.constant(labels), *GRID, 1)
    assert (targets.boxes.numpy() == 0).sum() > 3 * (targets.boxes.numpy() == 1).sum()
    distances = STRIDE * np.exp(targets.distances.numpy())
    centres = cell_centres(*GRID).numpy()

    def slopes(factor):
        grown = tf.Variable(np.full(GRID, factor, np.float32))
        with tf.GradientTape() as tape:
            sides = [centres - distances[..., :2] * grown[..., None], centres + distances[..., 2:] * grown[..., None]]
            logits = tf.one_hot(targets.classes, 2) * 40.0
            loss = CellLoss()(labels, tf.concat([logits, *sides], axis=-1))
        slope = tape.gradient(loss, grown).numpy() * factor  # by the logarithm of the factor
        return [slope[targets.boxes.numpy()[0] == number].sum() for number in (0, 1)]

    assert [*slopes(1.02), *slopes(2.0)] == pytest.approx([1.0] * 4)


def test_no_gradient_is_lost_or_infinite():
    """Also of cells that are certain, of boxes outside of each other, and of pictures without boxes."""
    labels = np.concatenate([drawn_labels(), np.full((1, 4, 5), -1, np.float32)])
    targets = assign(tf.constant(labels), *GRID, 2)
    outputs = outputs_of(targets, sure=1.0)
    outputs[0, ..., :3] *= 200.0
    outputs[1, ..., :3] *= -200.0
    outputs[2, ..., 3:] = 0.0
    with tf.GradientTape() as tape:
        variable = tf.Variable(outputs)
        loss = tf.reduce_sum(CellLoss()(labels, variable))
    slope = tape.gradient(loss, variable).numpy()
    assert np.isfinite(slope).all()
    assert all(np.abs(own).max() > 0 for own in slope[1:])  # the first one is right and sure


def drawn_table(seed=0, count=6):
    labels = drawn_labels(count, seed=seed)
    rng = np.random.default_rng(seed)
    outputs = outputs_of(assign(tf.constant(labels), *GRID, 2), sure=3.0)
    outputs += rng.normal(0, 0.8, outputs.shape).astype(np.float32)
    return Predictions(np.arange(count), np.array([""] * count), TASK.collect(outputs, labels).numpy(), TASK)


def test_a_resampled_table_has_the_metrics_of_its_examples():
    table, chosen = drawn_table(), np.array([0, 0, 3, 4, 5, 5])
    counts = np.bincount(chosen, minlength=6)[None].astype(float)
    statistic = {name: values[0] for name, values in TASK.statistic(table.logits, table.labels)(counts).items()}
    metrics = table.take(chosen).metrics()
    assert statistic == pytest.approx({name: metrics[name] for name in statistic}, abs=1e-6)
    assert 0 < metrics["ap"] < 1


def test_two_models_differ_by_the_metric_of_all_examples_together():
    first = drawn_table()
    worse = first.logits.copy()
    worse[:, 2:602] = Detections.of(
        Detections(worse).losses, [boxes[1:] for boxes in Detections(worse).found()], Detections(worse).true(), 2
    ).rows[:, 2:602]
    second = Predictions(first.ids, first.labels, worse, TASK)
    comparison = compare_predictions(first, second)
    assert comparison.difference == pytest.approx(first.metrics()["ap"] - second.metrics()["ap"])
    assert comparison.low <= comparison.difference <= comparison.high


def test_the_file_of_predictions_gives_the_table_again(tmp_path):
    table = drawn_table()
    names = [f"{row}.png" for row in range(6)]
    for ending in ("csv", "parquet"):
        write_predictions(table, tmp_path / f"p.{ending}", names, "ab")
        read, classes = read_predictions(tmp_path / f"p.{ending}")
        assert (read.task.name, classes, read.ids.tolist()) == ("detection", ("a", "b"), names)
        np.testing.assert_allclose(Detections(read.logits).predicted, Detections(table.logits).predicted, rtol=1e-6)
        np.testing.assert_allclose(read.probabilities, table.probabilities)
        assert read.metrics()["ap"] == pytest.approx(table.metrics()["ap"], abs=1e-6)
    text = (tmp_path / "p.csv").read_text()
    (tmp_path / "p.csv").write_text(text.replace("|", " ", 1))
    with pytest.raises(Exception, match="is no box of"):
        read_predictions(tmp_path / "p.csv")


def test_without_an_object_no_metric_is_invented():
    labels = np.full((2, 1, 5), -1, np.float32)
    outputs = np.zeros((2, *GRID, 7), np.float32)
    outputs[..., 2] = 20.0
    table = Predictions(np.arange(2), np.array(["", ""]), TASK.collect(outputs, labels).numpy(), TASK)
    assert table.metrics().keys() == {"loss", "num_examples"}
    assert TASK.headline_values(table.logits, table.labels).tolist() == [1.0, 1.0]


def test_models_agree_if_their_sure_boxes_have_partners():
    box = np.array([[[1.0, 1, 20, 20, 0.9, 0], [30, 30, 50, 50, 0.2, 1]]])
    moved, other = box.copy(), box.copy()
    moved[0, 0, :4] += 0.3
    other[0, 0, 5] = 1
    assert TASK.agree(box, moved).all()
    assert TASK.agree(box, box[:, :1]).all()  # the second box is not sure
    assert not TASK.agree(box, other).any()
    assert not TASK.agree(box[:, :1] * [1, 1, 2, 1, 1, 1], box).any()
    assert TASK.difference(box, moved) < 1e-7  # places may differ by rounding
    assert TASK.difference(box, box[:, :1]) < 1e-7
    assert TASK.difference(box * [1, 1, 1, 1, 0.9, 1], box) == pytest.approx(0.09)
    assert TASK.difference(box, other) == TASK.difference(box[:, 1:], box) == 1.0
    assert np.isnan(TASK.difference(box * np.nan, box))


def test_an_answer_has_the_sure_boxes():
    boxes = np.array([[1.0, 2, 20, 21, 0.9, 1], [30, 30, 50, 50, 0.2, 0], [0, 0, 0, 0, 0, -1]])
    assert TASK.answer(boxes, "ab", top=5) == {"boxes": [{"class": "b", "confidence": 0.9, "box": [1, 2, 20, 21]}]}
    assert TASK.table_rows(boxes, "ab", top=5) == [["b", "0.9000", "1.0", "2.0", "20.0", "21.0"]]
    assert TASK.table_row(boxes[1:], "ab", top=5) == [""] * 6
