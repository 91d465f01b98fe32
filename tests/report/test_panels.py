"""Each analysis has a panel, and the template does not know which analyses there are."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from test_page import Document, check_accessible

import tfl.report
from tfl import tasks
from tfl.config import TARGETS
from tfl.evaluation import ANALYSES, Evaluation, summarize
from tfl.report import read_facts, write_report
from tfl.report.blocks import Block
from tfl.report.panels import PANELS
from tfl.tasks import get_task

EXTENDING = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "extending.md"
REGION = {"class": "road", "iou": 0.5, "low": 0.4, "high": 0.6, "dice": 0.7, "share": 0.2, "num_examples": 9}
POINTS = [{"score": 0.9, "recall": 0.2, "precision": 1.0}, {"score": 0.3, "recall": 0.6, "precision": 0.7}]
CLASS_OF_BOXES = {"class": "cat", "ap": 0.5, "low": 0.4, "high": 0.6, "ap50": 0.7, "num_objects": 9, "curve": POINTS}
OF_OTHER_TASKS = {  # results of analyses that no run of this file has
    "regions": [REGION],
    "boxes": {"classes": [CLASS_OF_BOXES], "errors": {"right": 5, "missed": 4}},
}
TEMPLATES = Path(tfl.report.__file__).parent / "templates"


def test_every_analysis_has_a_panel():
    assert PANELS.keys() == ANALYSES.keys()


@pytest.mark.parametrize("name", sorted(ANALYSES))
def test_a_panel_shows_something_where_the_analysis_applies_and_nothing_elsewhere(make_run, name):
    facts = read_facts(make_run("regression").path)
    values = facts.evaluation.to_dict()
    if name in facts.task.analyses:
        assert PANELS[name](facts)
        (facts.path / "evaluation.json").write_text(json.dumps({**values, "decisions": {}}))
        assert not PANELS[name](read_facts(facts.path))
    else:
        assert name not in facts.evaluation.results and not PANELS[name](facts)
        classes = read_facts(make_run("multiclass").path)
        if name not in classes.task.analyses:
            values = classes.evaluation.to_dict() | {name: OF_OTHER_TASKS[name]}
            (classes.path / "evaluation.json").write_text(json.dumps(values))
            classes = read_facts(classes.path)
        assert PANELS[name](classes)


def test_every_kind_of_block_has_a_macro():
    macros = re.findall(r"macro (\w+)\(", (TEMPLATES / "blocks.html").read_text())
    kinds = [kind.kind for kind in Block.__subclasses__()]
    assert len(kinds) >= 9 and len(set(kinds)) == len(kinds) and set(kinds) <= set(macros)


@pytest.mark.parametrize("name", ["report.html", "blocks.html", "model_card.md"])
def test_the_templates_name_no_analysis_and_no_task(name):
    statements = " ".join(re.findall(r"{[{%].*?[}%]}", (TEMPLATES / name).read_text()))
    assert "for" in statements
    for word in (*ANALYSES, *TARGETS):
        assert word not in statements


@pytest.fixture
def example(monkeypatch):
    """Run the example of the documentation, and forget its analysis, its panel and its task afterwards."""
    for known in (ANALYSES, PANELS, tasks._TASKS):
        for added in ("predicted", "counted"):
            monkeypatch.setitem(known, added, None)  # so that what was there before comes back
            known.pop(added)
    monkeypatch.setattr("tfl.tasks.TARGETS", [*TARGETS])
    page = EXTENDING.read_text().partition("## An analysis of your own")[2]
    names = {}
    exec(re.search(r"```python\n(.*?)```", page, re.DOTALL)[1], names)
    return names


def test_an_analysis_of_ones_own_is_measured_stored_and_shown(make_run, example):
    run = make_run()
    facts = read_facts(run.path)
    table = type(facts.table)(facts.table.ids, facts.table.labels, facts.table.logits, get_task("counted"))
    evaluation = summarize(table, facts.metadata.class_names, temperature=facts.temperature)
    counts = np.bincount(facts.table.logits.argmax(axis=1), minlength=3).tolist()
    assert [row.count for row in evaluation.results["predicted"]] == counts
    values = evaluation.to_dict()
    assert values["predicted"] == [
        {"name": name, "count": n} for name, n in zip(("ant", "bee", "cat"), counts, strict=True)
    ]
    assert Evaluation.from_dict(values) == evaluation
    (run.path / "evaluation.json").write_text(json.dumps(values))
    write_report(run.path)
    document = Document((run.path / "report.html").read_text("utf-8"))
    check_accessible(document)
    assert f"Predictions of each class class images ant {counts[0]} bee {counts[1]} cat {counts[2]}" in document.words()
