"""Write `source.html`: accuracy of a task over the number of examples of its own pre-training."""

from collections.abc import Sequence

from etils import epath

from tfl.config import TransferConfig
from tfl.data import Splits
from tfl.files.writing import write_text
from tfl.report.blocks import Charts, Section, Table, Text
from tfl.report.charts import Chart, Series, draw
from tfl.report.head import Head, Tile
from tfl.report.page import fill_template
from tfl.report.value_page import COVERS, findings_of, measured_line
from tfl.report.wording import interval, percent
from tfl.selection.source_sizes import SourcePoint

SOURCE_PAGE = "source.html"


def write_source_page(
    points: Sequence[SourcePoint],
    sentences: Sequence[str],
    folder: epath.Path,
    config: TransferConfig,
    splits: Splits,
) -> None:
    """Write `source.html` into a folder.

    Args:
        points: what was measured, random weights first.
        sentences: the answer.
        folder: of the measurement.
        config: of the measurement.
        splits: the data of the task.

    Raises:
        InputError: the file cannot be written.
    """
    several, last = splits.source.kind.noun[1], points[-1]
    columns = ["pre-trained on", "test accuracy", "95 % interval", "change", "95 % interval of the change"]
    rows = [
        [
            f"{one.examples:,.0f}" if one.examples else "random weights",
            percent(one.accuracy),
            interval(one.low, one.high, percent),
            f"{100 * one.gain:+.1f} points",
            f"{100 * one.gain_low:+.1f} to {100 * one.gain_high:+.1f}",
        ]
        for one in points
    ]
    table = Table(f"Accuracy over the number of {several} of pre-training", columns, rows)
    head = Head(
        title=f"{folder.name}: how much pre-training data",
        over=f"Pre-training data in {folder.name}",
        heading=sentences[0],
        lead=f"{config.backbone.name}, pre-trained on {config.pretrain.source}, then {config.data.source}: "
        f"{len(splits.train):,} training {several}, {len(splits.test):,} test {several}.",
        tiles=[
            Tile(
                "Accuracy after pre-training on all",
                percent(last.accuracy),
                f"95 % interval {interval(last.low, last.high, percent)}",
                last.accuracy,
                (last.low, last.high),
            )
        ],
    )
    blocks = [Charts([_chart(points, several)]), table, Text(COVERS)]
    sections = [Section("source", "Accuracy over pre-training data", blocks)]
    write_text(folder / SOURCE_PAGE, fill_template(head, findings_of(sentences), sections, has_pictures=False))


def _chart(points: Sequence[SourcePoint], several: str) -> Chart:
    """Return the chart of the points with examples, and a line at the accuracy of random weights."""
    random, *own = points
    xs = [one.examples for one in own]
    series = measured_line("Pre-trained", xs, own, "first")
    series.append(Series("Random weights", [xs[0], xs[-1]], [random.accuracy] * 2, "guide"))
    return draw(
        series,
        alt=f"Test accuracy after pre-training on all {several}: {percent(own[-1].accuracy)}; random weights: "
        f"{percent(random.accuracy)}.",
        caption="Test accuracy, mean over the seeds; a vertical line is its 95 % interval.",
        x_label=f"{several} of pre-training",
        y_label="test accuracy",
        log_x=True,
    )
