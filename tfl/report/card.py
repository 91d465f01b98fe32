"""Write the model card: what a user of the model must know, under the headings of Mitchell et al. 2019.

Reference:
    Mitchell et al. 2019, Model cards for model reporting, arXiv:1810.03993.
"""

import functools
import math
import re
from typing import Any

import jinja2

from tfl.backbones.catalog import is_in_keras
from tfl.report.facts import Facts
from tfl.report.finding import Finding
from tfl.report.page import describe_model, environment
from tfl.report.results import describe_results
from tfl.report.story import describe_data, tell_training
from tfl.report.wording import count, percent

METRIC_IDS = {  # our metric names, and the names on the Hugging Face Hub
    "accuracy": "accuracy",
    "macro_f1": "f1",
    "mean_absolute_error": "mae",
    "root_mean_squared_error": "rmse",
    "r2": "r_squared",
}


def render_card(facts: Facts, findings: list[Finding]) -> str:
    """Return the text of `MODEL_CARD.md`: all measured facts are filled in, and what people must decide is marked.

    Args:
        facts: the facts of the run.
        findings: the caveats, the most important first.
    """
    template = _environment().get_template("model_card.md")
    text = template.render(
        pipeline="image-classification" if facts.has_classes else "image-regression",
        card=_describe(facts),
        results=describe_results(facts),
        findings=findings,
    )
    return text.encode("utf-8", "replace").decode("utf-8")


@functools.cache
def _environment() -> jinja2.Environment:
    """Return the template environment of the card; it is cached because a new one compiles its templates again."""
    made = environment().overlay(autoescape=False)
    made.filters = {**made.filters, "md": _markdown}  # a new dict, because the page uses the other one
    return made


def _describe(facts: Facts) -> dict[str, Any]:
    splits = facts.metrics.get("num_examples", {})
    metrics = [(METRIC_IDS[name], value) for name, value in facts.test.items() if name in METRIC_IDS]
    interval = facts.headline_interval
    return {
        "name": facts.name,
        "base": f"keras-applications/{facts.metadata.backbone}" if is_in_keras(facts.metadata.backbone) else "",
        "source": facts.source,
        "model": describe_model(facts),
        "size": facts.metadata.image_size,
        "output": _output(facts),
        "training": " ".join(tell_training(facts)),
        "made": f"seed {facts.config.seed}" + (f", {facts.seconds:.0f} s" if facts.seconds else ""),
        "metric_ids": [name for name, _ in metrics],
        "metrics": [(name, round(float(value), 6)) for name, value in metrics if math.isfinite(value)],
        "strange_image": _strange_image(facts),
        "factors": _factors(facts),
        "metrics_note": "Every test image counts exactly once; the test split was looked at once, at the end."
        + (" Intervals are at 95 %." if interval else ""),
        "test_data": f"{count(splits.get('test', 0), 'image')} that were neither trained on nor chosen by. "
        + describe_data(facts),
        "train_data": f"{count(splits.get('train', 0), 'image')} to train on and {splits.get('validation', 0):,} to "
        f"choose by, from {facts.source}.",
    }


def _output(facts: Facts) -> str:
    names = ", ".join(facts.metadata.class_names[:100])
    sure = f"; divide by the temperature {facts.temperature:.3g} before they become probabilities"
    return f"{facts.task.output_kind} ({names}, in this order){sure if facts.task.has_temperature else ''}"


def _strange_image(facts: Facts) -> str:
    if not facts.has_classes:
        return "An image of anything else still gets a value"
    row = facts.evaluation.get("decisions", {}).get("dont_know")
    sure = "" if row is None else f"; answer “don’t know” below {percent(row['threshold'])} confidence"
    advice = f"{sure}, which was chosen on {facts.held_out}" if row else ""
    if not facts.task.labels.has_one_class:
        return f"An image that shows none of the labels may still get some of them{advice}"
    return f"An image that shows none of the classes still gets one of them{advice}"


def _factors(facts: Facts) -> str:
    slices = facts.evaluation.get("slices", {})
    if not slices:
        return "No slices of the test images were measured beside the classes."
    parts = []
    for name, rows in slices.items():
        sign = 1.0 if facts.task.headline.higher_is_better else -1.0
        worst = min(rows, key=lambda row: sign * row.get(facts.headline, 0.0), default=None)
        if worst:
            parts.append(f"{name} (weakest at {worst['slice']}: {facts.write(worst[facts.headline])})")
    return f"Measured apart: {', '.join(parts)}."


def _markdown(text: Any) -> str:
    """Escape Markdown in a text: names of classes and files may have any characters."""
    return re.sub(r"([\\`*_{}\[\]<>|#~])", r"\\\1", " ".join(str(text).split()))
