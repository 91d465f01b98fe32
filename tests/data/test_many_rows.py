"""A million rows are indexed, split and shuffled within 2 GiB; here a fifth of them, and what each row needs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROWS = 200_000
MILLION = 1_000_000
LIMIT = 2 * 2**30  # bytes of resident memory

PROGRAM = f"""
import hashlib
import numpy as np
from tfl.data.index import make_index
from tfl.data.order import epoch_order
from tfl.data.splits import assign_splits
from tfl.export.runner import peak_memory

before, count = peak_memory(), {ROWS}
ids = [f"class_{{row % 100}}/photo_{{row:07d}}.jpg" for row in range(count)]
index, _ = make_index(
    ids,
    np.arange(count) % 100,
    [f"class_{{number}}" for number in range(100)],
    splits=[""] * count,
    sha256=[hashlib.sha256(name.encode()).hexdigest() for name in ids],
    facts={{"width": np.full(count, 500), "height": np.full(count, 400)}},
    paths=["/data/photos/train/" + name for name in ids],
)
index = assign_splits(index)
rows = index.rows("train")
first, again, other = epoch_order(rows, 1, 0), epoch_order(rows, 1, 0), epoch_order(rows, 1, 1)
assert np.array_equal(first, again) and not np.array_equal(first, other)
assert np.array_equal(np.sort(first), rows) and len(np.unique(index.seeds)) == count
print(before, peak_memory() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell the peak memory")
def test_a_million_rows_need_less_than_two_gibibytes():
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    result = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    before, grown = map(int, result.stdout.split())
    assert grown > 0
    assert before + grown * MILLION / ROWS < LIMIT
