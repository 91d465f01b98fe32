"""Near duplicates: copies, new encodings, other sizes, mirrored copies and crops of one picture.

Candidates are pairs with near features or with near perceptual hashes, also of the mirrored picture. A candidate
counts only if the pictures themselves agree: then few pairs are missed, and nearly all that are found are right.
"""

import dataclasses
import functools
from collections.abc import Iterator

import numpy as np
from scipy import fft, sparse

from tfl.audit.material import SIDE, Material, small_pictures
from tfl.audit.neighbours import BLOCK, find_neighbours, narrowed
from tfl.features.rows import single_threaded
from tfl.inputs.image.luminance import LUMINANCE

NEIGHBOURS = 4  # of each example, by features, that may be its duplicates
HASH_SIDE = 8  # the hash has 64 bits, the lowest frequencies of the picture
MOST_BITS = 10  # of 64 that differ between the hashes of a candidate
MOST_HASHED = 20_000  # examples whose hashes are all compared
AGREE = 0.97  # least correlation of two pictures, or of a picture and its mirrored copy
AGREE_CROP = 0.9  # least correlation of a picture with a part of another one
AGREE_DETAIL = 0.75  # least correlation of their differences between neighbouring pixels: a sky is like every sky
CROPS = (0.95, 0.9, 0.85, 0.8, 0.75, 0.7)  # shares of the side that a crop keeps
MAY_AGREE = 0.8  # the same on small pictures, for which a second look at more pixels is worth its time
STEPS = 5  # positions of a crop along each side
SMALLEST_SIZE = 32  # pixels; in fewer, different pictures of one kind agree as much as copies do
FLAT = 4.0  # standard deviation of the grey values below which a picture shows nothing to compare


@dataclasses.dataclass(frozen=True)
class Effort:
    """How far the search goes.

    Attributes:
        near: least cosine of the features of a candidate, after `narrowed`.
        uses_hashes: whether candidates also come from perceptual hashes, for which all pictures are read.
        pairs: most candidates that are compared, those with the nearest features.
        crops: most candidates that are searched for crops.
    """

    near: float
    uses_hashes: bool
    pairs: int
    crops: int


THOROUGH = Effort(near=0.5, uses_hashes=True, pairs=100_000, crops=5_000)
SHORT = Effort(near=0.8, uses_hashes=False, pairs=2_000, crops=500)


@dataclasses.dataclass(frozen=True)
class Duplicates:
    """Pairs of near duplicates.

    Attributes:
        pairs: int64 `(P, 2)`, rows; the first is the smaller one.
        kinds: P words: "copy" (the same bytes), "same picture" (in another file), "mirrored", or "crop" (a part of it).
        scores: float64 `(P,)`, correlation of the two pictures, or the cosine of features without pictures.
        sets: int64 `(N,)`, equal for rows that are near duplicates, also by way of other rows: groups for a split.
    """

    pairs: np.ndarray
    kinds: tuple[str, ...]
    scores: np.ndarray
    sets: np.ndarray


def find_duplicates(material: Material, effort: Effort = THOROUGH) -> Duplicates:
    """Find the near duplicates of a data set; without pictures only examples with the same content."""
    contents = material.index.contents()
    firsts = np.unique(contents)  # one row of each content; its copies are known
    found = [((int(contents[row]), row), "copy", 1.0) for row in np.flatnonzero(contents != np.arange(len(contents)))]
    if material.source.kind.has_pictures:
        rows = np.intersect1d(firsts, material.used)
        with single_threaded():  # thousands of small products
            found += _verified(material, find_candidates(material, rows, effort), effort)
    pairs = np.array([pair for pair, _, _ in found], np.int64).reshape(-1, 2)
    return Duplicates(
        pairs,
        tuple(kind for _, kind, _ in found),
        np.array([score for _, _, score in found], np.float64),
        connected_sets(pairs, len(contents)),
    )


