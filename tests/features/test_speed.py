"""The speed of a frozen part: what is measured, and what is recorded for later runs."""

import pytest

from tfl.features.speed import Speed, SpeedMeter
from tfl.features.store import FeatureStore


def measure(*batches, finish=False):
    """Return what a meter tells of a pass that waits 1 s; each batch is (examples, seconds)."""
    told, now = [], 101.0
    meter = SpeedMeter(told.append, 100.0)
    for examples, seconds in batches:
        meter.read(now)
        now += seconds
        meter.add(examples, now)
    if finish:
        meter.finish()
    return told


def test_the_speed_is_that_after_the_first_batch_and_is_told_once():
    told = measure((32, 2.5), (32, 1.6), (32, 1.6), (32, 1.6), finish=True)
    assert told == [Speed(wait=1.0, start=2.5, per_example=pytest.approx(0.05))]


def test_a_compilation_that_is_longer_than_the_other_batches_counts_in_part():
    """While the graph was compiled, all other batches were read: 0.1 s each is the time of the network alone."""
    assert measure((32, 2.5), (32, 0.1), (32, 0.1)) == []
    (speed,) = measure((32, 2.5), (32, 0.1), (16, 0.1), finish=True)
    assert speed.per_example == pytest.approx((3.7 / 80 + 0.2 / 48) / 2)


def test_all_the_time_of_a_single_batch_counts():
    assert measure((35, 2.5), finish=True) == [Speed(wait=1.0, start=2.5, per_example=pytest.approx(0.1))]
    assert measure(finish=True) == []


def test_a_shelf_keeps_the_last_speed_and_ignores_a_damaged_record(tmp_path):
    shelf = FeatureStore(tmp_path, 10**9).open("digest", (4,), "float32")
    assert shelf.speed() is None
    for speed in (Speed(1.0, 2.0, 0.5), Speed(0.5, 1.0, 0.25)):
        shelf.record_speed(speed)
        assert shelf.speed() == speed
    for damage in ("{}", "[]", '{"wait": -1, "start": 1, "per_example": 1}', ""):
        (shelf.folder / "speed.json").write_text(damage)
        assert shelf.speed() is None
