"""Every option has a default that validates, a rule that bites, and an error that helps."""

import dataclasses
import importlib.util
import json
from pathlib import Path

import pytest

from tfl import config as config_module
from tfl import rules
from tfl.config import DataConfig, FeaturesConfig, FinetuneConfig, ProbeConfig, TransferConfig, check_option
from tfl.errors import InputError
from tfl.registry import did_you_mean, resolve

ROOT = Path(__file__).resolve().parent.parent


def with_option(path, value):
    config = TransferConfig()
    section = config
    *parents, name = path.split(".")
    for parent in parents:
        section = getattr(section, parent)
    setattr(section, name, value)
    return config


ALL_OPTIONS = list(config_module.flatten(TransferConfig().to_dict()))


def test_defaults_are_valid():
    TransferConfig().validate()
    assert len(ALL_OPTIONS) > 30


@pytest.mark.parametrize("path", ALL_OPTIONS)
def test_an_option_of_the_wrong_type_is_refused_by_name(path):
    with pytest.raises(InputError, match=f"`{path}` must be"):
        with_option(path, object()).validate()


@pytest.mark.parametrize("path", rules._NAMES)
def test_a_mistyped_name_is_refused_with_a_suggestion(path):
    known = rules._NAMES[path][0]
    with pytest.raises(InputError, match=rf"`{path}` must be a known name. Received: .*Did you mean '{known}'"):
        with_option(path, known + "x").validate()


@pytest.mark.parametrize("path", rules._RANGES)
@pytest.mark.parametrize("side", [0, 1])
def test_a_number_out_of_range_is_refused(path, side):
    bound = rules._RANGES[path][side]
    wrong = bound - 1 if side == 0 else bound + 1
    wrong = type(rules.value_of(TransferConfig(), path))(wrong) if wrong not in (float("inf"),) else wrong
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


def test_options_that_contradict_each_other_are_refused():
    both = with_option("finetune.l2", 1e-3)
    both.finetune.l2_sp = 1e-3
    with pytest.raises(InputError, match=r"must not both be set"):
        both.validate()
    nothing = with_option("probe.solver", "none")
    with pytest.raises(InputError, match=r"`finetune\.epochs` must be at least 1"):
        nothing.validate()
    with pytest.raises(InputError, match=r"`backbone\.weights` must be 'none'"):
        with_option("pretrain.source", "digits").validate()
    with pytest.raises(InputError, match=r"`head\.hidden_units` must be positive integers"):
        with_option("head.hidden_units", (64, 0)).validate()


SPELLINGS = (str.upper, str.title, str.swapcase)
FREE_TEXT = {"data.source", "pretrain.source", "backbone.name", "strategy"}  # each has a test of its own


def test_every_option_of_text_has_one_spelling():
    """A new option of text is a list of names, or words beside free text; or it stands in the list above."""
    texts = {path for path in ALL_OPTIONS if isinstance(rules.value_of(TransferConfig(), path), str)}
    assert texts == set(rules._NAMES) | set(rules._WORDS) | FREE_TEXT


@pytest.mark.parametrize(
    ("path", "name"), [(path, name) for path, known in (rules._NAMES | rules._WORDS).items() for name in known]
)
@pytest.mark.parametrize("spell", SPELLINGS, ids=lambda spell: spell.__name__)
def test_a_name_in_any_case_goes_on_in_its_one_spelling(path, name, spell):
    config = with_option(path, spell(name))
    config.finetune.epochs = 1  # so that every solver is allowed
    if (path, name) == ("finetune.class_weight", "balanced"):
        config.head.target = spell("binary")
    before = config.to_dict()
    checked = config.validate()
    assert rules.value_of(checked, path) == name
    assert config.to_dict() == before  # the one that was given stays as it is
    assert checked.validate() == checked


@pytest.mark.parametrize(
    ("path", "given", "expected"),
    [
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
    assert rules.value_of(with_option(path, given).validate(), path) == expected


def test_rules_between_options_hold_in_any_case():
    nothing = with_option("probe.solver", "None")
    with pytest.raises(InputError, match=r"`finetune\.epochs` must be at least 1"):
        nothing.validate()
    values = with_option("head.target", "Regression")
    values.finetune.class_weight = "Balanced"
    with pytest.raises(InputError, match=r"`finetune\.class_weight` must be 'none'"):
        values.validate()
    pretrained = with_option("pretrain.source", "Digits")
    pretrained.backbone.weights = "None"
    assert pretrained.validate().backbone.weights == "none"


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


def test_option_paths_are_checked_with_a_hint():
    check_option("finetune.layer_decay")
    with pytest.raises(InputError, match=r"Did you mean 'finetune\.learning_rate'"):
        check_option("finetune.learnin_rate")
    with pytest.raises(InputError, match="must name one option in that section"):
        check_option("finetune")


def test_names_are_found_in_any_case_and_suggested():
    assert resolve("RESNET50", ["ResNet50", "VGG16"], "x") == "ResNet50"
    assert did_you_mean("resnet5", ["ResNet50", "VGG16"]) == " Did you mean 'ResNet50'?"
    assert did_you_mean("zzzz", ["ResNet50"]) == ""


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


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ({"probe": ProbeConfig(folds=1)}, r"`probe\.folds` must be at least 2, or 0 for off"),
        ({"probe": ProbeConfig(folds=5), "finetune": FinetuneConfig(epochs=1)}, r"must be 0 with finetune\.epochs"),
        ({"probe": ProbeConfig(folds=5, l2=0.1)}, r"must be 0 with probe\.l2: there is nothing to choose"),
        ({"probe": ProbeConfig(folds=5), "features": FeaturesConfig(views=2)}, r"must be 0 with features\.views"),
        ({"features": FeaturesConfig(runtime="openvion")}, "Did you mean 'openvino'"),
        ({"features": FeaturesConfig(dtype="float8")}, r"`features\.dtype` must be a known name"),
        ({"features": FeaturesConfig(views=2), "data": DataConfig(augmentation="none")}, "must be 0 where nothing is"),
        ({"features": FeaturesConfig(store="")}, r"`features\.store` must be a folder"),
    ],
)
def test_options_of_features_and_folds_are_checked(sections, expected):
    with pytest.raises(InputError, match=expected):
        TransferConfig(**sections).validate()
