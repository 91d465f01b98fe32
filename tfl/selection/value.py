"""From measured cells to the answer: curves with intervals, the worth in labels, forecasts and their backtest."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from tfl.config.ways import FINETUNED, FROZEN, SCRATCH
from tfl.selection.curves import Forecast, forecast
from tfl.selection.worth import describe_times, ends, labels_needed, resampled_means, rising

SPOKEN = {SCRATCH: "from scratch", FROZEN: "the frozen network", FINETUNED: "the fine-tuned network"}
MORE = (2, 5)  # times the labels
_Curve = tuple[np.ndarray, np.ndarray]  # the means `(P,)`, and those of the resamples `(B, P)`


@dataclasses.dataclass(frozen=True)
class Point:
    """The accuracy of a way with a number of labels, on the test examples.

    Attributes:
        way: "scratch", "frozen" or "finetuned".
        size: largest number of labels a class.
        labels: labels a class, the mean over classes and seeds.
        accuracy: the mean over the seeds.
        low: lower end of its 95 % interval over seeds and test examples.
        high: upper end.
    """

    way: str
    size: int
    labels: float
    accuracy: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class Worth:
    """What pre-training was worth with a number of labels.

    Attributes:
        way: "frozen" or "finetuned".
        size: largest number of labels a class.
        labels: labels a class.
        gain: accuracy less that of training from scratch with the same labels.
        gain_low: lower end of its paired 95 % interval.
        gain_high: upper end.
        times: as many labels training from scratch needs for the same accuracy; infinite if it never reached it, 0 if
            its first point is above it.
        low: lower end of its 95 % interval.
        high: upper end.
    """

    way: str
    size: int
    labels: float
    gain: float
    gain_low: float
    gain_high: float
    times: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class Outlook:
    """What more labels would bring to a way, and how far such a forecast was off where the answer is known.

    Attributes:
        way: "scratch", "frozen" or "finetuned".
        forecasts: at twice and five times all labels.
        backtest: of the largest number of labels from all smaller ones; None if there are too few points.
        measured: the accuracy that the backtest should have found.
    """

    way: str
    forecasts: tuple[Forecast, ...]
    backtest: Forecast | None
    measured: float


@dataclasses.dataclass(frozen=True)
class Summary:
    """All that follows from the measured cells.

    Attributes:
        points: way by way, from few labels to many.
        worth: of each pre-trained way at each number of labels; empty without training from scratch.
        outlooks: of each way.
        sentences: the answer in words.
        kept: by stage, how alike its activations are before and after fine-tuning with all labels (linear CKA, mean
            over the seeds); empty if the network was not fine-tuned.
    """

    points: tuple[Point, ...]
    worth: tuple[Worth, ...]
    outlooks: tuple[Outlook, ...]
    sentences: tuple[str, ...]
    kept: dict[str, float] = dataclasses.field(default_factory=dict)


def summarize(
    hits: Mapping[str, np.ndarray], sizes: Sequence[int], labels: Sequence[float], groups: np.ndarray | None = None
) -> Summary:
    """Turn hits on the test examples into the answer.

    Args:
        hits: by way, `(P, S, T)`: whether each of T test examples is predicted correctly, for P numbers of labels
            and S seeds.
        sizes: P largest numbers of labels a class, rising.
        labels: P labels a class.
        groups: `(T,)`, equal for test examples that are not independent; None: all are.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> hits = {way: rng.random((4, 3, 200)) < share for way, share in (("scratch", 0.6), ("frozen", 0.9))}
        >>> summarize(hits, [1, 2, 5, 10], [1, 2, 5, 10]).worth[0].gain_low > 0
        True
    """
    flat = resampled_means(np.concatenate(list(hits.values())), groups)
    drawn = dict(zip(hits, np.split(flat, len(hits), axis=1), strict=True))
    means = {way: one.mean(axis=(1, 2)) for way, one in hits.items()}
    points = [
        Point(way, size, labels[place], float(means[way][place]), *ends(drawn[way][:, place]))
        for way in hits
        for place, size in enumerate(sizes)
    ]
    curves = {way: (means[way], drawn[way]) for way in hits}
    worth = [
        one
        for way in hits
        if SCRATCH in hits and way != SCRATCH
        for one in _worths(way, sizes, labels, curves[way], curves[SCRATCH])
    ]
    outlooks = [_outlook(way, labels, means[way], drawn[way]) for way in hits]
    sentences = [
        sentence
        for way in hits
        if (own := [one for one in worth if one.way == way])
        for sentence in describe_worth(own, labels)
    ]
    return Summary(tuple(points), tuple(worth), tuple(outlooks), tuple(sentences))


def _worths(way: str, sizes: Sequence[int], labels: Sequence[float], own: _Curve, scratch: _Curve) -> list[Worth]:
    """Return the worth at each number of labels; the curves are made to never fall before labels are compared."""
    (mean, drawn), (base, base_drawn) = ([rising(one) for one in curve] for curve in (own, scratch))
    found = []
    for place, (size, count) in enumerate(zip(sizes, labels, strict=True)):
        times = [labels_needed(labels, *pair) / count for pair in zip(base_drawn, drawn[:, place], strict=True)]
        found.append(
            Worth(
                way,
                size,
                count,
                float(own[0][place] - scratch[0][place]),
                *ends(own[1][:, place] - scratch[1][:, place]),
                labels_needed(labels, base, float(mean[place])) / count,
                *ends(np.array(times)),
            )
        )
    return found


def _outlook(way: str, labels: Sequence[float], means: np.ndarray, drawn: np.ndarray) -> Outlook:
    found = [forecast(labels, means, drawn, factor * labels[-1]) for factor in MORE]
    backtest = forecast(labels[:-1], means[:-1], drawn[:, :-1], labels[-1])
    return Outlook(way, tuple(one for one in found if one), backtest, float(means[-1]))


def describe_worth(worth: Sequence[Worth], labels: Sequence[float]) -> list[str]:
    """Say what pre-training was worth for one way, where it stops paying, and where it harms.

    The sentence about labels is for the number nearest to a tenth of all labels: this place is fixed before anything is
    measured. With more labels, training from scratch has no room to catch up within the measured range.

    Args:
        worth: of one way, from few labels to many.
        labels: labels a class of all measurements, rising.
    """
    way = SPOKEN[worth[0].way]
    at = min(worth, key=lambda one: abs(np.log(one.labels / (worth[-1].labels / 10))))
    times = describe_times(at.times, at.labels, labels)
    low, high = (describe_times(end, at.labels, labels) for end in (at.low, at.high))
    span = "" if low == high == times else f" (95 % interval: {low} to {high})"
    sentences = [f"With {at.labels:.3g} labels a class, pre-training was worth {times} the labels for {way}{span}."]
    harmful = [one for one in worth if one.gain_high < 0]
    if harmful:
        listed = ", ".join(f"{one.labels:.3g}" for one in harmful)
        sentences.append(
            f"Negative transfer: {way} is surely worse than training from scratch with {listed} labels a class."
        )
    unsure = len(worth)
    while unsure and worth[unsure - 1].gain_low <= 0:
        unsure -= 1
    if unsure == len(worth):
        sentences.append(f"For {way} it pays up to all {worth[-1].labels:.3g} labels a class that were measured.")
    else:
        stops = worth[unsure]
        sentences.append(f"For {way} it is not sure to pay from {stops.labels:.3g} labels a class on.")
    return sentences
