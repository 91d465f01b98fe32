"""What the page shows of each analysis: a list of blocks, empty if the run did not make the analysis."""

from collections.abc import Callable

import numpy as np

from tfl.evaluation.per_class import absent_classes
from tfl.report.blocks import Block, Charts, Details, Heading, Picture, ShadedTable, Table, Text
from tfl.report.box_panel import boxes_panel
from tfl.report.classes import recall_interval, weakest_first
from tfl.report.facts import Facts
from tfl.report.figures import confusion_picture, reliability, selective
from tfl.report.wording import count, figure, interval, percent, points, spoken
from tfl.tasks.task import BOXES, CALIBRATION, CONFORMAL, CONFUSION, PER_CLASS, PRECISION, REGIONS, SELECTIVE

READABLE_CLASSES = 20  # up to this number of classes the confusion matrix is a table, above it a picture
FEW_CLASSES = 4  # up to this number of classes the table shows the most frequent confusions at a glance
MOST_PAIRS = 15
MOST_ROWS = 1000
MOST_NAMES = 10
CLASS_COLUMNS = ("precision", "recall", "f1", "roc_auc", "average_precision", "support")


def _confusion(facts: Facts) -> list[Block]:
    matrix, names = np.array(facts.evaluation.confusion_matrix), facts.metadata.class_names
    if not matrix.size:
        return []
    pairs = _frequent_confusions(facts, matrix)
    table = Table(
        "The most frequent confusions", ["true", "predicted", facts.nouns[1], "share of the class"], pairs, False
    )
    heading, errors = Heading("Which classes are confused"), int(matrix.sum() - np.trace(matrix))
    if len(matrix) <= READABLE_CLASSES:
        shades = np.round(0.75 * matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1), 2).tolist()
        caption = "Confusion matrix of the test split: one row for each true class, one column for each predicted class"
        square = ShadedTable(caption, "true \\ predicted", names, matrix.tolist(), shades)
        if not errors:
            return [heading, Text(f"No test {facts.nouns[0]} is predicted as another class."), square]
        return [heading, square, *([table] if len(matrix) > FEW_CLASSES else [])]
    among = f"among {matrix.sum():,} {facts.nouns[1]}"
    alt = f"Confusion matrix of {len(matrix)} classes: {count(errors, 'error')} {among}" + (
        f", the most frequent: {pairs[0][2]} “{pairs[0][0]}” predicted as “{pairs[0][1]}”." if pairs else "."
    )
    caption = (
        "Confusion matrix: one row for each true class, one column for each predicted class, in the order of the "
        "classes. A more solid colour means a larger share of the row."
    )
    return [heading, Picture(confusion_picture(matrix), alt, caption), *([table] if pairs else [])]


def _frequent_confusions(facts: Facts, matrix: np.ndarray) -> list[list[str]]:
    names, totals = facts.metadata.class_names, matrix.sum(axis=1)
    wrong = matrix * (1 - np.eye(len(matrix), dtype=int))
    order = [divmod(int(place), len(matrix)) for place in np.argsort(-wrong, axis=None, kind="stable")[:MOST_PAIRS]]
    return [
        [names[i], names[j], str(wrong[i, j]), percent(wrong[i, j] / totals[i])] for i, j in order if wrong[i, j] > 0
    ]


def class_tables(facts: Facts) -> list[Table]:
    """Return the table of the classes, the weakest first; empty if there is none."""
    rows = weakest_first(facts.evaluation.per_class)[:MOST_ROWS]
    if not rows:
        return []
    columns = [name for name in CLASS_COLUMNS if any(getattr(row, name) is not None for row in rows)]
    place = columns.index("recall") + 1 if "recall" in columns else len(columns)
    cells = [[row.name, *(figure(getattr(row, name)) for name in columns)] for row in rows]
    for row, texts in zip(rows, cells, strict=True):
        texts.insert(place + 1, interval(*(recall_interval(row) or (None, None)), figure))
    names = [f"Test {facts.nouns[1]}" if name == "support" else spoken(name) for name in columns]
    names.insert(place, "95 % interval of recall")
    caption = (
        "Metrics of each class on the test split. First comes the class whose interval of recall has the lowest upper "
        f"end. So a class with few {facts.nouns[1]} is not first by chance."
    )
    return [Table(caption, ["class", *names], cells)]


