"""What a run does not have is told in a sentence, never as a heading or a table with nothing below it."""

import dataclasses
import itertools
import json
import re

import numpy as np
import pytest
from test_page import Document, check_accessible, page_of

from tfl.evaluation import Predictions
from tfl.evaluation.summary import summarize
from tfl.evaluation.tables import write_predictions
from tfl.report import read_facts
from tfl.workdir import write_json


class Outline(Document):
    """A page as a list of headings ("h2", text), table rows and texts, in their order."""

    def __init__(self, text):
        self.parts = []
        super().__init__(text)

    def handle_starttag(self, tag, attributes):
        super().handle_starttag(tag, attributes)
        if tag in ("section", "table", "ul", "figure") or re.fullmatch("h[1-6]", tag):
            self.parts.append((tag, ""))
        if (tag == "tr" and "tbody" in self.open) or tag in ("li", "svg", "img"):
            self.parts.append(("row", ""))

    def handle_data(self, data):
        super().handle_data(data)
        if data.strip() and self.open and self.open[-1] in ("p", "code", "pre", "summary", "span", "li"):
            self.parts.append(("text", data.strip()))


def check_no_empty_part(text):
    """Below every heading is something before the next heading of its level, and every table and list has a row."""
    document = Outline(text)
    check_accessible(document)
    parts = [part for part in document.parts if part[1] != "Scroll sideways to see all columns."]
    for part, following in itertools.pairwise([*parts, ("section", "")]):
        if re.fullmatch("h[1-6]", part[0]):
            is_lower_heading = re.fullmatch("h[1-6]", following[0]) and following[0] > part[0]
            assert is_lower_heading or following[0] in ("text", "row", "table", "ul", "figure"), (part, following)
        if part[0] in ("table", "ul", "figure"):
            assert following[0] in ("row", "text"), (part, following)
    for table in re.findall(r"<tbody>(.*?)</tbody>", text, re.DOTALL):
        assert "<tr>" in table
    return document.words().replace("\xa0", " ")


def measured_again(run, *, logits=None, labels=None, validation=True):
    """Replace the test predictions of a run, or leave out those on validation."""
    facts = read_facts(run.path)
    table = facts.table
    table = dataclasses.replace(
        table,
        labels=table.labels if labels is None else labels,
        logits=table.logits if logits is None else logits,
    )
    names = facts.metadata.class_names
    other = Predictions(table.ids, table.labels, table.logits, table.task) if validation else None
    evaluation = summarize(table, names, temperature=facts.temperature, validation=other)
    write_json(run.path / "evaluation.json", evaluation.to_dict())
    rows = np.arange(len(table))
    write_predictions(dataclasses.replace(table, ids=rows), run.path / "predictions.csv", facts.table.ids, names)
    splits = (run.path / "splits.csv").read_text()
    if labels is not None:
        (run.path / "splits.csv").write_text(relabelled(splits, facts.table.ids, [names[k] for k in labels]))
    write_json(run.path / "metrics.json", {**run.metrics, "test": evaluation.test})


def relabelled(splits, ids, labels):
    rows, wanted = [row.split(",") for row in splits.splitlines()], dict(zip(map(str, ids), labels, strict=True))
    place, name = rows[0].index("label"), rows[0].index("id")
    return "\n".join(
        ",".join([*row[:place], wanted.get(row[name], row[place]), *row[place + 1 :]]) for row in rows
    ) + "\n"  # fmt: skip


def one_hot(facts, factor=9.0):
    return factor * np.eye(3)[facts.table.labels]


def test_a_run_with_all_of_it_has_no_empty_part(make_run):
    for text in (page_of(make_run()), page_of(make_run("multilabel"), with_images=False)):
        check_no_empty_part(text)


@pytest.mark.parametrize("target", ["binary", "regression"])
def test_no_slices_and_no_validation_predictions(make_run, target):
    run = make_run(target, ("no", "yes"))
    measured_again(run, validation=False)
    words = check_no_empty_part(page_of(run, with_images=False))
    assert "The test images were not divided into parts" in words
    assert "there are no predictions on validation to choose them on" in words


def test_no_errors(make_run):
    run = make_run()
    measured_again(run, logits=one_hot(read_facts(run.path)))
    words = check_no_empty_part(page_of(run))
    assert "The model made no error on the test images, so there is none to look at." in words
    assert "No test image is predicted as another class." in words
    assert "Worst class no errors every test image of every class is found" in words
    assert "Errors with the highest confidence" not in words


def test_no_hits(make_run):
    run = make_run()
    measured_again(run, logits=-one_hot(read_facts(run.path)))
    words = check_no_empty_part(page_of(run))
    assert "The model predicted none of the test images correctly." in words and "Typical examples" not in words


def test_one_class_on_test(make_run):
    run = make_run()
    labels = np.zeros_like(read_facts(run.path).table.labels)
    measured_again(run, labels=labels)
    words = check_no_empty_part(page_of(run, with_images=False))
    assert "The test split has no image of bee, cat: nothing is known about how many of them" in words
    assert "Worst class" not in words


def test_no_fine_tuning_and_nothing_recorded(make_run):
    run = make_run(fine_tuned=False, measured=False)
    write_json(run.path / "metrics.json", {**run.metrics, "contract": {}})
    for name in ("quarantine.csv", "splits.csv", "predictions.csv"):
        (run.path / name).unlink()
    words = check_no_empty_part(page_of(run, with_images=False))
    assert "No layer was fine-tuned (finetune.epochs=0), so there are no curves of the loss." in words
    assert "This run has no splits.csv" in words and "The run recorded no checks." in words
    assert "Every file could be used." in words


def test_one_epoch_has_no_curve(make_run):
    run = make_run()
    rows = (run.path / "history.csv").read_text().splitlines()
    (run.path / "history.csv").write_text("\n".join(rows[:2]) + "\n")
    assert "Fine-tuning had one epoch" in check_no_empty_part(page_of(run, with_images=False))


def test_few_images_are_told_by_their_interval(make_run):
    run = make_run(num_test=8)
    measured_again(run, logits=one_hot(read_facts(run.path)))
    text = page_of(run, with_images=False)
    words = check_no_empty_part(text)
    assert "<h1>Accuracy between 67.6\xa0% and 100\xa0% (95 % interval; 8 of 8 images right)</h1>" in text
    assert "about 960 test images are needed, 952 more." in words
    assert "Accuracy, test 67.6 % to 100 % 95 % interval; measured: 100 % on 8 images" in words


def test_epochs_are_numbered_alike_in_new_and_old_files(make_run):
    run = make_run()
    file = run.path / "history.csv"
    head, *rows = file.read_text().splitlines()
    charts = []
    for first in (0, 1):
        file.write_text("\n".join([head, *(f"{first + k}{row[1:]}" for k, row in enumerate(rows))]) + "\n")
        text = page_of(run, with_images=False)
        charts.append(re.findall(r"<svg.*?</svg>", text, re.DOTALL))
        assert "lowest after epoch 2" in text
        assert json.dumps([row["epoch"] for row in read_facts(run.path).history]) == "[1.0, 2.0, 3.0]"
    assert charts[0] == charts[1]
