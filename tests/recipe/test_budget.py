"""A run within its budget: what is shortened before it starts, and how fine-tuning ends when the time is over."""

import csv
import json

import pytest
from option_runs import make_config

import tfl
from tfl.features.speed import Speed
from tfl.recipe import shorten as room
from tfl.recipe.budget import Budget

pytestmark = pytest.mark.usefixtures("small_networks")


def config_of(photos, folder, **options):
    usual = {"data.augmentation": "shift", "features.views": -1, "finetune.epochs": -1, "finetune.unfreeze": "1"}
    return make_config(photos, folder / "store", usual | options)


def recorded(run):
    return json.loads((run / "config.json").read_text())


def test_a_budget_counts_down_from_its_start():
    assert Budget(0).seconds_to_train() == float("inf")
    assert 0 < Budget(1).seconds_to_train() < 60 > 0 > Budget(1e-9).seconds_to_train()


def test_training_ends_when_the_time_is_over_and_is_evaluated_with_a_report(photos, tmp_path, capsys):
    """The user asks for 1,000 epochs: they are not changed, but training ends after the first steps."""
    options = {"finetune.epochs": 1000, "features.views": 0, "budget_minutes": 1e-6}
    result = tfl.transfer(config_of(photos, tmp_path, **options), tmp_path / "run")
    said = capsys.readouterr().err
    assert "the time is over, so training ends" in said and "is too short for this run" in said
    with (tmp_path / "run" / "history.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 1
    assert {"accuracy", "loss"} <= result.metrics["test"].keys() and (tmp_path / "run" / "report.html").exists()
    assert recorded(tmp_path / "run")["finetune"]["epochs"] == 1000


@pytest.mark.parametrize(
    ("per_example", "views", "epochs"), [(1e-6, 4, 20), (0.03, 1, 10), (0.1, 0, 0)], ids=["fast", "slow", "slowest"]
)
def test_a_run_gets_shorter_until_it_fits(photos, tmp_path, monkeypatch, capsys, per_example, views, epochs):
    monkeypatch.setattr(room, "_measure", lambda run, extractor: Speed(0.0, 0.1, per_example))
    monkeypatch.setattr(Budget, "seconds_to_train", lambda budget: 25.0)
    tfl.transfer(config_of(photos, tmp_path, budget_minutes=1.0), tmp_path / "run")
    config = recorded(tmp_path / "run")
    assert (config["features"]["views"], config["finetune"]["epochs"]) == (views, epochs)
    assert ("without a budget this run would take about" in capsys.readouterr().err) == (views < 4)


def test_another_budget_continues_the_same_run(photos, tmp_path, capsys):
    """After Ctrl-C, the same command with a small budget ends with what the run has."""
    options = {"finetune.epochs": 2, "features.views": 0}
    first = tfl.transfer(config_of(photos, tmp_path, **options), tmp_path / "run")
    again = tfl.transfer(config_of(photos, tmp_path, budget_minutes=5.0, **options), tmp_path / "run")
    assert again.metrics == first.metrics
