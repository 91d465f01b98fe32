"""The first screen of the page: the most important result in one sentence, and its tiles."""

import dataclasses
from collections.abc import Iterator

from tfl.evaluation.intervals import wilson_interval
from tfl.report.facts import Facts
from tfl.report.wording import figure, interval, percent, points, spoken


@dataclasses.dataclass(frozen=True)
class Tile:
    """One number with its name.

    Attributes:
        label: what the number is.
        number: the number, or another short text.
        note: how to read it.
        value: the number as a share, to draw it; None: nothing is drawn.
        interval: its 95 % interval, to draw it.
    """

    label: str
    number: str
    note: str
    value: float | None = None
    interval: tuple[float, float] | None = None


@dataclasses.dataclass(frozen=True)
class Head:
    """The first screen.

    Attributes:
        title: the title of the page.
        over: a line above the heading.
        heading: the most important result in one sentence.
        lead: its interval, and a description of the model.
        tiles: the most important numbers.
    """

    title: str
    over: str
    heading: str
    lead: str
    tiles: list[Tile]


def describe_head(facts: Facts) -> Head:
    """Return the first screen of a run."""
    heading, ends = _heading(facts), facts.headline_interval
    between = f"The 95 % interval is {interval(*ends, facts.write)}. " if ends else ""
    return Head(
        title=f"{facts.name}: {heading}",
        over=f"Report of the run {facts.name}",
        heading=heading,
        lead=between + describe_model(facts),
        tiles=[_headline(facts), _kept(facts), *_calibration(facts), *_worst_class(facts)],
    )


def _heading(facts: Facts) -> str:
    value = facts.test[facts.headline]
    examples = f"{facts.test['num_examples']:,} test {facts.nouns[1]} that the model had not seen"
    if not facts.task.headline.is_share:
        return f"Off by {figure(value)} on average on {examples}"
    correct = "are predicted correctly" if facts.task.labels.has_one_class else "have every label predicted correctly"
    return f"{percent(value)} of {examples} {correct}"


def describe_model(facts: Facts) -> str:
    """Describe in one sentence the network and its classes."""
    names = facts.metadata.class_names
    shown = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
    kind = facts.task.nouns[1]
    weights = facts.config.backbone.weights
    source = "pre-trained on " + facts.config.pretrain.source if facts.config.pretrain.source else f"weights {weights}"
    return f"{facts.metadata.network}, {source}, for the {kind} {shown}."


def _headline(facts: Facts) -> Tile:
    value, ends = facts.test[facts.headline], facts.headline_interval
    note = f"95 % interval {interval(*ends, facts.write)}" if ends else "no interval was computed"
    drawn = ends if facts.task.headline.is_share else None
    return Tile(f"{spoken(facts.headline)}, test", facts.write(value), note, value, drawn)


def _kept(facts: Facts) -> Tile:
    kept = facts.metrics.kept
    names = {"probe": "Frozen backbone", "finetune": "Fine-tuned"}
    short_names = {"probe": "frozen", "finetune": "fine-tuned"}
    losses = [f"{figure(loss)} {short_names.get(name, name)}" for name, loss in facts.phase_losses.items()]
    note = f"validation loss {', '.join(losses)}" if losses else ""
    return Tile("What was kept", names.get(kept, spoken(kept)), note)


def _calibration(facts: Facts) -> Iterator[Tile]:
    if facts.evaluation.calibration is None:
        return
    before, after = facts.evaluation.calibration.before, facts.evaluation.calibration.after
    note = (
        f"{points(before.ece)} before temperature scaling; a perfect model would have about "
        f"{points(after.ece_by_chance)} on so many {facts.nouns[1]}"
    )
    if after.ece <= after.limit_by_chance:
        note = f"no more than chance: {note}"
    yield Tile("Calibration error", points(after.ece), note)


def _worst_class(facts: Facts) -> Iterator[Tile]:
    found = [(row.recall, row) for row in facts.evaluation.per_class if row.support and row.recall is not None]
    if not found:
        return
    recall, worst = min(found, key=lambda entry: entry[0])
    ends = wilson_interval(round(recall * worst.support), worst.support)
    note = f"{percent(recall)} of {worst.support:,} are found ({interval(*ends, percent)})"
    yield Tile("Worst class", worst.name, note)
