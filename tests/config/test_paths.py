"""Options are found by their dotted names, and paths in them mean the same from any folder."""

from pathlib import Path

import pytest
from test_sections import OPTIONS, WORDS, with_option

from tfl.config import absolute_paths, check_option, value_of
from tfl.config.option import Place
from tfl.config.values import DataSource
from tfl.errors import InputError

SOURCES = [path for path, option in OPTIONS.items() if isinstance(option.rule, DataSource)]
PLACES = [path for path, option in OPTIONS.items() if isinstance(option.rule, Place)]


def test_option_paths_are_checked_with_a_hint():
    check_option("finetune.layer_decay")
    with pytest.raises(InputError, match=r"Did you mean 'finetune\.learning_rate'"):
        check_option("finetune.learnin_rate")
    with pytest.raises(InputError, match="must name one option in that section"):
        check_option("finetune")


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("finetune.lr", "finetune.learning_rate"),
        ("lr", "finetune.learning_rate"),
        ("finetune.epoch", "finetune.epochs"),
        ("pretrain.epoch", "pretrain.epochs"),
        ("finetune.freeze", "finetune.unfreeze"),
        ("finetune.wd", "finetune.weight_decay"),
        ("finetune.patience", "finetune.early_stopping"),
        ("data.bs", "data.batch_size"),
        ("finetune.batch_size", "data.batch_size"),
        ("head.dropout_rate", "head.dropout"),
        ("head.Dropout", "head.dropout"),
        ("dat.source", "data.source"),
        ("optimizer.lr", "finetune.learning_rate"),
        ("random_state", "seed"),
        ("backbone.arch", "backbone.name"),
        ("finetune.target", "task.name"),
        ("Head.Target", "task.name"),
        ("finetune.xyzzy", ""),
        ("cat.dog", ""),
    ],
)
def test_other_libraries_names_lead_to_ours_and_nonsense_to_none(path, meant):
    with pytest.raises(InputError) as caught:
        check_option(path)
    hint = f" Did you mean '{meant}'?" if meant else ""
    assert str(caught.value) == f"`config.{path}` must be an option.{hint} Try --help."


def test_sources_and_places_are_there():
    assert SOURCES == ["data.source", "pretrain.source"]
    places = ["data.tfds_dir", "data.decisions", "data.groups", "data.split_by", "backbone.weights", "features.store"]
    assert places == PLACES


@pytest.mark.parametrize("path", [*SOURCES, *PLACES])
@pytest.mark.parametrize(
    ("given", "expected"),
    [("some/../photos", "CWD/photos"), ("~/photos", "HOME/photos"), ("gs://bucket/x", "gs://bucket/x"), ("/a", "/a")],
)
def test_a_path_means_the_same_from_any_folder(path, given, expected, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    kind = "folder:" if path in SOURCES else ""
    config = with_option(path, kind + given)
    made = absolute_paths(config)
    there = str(Path.cwd())
    assert value_of(made, path) == kind + expected.replace("CWD", there).replace("HOME", f"{tmp_path}/home")
    assert value_of(config, path) == kind + given  # the one that was given stays as it is
    assert absolute_paths(made) == made


@pytest.mark.parametrize(
    ("path", "value"),
    [
        *((path, word) for path in WORDS for word in WORDS[path]),
        *((path, value) for path in SOURCES for value in ("digits:0-4", "tfds:name/of/it", "")),
        ("finetune.unfreeze", "block/1"),
        ("backbone.name", "ResNet50"),
    ],
)
def test_what_is_no_path_stays_as_it_is(path, value):
    assert value_of(absolute_paths(with_option(path, value)), path) == value
