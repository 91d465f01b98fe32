"""What a training says about itself: the time that is left, and the figures of an epoch."""

import pytest

from tfl.training.loop.lines import describe_epoch
from tfl.training.loop.pace import Pace, TimeLeft


def run_pass(pace: Pace, start: float, *batches: tuple[int, float]) -> float:
    """Let a pass begin, and add so many batches after so many further seconds; return the time at its end."""
    pace.begin(start)
    for count, seconds in batches:
        start += seconds
        pace.add(count, start)
    return start


def test_compiling_does_not_count_but_every_later_pass_counts_in_full():
    pace = Pace()
    now = run_pass(pace, 100.0, (1, 30.0))
    assert pace.per_batch is None  # one batch, which compiled
    pace.add(2, now + 1.0)
    pace.add(7, now + 4.5)
    assert pace.per_batch == pytest.approx(0.5) and pace.seconds == pytest.approx(5.0)
    run_pass(pace, 200.0, (10, 8.0))
    assert pace.per_batch == pytest.approx(0.8)  # its first batch waits for the data, in every epoch


def test_epochs_of_one_batch_are_timed_from_the_second_on():
    pace = Pace()
    run_pass(pace, 0.0, (1, 30.0))
    run_pass(pace, 40.0, (1, 2.0))
    assert pace.seconds == pytest.approx(2.0)


def test_the_time_left_is_that_of_all_epochs_with_their_validation():
    """8 epochs of 100 steps, 0.2 s each, and 10 batches of validation, 0.1 s each: 21 s for each epoch."""
    left = TimeLeft(steps=100, held_out=10)
    now = run_pass(left.training, 0.0, (1, 20.0), (20, 4.0))
    assert left.within_epoch(7) == ""  # 4 s are not enough to judge by
    left.training.add(5, now + 1.0)
    # 74 steps of this epoch and its validation, then 7 epochs; a batch of validation still counts as a step
    expected = (74 * 0.2 + 10 * 0.2 + 7 * (100 * 0.2 + 10 * 0.2)) / 60
    assert left.within_epoch(7) == (
        f"training: about {round(expected)} min left for this epoch and 7 more, 0.2 s for each step"
    )
    assert left.within_epoch(7) == ""  # it is said once
    left.training.add(74, now + 15.8)
    run_pass(left.validation, 0.0, (1, 9.0), (1, 0.1), (8, 0.8))
    assert left.seconds(7) == pytest.approx(7 * (100 * 0.2 + 1.0))
    assert left.after_epoch(2) == "; about 42 s left"
    assert left.after_epoch(0) == ""


def test_short_epochs_say_it_in_their_own_line_and_a_short_rest_is_not_said():
    left = TimeLeft(steps=7, held_out=0)
    run_pass(left.training, 0.0, (1, 7.0), (6, 6.0))
    assert left.within_epoch(3) == ""
    assert left.after_epoch(3) == "; about 21 s left"
    run_pass(left.training, 20.0, (7, 0.7))
    assert left.after_epoch(3) == ""


def test_batches_that_were_read_during_the_compilation_do_not_promise_too_much():
    """7 batches of 1 s: the first epoch compiles for 7 s, and its other batches then need 0.1 s each."""
    left = TimeLeft(steps=7, held_out=0)
    run_pass(left.training, 0.0, (1, 7.0), (6, 0.6))
    assert left.after_epoch(7) == ""
    left.training.begin(20.0)
    left.training.add(1, 25.0)
    assert left.within_epoch(6) == ""  # it waited for its data
    run_pass(left.training, 20.0, (1, 1.0), (6, 6.0))
    assert left.after_epoch(6) == "; about 42 s left"


def test_without_a_number_of_steps_the_first_epoch_counts_them():
    left = TimeLeft(steps=None, held_out=0)
    run_pass(left.training, 0.0, (1, 7.0), (49, 49.0))
    assert left.within_epoch(3) == ""
    assert left.seconds(3) == pytest.approx(150.0)


def test_a_resumed_epoch_does_not_count_as_a_whole_one():
    left = TimeLeft(steps=100, held_out=0)
    left.begin_epoch(0.0, first=80)
    left.training.add(1, 7.0)
    left.training.add(9, 16.0)
    assert left.seconds(2) == pytest.approx(200.0)
    assert "about 4 min left" in left.within_epoch(2)  # 10 + 200 s


def test_counts_are_shown_only_where_there_is_something_to_tell():
    logs = {"loss": 0.35769, "accuracy": 0.9505, "skipped_steps": 0, "overflows": 0, "val_calibrated_loss": 0.3255}
    assert describe_epoch(logs) == "loss 0.3577, accuracy 0.9505; validation: calibrated loss 0.3255"
    shown = describe_epoch(logs | {"skipped_steps": 2, "overflows": 1})
    assert "; 2 steps skipped, because the loss or the gradient was not finite; 1 step repeated" in shown
    assert describe_epoch({"loss": 0.5, "f1": [0.25, 0.5]}) == "loss 0.5, f1 0.25 0.5"
