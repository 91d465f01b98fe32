"""Every option has a default that validates, a help text, a rule that bites, and an error that helps."""

import dataclasses
import importlib.util
import json
import re
from pathlib import Path

import pytest

from tfl.config import DataConfig, TransferConfig, value_of
from tfl.config.listing import list_options
from tfl.config.option import Between, Checked, OneOf, Switch, Text
from tfl.config.torch_names import TORCH_NAME
from tfl.config.values import (
    FOLDS,
    GROUP_PATTERN,
    LABEL_PATTERN,
    SHA256,
    SPLIT,
    STRATEGY,
    TABLE_COLUMNS,
    TFDS_SPLITS,
    UNITS,
    WINDOW,
    DataSource,
)
from tfl.errors import InputError
from tfl.registry import _ELSEWHERE, _OURS, did_you_mean, resolve

ROOT = Path(__file__).resolve().parent.parent.parent
OPTIONS = {option.path: option for option in list_options()}
NAMES = {path: option.rule.names for path, option in OPTIONS.items() if isinstance(option.rule, OneOf)}
RANGES = {path: option.rule for path, option in OPTIONS.items() if isinstance(option.rule, Between)}
WORDS = {path: o.rule.words for path, o in OPTIONS.items() if isinstance(o.rule, Text) and o.rule.words}
BREAKS = {
    FOLDS: 1,
    LABEL_PATTERN: "[ab]",
    GROUP_PATTERN: "(",
    TABLE_COLUMNS: "price",
    TFDS_SPLITS: "trian=train",
    SPLIT: (0.5, 0.5),
    STRATEGY: "cpu:1",
    SHA256: "0f",
    TORCH_NAME: "a/b",
    UNITS: (64, 0),
    WINDOW: (2000.0, 1000.0),
}  # a value that each rule refuses


def with_option(path, value):
    config = TransferConfig()
    section = config
    *parents, name = path.split(".")
    for parent in parents:
        section = getattr(section, parent)
    setattr(section, name, value)
    return config


def impossible_values(option):
    """Return values of the right type that break the rule of an option; of a switch, one of the wrong type."""
    rule, kind = option.rule, type(option.default)
    if isinstance(rule, OneOf):
        return [rule.names[0] + "x", "", *(["one, two"] if len(rule.names) > 1 else [])]
    if isinstance(rule, Between):
        above = [] if rule.high == float("inf") else [kind(rule.high) + 1]
        return [kind(rule.low) - 1, *above, 10**400, *([float("nan"), float("inf")] if kind is float else [])]
    if isinstance(rule, Switch):
        return ["yes", 1]
    if isinstance(rule, Text):
        return ["", "  "]
    if isinstance(rule, DataSource):
        return ["flder:x", "folder:", "tfds"]
    assert isinstance(rule, Checked)
    return [BREAKS[rule]]


IMPOSSIBLE = [(path, value) for path, option in OPTIONS.items() for value in impossible_values(option)]


def test_defaults_are_valid():
    assert TransferConfig().validate() == TransferConfig()
    assert len(OPTIONS) > 30


@pytest.mark.parametrize("path", OPTIONS)
def test_every_option_has_a_help_text_of_one_sentence(path):
    option = OPTIONS[path]
    assert re.fullmatch(r"[A-Z][^\n]*[^.]\.", option.help)
    assert ". " not in option.help
    assert option.rule.describe()
    assert "\n" not in option.rule.describe()


@pytest.mark.parametrize(("path", "value"), IMPOSSIBLE, ids=lambda value: str(value)[:20])
def test_a_value_that_breaks_the_rule_is_refused_in_one_line(path, value):
    config = with_option(path, value)
    with pytest.raises(InputError) as caught:
        config.validate()
    assert str(caught.value).startswith((f"`{path}` must be ", f"`{path}` must name what to read, "))
    assert "Received: " in str(caught.value)
    assert "\n" not in str(caught.value)
    assert value_of(config, path) is value


def test_every_option_is_broken_by_the_test_above():
    assert {path for path, _ in IMPOSSIBLE} == set(OPTIONS)


@pytest.mark.parametrize("path", OPTIONS)
def test_an_option_of_the_wrong_type_is_refused_by_name(path):
    with pytest.raises(InputError, match=f"`{path}` must be"):
        with_option(path, object()).validate()


@pytest.mark.parametrize("path", NAMES)
def test_a_mistyped_name_is_refused_with_a_suggestion(path):
    known = NAMES[path][0]
    with pytest.raises(InputError, match=rf"`{path}` must be a known name. Received: .*Did you mean '{known}'"):
        with_option(path, known + "x").validate()


@pytest.mark.parametrize("path", RANGES)
@pytest.mark.parametrize("side", ["low", "high"])
def test_a_number_at_its_bound_is_taken_and_beyond_it_refused(path, side):
    bound, kind = getattr(RANGES[path], side), type(OPTIONS[path].default)
    if bound != float("inf"):
        config = with_option(path, kind(bound))
        assert value_of(config.validate(), path) == bound
    wrong = bound - 1 if side == "low" else bound + 1
    wrong = kind(wrong) if wrong != float("inf") else wrong
    with pytest.raises(InputError, match=f"`{path}` must be"):
        with_option(path, wrong).validate()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_none_are_refused(value):
    with pytest.raises(InputError, match=r"finetune\.learning_rate"):
        with_option("finetune.learning_rate", value).validate()


@pytest.mark.parametrize("split", [(0.5, 0.5), (0.7, 0.2, 0.2), (1.0, 0.0, 0.0), ("a", "b", "c"), (2, -0.5, -0.5)])
def test_splits_that_do_not_add_up_are_refused(split):
    with pytest.raises(InputError, match=r"`data\.split` must be three positive fractions"):
        with_option("data.split", split).validate()


