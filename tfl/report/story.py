"""Describe the request and the training of a run, in sentences and tables."""

from collections.abc import Iterator
from typing import Any

from tfl.config import SUPERVISED
from tfl.data.split_names import SPLITS
from tfl.report.audited import audit_blocks
from tfl.report.blocks import Block, Charts, Details, Heading, Section, Table, Text
from tfl.report.facts import Facts
from tfl.report.figures import curves, l2_path
from tfl.report.run_metrics import Phase
from tfl.report.wording import count, figure, sentence_start, spoken

MOST_FILES = 200  # most rows in the list of files that were left out
MOST_CLASSES = 1000
PHASES = {"probe": "frozen, solved head", "finetune": "fine-tuned", "from_scratch": "from scratch"}


def request_section(facts: Facts) -> Section:
    """Return the options, the data, and the files that were left out."""
    changed = [[name, _option(value), _option(usual)] for name, value, usual in facts.changed_options]
    options = [[name, _option(value)] for name, value in facts.all_options]
    caption = "Option, its value in this run, and its default"
    blocks: list[Block] = [
        Heading("Options that differ from their defaults"),
        Table(caption, ["option", "value", "default"], changed, has_numbers=False)
        if changed
        else Text("Every option has its default."),
        Details(
            f"All {len(options)} options", [Table("Every option of this run", ["option", "value"], options, False)]
        ),
        Heading("Data"),
        *([Text(describe_data(facts))] if facts.splits else []),
        _counts(facts) if facts.splits else Text("This run has no splits.csv, so its splits are not known."),
        _left_out(facts),
        *audit_blocks(facts),
    ]
    return Section("asked", "Options and data", blocks)


def _counts(facts: Facts) -> Block:
    splits = _sizes(facts)
    counts = [*list(facts.class_counts.items())[:MOST_CLASSES], (f"all {facts.nouns[1]}", splits)]
    rows = [[name, *(f"{split[part]:,}" for part in SPLITS)] for name, split in counts]
    examples = sentence_start(facts.nouns[1])
    if facts.class_counts:
        return Table(f"{examples} of each class in each split", ["class", *SPLITS], rows)
    return Table(f"{examples} in each split", ["", *SPLITS], rows)


def _left_out(facts: Facts) -> Block:
    rows = [[row["path"], row["reason"]] for row in facts.quarantine[:MOST_FILES]]
    if not rows:
        return Text("Every file could be used.")
    title = f"{count(len(facts.quarantine), 'file')} left out"
    title += f", of which the first {MOST_FILES}" if len(facts.quarantine) > MOST_FILES else ""
    return Details(title, [Table("Files that could not be used", ["path", "reason"], rows, has_numbers=False)])


def _option(value: Any) -> str:
    return "(empty)" if value in ("", (), []) else str(value)


def _sizes(facts: Facts) -> dict[str, int]:
    return {name: sum(row["split"] == name for row in facts.splits) for name in SPLITS}


def describe_data(facts: Facts) -> str:
    """Describe the number of examples, their source, and whether an example is in more than one split."""
    used = sum(_sizes(facts).values())
    unused = len(facts.splits) - used
    verb = "is" if facts.leaks == 1 else "are"
    leaks = f"{facts.count(facts.leaks)} that {verb}" if facts.leaks else f"no {facts.nouns[0]} that is"
    return (
        f"{facts.count(used)} from {facts.source}, {facts.shape}"
        + (f"; {facts.count(unused)} not used" if unused > 0 else "")
        + f". Validation and test have {leaks} also in another split, byte for byte."
    )


def training_section(facts: Facts) -> Section:
    """Return the description of the phases, the curves, the comparison and the contract."""
    path = l2_path(facts)
    charts = [*([path] if path else []), *curves(facts)]
    blocks: list[Block] = [
        *map(Text, tell_training(facts)),
        *([Charts(charts)] if charts else []),
        *_no_curves(facts),
        *_comparison(facts),
        Heading("Checks during training"),
        Text(_contract_verdict(facts)),
        *([Details("All checks, with what they found", [_contract(facts)])] if facts.metrics.contract else []),
    ]
    return Section("happened", "Training", blocks)


def _no_curves(facts: Facts) -> list[Block]:
    """Say why there are no curves of the epochs."""
    if facts.config.finetune.epochs == 0:
        return [Text("No layer was fine-tuned (finetune.epochs=0), so there are no curves of the loss.", is_note=True)]
    if len(facts.history) == 1:
        return [Text("Fine-tuning had one epoch, so there are no curves of the loss.", is_note=True)]
    if not facts.history:
        return [Text("This run has no history.csv, so there are no curves of the loss.", is_note=True)]
    return []