def connected_sets(pairs: np.ndarray, count: int) -> np.ndarray:
    """Return int64 `(count,)` numbers that are equal for rows which pairs connect, also by way of other rows.

    Example:
        >>> connected_sets(np.array([[0, 2], [2, 3]]), 5).tolist()
        [0, 1, 0, 0, 2]
    """
    graph = sparse.coo_matrix((np.ones(len(pairs), bool), pairs.T), shape=(count, count))
    return sparse.csgraph.connected_components(graph, directed=False)[1].astype(np.int64)


def joined(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return numbers that are equal for rows which are equal in one of two columns of numbers, also by way of others.

    Example:
        >>> joined(np.array([0, 0, 1]), np.array([5, 6, 6])).tolist()
        [0, 0, 0]
    """
    pairs = []
    for column in (first, second):
        _, firsts, numbers = np.unique(column, return_index=True, return_inverse=True)
        pairs.append(np.stack([firsts[numbers], np.arange(len(column))], axis=1))
    return connected_sets(np.concatenate(pairs), len(first))


def find_candidates(material: Material, rows: np.ndarray, effort: Effort = THOROUGH) -> np.ndarray:
    """Return the pairs of rows that may be near duplicates, int64 `(P, 2)`, without repetition, sorted."""
    near, cosines = find_neighbours(narrowed(material.directions[rows], material.seed), NEIGHBOURS)
    first = np.repeat(np.arange(len(rows)), near.shape[1])[(cosines >= effort.near).ravel()]
    pairs = [np.stack([first, near[cosines >= effort.near]], axis=1)]
    if effort.uses_hashes and len(rows) <= MOST_HASHED and material.pictures is not None:
        pairs += list(_near_hashes(material.pictures[rows]))
    both = np.sort(rows[np.concatenate(pairs).astype(np.int64)], axis=1)
    return np.unique(both, axis=0).reshape(-1, 2)


def perceptual_hashes(pictures: np.ndarray) -> np.ndarray:
    """Return 64 bits for each picture, uint64 `(N,)`: whether each low frequency is above their median.

    Args:
        pictures: uint8 `(N, S, S, 3)`.

    Reference:
        Zauner 2010, Implementation and benchmarking of perceptual image hash functions, section 3.2.1 (DCT-based).
    """
    frequencies = np.asarray(fft.dctn(_grey(pictures), axes=(1, 2), workers=1))
    low = frequencies[:, :HASH_SIDE, :HASH_SIDE].reshape(len(pictures), -1)
    bits = low > np.median(low, axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(np.uint64).ravel()


def _near_hashes(pictures: np.ndarray) -> Iterator[np.ndarray]:
    """Yield pairs of positions whose hashes differ in few bits, or do so if one of them is mirrored."""
    plain, mirrored = perceptual_hashes(pictures), perceptual_hashes(pictures[:, :, ::-1])
    for start in range(0, len(plain), BLOCK):
        for others in (plain, mirrored):
            differing = np.bitwise_count(others[start : start + BLOCK, None] ^ plain[None, :])
            pairs = np.argwhere(differing <= MOST_BITS) + np.array((start, 0))
            yield pairs[pairs[:, 0] < pairs[:, 1]]


def _verified(material: Material, candidates: np.ndarray, effort: Effort) -> list[tuple[tuple[int, int], str, float]]:
    """Return the candidates whose pictures agree: rows, the kind, and how well they agree."""
    candidates = candidates[_has_pixels_enough(material)[candidates].all(axis=1)]
    if not len(candidates):
        return []
    near = np.einsum("nd,nd->n", *material.directions[candidates].transpose(1, 0, 2))
    candidates = candidates[np.argsort(-near, kind="stable")[: effort.pairs]]
    rows, places = np.unique(candidates, return_inverse=True)
    pictures = material.pictures if effort.uses_hashes else None
    shown = small_pictures(material.source, rows) if pictures is None else pictures[rows]
    grey, places = _grey(shown), places.reshape(-1, 2)
    textured = grey.std(axis=(1, 2)) >= FLAT
    plain, mirrored = _unit(grey), _unit(grey[:, :, ::-1])
    crops, found = 0, []
    for pair, (a, b) in zip(candidates.tolist(), places.tolist(), strict=True):
        if not textured[[a, b]].all():
            continue
        kind, score = _agreement(float(plain[a] @ plain[b]), float(plain[a] @ mirrored[b]))
        if not kind and crops < effort.crops:
            crops += 1
            score, detail = max(best_crop(grey[a], grey[b]), best_crop(grey[b], grey[a]))
            kind = "crop" if score >= AGREE_CROP and detail >= AGREE_DETAIL else ""
        if kind:
            found.append(((pair[0], pair[1]), kind, score))
    return sorted(found)


def _has_pixels_enough(material: Material) -> np.ndarray:
    """Return whether each picture is large enough to be compared, bool `(N,)`; so is one of unknown size."""
    sizes = material.source.kind.sizes(material.index.facts)
    if sizes is None:
        return np.ones(len(material.index), bool)
    return (sizes == 0) | (sizes >= SMALLEST_SIZE)


def _agreement(same: float, mirrored: float) -> tuple[str, float]:
    """Return how two pictures agree by their correlation and by that of the mirrored picture; "" if they do not."""
    kind = "same picture" if same >= mirrored else "mirrored"
    return kind if max(same, mirrored) >= AGREE else "", max(same, mirrored)


def best_crop(whole: np.ndarray, part: np.ndarray) -> tuple[float, float]:
    """Return how well a picture agrees with the best crop of another one, also with a crop of another shape.

    Args:
        whole: grey values, float32 `(64, 64)`; crops of it are compared.
        part: grey values, float32 `(64, 64)`.

    Returns:
        The highest correlation of the grey values, in [-1, 1], and that of the differences between neighbouring pixels
        of the same crop. They are measured on 16 x 16 pixels, and again on 32 x 32 if the first one may be high.
    """
    rough, detail = _compare_with_crops(whole, part, SIDE // 4)
    return (rough, detail) if rough < MAY_AGREE else _compare_with_crops(whole, part, SIDE // 2)


def _compare_with_crops(whole: np.ndarray, part: np.ndarray, side: int) -> tuple[float, float]:
    """Return the highest correlation with a crop, and the correlation of the details of that crop."""
    windows = _windows(side)
    lines = windows.reshape(-1, SIDE)
    crops = (lines @ whole @ lines.T).reshape(len(windows), side, len(windows), side)
    crops = crops.transpose(0, 2, 1, 3).reshape(-1, side, side)
    factor = SIDE // side
    small = part.reshape(1, side, factor, side, factor).mean(axis=(2, 4))
    correlations = _unit(crops) @ _unit(small)[0]
    best = int(correlations.argmax())
    details = _unit(_details(crops[best : best + 1])) @ _unit(_details(small))[0]
    return float(correlations[best]), float(details[0])


def _details(pictures: np.ndarray) -> np.ndarray:
    """Return the differences between neighbouring pixels, as one row for each picture."""
    across, down = np.diff(pictures, axis=2), np.diff(pictures, axis=1)
    return np.concatenate([across.reshape(len(pictures), -1), down.reshape(len(pictures), -1)], axis=1)


@functools.cache
def _windows(side: int) -> np.ndarray:
    """Return weights `(W, side, 64)` that cut a range from a line of 64 values and resize it to `side` values."""
    kept, pixels = [], np.arange(SIDE)[None, :]
    for share in CROPS:
        for start in np.linspace(0, SIDE * (1 - share), STEPS):
            edges = start + np.linspace(0, SIDE * share, side + 1)
            covered = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
            covered = np.clip(covered, 0, None)
            kept.append(covered / covered.sum(axis=1, keepdims=True))
    return np.array(kept, np.float32)


def _unit(pictures: np.ndarray) -> np.ndarray:
    """Return pictures as rows of mean 0 and length 1: their products are correlations."""
    rows = pictures.reshape(len(pictures), -1)
    rows = rows - rows.mean(axis=1, keepdims=True)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)


def _grey(pictures: np.ndarray) -> np.ndarray:
    """Return the grey values of pictures, float32 `(N, S, S)`."""
    return pictures.astype(np.float32) @ np.array(LUMINANCE, np.float32)
