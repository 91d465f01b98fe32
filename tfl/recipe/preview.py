"""A picture of what the network sees: training images before and after augmentation, with their labels."""

import math

import numpy as np
from etils import epath
from PIL import Image, ImageDraw, ImageFont

from tfl.build import checked, load_splits
from tfl.config import TransferConfig
from tfl.data import Splits, make_dataset, reading_explained
from tfl.errors import InputError
from tfl.files.pictures import check_picture_file
from tfl.files.writing import write_atomically
from tfl.inputs import Input
from tfl.progress import say

GAP, FONT_SIZE = 6, 14
LINE = FONT_SIZE + 2 * GAP


@reading_explained()
def preview_data(config: TransferConfig, output: epath.PathLike, examples: int = 8, versions: int = 4) -> np.ndarray:
    """Write a picture of training images exactly as the network gets them, pixel by pixel.

    Each row is one image: without augmentation, as in evaluation and prediction, and as the first epochs of fine-tuning
    see it. The rows take the classes in turn, and the images of a class at random by `seed`.

    Args:
        config: the options; only `data`, `backbone`, `task` and `seed` are used. `data.augmentation` is shown, whether
            or not there is fine-tuning.
        output: the file: .png, or .jpg or .webp, which change the pixels a little.
        examples: number of rows, 1 to 100.
        versions: number of augmented versions in a row, from epoch 1 on, 0 to 20.

    Returns:
        The tiles as they are in the picture, uint8 `(examples, 1 + versions, S, S, 3)`.

    Raises:
        InputError: the config or the data cannot be used, or the output cannot be written.

    Example:
        >>> config = tfl.TransferConfig(data=tfl.DataConfig(source="folder:photos"))
        >>> tiles = tfl.preview_data(config, "grid.png", examples=3, versions=2)
        >>> tiles.shape
        (3, 3, 224, 224, 3)
    """
    for name, value, low, high in (("examples", examples, 1, 100), ("versions", versions, 0, 20)):
        if not low <= value <= high:
            raise InputError(f"`{name}` must be between {low} and {high}. Received: {name}={value}.")
    output, config = check_picture_file(output), checked(config)
    splits = load_splits(config)
    kind = splits.source.kind
    if not kind.has_pictures:
        raise InputError(f"`backbone.name` must be a network for images. Received: one for {kind.noun[1]}.")
    rows = choose_rows(splits, examples, config.seed)
    tiles = _tiles(config, kind, splits, rows, versions)
    titles = [f"{splits.index.label_texts()[row]}: {splits.index.ids[row]}" for row in rows]
    write_atomically(output, lambda path: _draw(tiles, titles).save(path))
    augmentation = config.data.augmentation
    then = f", then {versions} versions of augmentation={augmentation}" if versions else ""
    say(f"written: {output}: {len(rows)} training {kind.noun[1]} of {kind.size} pixels, each as in evaluation{then}")
    return tiles


def choose_rows(splits: Splits, count: int, seed: int) -> np.ndarray:
    """Return rows of training examples, taking each kind of label in turn and chance within it."""
    order = np.random.default_rng(seed).permutation(splits.train)
    texts = np.array(splits.index.label_texts())[order]
    turns = np.empty(len(order), np.int64)
    for text in np.unique(texts):
        turns[texts == text] = np.arange(np.sum(texts == text))
    return order[np.lexsort((texts, turns))][:count]


def _tiles(config: TransferConfig, kind: Input, splits: Splits, rows: np.ndarray, versions: int) -> np.ndarray:
    augmentation = config.data.augmentation
    columns = []
    for epoch in (None, *range(versions)):
        batches = make_dataset(
            splits.source,
            rows,
            image_size=kind.size,
            batch_size=len(rows),
            augmentation=augmentation,
            seed=config.seed,
            epoch=epoch,
            shuffle=False,
        )
        ids, pixels = zip(*((batch["id"], batch["input"]) for batch in batches.as_numpy_iterator()), strict=True)
        place = {row: number for number, row in enumerate(np.concatenate(ids))}  # a stream has an order of its own
        columns.append(np.concatenate(pixels)[[place[row] for row in rows]])
    return np.stack(columns, axis=1)


def _draw(tiles: np.ndarray, titles: list[str]) -> Image.Image:
    """Return one picture with the tiles in a grid, and a title above each row."""
    rows, columns, side = tiles.shape[:3]
    sheet = Image.new("RGB", (GAP + columns * (side + GAP), GAP + rows * (side + LINE)), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(FONT_SIZE)
    widest = math.floor(1.9 * sheet.width / FONT_SIZE)
    for row, title in enumerate(titles):
        top = GAP + row * (side + LINE)
        pen.text((GAP, top), title if len(title) <= widest else f"{title[: widest - 1]}…", "black", font)
        for column in range(columns):
            sheet.paste(Image.fromarray(tiles[row, column]), (GAP + column * (side + GAP), top + FONT_SIZE + GAP))
    return sheet