@pytest.mark.parametrize(
    ("source", "hint"),
    [("flder:x", "Did you mean 'folder'"), ("folder:", "name what to read"), ("", "be digits"), ("x:y", "be digits")],
)
def test_bad_sources_are_refused(source, hint):
    with pytest.raises(InputError, match=rf"`data\.source` must .*{hint}"):
        with_option("data.source", source).validate()


SPELLINGS = (str.upper, str.title, str.swapcase)
FREE_TEXT = {
    "data.source",
    "data.columns",
    "data.label_pattern",
    "data.group_pattern",
    "data.tfds_splits",
    "pretrain.source",
    "backbone.name",
    "backbone.torch_name",
    "backbone.sha256",
    "strategy",
}  # each has a test of its own


def test_every_option_of_text_has_one_spelling():
    """A new option of text is a list of names, or words beside free text; or it stands in the list above."""
    texts = {path for path in OPTIONS if isinstance(value_of(TransferConfig(), path), str)}
    assert texts == set(NAMES) | set(WORDS) | FREE_TEXT


@pytest.mark.parametrize(("path", "name"), [(path, name) for path, known in (NAMES | WORDS).items() for name in known])
@pytest.mark.parametrize("spell", SPELLINGS, ids=lambda spell: spell.__name__)
def test_a_name_in_any_case_goes_on_in_its_one_spelling(path, name, spell):
    config = with_option(path, spell(name))
    config.finetune.epochs = int(name != "ridge")  # so that every solver is allowed
    if (path, name) == ("finetune.class_weight", "balanced"):
        config.task.name = spell("binary")
    before = config.to_dict()
    checked = config.validate()
    assert value_of(checked, path) == name
    assert config.to_dict() == before  # the one that was given stays as it is
    assert checked.validate() == checked


@pytest.mark.parametrize(
    ("path", "given", "expected"),
    [
        ("finetune.class_weight", "Inverse", "balanced"),
        ("data.source", "FOLDER:Photos/Of Ants", "folder:Photos/Of Ants"),
        ("data.source", "Digits:0-4", "digits:0-4"),
        ("data.source", "python", "python"),
        ("features.store", "Cache/Of/Mine", "Cache/Of/Mine"),
        ("finetune.unfreeze", "Block_1", "Block_1"),
        ("strategy", "CPU:02", "cpu:2"),
        ("strategy", "Multi_Worker", "multi_worker"),
    ],
)
def test_what_is_a_name_of_the_user_keeps_its_case(path, given, expected):
    assert value_of(with_option(path, given).validate(), path) == expected


def test_whole_numbers_serve_as_fractions():
    with_option("finetune.learning_rate", 1).validate()
    with pytest.raises(InputError, match=r"`finetune\.learning_rate` must be of type float"):
        with_option("finetune.learning_rate", True).validate()


def test_a_config_survives_json():
    config = TransferConfig(data=DataConfig(source="folder:x", split=(0.6, 0.2, 0.2)))
    config.head.hidden_units = (64, 32)
    again = TransferConfig.from_dict(json.loads(json.dumps(config.to_dict())))
    assert again == config
    assert dataclasses.is_dataclass(again.data)


def test_a_config_with_an_unknown_option_is_refused():
    with pytest.raises(InputError, match=r"`sorce` must be an option of DataConfig\. Did you mean 'source'"):
        TransferConfig.from_dict({"data": {"sorce": "digits"}})


def test_names_are_found_in_any_case_and_suggested():
    assert resolve("RESNET50", ["ResNet50", "VGG16"], "x") == "ResNet50"
    assert did_you_mean("resnet5", ["ResNet50", "VGG16"]) == " Did you mean 'ResNet50'?"
    assert did_you_mean("zzzz", ["ResNet50"]) == ""
    assert did_you_mean("cat", ["ants", "bees"]) == ""
    assert did_you_mean("lr", ["l2", "learning_rate"]) == " Did you mean 'learning_rate'?"
    several = ["ResNet50", "ResNet101", "ResNet152", "ResNet152V2", "VGG16"]
    assert did_you_mean("ResNet18", several) == " Did you mean 'ResNet50', 'ResNet101' or 'ResNet152'?"
    assert did_you_mean("float16", ["float32", "mixed_bfloat16", "mixed_float16"]) == " Did you mean 'mixed_float16'?"
    assert did_you_mean("x", []) == ""


def test_every_name_of_another_library_leads_to_one_option():
    known = {path.rpartition(".")[2] for path in OPTIONS}
    assert set(_ELSEWHERE) <= known
    assert len(_OURS) == sum(map(len, _ELSEWHERE.values()))
    assert not known & set(_OURS)


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.py")), ids=lambda path: path.stem)
def test_every_recipe_loads_and_is_valid(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = module.get_config()
    config.validate()
    assert type(config) is TransferConfig
    assert config == module.get_config()
    assert config.data is not module.get_config().data  # a fresh one each time, or overrides would leak


def test_a_list_becomes_a_tuple_and_the_given_config_is_not_shared():
    config = TransferConfig(data=DataConfig(split=[0.5, 0.25, 0.25]))  # as JSON has it
    config.head.hidden_units = [64, 32]
    checked = config.validate()
    assert checked.data.split == (0.5, 0.25, 0.25) and checked.head.hidden_units == (64, 32)
    assert config.data.split == [0.5, 0.25, 0.25]
    checked.data.batch_size = 7
    assert config.data.batch_size == TransferConfig().data.batch_size
