"""Options that contradict each other are refused, in any spelling."""

import pytest
from test_sections import with_option

from tfl.build import validate_config
from tfl.config import DataConfig, FeaturesConfig, HeadConfig, ProbeConfig, ScratchConfig, TransferConfig
from tfl.errors import InputError


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


def test_rules_between_options_hold_in_any_case():
    nothing = with_option("probe.solver", "None")
    with pytest.raises(InputError, match=r"`finetune\.epochs` must be at least 1"):
        nothing.validate()
    values = with_option("task.name", "Regression")
    values.finetune.class_weight = "Balanced"
    with pytest.raises(InputError, match=r"`finetune\.class_weight` must be 'none'"):
        validate_config(values)
    pretrained = with_option("pretrain.source", "Digits")
    pretrained.backbone.weights = "None"
    assert pretrained.validate().backbone.weights == "none"


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ({"probe": ProbeConfig(folds=1)}, r"`probe\.folds` must be 0, between 2 and 100, or -1: tfl chooses"),
        (
            {"probe": ProbeConfig(folds=5), "scratch": ScratchConfig(epochs=1)},
            r"must be 0 if scratch\.epochs is set",
        ),
        ({"probe": ProbeConfig(folds=5, l2=0.1)}, r"must be 0 if probe\.l2 is set, because a given lambda"),
        (
            {"probe": ProbeConfig(folds=5), "head": HeadConfig(hidden_units=(8,))},
            r"must be 0 if head\.hidden_units is set",
        ),
        ({"features": FeaturesConfig(runtime="openvion")}, "Did you mean 'openvino'"),
        ({"features": FeaturesConfig(dtype="float8")}, r"`features\.dtype` must be a known name"),
        (
            {"features": FeaturesConfig(views=2), "data": DataConfig(augmentation="none")},
            "must be 0 without augmentation",
        ),
        ({"features": FeaturesConfig(store="")}, r"`features\.store` must be a folder"),
    ],
)
def test_options_of_features_and_folds_are_checked(sections, expected):
    with pytest.raises(InputError, match=expected):
        TransferConfig(**sections).validate()
