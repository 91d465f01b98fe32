"""Every task that is known keeps what `Task` promises: its parts say the same of the same example."""

import numpy as np
import pytest
import tensorflow as tf

from tfl.errors import InputError
from tfl.tasks import Regression, get_task, register_task, task_names

NAMES = ("a", "b", "c")


def make_table(name, count=40, seed=0):
    """Return a task, outputs and labels of some examples."""
    task, rng = get_task(name), np.random.default_rng(seed)
    num_names = 2 if name == "binary" else len(NAMES)
    outputs = rng.normal(0, 2, (count, task.num_outputs(num_names)))
    labels = {
        "classes": rng.integers(0, num_names, count),
        "sets": rng.integers(0, 2, (count, num_names)).astype(np.float32),
        "values": rng.normal(0, 2, (count, num_names)).astype(np.float32),
    }
    kind = "classes" if task.labels.has_one_class else "sets" if task.labels.has_names else "values"
    return task, outputs, labels[kind], NAMES[:num_names]


@pytest.fixture(params=[name for name in task_names() if get_task(name).stands_on == "vector"])
def table(request):
    return make_table(request.param)


def test_numbers_of_outputs_and_classes_are_inverse(table):
    task, outputs, _, names = table
    task.check_names(names)
    assert task.num_outputs(len(names)) == outputs.shape[1]
    assert task.num_classes(outputs.shape[1]) == len(names)


def test_scores_and_outputs_are_inverse_and_the_graph_decodes_the_same(table):
    task, outputs, _, names = table
    for temperature in (1.0, 1.7):
        scores = task.scores(outputs, temperature)
        assert scores.shape == (len(outputs), len(names))
        decoded = task.decode(tf.constant(outputs, tf.float32), temperature).numpy()
        np.testing.assert_allclose(decoded, scores, rtol=1e-5, atol=1e-6)
    scores = task.scores(outputs)
    np.testing.assert_allclose(task.scores(task.outputs(scores)), scores, rtol=1e-9)
    task.check_scores(scores, [str(row) for row in range(len(scores))])
    with pytest.raises(ValueError, match="'3' has nan"):
        task.check_scores(np.where(np.arange(len(scores))[:, None] == 3, np.nan, scores), list("0123456789" * 4))


def test_the_loss_of_keras_is_that_in_numpy_and_has_its_slope(table):
    task, outputs, labels, _ = table
    ours = task.losses(outputs, labels)
    y_true = labels[:, None] if labels.ndim == 1 and task.activation == "sigmoid" else labels
    theirs = task.loss()(y_true, tf.constant(outputs, tf.float32)).numpy()
    np.testing.assert_allclose(theirs, ours, rtol=1e-4, atol=1e-5)
    targets = task.as_targets(labels, outputs.shape[1])
    losses, residual = task.convex.loss_and_residual(outputs, targets)
    np.testing.assert_allclose(losses, ours, rtol=1e-12)
    step = np.random.default_rng(1).normal(0, 1e-6, outputs.shape)
    moved, _ = task.convex.loss_and_residual(outputs + step, targets)
    np.testing.assert_allclose(moved - losses, (residual * step).sum(axis=1), atol=1e-9)


def test_the_statistic_with_every_example_once_is_the_measure(table):
    task, outputs, labels, _ = table
    measured = task.measure(outputs, labels)
    drawn = task.statistic(outputs, labels)(np.ones((1, len(labels))))
    assert {"loss", task.headline.metric} <= drawn.keys() <= measured.keys()
    for name, values in drawn.items():
        assert values[0] == pytest.approx(measured[name], rel=1e-5), name
    assert measured[task.headline.metric] == pytest.approx(np.mean(task.headline_values(outputs, labels)))


def test_what_is_said_can_be_written_and_read(table):
    task, outputs, labels, names = table
    decided = task.decide(task.scores(outputs))
    for part in (labels, decided):
        texts = [task.labels.text(label, names) for label in part]
        read = task.labels.parse(texts, names)
        np.testing.assert_allclose(np.asarray(read, np.float64), np.asarray(part, np.float64), rtol=1e-8)
    outcomes = task.outcomes(task.scores(outputs), labels)
    np.testing.assert_array_equal(outcomes.is_correct, task.is_correct(outputs, labels))


def test_scores_agree_with_themselves_and_not_with_others(table):
    task, outputs, _, _ = table
    scores = task.scores(outputs)
    assert task.agree(scores, scores).all()
    assert not task.agree(scores[::-1], scores).all()


def test_an_answer_is_json_and_a_row_fits_its_header(table):
    task, outputs, _, names = table
    scores = task.scores(outputs)[0]
    (listed,) = task.answer(scores, names, 2).values()
    assert len(listed) == (2 if task.labels.has_names else len(names))
    assert len(task.table_row(scores, names, 2)) == len(task.table_header(names, 2))
    column = int(task.explained_output(task.scores(outputs))[0])
    score = task.explained_score(tf.constant(outputs), np.full(len(outputs), column)).numpy()
    assert score.shape == (len(outputs),)


def test_labels_of_another_order_of_names_are_brought_into_the_model_s(table):
    task, _, labels, names = table
    if not task.labels.has_names:
        np.testing.assert_array_equal(task.labels.match(labels, (), names), np.arange(len(names)))
        with pytest.raises(InputError, match=r"must have 2 values for each example"):
            task.labels.match(labels, (), names[:2])
        return
    order = task.labels.match(labels, names[::-1], names)
    np.testing.assert_array_equal(order, np.arange(len(names))[::-1])
    with pytest.raises(InputError, match=r"must have classes that the model knows"):
        task.labels.match(labels, ("a", "x"), names)


def test_a_task_has_a_name_of_its_own():
    class Other(Regression):
        name = "multiclass"

    with pytest.raises(InputError, match=r"must have a name that no other task has"):
        register_task(Other())
    assert type(register_task(Regression())) is Regression
    with pytest.raises(InputError, match=r"`target` must be a known name.*Did you mean 'regression'"):
        get_task("regresion")
