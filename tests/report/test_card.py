"""The model card has the headings of its paper, numbers of the run, and front matter that YAML readers take."""

import dataclasses
from pathlib import Path

import pytest
import yaml

from tfl.report import CARD, REPORT, read_facts, write_report

HEADINGS = [
    "Model details",
    "Intended use",
    "Factors",
    "Metrics",
    "Evaluation data",
    "Training data",
    "Quantitative analyses",
    "Ethical considerations",
    "Caveats and recommendations",
]


def card_of(run):
    write_report(run.path)
    return (Path(run.path) / "MODEL_CARD.md").read_text("utf-8")


def front_matter(text):
    _, head, body = text.split("---\n", 2)
    return yaml.safe_load(head), body


@pytest.mark.parametrize("measured", [True, False])
@pytest.mark.parametrize("target", ["multiclass", "binary", "multilabel", "regression"])
def test_every_target_has_a_whole_card(make_run, target, measured):
    run = make_run(target, ("no", "yes") if target == "binary" else ("ant", "bee", "cat"), measured=measured)
    head, body = front_matter(card_of(run))
    assert [line[3:] for line in body.splitlines() if line.startswith("## ")] == HEADINGS
    assert body.count("\n# ") == 1
    assert head["library_name"] == "keras" and "tfl" in head["tags"]
    result = head["model-index"][0]["results"][0]
    name = "mean_absolute_error" if target == "regression" else "accuracy"
    ids = {"mean_absolute_error": "mae"}
    values = {metric["type"]: metric["value"] for metric in result["metrics"]}
    assert values[ids.get(name, name)] == pytest.approx(run.metrics["test"][name], abs=1e-6)
    assert "nan" not in body.split() and "None" not in body


PLACES = {"folder:/home/me/ants": "ants", "csv:/data/labels.csv": "labels.csv", "digits": "digits"}


@pytest.mark.parametrize("source", PLACES)
def test_the_card_names_the_data_but_not_its_place(make_run, source):
    facts = read_facts(make_run().path)
    config = dataclasses.replace(facts.config, data=dataclasses.replace(facts.config.data, source=source))
    assert dataclasses.replace(facts, config=config).data_name == PLACES[source]


def test_tables_are_tables(make_run):
    run = make_run()
    _, body = front_matter(card_of(run))
    tables = [block.splitlines() for block in body.split("\n\n") if block.lstrip().startswith("|")]
    assert len(tables) >= 3
    for lines in tables:
        assert len({line.strip("|").replace("\\|", "").count("|") for line in lines}) == 1
    row = run.evaluation["per_class"][0]
    assert any(line.startswith("| ant | ") and f"{row['recall']:.3f}" in line for lines in tables for line in lines)


def test_names_cannot_be_markup(make_run):
    text = card_of(make_run(names=("a|b", "<b>*x*</b>", "[link](http://x)\nnew: line")))
    head, body = front_matter(text)
    assert head["library_name"] == "keras"
    assert "<b>" not in body and "*x*" not in body.replace("\\*x\\*", "") and "[link]" not in body
    assert "a\\|b" in body and "\nnew: line" not in body


def test_a_stop_between_the_two_files_leaves_no_report_so_that_the_run_writes_both(make_run, monkeypatch):
    run = make_run("multiclass", ("ant", "bee", "cat"))

    def stop(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("tfl.report.render_page", stop)
    with pytest.raises(KeyboardInterrupt):
        write_report(run.path)
    assert (run.path / CARD).exists() and not (run.path / REPORT).exists()
