"""The tables of docs/benchmarks/value.md show the measured cells, and its picture is there."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "benchmarks" / "value.md").read_text(encoding="utf-8")
FIGURES = json.loads((ROOT / "benchmarks" / "value.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("name", "title"), [("hymenoptera", "Ants and bees"), ("dogs_cats_small", "Cats and dogs")])
def test_each_row_of_the_page_is_the_mean_of_its_cells(name, title):
    part = PAGE.partition(f"**{title}**")[2].partition("\n- ")[0]
    rows = re.findall(r"^\| ([\d.]+) \| (\S+) \((\S+) to (\S+)\) \| (\S+) \(.*?\) \| (\S+) \(", part, re.MULTILINE)
    cells = FIGURES[name]
    sizes, seeds = (sorted({cell[key] for cell in cells}) for key in ("size", "seed"))
    assert len(rows) == len(sizes) and len(cells) == 3 * len(sizes) * len(seeds)
    assert part.startswith(f", {len(cells[0]['correct'])} test photos, {len(seeds)} seeds:")
    for size, (_, scratch, low, high, frozen, finetuned) in zip(sizes, rows, strict=True):
        for way, shown in (("scratch", scratch), ("frozen", frozen), ("finetuned", finetuned)):
            bits = [cell["correct"] for cell in cells if (cell["way"], cell["size"]) == (way, size)]
            assert np.mean([bit == "1" for one in bits for bit in one]) == pytest.approx(float(shown), abs=6e-4)
        assert float(low) <= float(scratch) <= float(high)


def test_the_picture_is_there():
    assert (ROOT / "docs" / "images" / "value.png").read_bytes()[:4] == b"\x89PNG"
