"""The picture of the data: its tiles are, pixel by pixel, what evaluation and training give to the network."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tfl
from tfl.errors import InputError
from tfl.recipe.preview import FONT_SIZE, GAP, LINE, choose_rows

SIDE = 32


def config(augmentation: str = "trivial") -> tfl.TransferConfig:
    return tfl.TransferConfig(
        seed=3,
        data=tfl.DataConfig(source="digits:0-2", image_size=SIDE, augmentation=augmentation),
        backbone=tfl.BackboneConfig(weights="none"),
    )


def test_every_tile_is_what_the_network_gets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiles = tfl.preview_data(config(), tmp_path / "grid.png", examples=4, versions=2)
    assert tiles.shape == (4, 3, SIDE, SIDE, 3)
    splits = tfl.load_data("digits:0-2", seed=3)
    rows = choose_rows(splits, 4, 3)
    assert sorted(splits.index.labels[rows][:3]) == [0, 1, 2] and set(rows) <= set(splits.train)
    feed = tfl.EpochFeed(splits.source, splits.train, SIDE, len(splits.train), "trivial", seed=3)
    plain = tfl.make_dataset(splits.source, rows, image_size=SIDE, batch_size=4)
    for column, batches in enumerate((plain, feed(0), feed(1))):
        (batch,) = batches.as_numpy_iterator()
        for row, tile in zip(rows, tiles[:, column], strict=True):
            np.testing.assert_array_equal(batch["input"][batch["id"] == row][0], tile)
    picture = np.asarray(Image.open(tmp_path / "grid.png"))
    for row in range(4):
        for column in range(3):
            top, left = GAP + row * (SIDE + LINE) + FONT_SIZE + GAP, GAP + column * (SIDE + GAP)
            np.testing.assert_array_equal(picture[top : top + SIDE, left : left + SIDE], tiles[row, column])
    said = capsys.readouterr().err
    assert "4 training images of 32 pixels, each as in evaluation, then 2 versions of augmentation=trivial" in said


def test_what_cannot_be_written_or_shown_is_refused_and_nothing_is_lost(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    for output, options, line in (
        (tmp_path / "mine.txt", {}, "`output` must be a file that ends in .png"),
        (tmp_path / "no" / "grid.png", {}, "`output` must be in a folder that exists"),
        (tmp_path / "grid.png", {"examples": 0}, "`examples` must be between 1 and 100"),
        (tmp_path / "grid.png", {"versions": 99}, "`versions` must be between 0 and 20"),
    ):
        with pytest.raises(InputError, match=line):
            tfl.preview_data(config(), output, **options)
    assert (tmp_path / "mine.txt").read_text() == "mine" and len(list(tmp_path.iterdir())) == 1


def test_the_script_writes_and_mistakes_are_one_line(run_script, tmp_path: Path) -> None:
    flags = ["--config=configs/folder.py", "--config.data.source=digits:0-1", "--config.data.image_size=32"]
    flags += ["--examples=2", "--versions=1"]
    result = run_script("scripts/preview_data.py", *flags, f"--output={tmp_path / 'grid.jpg'}")
    assert result.returncode == 0, result.stderr
    assert Image.open(tmp_path / "grid.jpg").size == (2 * SIDE + 3 * GAP, 2 * (SIDE + LINE) + GAP)
    wrong = run_script("scripts/preview_data.py", *flags, f"--output={tmp_path / 'grid.txt'}")
    assert wrong.returncode == 2 and "`output` must be a file that ends in" in wrong.stderr
