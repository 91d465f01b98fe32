"""Render the report page from facts and findings."""

import functools
import importlib.resources
from typing import Any

import jinja2
from markupsafe import Markup

from tfl.evaluation.intervals import wilson_interval
from tfl.report.environment import command_again, describe_environment
from tfl.report.facts import Facts
from tfl.report.finding import Finding
from tfl.report.gallery import Gallery
from tfl.report.results import describe_results, has_value
from tfl.report.story import describe_request, describe_training
from tfl.report.wording import figure, percent, points, spoken
from tfl.version import VERSION

SECTIONS = {
    "asked": "What was asked",
    "happened": "What happened",
    "good": "How good it is",
    "look": "Look at it",
    "next": "What to do next",
    "shipped": "What is shipped",
    "again": "To do it again",
}


@functools.cache
def environment() -> jinja2.Environment:
    """Return the template environment of this package; HTML is escaped, and a missing name is an error."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("tfl.report"),
        autoescape=jinja2.select_autoescape(["html"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render_page(facts: Facts, findings: list[Finding], galleries: list[Gallery], note: str = "") -> str:
    """Return the text of `report.html`.

    Args:
        facts: the facts of the run.
        findings: the findings, the most important first.
        galleries: images with their explanations.
        note: the reason if there are no galleries.
    """
    shipped = _certificate(facts)
    style = (importlib.resources.files("tfl.report") / "templates" / "style.css").read_text("utf-8")
    text = (
        environment()
        .get_template("report.html")
        .render(
            head=_head(facts),
            style=Markup(style),  # safe: it is a file of this package
            findings=findings,
            sections=[(name, title) for name, title in SECTIONS.items() if name != "shipped" or shipped],
            asked=describe_request(facts),
            happened=describe_training(facts),
            good=describe_results(facts),
            look={"galleries": galleries, "note": note or _how_to_look(facts)},
            shipped=shipped,
            again={"command": command_again(facts), "environment": describe_environment(facts)},
            version=VERSION,
        )
    )
    return text.encode("utf-8", "replace").decode("utf-8")  # file names may not be valid UTF-8


def _head(facts: Facts) -> dict[str, Any]:
    value, interval, size = facts.test[facts.headline], facts.headline_interval, facts.test["num_examples"]
    images = f"{size:,} test images that it had not seen"
    if facts.task.headline.is_share:
        right = "are right" if facts.task.labels.has_one_class else "have every label right"
        heading = f"{percent(value)} of {images} {right}"
    else:
        heading = f"Off by {figure(value)} on average, on {images}"
    between = (
        f"With 95 % confidence it is between {facts.write(interval[0])} and {facts.write(interval[1])}. "
        if interval
        else ""
    )
    return {
        "title": f"{facts.name}: {heading}",
        "over": f"Report of the run {facts.name}",
        "heading": heading,
        "lead": between + describe_model(facts),
        "tiles": [_headline_tile(facts), _kept_tile(facts), *_calibration_tile(facts), *_worst_class_tile(facts)],
    }


def describe_model(facts: Facts) -> str:
    """Describe in one sentence the network and its classes."""
    names, width = facts.metadata.class_names, facts.config.backbone.alpha
    network = facts.metadata.backbone + (f" (alpha {width:g})" if width != 1 else "")
    shown = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
    kind = facts.task.nouns[1]
    weights = facts.config.backbone.weights
    source = "pre-trained on " + facts.config.pretrain.source if facts.config.pretrain.source else f"weights {weights}"
    return f"{network}, {source}, for the {kind} {shown}."


def _headline_tile(facts: Facts) -> dict[str, Any]:
    value, interval = facts.test[facts.headline], facts.headline_interval
    note = (
        f"95 % interval {facts.write(interval[0])} to {facts.write(interval[1])}"
        if interval
        else "no interval was computed"
    )
    return {
        "label": f"{spoken(facts.headline)}, test",
        "number": facts.write(value),
        "value": value,
        "interval": interval if facts.task.headline.is_share else None,
        "note": note,
    }


def _kept_tile(facts: Facts) -> dict[str, Any]:
    kept = str(facts.metrics.get("kept", ""))
    names = {"probe": "Frozen backbone", "finetune": "Fine-tuned"}
    losses = list(facts.phase_losses.items())
    short_names = {"probe": "frozen", "finetune": "fine-tuned"}
    note = "validation loss " + ", ".join(f"{figure(loss)} {short_names.get(name, name)}" for name, loss in losses)
    return _tile("What was kept", names.get(kept, spoken(kept)), note if losses else "")


def _calibration_tile(facts: Facts) -> list[dict[str, Any]]:
    calibration = facts.evaluation.get("calibration", {})
    if "after" not in calibration:
        return []
    before, after = calibration["before"], calibration["after"]
    chance = after["ece_by_chance"]
    note = f"{points(before['ece'])} before temperature scaling; a perfect model would show about "
    note += f"{points(chance)} on so many images"
    if after["ece"] <= after.get("ece_by_chance_high", 1.5 * chance):
        note = f"no more than chance: {note}"
    return [_tile("Probabilities are off by", points(after["ece"]), note)]


def _worst_class_tile(facts: Facts) -> list[dict[str, Any]]:
    rows = [row for row in facts.evaluation.get("per_class", []) if has_value(row, "recall")]
    if not rows:
        return []
    worst = min(rows, key=lambda row: row["recall"])
    low, high = wilson_interval(round(worst["recall"] * worst["support"]), worst["support"])
    note = f"{percent(worst['recall'])} of {worst['support']:,} are found ({percent(low)} to {percent(high)})"
    return [_tile("Worst class", worst["class"], note)]


def _tile(label: str, number: str, note: str) -> dict[str, Any]:
    return {"label": label, "number": number, "note": note, "interval": None, "value": None}


def _how_to_look(facts: Facts) -> str:
    text = (
        "Left the photo, right where the model looked (Grad-CAM): the more orange, the more that place speaks for the "
        "answer. "
    )
    if not facts.has_classes:
        return text + "The heat is what raises the value."
    return text + "Below, the training images that are most alike to the model, and the cosine of their features."


def _certificate(facts: Facts) -> dict[str, Any] | None:
    """Return the certificate as a table with one row per exported file."""
    artefacts = facts.certificate.get("artefacts", {}) | facts.certificate.get("rejected", {})
    if not artefacts:
        return None
    numbers = ("max_difference", "agreement", "accuracy", "num_images")
    rows = [
        [
            name,
            entry.get("quantize", ""),
            *(figure(entry.get(number)) for number in numbers),
            f"{entry['bytes'] / 1e6:.1f} MB" if "bytes" in entry else figure(None),
            "; ".join(entry.get("failures", [])) or "passed",  # a file that failed is listed, but was not kept
        ]
        for name, entry in artefacts.items()
    ]
    columns = ["file", "quantized", *map(spoken, numbers), "size", "verdict"]
    return {"columns": columns, "rows": rows}
