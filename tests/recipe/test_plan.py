"""What a run says before it starts: its phases, and about how long they take."""

import dataclasses
import re

import pytest

import tfl
from tfl.features.speed import Speed
from tfl.recipe.plan import LATER, say_phases, say_plan
from tfl.recipe.transfer import make_backbone, make_classifier, output_names, prepared
from tfl.recipe.work import remaining_work

COUNTS = {"train": 200, "validation": 40, "test": 150}
SPEED = Speed(wait=0.5, start=2.0, per_example=0.01)


def config_of(**options):
    features = tfl.FeaturesConfig(views=options.pop("views", 0))
    data = tfl.DataConfig(source="digits:0-2", augmentation=options.pop("augmentation", "light"))
    return tfl.TransferConfig(data=data, features=features, finetune=tfl.FinetuneConfig(**options))


def test_a_frozen_network_takes_the_time_of_the_features_that_are_missing():
    work = remaining_work(config_of(epochs=0), COUNTS, missing=390, trained_share=0.0)
    assert work.seconds(SPEED) == pytest.approx(390 * 0.01 + 2.0 + 0.5)
    assert remaining_work(config_of(epochs=0), COUNTS, missing=0, trained_share=0.0).seconds(SPEED) == 0


def test_a_step_costs_a_forward_pass_and_twice_as_much_backward():
    """3 epochs: 200 steps of 1 + 2 x 0.5 passes, 40 passes of validation; 190 at the end; 5 graphs; 8 waits."""
    work = remaining_work(config_of(epochs=3), COUNTS, missing=0, trained_share=0.5)
    assert work.passes == pytest.approx(3 * (200 * 2.0 + 40) + 190)
    assert work.seconds(SPEED) == pytest.approx(work.passes * 0.01 + 5 * 2.0 + 8 * 0.5)


@pytest.mark.parametrize(("options", "views"), [({"augmentation": "none"}, 1), ({"views": 2}, 2)])
def test_what_is_stored_below_the_cut_runs_once(options, views):
    work = remaining_work(config_of(epochs=3, **options), COUNTS, missing=0, trained_share=0.25)
    assert work.passes == pytest.approx(3 * (200 * 0.75 + 40 * 0.25) + (views * 200 + 40) * 0.75 + 190)
    mixed = remaining_work(config_of(epochs=3, mixup=0.2, **options), COUNTS, missing=0, trained_share=0.25)
    assert mixed.passes == pytest.approx(3 * (200 * 1.5 + 40) + 190)


@pytest.fixture(scope="module")
def planned():
    """A config with all phases, its data and its model."""
    config = tfl.TransferConfig(
        data=tfl.DataConfig(source="digits:0-2", image_size=32, train_examples_per_class=20),
        backbone=tfl.BackboneConfig(name="MobileNet", alpha=0.25, weights="none"),
        pretrain=tfl.PretrainConfig(source="digits:3-4", epochs=1),
        scratch=tfl.ScratchConfig(epochs=2),
        finetune=tfl.FinetuneConfig(epochs=8, unfreeze="1"),
    )
    config, splits = prepared(config), tfl.load_data("digits:0-2", train_examples_per_class=20)
    return config, splits, make_classifier(make_backbone(config, "none"), config, output_names(config, splits))


def test_the_plan_names_data_network_phases_and_one_table(planned, capsys):
    capsys.readouterr()
    say_plan(*planned)
    lines = capsys.readouterr().err.splitlines()
    splits = planned[1]
    assert lines[0] == f"images: train 60, validation {len(splits.validation)}, test {len(splits.test)}; 3 classes"
    assert lines[1] == f"network: MobileNet (alpha 0.25), input 32x32, {planned[2].count_params():,} parameters"
    assert re.fullmatch(
        r"plan: pre-train for 1 epoch on digits:3-4, then compute features of \d+ images and solve the head, then "
        r"fine-tune the layers from conv_dw_12 on for 8 epochs of 2 steps, then evaluate on \d+ images, then train "
        r"from scratch for 2 epochs, to compare",
        lines[2],
    )
    assert [line.split()[0] for line in lines[3:]] == ["stage", *(f"stage{n}" for n in range(1, 6)), "head", "total"]
    say_phases(*planned)
    assert capsys.readouterr().err.splitlines() == lines[:3]


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ({"finetune": tfl.FinetuneConfig(epochs=0)}, "solve the head, then evaluate on"),
        ({"finetune": tfl.FinetuneConfig(epochs=1, unfreeze="0")}, "fine-tune the head for 1 epoch of 2 steps"),
        ({"probe": tfl.ProbeConfig(solver="none")}, "plan: train the layers from conv_dw_12 on for 8 epochs"),
        ({"head": tfl.HeadConfig(hidden_units=(8,))}, "train the head"),
    ],
)
def test_the_plan_has_only_the_phases_of_the_config(planned, capsys, section, expected):
    config, splits, model = planned
    bare = dataclasses.replace(config, pretrain=tfl.PretrainConfig(), scratch=tfl.ScratchConfig(), **section)
    say_phases(bare, splits, model)
    shown = capsys.readouterr().err.splitlines()
    *noted, plan = [line for line in shown[2:] if line != LATER]
    assert (LATER in shown) == (bare.probe.solver == "none")
    assert [line.partition(":")[2][:23] for line in noted] == [" its weights are random"] * (not bare.finetune.epochs)
    assert expected in plan and "scratch" not in plan and "pre-train" not in plan


def test_a_run_says_its_time_and_shows_the_table_once(tmp_path, capsys):
    """Also with the runs inside it, and if the features are stored."""
    config = tfl.TransferConfig(
        data=tfl.DataConfig(source="digits:0-2", image_size=32, train_examples_per_class=20, augmentation="shift"),
        backbone=tfl.BackboneConfig(name="MobileNet", alpha=0.25, weights="none"),
        features=tfl.FeaturesConfig(store=str(tmp_path / "store")),
        pretrain=tfl.PretrainConfig(source="digits:3-4", epochs=1),
        scratch=tfl.ScratchConfig(epochs=1),
        finetune=tfl.FinetuneConfig(epochs=1, unfreeze="1"),
    )
    for name, told in (("first", "judging by its first images"), ("second", "the time that the stored features took")):
        capsys.readouterr()
        tfl.transfer(config, tmp_path / name)
        shown = capsys.readouterr().err
        assert shown.count("stage1 ") == 1 and shown.count("plan: ") == 3
        assert len(re.findall(r"this run takes about [\d.]+ (?:s|min), ", shown)) == 1 and told in shown
        assert ("features: all are stored" in shown) == (name == "second")
        assert "skipped" not in shown and "\r" not in shown
        end = shown[shown.index("kept: ") :].splitlines()
        assert end[0].endswith(f"the model and all results are in {tmp_path / name}")
        assert re.fullmatch(r"test accuracy between .* \(95 % interval; \d+ of 81 images right\)", end[1])
        assert end[2:] == [
            "next:",
            f"  open {tmp_path / name}/report.html",
            f"  tfl predict {tmp_path / name} FILES",
            f"  tfl export {tmp_path / name}",
            f"  tfl serve {tmp_path / name}",
        ]
