"""Placeholders: pictures that show nothing, or one picture many times, such as "image not found"."""

import numpy as np

from tfl.audit.finding import Finding, ordered
from tfl.audit.material import BATCH, Material

FLAT = 4.0  # standard deviation of the values in [0, 255] below which a picture is one colour
FEW_COLOURS = 40  # of the 4,096 that 4 bits a channel make; photos have hundreds
MOST_OF_IT = 0.75  # share of the picture that its most frequent colour covers
FEW = 3  # pictures that are never usual
USUAL = 0.02  # if more of the set looks like this, it is the kind of the pictures (drawings, digits) and no fault
MANY = 3  # copies of one picture


def find_placeholders(material: Material) -> list[Finding]:
    """Return the pictures of one colour or few colours, and the content that occurs at least three times."""
    findings = _repeated(material)
    if material.pictures is not None:
        findings += _empty(material, material.pictures)
    return ordered(findings)


def _repeated(material: Material) -> list[Finding]:
    contents = material.index.contents()
    names, counts = np.unique(contents, return_counts=True)
    found, several = [], material.source.kind.noun[1]
    for content, count in zip(names[counts >= MANY].tolist(), counts[counts >= MANY].tolist(), strict=True):
        rows = np.flatnonzero(contents == content).tolist()
        others = tuple(material.name(row) for row in rows)
        found += [
            Finding(
                "placeholder",
                material.name(row),
                1 - 1 / count,
                f"{count} {several} have exactly this content.",
                "If it shows nothing of its class, exclude it; otherwise keep one copy.",
                tuple(name for name in others if name != material.name(row))[:3],
                "exclude",
            )
            for row in rows
        ]
    return found


def _empty(material: Material, pictures: np.ndarray) -> list[Finding]:
    spread, colours, share = describe_colours(pictures)
    is_flat, is_drawn = spread < FLAT, (colours <= FEW_COLOURS) & (share >= MOST_OF_IT)
    is_usual = np.sum(is_drawn & ~is_flat) > max(FEW, USUAL * len(pictures))
    rows = np.flatnonzero(is_flat | (is_drawn & (not is_usual)))
    one = material.source.kind.noun[0]
    return [
        Finding(
            "placeholder",
            material.name(row),
            float(share[row]),
            f"The {one} has {colours[row]} different colours in a coarse palette, and one colour covers "
            f"{100 * share[row]:.0f} % of it.",
            f"Exclude the {one} if it shows nothing of its class.",
            (),
            "exclude",
        )
        for row in rows.tolist()
    ]


def describe_colours(pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return for each picture how much its values vary, how many colours it has, and the share of the most frequent.

    Args:
        pictures: uint8 `(N, S, S, 3)`.

    Returns:
        The standard deviation of the values, float64 `(N,)`; the number of colours of 4 bits a channel that cover at
        least one pixel in 1,000, int64 `(N,)`; and the share of the most frequent one, float64 `(N,)`.
    """
    spread, colours, share = np.zeros(len(pictures)), np.zeros(len(pictures), np.int64), np.zeros(len(pictures))
    for start in range(0, len(pictures), BATCH):
        part = pictures[start : start + BATCH].reshape(len(pictures[start : start + BATCH]), -1, 3).astype(np.int64)
        spread[start : start + BATCH] = part.std(axis=1).max(axis=1)
        codes = (part >> 4) @ np.array((256, 16, 1))
        for row, code in enumerate(codes, start):
            counts = np.bincount(code, minlength=1)
            colours[row] = np.count_nonzero(counts > len(code) / 1000)
            share[row] = counts.max() / len(code)
    return spread, colours, share
