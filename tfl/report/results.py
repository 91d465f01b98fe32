"""Show the results on the test split: the metrics, a panel for each analysis, and the slices."""

from tfl.evaluation.slices import MeasuredSlice
from tfl.report.blocks import Block, Columns, Heading, Section, Table, Text
from tfl.report.facts import Facts
from tfl.report.panels import MOST_ROWS, PANELS
from tfl.report.wording import figure, interval, spoken


def results_section(facts: Facts) -> Section:
    """Return the section of the results; what was not measured is left out."""
    blocks: list[Block] = [metrics_table(facts)]
    for panel in PANELS.values():
        blocks += panel(facts)
    tables = slice_tables(facts)
    if tables:
        columns = [[Heading(f"By {name}"), table] for name, table in zip(facts.evaluation.slices, tables, strict=True)]
        blocks.append(Columns(columns))
    if not facts.is_measured:
        blocks.append(Text("This run has no evaluation.json: intervals, calibration and slices are missing.", True))
    return Section("good", "How good it is", blocks)


def metrics_table(facts: Facts) -> Table:
    """Return the table of all metrics, the most important one first."""
    test, validation, intervals = facts.test, facts.metrics.validation, dict(facts.evaluation.intervals)
    if facts.headline_interval:
        intervals[facts.headline] = facts.headline_interval
    names = [facts.headline, *(name for name in test if name not in (facts.headline, "num_examples")), "num_examples"]
    rows = [
        [
            facts.spoken(name),
            figure(test[name]),
            interval(*intervals.get(name, (None, None)), figure),
            figure(validation.get(name)),
        ]
        for name in names
        if not isinstance(test[name], (dict, list))
    ]
    caption = "Metrics of the test split, which was used once, at the end"
    caption += ", with 95 % intervals" if intervals else ""
    return Table(caption, ["metric", "test", "95 % interval", "validation"], rows)


def slice_tables(facts: Facts) -> list[Table]:
    """Return one table for each way to divide the test examples."""
    metric = spoken(facts.headline).lower()
    return [
        Table(
            f"Test {metric} by {name}, with 95 % intervals (1 of 20 misses the true value by chance)",
            [name, facts.nouns[1], metric, "95 % interval"],
            [_slice(facts, row) for row in rows[:MOST_ROWS]],
        )
        for name, rows in facts.evaluation.slices.items()
    ]


def _slice(facts: Facts, row: MeasuredSlice) -> list[str]:
    return [row.name, f"{row.num_examples:,}", facts.write(row.value), interval(row.low, row.high, facts.write)]
