"""How often features are read, and that it makes no difference to the head."""

import numpy as np
import pytest

from tfl.features import rows as rows_module
from tfl.features.probe import choose_head, solve_head
from tfl.models.inference import Outputs


class Counted:
    """What a store gives: rows by slice; every row that is read is noted."""

    def __init__(self, values):
        self.values, self.shape, self.read = values, values.shape, []

    def __len__(self):
        return len(self.values)

    def __getitem__(self, rows):
        self.read.extend(range(len(self))[rows])
        return self.values[rows]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_on_disk_is_read_once_where_memory_has_room_and_in_every_pass_beyond(monkeypatch, dtype):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 300)
    features = (rng.normal(size=(3, 30))[labels] + rng.normal(size=(300, 30))).astype(dtype)
    whole = solve_head(features, labels, l2=1e-2)
    monkeypatch.setattr(rows_module, "MEMORY_ELEMENTS", 0)
    monkeypatch.setattr(rows_module, "BLOCK_ELEMENTS", 64 * 30)
    held, streamed = Counted(features), Counted(features)
    heads = [solve_head(held, labels, l2=1e-2)]
    assert sorted(held.read) == [0, *range(300)]  # the first row twice, to see of which type it is
    monkeypatch.setattr(rows_module, "HELD_ELEMENTS", 300 * 30 - 1)
    heads.append(solve_head(streamed, labels, l2=1e-2))
    assert len(streamed.read) > 3 * 300
    for head in heads:
        assert head.objective == pytest.approx(whole.objective, rel=1e-6)
        np.testing.assert_allclose(head.kernel, whole.kernel, atol=1e-4 * np.abs(whole.kernel).max())


def test_validation_features_are_read_once_for_all_heads_of_a_path():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 60)
    features = rng.normal(size=(3, 5))[labels] + rng.normal(size=(60, 5))
    held = Counted(features[40:])
    ids = np.arange(60)
    result = choose_head(Outputs(features[:40], labels[:40], ids[:40]), Outputs(held, labels[40:], ids[40:]))
    assert sorted(held.read) == [0, *range(20)]  # the first row twice, to see of which type it is
    assert len(result.path) > 4
