"""Write `value.html`: accuracy over labels with and without pre-training, and what follows from it."""

from collections.abc import Sequence
from typing import Protocol

from etils import epath

from tfl.config import TransferConfig
from tfl.config.ways import FINETUNED, FROZEN, SCRATCH
from tfl.data import Splits
from tfl.files.writing import write_text
from tfl.report.blocks import Block, Charts, Section, Table, Text
from tfl.report.charts import Chart, Series, draw
from tfl.report.finding import Finding
from tfl.report.head import Head, Tile
from tfl.report.page import fill_template
from tfl.report.wording import interval, percent, sentence_start
from tfl.selection.next_labels import DROPQUERY, MARGIN, TYPICLUST, NextLabels
from tfl.selection.value import SPOKEN, Outlook, Point, Summary, Worth
from tfl.selection.worth import describe_times

VALUE_PAGE = "value.html"
STYLES = {SCRATCH: "guide", FROZEN: "second", FINETUNED: "first"}
COVERS = (
    "The 95 % intervals cover the draw of the labels, the random weights and the test examples: seeds and test "
    "examples are drawn again, both at random. They do not cover another division into train and test. With few seeds "
    "they are too narrow."
)


def write_value_page(
    summary: Summary,
    folder: epath.Path,
    config: TransferConfig,
    splits: Splits,
    following: NextLabels | None = None,
) -> None:
    """Write `value.html` into a folder.

    Args:
        summary: what was measured.
        folder: of the measurement.
        config: of the measurement.
        splits: the labelled data.
        following: which unlabelled examples to label next; None: there is no such section.

    Raises:
        InputError: the file cannot be written.
    """
    nouns = splits.source.kind.noun
    sections = [
        Section(
            "good", "Accuracy over labels", [Charts([label_chart(summary.points)]), _points(summary), Text(COVERS)]
        ),
        Section("worth", "What pre-training was worth", _worth(summary)),
        Section("more", "What more labels would bring", _outlooks(summary)),
        *([Section("kept", "What was kept and relearned", _kept(summary))] if summary.kept else []),
        *([Section("next", f"Which {nouns[1]} to label next", _next(following, nouns[1]))] if following else []),
    ]
    head = Head(
        title=f"{folder.name}: what pre-training was worth",
        over=f"Worth of pre-training in {folder.name}",
        heading=summary.sentences[0] if summary.sentences else "Accuracy over labels",
        lead=f"{config.backbone.name}, weights {config.backbone.weights}, on {config.data.source}: "
        f"{len(splits.train) + len(splits.validation):,} labelled {nouns[1]}, {len(splits.test):,} test {nouns[1]}.",
        tiles=[_tile(summary, way) for way in dict.fromkeys(point.way for point in summary.points)],
    )
    write_text(folder / VALUE_PAGE, fill_template(head, findings_of(summary.sentences), sections, has_pictures=False))


def findings_of(sentences: Sequence[str]) -> list[Finding]:
    """Return the sentences of an answer as findings in the same order; negative transfer is a problem."""
    return [
        Finding("problem" if text.startswith("Negative") else "advice", 100 - place, text)
        for place, text in enumerate(sentences)
    ]