def _per_class(facts: Facts) -> list[Block]:
    tables, absent = class_tables(facts), absent_classes(facts.evaluation.per_class)
    if not tables:
        return []
    missing = f"The test split has no {facts.nouns[0]} of {', '.join(absent[:MOST_NAMES])}"
    missing += f" and {count(len(absent) - MOST_NAMES, 'more class', 'more classes')}" * (len(absent) > MOST_NAMES)
    note = [Text(f"{missing}: nothing is known about how many of them the model finds.")] if absent else []
    return [Heading("Each class"), *note, *tables]


def _regions(facts: Facts) -> list[Block]:
    rows = [
        [
            row.name,
            figure(row.iou),
            interval(row.low, row.high, figure),
            figure(row.dice),
            percent(row.share),
            str(row.num_examples),
        ]
        for row in sorted(facts.evaluation.regions, key=lambda row: -1.0 if row.iou is None else row.iou)
    ]
    caption = (
        "Overlap of true and predicted regions of each class, over all test pixels together; the lowest first. The "
        f"intervals resample {facts.nouns[1]}."
    )
    columns = ["class", "IoU", "95 % interval", "dice", "share of the pixels", f"test {facts.nouns[1]} with it"]
    return [Heading("Each class"), Table(caption, columns, rows)] if rows else []


def _calibration(facts: Facts) -> list[Block]:
    calibration = facts.evaluation.calibration
    if calibration is None:
        return []
    text = (
        f"Expected calibration error: {points(calibration.before.ece)} as trained, {points(calibration.after.ece)} "
        f"after temperature scaling with T = {facts.temperature:.2f}. The temperature was fitted on {facts.held_out}. "
        "It does not change which class is the most probable."
    )
    return [Heading("Do confidence and accuracy agree?"), Text(text), Charts(reliability(facts))]


def _selective(facts: Facts) -> list[Block]:
    chart = selective(facts)
    return [Heading("Accuracy if the model may answer “don’t know”"), Charts([chart])] if chart else []


def _conformal(facts: Facts) -> list[Block]:
    if facts.has_classes:
        text = (
            "A prediction set is a list of classes that contains the true class as often as promised. It is short "
            "where the model is sure."
        )
        caption = "Conformal prediction sets: how often they contain the true class"
        columns = ["mean classes in a set", "threshold"]
    else:
        text = "A prediction interval is a range that contains the true value as often as promised."
        caption = "Conformal prediction intervals: how often they contain the true value"
        columns = ["mean width", "up and down from the value"]
    rows = [
        [
            percent(row.coverage),
            percent(row.test_coverage),
            interval(row.low, row.high, percent),
            figure(row.mean_set_size),
            figure(row.threshold),
        ]
        for row in facts.evaluation.conformal
    ]
    title = "Prediction sets" if facts.has_classes else "Prediction intervals"
    table = Table(caption, ["coverage promised", "coverage on test", "95 % interval", *columns], rows)
    return [Heading(title), Text(text), table] if rows else []


def _precision_thresholds(facts: Facts) -> list[Block]:
    rows = [
        [
            row.name,
            percent(row.precision),
            figure(row.threshold),
            figure(row.test_precision),
            interval(row.low, row.high, percent),
            figure(row.test_recall),
        ]
        for row in facts.evaluation.precision_thresholds[:MOST_ROWS]
    ]
    caption = (
        "The lowest probability from which predictions of a class reach the wanted precision; chosen on "
        f"{facts.held_out}, measured on test"
    )
    columns = ["class", "precision wanted", "threshold", "precision on test", "95 % interval", "recall on test"]
    return [Details("Thresholds for a wanted precision", [Table(caption, columns, rows)])] if rows else []


TITLES = {  # in sentences
    CONFUSION: "confusion matrix",
    PER_CLASS: "metrics of each class",
    REGIONS: "overlap of the regions of each class",
    BOXES: "average precision of each class, and kinds of errors",
    CALIBRATION: "calibration",
    SELECTIVE: "threshold for “don’t know”",
    CONFORMAL: "prediction sets",
    PRECISION: "thresholds for a wanted precision",
}
PANELS: dict[str, Callable[[Facts], list[Block]]] = {  # by name of the analysis, in the order of the page
    CONFUSION: _confusion,
    PER_CLASS: _per_class,
    REGIONS: _regions,
    BOXES: boxes_panel,
    CALIBRATION: _calibration,
    SELECTIVE: _selective,
    CONFORMAL: _conformal,
    PRECISION: _precision_thresholds,
}
