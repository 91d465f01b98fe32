"""Small pictures with boxes for tests: squares of two colours on a dark ground, with files of Pascal VOC beside."""

from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 64
COLOURS = {"red": (220, 60, 40), "blue": (40, 90, 220)}
_OBJECT = (
    "<object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"
)


def draw(rng: np.random.Generator) -> tuple[np.ndarray, list[tuple[str, int, int, int, int]]]:
    """Return a picture, uint8 `(64, 64, 3)`, and the name and the corners of its one or two squares."""
    pixels, boxes = np.full((SIDE, SIDE, 3), 30.0), []
    for number, (name, colour) in enumerate(COLOURS.items()):
        if number and rng.random() < 0.3:
            continue
        side = int(rng.integers(18, 30))
        left, top = int(rng.integers(0, SIDE // 2 - side + 1)) + number * SIDE // 2, int(rng.integers(0, SIDE - side))
        pixels[top : top + side, left : left + side] = colour
        boxes.append((name, left, top, left + side, top + side))
    return np.clip(pixels + rng.normal(0, 12, pixels.shape), 0, 255).astype(np.uint8), boxes


def write_boxes(folder: Path, counts: dict[str, int], seed: int = 0) -> Path:
    """Write so many pictures of each split into a folder of its name, each with its XML file."""
    rng = np.random.default_rng(seed)
    for split, count in counts.items():
        (folder / split).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            pixels, boxes = draw(rng)
            Image.fromarray(pixels).save(folder / split / f"{split}{number}.png")
            size = f"<size><width>{SIDE}</width><height>{SIDE}</height></size>"
            text = f"<annotation>{size}{''.join(_OBJECT.format(*box) for box in boxes)}</annotation>"
            (folder / split / f"{split}{number}.xml").write_text(text)
    return folder
