"""Show the results on the test split: the metrics, a panel for each analysis, and the slices."""

from tfl.evaluation.analyses import ANALYSES
from tfl.evaluation.intervals import FEW_GROUPS
from tfl.evaluation.slices import MeasuredSlice
from tfl.report.blocks import Block, Columns, Heading, Section, Table, Text
from tfl.report.facts import Facts
from tfl.report.panels import MOST_ROWS, PANELS, TITLES
from tfl.report.wording import figure, interval, spoken


def results_section(facts: Facts) -> Section:
    """Return the section of the results; a sentence says what was not measured."""
    blocks: list[Block] = [metrics_table(facts), *_baseline(facts), *_groups(facts)]
    lacking = []
    for name, panel in PANELS.items():
        shown = panel(facts)
        blocks += shown
        lacking += [name] if not shown and name in facts.task.analyses else []
    if not facts.is_measured:
        blocks.append(Text("This run has no evaluation.json: intervals, calibration and slices are missing.", True))
    else:
        blocks += [*_slices(facts), *map(Text, _not_measured(facts, lacking))]
    return Section("good", f"Results on the test {facts.nouns[1]}", blocks)


def _baseline(facts: Facts) -> list[Block]:
    """Say what a method without a network reaches on the same examples."""
    baseline, name = facts.metrics.baseline, facts.headline
    if not baseline.method or name not in baseline.test:
        return []
    between = interval(*baseline.intervals.get(name, (None, None)), figure)
    text = f"Without a network: {baseline.method} has a test {name.replace('_', ' ')} of {figure(baseline.test[name])}"
    text += f" (95 % interval {between})." if name in baseline.intervals else "."
    if baseline.difference is not None:
        found = baseline.difference
        between = f"95 % interval {found.low:+.4f} to {found.high:+.4f}"
        text += f" The figure of the model minus this one is {found.difference:+.4f} ({between})"
        text += ", which may be chance." if found.low <= 0 <= found.high else "."
    return [Text(text)]


def _groups(facts: Facts) -> list[Block]:
    """Say that the examples of one group are not independent, and which intervals respect this."""
    number = facts.evaluation.num_groups
    if not number:
        return []
    few = " With fewer than 30 groups, intervals are too narrow." if number < FEW_GROUPS else ""
    return [
        Text(
            f"The test {facts.nouns[1]} come from {number:,} groups, and those of one group are alike. So the "
            f"intervals of metrics, slices and decisions resample whole groups; those of single classes do not.{few}",
            True,
        )
    ]


def _not_measured(facts: Facts, lacking: list[str]) -> list[str]:
    """Say which analyses of the task have no result, and why."""
    chosen = [TITLES.get(name, name) for name in lacking if ANALYSES[name].is_decision]
    others = [TITLES.get(name, name) for name in lacking if not ANALYSES[name].is_decision]
    several = facts.nouns[1]
    found = [f"These test {several} give no {', '.join(others)}."] if others else []
    reason = f"there are no predictions on {facts.held_out} to choose them on, or too few"
    return found + ([f"The report has no {', '.join(chosen)}: {reason}."] if chosen else [])


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


def _slices(facts: Facts) -> list[Block]:
    """Return the tables of the slices side by side, and a sentence for what did not divide the examples."""
    tables, metric = _divided(facts), spoken(facts.headline)
    columns = [[Heading(f"{metric} by {name}"), table] for name, table in tables.items()]
    whole = [name for name in facts.evaluation.slices if name not in tables]
    several, reason = facts.nouns[1], "they are all alike in it, or too few"
    if not facts.evaluation.slices:
        note = f"The test {several} were not divided into parts, so no weak part can be seen."
    else:
        note = f"The test {several} were not divided by {', '.join(whole)}, because {reason}." if whole else ""
    return [*([Columns(columns)] if columns else []), *([Text(note, is_note=True)] if note else [])]


def slice_tables(facts: Facts) -> list[Table]:
    """Return one table for each way that divides the test examples into at least two parts."""
    return list(_divided(facts).values())


def _divided(facts: Facts) -> dict[str, Table]:
    metric = spoken(facts.headline).lower()
    return {
        name: Table(
            f"Test {metric} by {name}, with 95 % intervals (1 of 20 misses the true value by chance)",
            [name, facts.nouns[1], metric, "95 % interval"],
            [_slice(facts, row) for row in rows[:MOST_ROWS]],
        )
        for name, rows in facts.evaluation.slices.items()
        if len(rows) > 1
    }


def _slice(facts: Facts, row: MeasuredSlice) -> list[str]:
    return [row.name, f"{row.num_examples:,}", facts.write(row.value), interval(row.low, row.high, facts.write)]
