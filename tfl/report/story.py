"""Describe the request and the training of a run, in sentences and tables."""

from typing import Any

from tfl.data.index import SPLITS
from tfl.report.facts import Facts
from tfl.report.figures import curves, l2_path
from tfl.report.wording import count, figure, spoken

MOST_FILES = 200  # most rows in the list of files that were left out
MOST_CLASSES = 1000
PHASES = {"probe": "frozen, solved head", "finetune": "fine-tuned", "from_scratch": "from scratch"}


def describe_request(facts: Facts) -> dict[str, Any]:
    """Return the options, the data, and the files that were left out."""
    splits = _sizes(facts)
    quarantine = facts.quarantine[:MOST_FILES]
    counts = facts.class_counts if facts.has_classes else {"all images": splits}
    rows = [[name, *(f"{split[part]:,}" for part in SPLITS)] for name, split in list(counts.items())[:MOST_CLASSES]]
    if facts.has_classes:
        rows.append(["all images", *(f"{splits[part]:,}" for part in SPLITS)])
    return {
        "changed": [[name, _option(value), _option(usual)] for name, value, usual in facts.changed_options],
        "options": [[name, _option(value)] for name, value in facts.all_options],
        "data": describe_data(facts),
        "counts_caption": "Images of each class in each split" if facts.has_classes else "Images in each split",
        "counts_columns": ["class" if facts.has_classes else "", *SPLITS],
        "counts": rows,
        "quarantine": [[row["path"], row["reason"]] for row in quarantine],
        "quarantine_title": f"{count(len(facts.quarantine), 'file')} left out"
        + (f", of which the first {MOST_FILES}" if len(facts.quarantine) > MOST_FILES else ""),
    }


def _option(value: Any) -> str:
    return "(empty)" if value in ("", (), []) else str(value)


def _sizes(facts: Facts) -> dict[str, int]:
    return {name: sum(row["split"] == name for row in facts.splits) for name in SPLITS}


def describe_data(facts: Facts) -> str:
    """Describe the number of images, their source, and whether an image is in more than one split."""
    used = sum(_sizes(facts).values())
    unused = len(facts.splits) - used
    leaks = (
        f"{count(facts.leaks, 'image')} that another split holds too"
        if facts.leaks
        else "no image that another split holds too"
    )
    return (
        f"{count(used, 'image')} from {facts.source}, seen at "
        f"{facts.metadata.image_size} x {facts.metadata.image_size} pixels"
        + (f"; {count(unused, 'image')} not used" if unused > 0 else "")
        + f". Validation and test hold {leaks}, byte for byte."
    )


def describe_training(facts: Facts) -> dict[str, Any]:
    """Return the description of the phases, the curves, the comparison and the contract."""
    compared = facts.metrics.get("comparison", {})
    columns = list(dict.fromkeys(name for metrics in compared.values() for name in metrics))
    path = l2_path(facts)
    return {
        "story": tell_training(facts),
        "charts": [*([path] if path else []), *curves(facts)],
        "comparison_columns": ["", *map(spoken, columns)],
        "comparison": [
            [PHASES.get(name, name.replace("_", " ")), *(figure(metrics.get(column)) for column in columns)]
            for name, metrics in compared.items()
        ],
        "contract": [
            [PHASES.get(phase, phase), name.replace("_", " "), _found(value)]
            for phase, checks in facts.metrics.get("contract", {}).items()
            for name, value in checks.items()
            if name != "phase"
        ],
        "contract_verdict": _contract_verdict(facts),
    }


def tell_training(facts: Facts) -> list[str]:
    """Describe in a few sentences what each phase did, and which phase was kept."""
    sentences, phases, contract = [], facts.metrics.get("phases", {}), facts.metrics.get("contract", {})
    if facts.config.pretrain.source:
        sentences.append(
            f"Before: the backbone was trained from random weights on {facts.config.pretrain.source}, for "
            f"{count(facts.config.pretrain.epochs, 'epoch')}; that run has a report of its own, in pretrain/."
        )
    if "probe" in phases:
        probe, kept = phases["probe"], contract.get("probe", {})
        how = f"its head of {count(len(facts.config.head.hidden_units), 'hidden layer')} was trained"
        how = how if facts.config.head.hidden_units else f"the head was solved with λ = {probe['l2']:.3g}"
        sentences.append(
            f"Phase 1: the whole backbone was frozen ({kept.get('frozen_variables', 0):,} variables, of which "
            f"{kept.get('frozen_changed', 0)} changed) and {how}. Validation: {_validation(probe, facts.headline)}."
        )
    if "finetune" in phases:
        tuned, kept = phases["finetune"], contract.get("finetune", {})
        frozen = kept.get("frozen_variables", 0) + kept.get("below_the_cut_frozen_variables", 0)
        moved = kept.get("frozen_changed", 0) + kept.get("below_the_cut_frozen_changed", 0)
        sentences.append(
            f"Phase 2: “{tuned['unfrozen']}” was unfrozen from the top: "
            f"{count(tuned['trainable_parameters'], 'parameter')} trained for "
            f"{count(len(facts.history), 'epoch')}; {frozen:,} variables stayed frozen, of which {moved} "
            f"changed. Validation: {_validation(tuned, facts.headline)}."
        )
    name = PHASES.get(facts.metrics.get("kept", ""), facts.metrics.get("kept", ""))
    return [*sentences, f"Kept, because its validation loss is lower: {name}." if len(phases) > 1 else f"Kept: {name}."]


def _validation(phase: dict[str, Any], headline: str) -> str:
    shown = ("loss", headline)
    return ", ".join(f"{spoken(k).lower()} {figure(v)}" for k, v in phase["validation"].items() if k in shown)


def _contract_verdict(facts: Facts) -> str:
    checks = facts.metrics.get("contract", {})
    if not checks:
        return "Nothing was recorded."
    seen = checks.get("evaluate test", {})
    once = (
        f" Every one of {count(seen['examples'], 'test image')} was counted exactly once." if "examples" in seen else ""
    )
    return "Kept: what was frozen did not move by one bit, and the penalty is the one that was asked for." + once


def _found(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {figure(inner)}" for name, inner in value.items())
    return ", ".join(map(figure, value)) if isinstance(value, list) else figure(value)
