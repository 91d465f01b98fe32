"""Write `ranking.html`: how good each network is for the examples, against its time."""

from collections.abc import Callable, Sequence
from math import isnan

from etils import epath

from tfl.files.writing import write_text
from tfl.report.blocks import Charts, Section, Table, Text
from tfl.report.charts import Chart, Series, draw
from tfl.report.finding import Finding
from tfl.report.head import Head, Tile
from tfl.report.page import fill_template
from tfl.report.wording import count, figure, interval, percent, spoken
from tfl.selection.advice import advise, compare_with_fixed_order
from tfl.selection.ranked import RankedBackbone, Round
from tfl.tasks import Task

RANKING_PAGE = "ranking.html"
MEANING = (
    "Each network is frozen, and a head is solved on its features in cross-validation on train and validation "
    "examples. The test split is not used. The best of many networks looks a little better here than it is. Networks "
    "that were left out early were measured on fewer examples. Operations count two for each multiplication of a "
    "kernel; megabytes are those of the weights and of the activations of a batch of 32, counted from the graph."
)


def write_ranking_page(
    ranked: Sequence[RankedBackbone], rounds: Sequence[Round], folder: epath.Path, task: Task
) -> None:
    """Write `ranking.html` into a folder.

    Args:
        ranked: the networks, best first.
        rounds: that ran.
        folder: the folder.
        task: of the examples; its headline is the metric.

    Raises:
        InputError: the file cannot be written.
    """
    best, advice = ranked[0], advise(ranked)
    metric, write = spoken(task.headline.metric), percent if task.headline.is_share else figure
    note = f"held-out folds; 95 % interval {interval(best.low, best.high, write)}"
    drawn = (best.metric, (best.low, best.high)) if task.headline.is_share else (None, None)
    head = Head(
        title=f"{folder.name}: ranking of networks",
        over=f"Ranking of networks in {folder.name}",
        heading=advice,
        lead=f"{count(len(ranked), 'network')}, {count(best.examples, 'example')} in the last round.",
        tiles=[Tile(f"{metric}, {best.label}", write(best.metric), note, *drawn)],
    )
    sections = [
        Section(
            "good",
            f"{metric} against time",
            [
                Charts([cost_chart(ranked, metric, write)]),
                _networks(ranked, metric, write),
                Text(f"{MEANING} {compare_with_fixed_order(ranked)}".strip()),
            ],
        ),
        Section("rounds", "Rounds", [_rounds(rounds)]),
    ]
    page = fill_template(head, [Finding("advice", 100, advice)], sections, has_pictures=False)
    write_text(folder / RANKING_PAGE, page)


def cost_chart(ranked: Sequence[RankedBackbone], metric: str, write: Callable[[float], str]) -> Chart:
    """Return the chart of the metric over milliseconds: a dot with its interval for each network, and the front."""
    front = sorted((one for one in ranked if one.is_on_front), key=lambda one: one.milliseconds)
    others = [one for one in ranked if not one.is_on_front]
    series = [
        Series("", [one.milliseconds] * 2, [one.low, one.high], "second" if one in others else "first")
        for one in ranked
    ]
    series.append(Series("", [one.milliseconds for one in front], [one.metric for one in front]))
    for name, style, own in (("On the Pareto front", "first", front), ("Not on it", "second", others)):
        if own:
            xs, ys = [one.milliseconds for one in own], [one.metric for one in own]
            series.append(Series(name, xs, ys, style, sizes=[3.0] * len(own)))
    listed = ", ".join(f"{one.label} {write(one.metric)} in {one.milliseconds:.1f} ms" for one in front)
    return draw(
        series,
        alt=f"On the Pareto front: {listed}.",
        caption=f"{metric} on held-out folds; a vertical line is its 95 % interval.",
        x_label="milliseconds an example",
        y_label=metric.lower(),
    )


def _networks(ranked: Sequence[RankedBackbone], metric: str, write: Callable[[float], str]) -> Table:
    rows = [
        [
            one.label,
            write(one.metric),
            interval(one.low, one.high, write),
            f"{one.loss:.3f}",
            f"{one.milliseconds:.1f}",
            f"{one.parameters:,}",
            f"{one.gflops:.2f}",
            f"{one.megabytes:,.0f}",
            "-" if isnan(one.imagenet) else percent(one.imagenet),
            f"{one.examples:,}",
            "yes" if one.is_on_front else "no",
        ]
        for one in ranked
    ]
    columns = [
        *("network", metric.lower(), "95 % interval", "loss", "milliseconds", "parameters"),
        *("billion operations", "megabytes", "accuracy on ImageNet", "examples"),
        "on the Pareto front",
    ]
    return Table("Networks, best first", columns, rows)


def _rounds(rounds: Sequence[Round]) -> Table:
    rows = [[f"{one.examples:,}", ", ".join(one.order), ", ".join(one.left_out) or "none"] for one in rounds]
    return Table("What each round found", ["examples", "best first", "left out after it"], rows, has_numbers=False)
