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
from tfl.evaluation.slices import MeasuredSlice
from tfl.report.facts import Facts
from tfl.report.finding import Finding
from tfl.report.head import describe_model
from tfl.report.page import environment
from tfl.report.panels import class_tables
from tfl.report.results import metrics_table, slice_tables
from tfl.report.story import describe_data, tell_training
from tfl.report.wording import percent, sentence_start

METRIC_IDS = {  # our metric names, and the names on the Hugging Face Hub
    "accuracy": "accuracy",
    "macro_f1": "f1",
    "mean_absolute_error": "mae",
    "root_mean_squared_error": "rmse",
    "r2": "r_squared",
    "mean_iou": "mean_iou",
    "ap": "mean_average_precision",
}
PIPELINES = ("image-classification", "image-segmentation", "object-detection")  # of Hugging Face
MOST_ROWS = 100  # of a table


def render_card(facts: Facts, findings: list[Finding]) -> str:
    """Return the text of `MODEL_CARD.md`: all measured facts are filled in, and what people must decide is marked.

    Args:
        facts: the facts of the run.
        findings: the caveats, the most important first.
    """
    template = _environment().get_template("model_card.md")
    pipeline = _pipeline(facts)
    text = template.render(
        pipeline=pipeline,
        has_pipeline=pipeline in PIPELINES,
        card=_describe(facts),
        tables=[metrics_table(facts), *class_tables(facts), *slice_tables(facts)],
        most_rows=MOST_ROWS,
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
    splits = facts.metrics.num_examples
    metrics = [(METRIC_IDS[name], value) for name, value in facts.test.items() if name in METRIC_IDS]
    return {
        "name": facts.name,
        "base": f"keras-applications/{facts.metadata.backbone}" if is_in_keras(facts.metadata.backbone) else "",
        "source": facts.data_name,
        "model": describe_model(facts),
        "input": _input(facts),
        "examples": facts.nouns[1],
        "with_people": f"people {'on' if facts.has_pictures else 'in'} the {facts.nouns[1]}",
        "output": _output(facts),
        "training": " ".join(tell_training(facts)),
        "made": f"seed {facts.config.seed}" + (f", {facts.seconds:.0f} s" if facts.seconds else ""),
        "metric_ids": [name for name, _ in metrics],
        "metrics": [(name, round(float(value), 6)) for name, value in metrics if math.isfinite(value)],
        "strange": _strange(facts),
        "factors": _factors(facts),
        "metrics_note": f"Every test {facts.nouns[0]} counts exactly once. The test split was used once, at the end."
        + (" Intervals are at 95 %." if facts.headline_interval else ""),
        "test_data": f"{facts.count(splits['test'])} that were used neither for training nor for any choice. "
        + describe_data(facts),
        "train_data": f"{facts.count(splits['train'])} for training and {splits['validation']:,} for choices, from "
        f"{facts.data_name}.",
    }


def _pipeline(facts: Facts) -> str:
    """Return a task as the Hub names it, as in "image-segmentation"."""
    if facts.task.answers_boxes:
        return "object-detection"
    goal = "segmentation" if facts.has_maps else "classification" if facts.has_classes else "regression"
    return f"{facts.metadata.input.name}-{goal}"


def _output(facts: Facts) -> str:
    names = ", ".join(facts.metadata.class_names[:100])
    scaled = f"; divide by the temperature {facts.temperature:.3g} before they become probabilities"
    return f"{facts.task.output_kind} ({names}, in this order){scaled if facts.task.has_temperature else ''}"


def _input(facts: Facts) -> str:
    return f"{'RGB ' if facts.has_pictures else ''}{facts.nouns[1]}, {facts.shape}; preprocessing is inside the model"


def _strange(facts: Facts) -> str:
    """Describe what the model answers for an example that is not like those of training."""
    one = sentence_start(facts.metadata.input.one_example)
    if not facts.has_classes:
        return f"{one} of anything else still gets a value"
    if facts.task.answers_boxes:
        return "Anything else may still get a box of one of the classes"
    if facts.has_maps:
        return f"{sentence_start(facts.nouns[0])} regions of anything else still get one of the classes"
    row, shows = facts.evaluation.selective.dont_know, "shows" if facts.has_pictures else "has"
    advice = (
        f"; answer “don’t know” below {percent(row.threshold)} confidence, which was chosen on {facts.held_out}"
        if row
        else ""
    )
    if not facts.task.labels.has_one_class:
        return f"{one} that {shows} none of the labels may still get some of them{advice}"
    return f"{one} that {shows} none of the classes still gets one of them{advice}"


def _factors(facts: Facts) -> str:
    if not facts.evaluation.slices:
        return f"The run did not measure parts of the test {facts.nouns[1]} other than the classes."
    parts = []
    for name, rows in facts.evaluation.slices.items():
        worst = min(rows, key=lambda row: _best_case(facts, row), default=None)
        if worst:
            parts.append(f"{name} (weakest at {worst.name}: {facts.write(worst.value)})")
    return f"Measured separately: {', '.join(parts)}."


def _best_case(facts: Facts, row: MeasuredSlice) -> float:
    """Return the better end of the interval of a slice; so a slice of a few examples is not the weakest by chance."""
    if facts.task.headline.higher_is_better:
        return row.value if row.high is None else row.high
    return -(row.value if row.low is None else row.low)


def _markdown(text: Any) -> str:
    """Escape Markdown in a text: names of classes and files may have any characters."""
    return re.sub(r"([\\`*_{}\[\]<>|#~])", r"\\\1", " ".join(str(text).split()))
