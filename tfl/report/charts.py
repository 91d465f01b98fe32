"""Draw small charts as plain SVG: lines and points in the colours of the page, in light and dark mode.

They do not use matplotlib: its import takes one second, which is too long for the report of a run of two seconds.
SVG also keeps the text and colours of the page.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

WIDTH, HEIGHT = 360, 220
LEFT, RIGHT, TOP, BOTTOM = 64, 14, 10, 42


@dataclasses.dataclass(frozen=True)
class Series:
    """One line or set of dots in a chart.

    Attributes:
        name: the name in the legend; empty: not in the legend.
        xs: the horizontal values.
        ys: the vertical values, as many as `xs`.
        style: the class in the style sheet: "first", "second" or "guide".
        sizes: the radius of the dot at every point, in pixels; empty: a line without dots.
    """

    name: str
    xs: Sequence[float]
    ys: Sequence[float]
    style: str = "first"
    sizes: Sequence[float] = ()


@dataclasses.dataclass(frozen=True)
class Chart:
    """A chart for the template, in pixels of a box of `WIDTH` x `HEIGHT`.

    Attributes:
        alt: the finding, for a reader who cannot see the chart.
        caption: the caption below the chart.
        x_label: the title of the horizontal axis, with its unit.
        y_label: the title of the vertical axis, with its unit.
        lines: (style, points of a polyline) of each line.
        dots: (style, x, y, radius) of each dot.
        x_ticks: (x, text) of each tick.
        y_ticks: (y, text) of each tick.
        legend: (style, name) of each entry.
    """

    alt: str
    caption: str
    x_label: str
    y_label: str
    lines: list[tuple[str, str]]
    dots: list[tuple[str, float, float, float]]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    legend: list[tuple[str, str]]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    middle: float = (TOP + HEIGHT - BOTTOM) / 2


def draw(
    series: Sequence[Series],
    *,
    alt: str,
    caption: str,
    x_label: str,
    y_label: str,
    x_range: tuple[float, float] | None = None,
    y_range: tuple[float, float] | None = None,
    log_x: bool = False,
) -> Chart:
    """Lay out a chart.

    Args:
        series: the lines and dots; later ones are drawn on top of earlier ones.
        alt: the finding in words.
        caption: the caption below the chart.
        x_label: the title of the horizontal axis, with its unit.
        y_label: the title of the vertical axis, with its unit.
        x_range: the lowest and the highest value; None: those of the series.
        y_range: the same for the vertical axis; None: those of the series, rounded to ticks.
        log_x: whether the horizontal axis is logarithmic.
    """
    xs = [math.log10(x) if log_x else x for one in series for x in one.xs]
    x_low, x_high = x_range or _apart(min(xs), max(xs))
    y_low, y_high = y_range or _apart(*_ends([y for one in series for y in one.ys]))
    y_ticks = ticks(y_low, y_high)
    if y_range is None:
        step = y_ticks[1] - y_ticks[0] if len(y_ticks) > 1 else 0
        y_low, y_high = (
            min(y_low, y_ticks[0] - step * (y_low < y_ticks[0])),
            max(y_high, y_ticks[-1] + step * (y_high > y_ticks[-1])),
        )
        y_ticks = ticks(y_low, y_high)

    def across(x: float) -> float:
        value = math.log10(x) if log_x else x
        return round(LEFT + (value - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT), 1)

    def down(y: float) -> float:
        return round(TOP + (y_high - y) / (y_high - y_low) * (HEIGHT - TOP - BOTTOM), 1)

    if log_x:
        x_ticks = [(across(10.0**k), f"1e{k}") for k in range(math.ceil(x_low), math.floor(x_high) + 1)]
        x_ticks = x_ticks[:: 1 + (len(x_ticks) - 1) // 7]
    else:
        whole = all(float(x).is_integer() for x in xs)  # epochs and steps are whole numbers
        x_ticks = [(across(x), f"{x:g}") for x in ticks(x_low, x_high) if x.is_integer() or not whole]
    places = [(one, [(across(x), down(y)) for x, y in zip(one.xs, one.ys, strict=True)]) for one in series]
    return Chart(
        alt,
        caption,
        x_label,
        y_label,
        lines=[(one.style, " ".join(f"{x},{y}" for x, y in points)) for one, points in places if not len(one.sizes)],
        dots=[
            (one.style, x, y, round(size, 1))
            for one, points in places
            for (x, y), size in zip(points, one.sizes, strict=False)
        ],
        x_ticks=x_ticks,
        y_ticks=[(down(y), text) for y, text in zip(y_ticks, tick_texts(y_ticks), strict=True)],
        legend=[(one.style, one.name) for one in series if one.name],
    )


def ticks(low: float, high: float, number: int = 5) -> list[float]:
    """Return round numbers between two ends: about `number` multiples of 1, 2 or 5 times a power of ten.

    Example:
        >>> ticks(0, 1)
        [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    raw = (high - low) / number
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(k * step, 12) + 0.0 for k in range(first, last + 1)]


def tick_texts(values: Sequence[float]) -> list[str]:
    """Return the texts of ticks, all in the same form.

    Example:
        >>> tick_texts([0.0, 5e-5, 1e-4])
        ['0', '5e-5', '10e-5']
    """
    texts = [f"{value:g}" for value in values]
    powers = [int(text.partition("e")[2]) for text in texts if "e" in text]
    if not powers:
        return texts
    power = min(powers)
    return [f"{value / 10.0**power:g}e{power}" if value else "0" for value in values]


def _ends(values: Sequence[float]) -> tuple[float, float]:
    """Return the lowest and the highest finite value."""
    finite = np.asarray(values, np.float64)
    finite = finite[np.isfinite(finite)]
    return (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)


def _apart(low: float, high: float) -> tuple[float, float]:
    """Widen a range if both of its ends are the same value."""
    return (low, high) if high > low else (low - (abs(low) or 1) / 2, high + (abs(high) or 1) / 2)
