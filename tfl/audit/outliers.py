"""Outliers: examples that are far from all others."""

import numpy as np

from tfl.audit.finding import Finding, ordered
from tfl.audit.material import Material
from tfl.audit.neighbours import find_neighbours

KTH = 5  # the neighbour whose distance counts: a handful of copies does not hide an outlier
FENCE = 3.0  # interquartile ranges above the upper quartile: Tukey's "far out"
LEAST = 30  # examples, fewer have no distribution


def find_outliers(material: Material) -> list[Finding]:
    """Return the examples whose distance to their fifth neighbour is far above the distribution of the set."""
    if len(material.index) < LEAST:
        return []
    near, cosines = find_neighbours(material.directions, KTH)
    distances = 1 - cosines[:, -1].astype(np.float64)
    limit = far_out(distances)
    rows = np.flatnonzero(distances > limit)
    return ordered([_finding(material, int(row), float(distances[row]), limit, near[row]) for row in rows])


def far_out(values: np.ndarray) -> float:
    """Return the limit above which a value is far out: three interquartile ranges above the upper quartile.

    The logarithm is taken first, because distances are skewed to the right.

    Reference:
        Tukey 1977, Exploratory data analysis.
    """
    logs = np.log(np.maximum(values, 1e-12))
    low, high = np.quantile(logs, (0.25, 0.75))
    return float(np.exp(high + FENCE * max(high - low, 0.05)))


def _finding(material: Material, row: int, distance: float, limit: float, near: np.ndarray) -> Finding:
    one, several = material.source.kind.noun
    return Finding(
        "outlier",
        material.name(row),
        1 - limit / distance,
        f"The features differ from those of all other {several}: the distance to the neighbour number {len(near)} is "
        f"{distance:.3f}, and {limit:.3f} is already far above what is usual in this set.",
        f"Look at the {one}: it may not belong to this data set.",
        tuple(material.name(other) for other in near[:3].tolist()),
        "exclude",
    )