def _comparison(facts: Facts) -> list[Block]:
    compared = facts.metrics.comparison
    columns = list(dict.fromkeys(name for metrics in compared.values() for name in metrics))
    rows = [
        [PHASES.get(name, name.replace("_", " ")), *(figure(metrics.get(column)) for column in columns)]
        for name, metrics in compared.items()
    ]
    table = Table("Test metrics of each way to train the model", ["", *map(facts.spoken, columns)], rows)
    return [Heading(f"Compared on the same test {facts.nouns[1]}"), table] if rows else []


def _contract(facts: Facts) -> Table:
    rows = [
        [PHASES.get(phase, phase), name.replace("_", " "), _found(value)]
        for phase, checks in facts.metrics.contract.items()
        for name, value in checks.items()
        if name != "phase"
    ]
    return Table(
        "What was checked after each phase (the training contract)",
        ["phase", "checked", "found"],
        rows,
        has_numbers=False,
    )


def tell_training(facts: Facts) -> list[str]:
    """Describe in a few sentences what each phase did, and which phase was kept."""
    return [*_tell_phases(facts), _tell_choice(facts)]


def _tell_phases(facts: Facts) -> Iterator[str]:
    phases, pretrain = facts.metrics.phases, facts.config.pretrain
    if pretrain.source:
        yield (
            f"Before: the backbone was trained from random weights on {pretrain.source}, for "
            f"{count(pretrain.epochs, 'epoch')}. "
            + (
                "That run has its own report, in pretrain/."
                if pretrain.method == SUPERVISED
                else "Its labels were not used; the quality of its features is in pretrain/metrics.json."
            )
        )
    if "probe" in phases:
        probe, (frozen, changed), hidden = (
            phases["probe"],
            facts.metrics.frozen("probe"),
            facts.config.head.hidden_units,
        )
        how = f"its head of {count(len(hidden), 'hidden layer')} was trained"
        how = how if hidden or probe.l2 is None else f"the head was solved with λ = {probe.l2:.3g}"
        yield (
            f"Phase 1: the backbone stayed frozen ({frozen:,} variables, {changed} changed), and {how}. "
            f"On validation: {_validation(probe, facts.headline)}."
        )
    if "finetune" in phases:
        tuned, (frozen, changed) = phases["finetune"], facts.metrics.frozen("finetune")
        yield (
            f"Phase 2: {_unfrozen(tuned.unfrozen)} trained for {count(len(facts.history), 'epoch')} "
            f"({count(tuned.trainable_parameters, 'parameter')}; {frozen:,} variables stayed frozen, {changed} "
            f"changed). On validation: {_validation(tuned, facts.headline)}."
        )


def _unfrozen(unfreeze: str) -> str:
    """Describe the trained part of the network, as "the top 2 stages were"."""
    if unfreeze == "all":
        return "the whole network was"
    if unfreeze.isdecimal():
        stages = {0: "only the head was", 1: "the top stage and the head were"}
        return stages.get(int(unfreeze), f"the top {unfreeze} stages and the head were")
    return f"the part that finetune.unfreeze={unfreeze} names was"


def _tell_choice(facts: Facts) -> str:
    name = PHASES.get(facts.metrics.kept, facts.metrics.kept)
    return f"Kept{_reason(facts)}: {name}."


def _reason(facts: Facts) -> str:
    if len(facts.metrics.phases) < 2:
        return ""
    losses = facts.metrics.choice.losses()
    if facts.metrics.kept == "probe" and len(losses) == 2 and losses["finetune"] < losses["probe"]:
        return ", because fine-tuning is not better by more than chance"
    return f", because its {facts.decided_by} is lower"


def _validation(phase: Phase, headline: str) -> str:
    shown = ("loss", headline)
    return ", ".join(f"{spoken(k).lower()} {figure(v)}" for k, v in phase.validation.items() if k in shown)


def _contract_verdict(facts: Facts) -> str:
    checks = facts.metrics.contract
    if not checks:
        return "The run recorded no checks."
    examples = checks.get("evaluate test", {}).get("examples")
    once = "" if examples is None else f" Each of {facts.count(examples, 'test')} was counted exactly once."
    return "All passed: no frozen variable changed by a single bit, and the penalty is that of the config." + once


def _found(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {figure(inner)}" for name, inner in value.items())
    return ", ".join(map(figure, value)) if isinstance(value, list) else figure(value)
