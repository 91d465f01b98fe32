"""Small pictures with masks for tests: squares of two colours on a dark ground, with a border that does not count."""

from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = np.array([[30, 30, 30], [220, 60, 40], [40, 90, 220]])
SIDE, VOID = 32, 11


def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return a picture, uint8 `(32, 32, 3)`, and its mask, uint8 `(32, 32)`: 0 is the ground, 11 does not count."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    for number in (1, 2):
        top, left = rng.integers(0, SIDE - 14, 2)
        mask[top : top + 12, left : left + 12] = number
    pixels = np.clip(COLOURS[mask] + rng.normal(0, 12, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8)
    mask[:1] = VOID
    return pixels, mask


def write_masks(folder: Path, counts: dict[str, int], seed: int = 0) -> Path:
    """Write so many pictures of each split into `SPLIT` and their masks into `SPLITannot`, as CamVid has them."""
    rng = np.random.default_rng(seed)
    for split, count in counts.items():
        for number in range(count):
            for name, pixels in zip((split, f"{split}annot"), draw(rng), strict=True):
                (folder / name).mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(folder / name / f"{number}.png")
    (folder / "classes.txt").write_text("ground\nred\nblue\n")
    return folder
