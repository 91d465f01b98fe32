"""Make the charts of a run, each with its finding in words."""

import io

import numpy as np
from PIL import Image

from tfl.evaluation.calibration import Calibration
from tfl.files.pictures import data_uri
from tfl.report.charts import Chart, Series, draw
from tfl.report.facts import Facts
from tfl.report.wording import count, figure, percent, points
from tfl.training.objective.schedules import make_schedule

STEPS = 60  # points of a learning-rate curve
LIGHT = (224, 122, 44)  # colour of a large confusion matrix, visible on white and on black


def curves(facts: Facts) -> list[Chart]:
    """Return the charts of loss and accuracy by epoch and of the learning rate by step; none without fine-tuning."""
    rows = facts.history
    charts = [
        _curve(facts, name)
        for name in ("loss", "accuracy")
        if len(rows) > 1 and {name, f"val_{name}"} <= rows[0].keys()
    ]
    return [*charts, _learning_rate(facts)] if rows else []


def _curve(facts: Facts, name: str) -> Chart:
    rows, is_share = facts.history, name == "accuracy"
    epochs = [row["epoch"] for row in rows]
    train, validation = [row[name] for row in rows], [row[f"val_{name}"] for row in rows]
    scale, write = (100, percent) if is_share else (1, figure)
    best = int(np.argmin(facts.epoch_losses))
    return draw(
        [
            Series("training", epochs, [scale * value for value in train]),
            Series("validation", epochs, [scale * value for value in validation], "second"),
            Series("", [epochs[best]], [scale * validation[best]], "second", sizes=[4]),
        ],
        alt=f"{name.title()} by epoch: training from {write(train[0])} to {write(train[-1])}, validation from "
        f"{write(validation[0])} to {write(validation[-1])}; the validation loss is lowest after epoch "
        f"{epochs[best]:g}.",
        caption=f"{name.title()} after each epoch of fine-tuning. The dot is the epoch with the lowest validation loss"
        f"{', at its own temperature' if 'val_calibrated_loss' in rows[0] else ''}.",
        x_label="epoch",
        y_label="accuracy (%)" if is_share else "loss",
    )


def _learning_rate(facts: Facts) -> Chart:
    options, train = facts.config.finetune, facts.metrics.num_examples["train"]
    total = options.epochs * -(-train // facts.config.data.batch_size)
    schedule = make_schedule(options.schedule, options.learning_rate, total, options.warmup_fraction)
    steps = np.unique(np.linspace(0, total - 1, min(total, STEPS)).astype(int)).tolist()
    rates = [float(np.asarray(schedule(step) if callable(schedule) else schedule)) for step in steps]
    return draw(
        [Series("", steps, rates)],
        alt=f"Learning rate by step: {options.schedule}, at most {max(rates):.3g}, over {count(total, 'step')}.",
        caption=f"Learning rate of the topmost stage ({options.schedule}), over {count(total, 'step')}.",
        x_label=f"step (a batch of {facts.count(facts.config.data.batch_size)})",
        y_label="learning rate",
        y_range=(0, max(rates) * 1.05),
    )


def l2_path(facts: Facts) -> Chart | None:
    """Return the chart of the validation loss over the tried values of λ; None if there was only one."""
    probe = facts.metrics.phases.get("probe")
    if probe is None or probe.l2 is None or len(probe.path) < 2:
        return None
    best, tried, losses = probe.l2, [point.l2 for point in probe.path], [point.validation_loss for point in probe.path]
    chosen = min(range(len(tried)), key=lambda k: abs(np.log(tried[k] / best)))
    return draw(
        [Series("", tried, losses), Series("", [tried[chosen]], [losses[chosen]], sizes=[4])],
        alt=f"Validation loss over {len(tried)} values of λ: lowest at λ = {best:.3g} with {losses[chosen]:.3f}.",
        caption=f"Validation loss of the solved head for {len(tried)} values of λ. The dot is the chosen value, "
        f"{best:.3g}.",
        x_label="λ, the strength of the penalty",
        y_label="validation loss",
        log_x=True,
    )


def reliability(facts: Facts) -> list[Chart]:
    """Return the reliability diagrams before and after temperature scaling."""
    calibration = facts.evaluation.calibration
    if calibration is None:
        return []
    return [
        _reliability(facts, calibration.before, "as trained (T = 1)"),
        _reliability(facts, calibration.after, f"temperature scaled (T = {facts.temperature:.2f})"),
    ]


def _reliability(facts: Facts, measured: Calibration, name: str) -> Chart:
    bins = [
        (row.count, row.confidence, row.accuracy)
        for row in measured.bins
        if row.count and row.confidence is not None and row.accuracy is not None
    ]
    total = sum(count for count, _, _ in bins) or 1
    gap = sum(count * (confidence - accuracy) for count, confidence, accuracy in bins) / total
    confidences, accuracies = [100 * row[1] for row in bins], [100 * row[2] for row in bins]
    return draw(
        [
            Series("", [0, 100], [0, 100], "guide"),
            Series("", confidences, accuracies),
            Series("", confidences, accuracies, sizes=[2 + 8 * (count / total) ** 0.5 for count, _, _ in bins]),
        ],
        alt=f"Reliability diagram, {name}: expected calibration error {points(measured.ece)}; on average the "
        f"confidence is {points(abs(gap))} too {'high' if gap > 0 else 'low'}.",
        caption=f"{name[:1].upper()}{name[1:]}: error {points(measured.ece)}. On the dashed line, a confidence of "
        f"80 % means correct in 8 of 10 cases. A larger dot means more {facts.nouns[1]}.",
        x_label="confidence of the prediction (%)",
        y_label="correct (%)",
        x_range=(0, 100),
        y_range=(0, 100),
    )


def selective(facts: Facts) -> Chart | None:
    """Return the chart of accuracy over the share of examples for which the model is confident enough."""
    rows = sorted(facts.evaluation.selective.curve, key=lambda row: row.coverage)
    rows = [(row.coverage, row.accuracy) for row in rows if row.accuracy is not None]
    if len(rows) < 2:
        return None
    coverages, accuracies = [coverage for coverage, _ in rows], [accuracy for _, accuracy in rows]
    return draw(
        [Series("", [100 * share for share in coverages], [100 * share for share in accuracies])],
        alt=f"Accuracy over coverage: {percent(accuracies[-1])} on {percent(coverages[-1])} of the {facts.nouns[1]}, "
        f"{percent(accuracies[0])} on the {percent(coverages[0])} with the highest confidence.",
        caption=f"Accuracy on the test {facts.nouns[1]} that the model answers, if it leaves those with the lowest "
        f"confidence to a person. The thresholds were chosen on {facts.held_out}.",
        x_label=f"{facts.nouns[1]} that the model answers (%)",
        y_label="accuracy (%)",
        x_range=(0, 100),
    )


def confusion_picture(matrix: np.ndarray) -> str:
    """Return a confusion matrix of many classes as a picture with one pixel per cell, as a data URI.

    The opacity of a cell follows its share of its row; an empty cell is transparent.
    """
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    pixels = np.zeros((*matrix.shape, 4), np.uint8)
    pixels[..., :3] = LIGHT
    pixels[..., 3] = np.round(255 * share**0.5)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return data_uri(content.getvalue(), "image/png")