class MeasuredPoint(Protocol):
    """An accuracy with its interval."""

    @property
    def accuracy(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...


def measured_line(name: str, xs: Sequence[float], points: Sequence[MeasuredPoint], style: str) -> list[Series]:
    """Return a line through points, with a dot and a vertical line of the interval at each.

    Args:
        name: for the legend.
        xs: of the points.
        points: the accuracies.
        style: of the line.
    """
    ys = [one.accuracy for one in points]
    intervals = [Series("", [x] * 2, [one.low, one.high], style) for x, one in zip(xs, points, strict=True)]
    return [*intervals, Series(name, xs, ys, style), Series("", xs, ys, style, sizes=[3.0] * len(xs))]


def _tile(summary: Summary, way: str) -> Tile:
    last = [point for point in summary.points if point.way == way][-1]
    note = f"with all labels; 95 % interval {interval(last.low, last.high, percent)}"
    return Tile(f"Accuracy, {SPOKEN[way]}", percent(last.accuracy), note, last.accuracy, (last.low, last.high))


def label_chart(points: Sequence[Point]) -> Chart:
    """Return the chart of accuracy over labels a class, one line with its intervals for each way."""
    series: list[Series] = []
    ways = list(dict.fromkeys(point.way for point in points))
    for way in ways:
        own = [point for point in points if point.way == way]
        series += measured_line(sentence_start(SPOKEN[way]), [one.labels for one in own], own, STYLES[way])
    last = ", ".join(
        f"{SPOKEN[way]} {percent([point.accuracy for point in points if point.way == way][-1])}" for way in ways
    )
    return draw(
        series,
        alt=f"Test accuracy with all labels: {last}.",
        caption="Test accuracy, mean over the seeds; a vertical line is its 95 % interval.",
        x_label="labels a class",
        y_label="test accuracy",
        log_x=True,
    )


def _points(summary: Summary) -> Block:
    rows = [
        [SPOKEN[one.way], f"{one.labels:.4g}", percent(one.accuracy), interval(one.low, one.high, percent)]
        for one in summary.points
    ]
    return Table("Accuracy of each way", ["way", "labels a class", "test accuracy", "95 % interval"], rows)


def _worth(summary: Summary) -> list[Block]:
    if not summary.worth:
        return [Text("Training from scratch was not measured together with a pre-trained way.")]
    labels = [one.labels for one in summary.points if one.way == SCRATCH]
    rows = [_worth_row(one, labels) for one in summary.worth]
    columns = ["way", "labels a class", "gain in accuracy", "95 % interval", "worth in labels", "95 % interval"]
    text = (
        "The gain is the accuracy less that of training from scratch with the same labels. The worth in labels says "
        "how many times as many labels training from scratch needs for the same accuracy, as far as it was measured."
    )
    return [Text(text), Text(" ".join(summary.sentences)), Table("Worth at each number of labels", columns, rows)]


def _worth_row(one: Worth, labels: Sequence[float]) -> list[object]:
    low, high = (describe_times(end, one.labels, labels) for end in (one.low, one.high))
    gain = [f"{100 * value:+.1f} points" for value in (one.gain, one.gain_low, one.gain_high)]
    times = describe_times(one.times, one.labels, labels)
    return [SPOKEN[one.way], f"{one.labels:.4g}", gain[0], f"{gain[1]} to {gain[2]}", times, f"{low} to {high}"]


def _outlooks(summary: Summary) -> list[Block]:
    rows = [row for one in summary.outlooks for row in _outlook_rows(one)]
    if not rows:
        return [
            Text("Too few numbers of labels were measured to extrapolate: a form needs more points than parameters.")
        ]
    columns = ["way", "labels a class", "expected accuracy", "over forms and resamples", "measured"]
    text = (
        "Several forms of curves (power law, logarithm, arctangent, exponential) are fitted to the points. The "
        "expected accuracy is their mean. A row with a measured accuracy is a backtest: it was expected from all "
        "smaller numbers of labels alone."
    )
    return [Text(text), Table("Extrapolated accuracy", columns, rows)]


def _outlook_rows(outlook: Outlook) -> list[list[object]]:
    known = [(outlook.backtest, percent(outlook.measured))] if outlook.backtest else []
    return [
        [
            SPOKEN[outlook.way],
            f"{one.labels:.4g}",
            percent(one.accuracy),
            interval(one.low, one.high, percent),
            measured,
        ]
        for one, measured in [*known, *((one, "") for one in outlook.forecasts)]
    ]


def _kept(summary: Summary) -> list[Block]:
    text = (
        "Linear CKA compares the activations of each stage on test examples before and after fine-tuning with all "
        "labels: 1 means that the stage still tells the same about the examples, lower values that it learned "
        "something else. No label plays a part in it. With fewer examples than channels it is too large."
    )
    rows = [[name, f"{value:.3f}"] for name, value in summary.kept.items()]
    return [Text(text), Table("Likeness to the pre-trained network", ["stage", "linear CKA"], rows)]


def _next(following: NextLabels, several: str) -> list[Block]:
    why = {
        TYPICLUST: "They are typical of the largest groups of features without a labelled example (TypiClust).",
        MARGIN: "For them the two most probable classes of the frozen network with its solved head are closest.",
        DROPQUERY: "The predicted class of each changes if features are dropped, and they are spread (DropQuery).",
    }
    text = (
        f"{len(following.rows)} of {following.num_candidates:,} {several} without labels, the first to label first. "
        f"{why[following.method]} The same list is in next_labels.csv."
    )
    return [Text(text), Table("To label next", following.header, following.rows, has_numbers=False)]
