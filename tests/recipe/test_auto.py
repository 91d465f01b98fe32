"""What tfl chooses itself: the values, their reasons, what is recorded, and how a run goes on with them."""

import dataclasses
import json

import numpy as np
import pytest
from option_runs import make_config

import tfl
from tfl.config import left_to_tfl, set_options, value_of
from tfl.config.names import CHOSEN, CHOSEN_WITH
from tfl.errors import InputError
from tfl.recipe import probe as phase
from tfl.recipe.auto import FEW, decide
from tfl.recipe.line import between
from tfl.recipes import load_recipe

pytestmark = pytest.mark.usefixtures("small_networks")


@pytest.fixture(scope="module")
def chosen(photos, tmp_path_factory):
    """A finished run of the recipe for one's own photos."""
    folder = tmp_path_factory.mktemp("chosen")
    return tfl.transfer(recipe(photos, folder), folder / "run")


def recipe(photos, folder, **options):
    config = make_config(photos, folder / "store", {"data.augmentation": "shift"})
    config = dataclasses.replace(load_recipe("folder"), data=config.data, backbone=config.backbone)
    set_options(config, {"features.store": str(folder / "store"), "report.gallery": 0} | options)
    return config


def config_with(**sections):
    config = tfl.TransferConfig(**sections)
    set_options(config, CHOSEN)
    return config


def counts(train, validation):
    return {"train": train, "validation": validation}


@pytest.mark.parametrize("train", [1, 2, 31, 499, 500, 999, 1000, 4999, 5000, 1_000_000])
@pytest.mark.parametrize("task", ["multiclass", "binary", "multilabel", "regression"])
def test_every_choice_is_a_value_that_its_option_takes_and_has_a_reason(train, task):
    config = config_with(task=tfl.TaskConfig(name=task))
    decisions = decide(config, counts(train, train // 5))
    of_network = {"backbone.name", "data.image_size", "head.pooling", *CHOSEN_WITH}  # chosen before, from features
    assert set(decisions) | of_network == set(CHOSEN) | set(CHOSEN_WITH) == set(left_to_tfl(config))
    config.backbone.name, config.data.image_size, config.head.pooling = "MobileNet", 0, "avg"
    set_options(config, {path: decision.value for path, decision in decisions.items()})
    assert left_to_tfl(config.validate()) == []
    assert all(decision.reason for decision in decisions.values())


def test_few_examples_are_all_used_and_many_have_a_validation_split():
    few, many = (decide(config_with(), counts(count, 100)) for count in (FEW - 101, FEW))
    assert few["probe.folds"].value == 5 and few["features.views"].value > 0
    assert many["probe.folds"].value == many["features.views"].value == 0
    assert few["finetune.epochs"].value >= many["finetune.epochs"].value > 0


@pytest.mark.parametrize(
    "sections",
    [
        {"probe": tfl.ProbeConfig(solver="none")},
        {"probe": tfl.ProbeConfig(l2=0.1)},
        {"head": tfl.HeadConfig(hidden_units=(8,))},
        {"scratch": tfl.ScratchConfig(epochs=1)},
    ],
)
def test_what_cross_validation_cannot_serve_gets_no_folds(sections):
    config = config_with(**sections)
    decisions = decide(config, counts(100, 20))
    assert decisions["probe.folds"].value == 0
    set_options(config, {path: decision.value for path, decision in decisions.items()})
    config.validate()  # the values do not contradict each other


def test_without_augmentation_there_are_no_versions():
    config = config_with(data=tfl.DataConfig(augmentation="none"))
    assert decide(config, counts(100, 20))["features.views"].value == 0


def test_what_the_user_gives_is_not_chosen():
    config = config_with()
    config.finetune.epochs = 0
    assert "finetune.epochs" not in decide(config, counts(100, 20))


def test_the_choices_are_told_and_recorded_as_values(chosen, photos, capsys):
    recorded = tfl.TransferConfig.from_dict(json.loads((chosen.workdir / "config.json").read_text()))
    decisions = decide(recipe(photos, chosen.workdir.parent), chosen.metrics["num_examples"])
    assert left_to_tfl(recorded) == []
    for path, decision in decisions.items():
        assert value_of(recorded, path) == decision.value


def test_the_same_command_finds_its_run_finished_and_another_value_is_refused(chosen, photos, capsys):
    again = tfl.transfer(recipe(photos, chosen.workdir.parent), chosen.workdir)
    assert again.metrics == chosen.metrics
    assert "this run is finished" in capsys.readouterr().err
    with pytest.raises(InputError, match=r"differs in features\.views=1"):
        tfl.transfer(recipe(photos, chosen.workdir.parent, **{"features.views": 1}), chosen.workdir)


def test_folds_use_all_examples_and_both_phases_are_compared_on_what_neither_has_seen(chosen):
    folds = chosen.metrics["phases"]["probe"]["validation"]["num_examples"]
    tuned = chosen.metrics["phases"]["finetune"]["validation"]["num_examples"]
    number = chosen.metrics["num_examples"]
    assert folds == number["train"] + number["validation"]
    assert tuned == chosen.metrics["choice"]["num_examples"] == number["validation"]


def test_the_place_on_the_line_has_the_lowest_validation_loss(chosen):
    record = chosen.metrics["phases"]["finetune"]
    losses = {point["place"]: point["validation_loss"] for point in record["line"]}
    assert record["place"] == min(losses, key=losses.get) and max(losses) == 1.0
    if chosen.metrics["kept"] == "finetune":
        assert chosen.metrics["choice"]["finetune"] == pytest.approx(losses[record["place"]], rel=1e-5)


def test_a_head_for_fine_tuning_has_not_seen_validation(photos, tmp_path, monkeypatch):
    solved = []

    def watch(values, labels, **options):
        solved.append(len(labels))
        return solve(values, labels, **options)

    solve = phase.solve_one_head
    monkeypatch.setattr(phase, "solve_one_head", watch)
    options = {"finetune.epochs": 1, "probe.folds": 2, "features.views": 1}
    metrics = tfl.transfer(recipe(photos, tmp_path, **options), tmp_path / "run").metrics
    assert solved == [2 * metrics["num_examples"]["train"]]
    assert metrics["phases"]["probe"]["validation"]["num_examples"] > metrics["num_examples"]["train"]


def test_the_ends_of_the_line_are_exact():
    start, end = [np.float32([0.1, 3e8])], [np.float32([0.7, -1.0])]
    assert all(np.array_equal(*pair) for pair in zip(between(start, end, 1.0), end, strict=True))
    assert all(np.array_equal(*pair) for pair in zip(between(start, end, 0.0), start, strict=True))
    np.testing.assert_allclose(between(start, end, 0.25)[0], 0.75 * start[0] + 0.25 * end[0], rtol=1e-6)
