"""What the page shows of a detector: average precision of each class, precision over recall, and kinds of errors."""

from tfl.evaluation.boxes import BoxErrors, BoxMetrics
from tfl.report.blocks import Block, Charts, Heading, Table
from tfl.report.charts import Chart, Series, draw
from tfl.report.facts import Facts
from tfl.report.wording import figure, interval, percent

MOST_CURVES = 6  # the classes of the lowest average precision
_MEANINGS = {
    "right": "a true box of the class is at the same place",
    "duplicate": "another box of a higher score is there, too",
    "misplaced": "near a true box of the class, but with an overlap below 0.5",
    "confused": "at a true box of another class",
    "both": "near a true box of another class, with an overlap below 0.5",
    "background": "at no true box",
    "missed": "a true box that no box is at or near",
}


def boxes_panel(facts: Facts) -> list[Block]:
    """Return the blocks of the analysis of boxes."""
    result = facts.evaluation.boxes
    if result is None:
        return []
    rows = sorted(result.classes, key=lambda row: -1.0 if row.ap is None else row.ap)
    known = [row for row in rows if row.ap is not None and len(row.curve) > 1]
    charts = [Charts([_chart(row) for row in known[:MOST_CURVES]])] if known else []
    return [Heading("Each class"), _classes(facts, rows), *charts, Heading("Kinds of errors"), _errors(result.errors)]


def _classes(facts: Facts, rows: list[BoxMetrics]) -> Table:
    cells = [
        [
            row.name,
            figure(row.ap),
            interval(row.low, row.high, figure),
            figure(row.ap50),
            str(row.num_objects),
            str(row.num_examples),
        ]
        for row in rows
    ]
    caption = (
        "Average precision of the boxes of each class, over all test data together; the lowest first. AP is the mean "
        f"over overlaps of 0.5 to 0.95, AP50 that at 0.5. The intervals resample {facts.nouns[1]}."
    )
    columns = ["class", "AP", "95 % interval", "AP50", "test objects", f"test {facts.nouns[1]} with it"]
    return Table(caption, columns, cells)


def _chart(row: BoxMetrics) -> Chart:
    last = row.curve[-1]
    return draw(
        [Series("", [100 * p.recall for p in row.curve], [100 * p.precision for p in row.curve])],
        alt=f"Precision over recall of {row.name}: {percent(last.recall)} of the objects are found, with "
        f"{percent(last.precision)} of the boxes right.",
        caption=f"{row.name}: precision over recall at an overlap of 0.5, from the highest score to the lowest.",
        x_label="objects that are found (%)",
        y_label="boxes that are right (%)",
        x_range=(0, 100),
        y_range=(0, 100),
    )


def _errors(errors: BoxErrors) -> Table:
    rows = [[kind, str(getattr(errors, kind)), meaning] for kind, meaning in _MEANINGS.items()]
    caption = f"Test boxes of a score of at least {errors.score:g} by their kind, and objects that are missed."
    return Table(caption, ["kind", "number", "meaning"], rows)
