"""`backbone.name=auto`: tfl chooses the network from those at hand, says why, and goes on with it."""

import dataclasses
import json
import time

import numpy as np
import pytest
from doc_blocks import ROOT, blocks_of, words_of
from option_runs import make_config

import tfl
from tfl.build import checked_run, load_splits
from tfl.distribution.workers import Workers
from tfl.errors import InputError
from tfl.recipe import choice, rounds
from tfl.recipe.budget import Budget
from tfl.recipe.rounds import Rules, run_rounds, surely_worse_or_worse_half

pytestmark = pytest.mark.usefixtures("small_networks")


FILES = {"vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5": 3, "mobilenet_5_0_224_tf_no_top.h5": 1}


@pytest.fixture(autouse=True)
def at_hand(tmp_path_factory, monkeypatch):
    """A cache of Keras with the weights of two networks: VGG16, and MobileNet of half the width."""
    home = tmp_path_factory.mktemp("keras")
    (home / "models").mkdir()
    for name, size in FILES.items():
        (home / "models" / name).write_bytes(bytes(size))
    monkeypatch.setenv("KERAS_HOME", str(home))
    return home / "models"


def config_of(photos, folder, **options):
    usual = {"backbone.name": "Auto", "backbone.weights": "imagenet", "seed": 3}
    return make_config(photos, folder / "store", usual | options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("chosen")


@pytest.fixture
def chosen(photos, folder):
    """A run whose network tfl chose; finished from the second test on."""
    return tfl.transfer(config_of(photos, folder), folder / "run")


def recorded(run):
    return tfl.TransferConfig.from_dict(json.loads((run / "config.json").read_text()))


def test_the_best_network_is_chosen_said_and_recorded_as_a_value(photos, folder, chosen, capsys):
    ranked = tfl.rank_backbones(config_of(photos, folder), ["at_hand"])
    backbone = recorded(chosen.workdir).backbone
    assert (backbone.name, backbone.alpha) == (ranked[0].name, ranked[0].alpha)
    named = {"backbone.name": backbone.name, "backbone.alpha": backbone.alpha}
    same = tfl.transfer(config_of(photos, folder, **named), folder / "named")
    assert same.metrics["test"] == chosen.metrics["test"]  # the choice leaves no trace in the run
    assert chosen.model.metadata.alpha == backbone.alpha


def test_the_same_command_finds_its_run_finished_also_without_the_weights(photos, folder, chosen, at_hand, capsys):
    for file in at_hand.iterdir():
        file.unlink()
    again = tfl.transfer(config_of(photos, folder), folder / "run")
    assert again.metrics == chosen.metrics and "this run is finished" in capsys.readouterr().err
    other = {"backbone.name": "MobileNetV2", "backbone.weights": "none"}
    with pytest.raises(InputError, match=r"differs in backbone\."):
        tfl.transfer(config_of(photos, folder, **other), folder / "run")


def test_the_reason_is_told_and_the_features_of_the_winner_are_used_again(photos, tmp_path, capsys):
    tfl.transfer(config_of(photos, tmp_path), tmp_path / "run")
    said = capsys.readouterr().err
    backbone = recorded(tmp_path / "run").backbone
    assert f"backbone.name={backbone.name}, backbone.alpha={backbone.alpha:g}, because its head has the best" in said
    examples = len(load_splits(dataclasses.replace(config_of(photos, tmp_path), backbone=backbone)).outside_of_test)
    assert said.count(f"computing {examples} of {examples}") == 2  # once for each network, in the ranking
    assert f"computing {60 - examples} of 60" in said  # the run needs only those of the test split


def test_the_test_split_changes_nothing(photos, tmp_path):
    config = checked_run(config_of(photos, tmp_path), tmp_path / "run")
    first = choice.candidates_of(config)[0]
    names = []
    for wrong in (False, True):
        splits = load_splits(first)
        if wrong:
            splits.index.labels[splits.test] = (splits.index.labels[splits.test] + 1) % 3
        names.append(choice.choose_backbone(config, splits, Budget(0)).backbone)
    assert names[0] == names[1]


def test_no_weights_at_hand_and_options_of_a_certain_network_are_refused(photos, tmp_path, at_hand):
    for options, message in (
        ({"backbone.alpha": 0.5}, "`backbone.alpha` must be left out if backbone.name is 'auto'"),
        ({"backbone.weights": "none"}, "`backbone.weights` must be 'imagenet' if backbone.name is 'auto'"),
        (
            {"finetune.unfreeze": "block_1"},
            "`finetune.unfreeze` must be a number of stages.*backbone.name is 'auto'",
        ),
        ({"data.image_size": 16}, "no network at hand takes the images: `data.image_size` must be at least 32"),
    ):
        with pytest.raises(InputError, match=message):
            tfl.transfer(config_of(photos, tmp_path, **options), tmp_path / "run")
    for file in at_hand.iterdir():
        file.unlink()
    with pytest.raises(InputError, match=r"has no published weights. Did you mean MobileNetV2") as error:
        tfl.transfer(config_of(photos, tmp_path), tmp_path / "run")
    assert "\n" not in str(error.value) and not (tmp_path / "run").exists()


@pytest.mark.parametrize("call", ["preview_data", "extract_features", "audit_data", "measure_value", "pretrain"])
def test_what_chooses_nothing_says_so(photos, tmp_path, call):
    with pytest.raises(InputError, match=r"`backbone.name` must name a network here.*only `tfl train`"):
        getattr(tfl, call)(config_of(photos, tmp_path), tmp_path / "output.png")


def standings(photos, tmp_path, end, monkeypatch, first=16):
    monkeypatch.setattr(rounds, "FIRST", first)
    config = checked_run(config_of(photos, tmp_path), tmp_path / "run")
    candidates = choice.candidates_of(config)
    splits = load_splits(candidates[0])
    prepared = (choice.Candidate(one, splits, choice.frozen_extractor(one, splits)) for one in candidates)
    return run_rounds(prepared, Rules(3, surely_worse_or_worse_half, end))


def test_the_worse_half_has_no_further_round(photos, tmp_path, monkeypatch):
    ordered, ran = standings(photos, tmp_path, np.inf, monkeypatch)
    assert len(ran) == 1 and len(ran[0].left_out) == 1  # of two networks one is left
    assert [one.label for one in ordered] == [*ran[0].order]


def test_without_time_only_the_smallest_network_is_measured(photos, tmp_path, monkeypatch, capsys):
    ordered, _ = standings(photos, tmp_path, time.monotonic(), monkeypatch)
    assert [one.label for one in ordered] == ["MobileNet:0.5"]
    assert "VGG16 is not measured" in capsys.readouterr().err


def test_a_network_whose_features_take_too_long_is_not_chosen(photos, tmp_path, monkeypatch, capsys):
    config = checked_run(config_of(photos, tmp_path, **{"budget_minutes": 5.0}), tmp_path / "run")
    splits = load_splits(choice.candidates_of(config)[0])
    best = choice.choose_backbone(config, splits, Budget(5)).backbone.name
    monkeypatch.setattr(choice, "_fits", lambda one, budget: one.candidate.config.backbone.name != best)
    assert choice.choose_backbone(config, splits, Budget(5)).backbone.name != best
    assert "the features of better ones take longer than budget_minutes leaves" in capsys.readouterr().err


def test_the_first_of_several_workers_decides_for_all(photos, tmp_path, monkeypatch):
    """The second worker measures nothing, and takes what the first one says."""
    config = checked_run(config_of(photos, tmp_path), tmp_path / "run")
    splits = load_splits(choice.candidates_of(config)[0])
    said = []

    class Worker(Workers):
        index = 0

        def __init__(self, strategy):
            self.number = 2

        def sum(self, arrays):
            said.append(np.asarray(arrays))
            return list(sum(said))

    monkeypatch.setattr(choice, "Workers", Worker)
    first = choice.choose_backbone(config, splits, Budget(0)).backbone
    monkeypatch.setattr(Worker, "index", 1)
    monkeypatch.setattr(choice, "run_rounds", None)
    assert choice.choose_backbone(config, splits, Budget(0)).backbone == first


def test_the_command_of_the_docs_chooses_a_network(photos, tmp_path, at_hand, run_script):
    page = ROOT / "docs" / "how-to" / "choose-a-backbone.md"
    (line,) = [line for block in blocks_of(page) for line in block.lines if "--backbone=auto" in line]
    places = {"photos": str(photos), "--workdir=runs/chosen": f"--workdir={tmp_path / 'run'}"}
    words = [places.get(word, word) for word in words_of(line)]
    (at_hand / "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5").rename(at_hand / "resnet50v2_notop.h5")
    home = {"KERAS_HOME": str(at_hand.parent), "TFL_CACHE": str(tmp_path / "cache")}
    done = run_script("tests/doc_program.py", *words, "--epochs=0", "--config.features.views=0", **home)
    assert done.returncode == 0, done.stderr
    backbone = recorded(tmp_path / "run").backbone
    assert f"backbone.name={backbone.name}, backbone.alpha={backbone.alpha:g}, because" in done.stderr
    assert backbone.name in ("MobileNet", "ResNet50V2")
