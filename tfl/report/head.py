"""The first screen of the page: the most important result in one sentence, and its tiles."""

import dataclasses
from collections.abc import Iterator

from tfl.evaluation.headline import SMALL_TEST, balanced_text, headline_text, needed_text
from tfl.report.classes import found, is_surely_weaker, others_than, recall_interval, weakest_first
from tfl.report.facts import Facts
from tfl.report.wording import figure, interval, measured_share, percent, points, sentence_start, spoken


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
    heading = _heading(facts)
    return Head(
        title=f"{facts.name}: {heading}",
        over=f"Report of the run {facts.name}",
        heading=heading,
        lead=_certainty(facts) + _balanced(facts) + describe_model(facts),
        tiles=[_headline(facts), _kept(facts), *_calibration(facts), *_worst_class(facts)],
    )


def _is_small(facts: Facts) -> bool:
    return facts.test["num_examples"] < SMALL_TEST and facts.headline_interval is not None


def _certainty(facts: Facts) -> str:
    """Say how certain the heading is."""
    if _is_small(facts):
        needed = "" if facts.evaluation.num_groups else needed_text(facts.metadata, facts.test)  # it has no groups
        tested = facts.count(facts.test["num_examples"], "test")
        seen = f"had seen {facts.seen_tests:,} of" if facts.seen_tests else "had not seen"
        return f"The model {seen} these {tested}; so few show no more than this interval. {needed} "
    ends = facts.headline_interval
    return f"The 95 % interval is {interval(*ends, facts.write)}. " if ends else ""


def _balanced(facts: Facts) -> str:
    """Say the balanced accuracy if the accuracy hides that some classes are found less often."""
    text = balanced_text(facts.metadata, facts.test, facts.evaluation.intervals)
    return f"{sentence_start(text)}. " if text else ""


def _heading(facts: Facts) -> str:
    if _is_small(facts):
        return sentence_start(headline_text(facts.metadata, facts.test, _intervals(facts), facts.write))
    value = facts.test[facts.headline]
    seen = (
        f", of which the model had seen {facts.seen_tests:,}," if facts.seen_tests else " that the model had not seen"
    )
    examples = f"{facts.test['num_examples']:,} test {facts.nouns[1]}{seen}"
    if not facts.task.headline.is_share:
        return f"Off by {figure(value)} on average on {examples}"
    correct = "are predicted correctly" if facts.task.labels.has_one_class else "have every label predicted correctly"
    return f"{percent(value)} of {examples} {correct}"


def _intervals(facts: Facts) -> dict[str, tuple[float, float]]:
    return {facts.headline: facts.headline_interval} if facts.headline_interval else {}


def describe_model(facts: Facts) -> str:
    """Describe the network and its classes, and how it was adapted to the examples."""
    names = facts.metadata.class_names
    shown = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
    kind = facts.task.nouns[1]
    weights = facts.config.backbone.weights
    source = "pre-trained on " + facts.config.pretrain.source if facts.config.pretrain.source else f"weights {weights}"
    adaptation = facts.metadata.input.adaptation
    return f"{facts.metadata.network}, {source}, for the {kind} {shown}." + (f" {adaptation}" if adaptation else "")


def _headline(facts: Facts) -> Tile:
    value, ends = facts.test[facts.headline], facts.headline_interval
    drawn, label = ends if facts.task.headline.is_share else None, f"{spoken(facts.headline)}, test"
    if ends and _is_small(facts):
        note = f"95 % interval; measured: {facts.write(value)} on {facts.count(facts.test['num_examples'])}"
        return Tile(label, interval(*ends, facts.write), note, value, drawn)
    note = f"95 % interval {interval(*ends, facts.write)}" if ends else "no interval was computed"
    return Tile(label, facts.write(value), note, value, drawn)


def _kept(facts: Facts) -> Tile:
    kept = facts.metrics.kept
    names = {"probe": "Frozen backbone", "finetune": "Fine-tuned"}
    short_names = {"probe": "frozen", "finetune": "fine-tuned"}
    losses = [f"{figure(loss)} {short_names.get(name, name)}" for name, loss in facts.phase_losses.items()]
    note = f"{facts.decided_by} {', '.join(losses)}" if losses else ""
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
    rows = [row for row in weakest_first(facts.evaluation.per_class) if recall_interval(row)]
    if len(rows) < 2:
        return
    worst, (right, total) = rows[0], others_than(rows[0], rows)
    if worst.recall is None or found(worst) == worst.support:
        yield Tile("Worst class", "no errors", f"every test {facts.nouns[0]} of every class is found")
        return
    others = f"of the other {'class' if len(rows) == 2 else 'classes'} {percent(right / total)}"
    chance = "" if is_surely_weaker(worst, rows) else "; the difference may be chance"
    note = f"{measured_share(worst.recall, worst.support)} of its {facts.nouns[1]} are found, {others}{chance}"
    if len(rows) > 2:
        note += f". Of {len(rows)} classes, its interval has the lowest upper end"
    yield Tile("Worst class", worst.name, note, worst.recall, recall_interval(worst))
