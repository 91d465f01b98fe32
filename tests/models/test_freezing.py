import re

import keras
import numpy as np
import pytest

from tfl.backbones.stages import backbone_layers, find_stages, head_layers
from tfl.backbones.weights import build_backbone
from tfl.errors import InputError
from tfl.models.freezing import (
    describe_freezing,
    freeze,
    learning_rate_multipliers,
    unfreeze,
)


@pytest.fixture(scope="module")
def shared_model():
    return _classifier()


@pytest.fixture
def model():
    return _classifier()


def _classifier() -> keras.Model:
    keras.utils.set_random_seed(0)
    backbone = build_backbone("MobileNetV2", alpha=0.35, image_size=32, weights="none")
    features = keras.layers.BatchNormalization(name="head_norm")(backbone.output)
    features = keras.layers.GlobalAveragePooling2D(name="head_pool")(features)
    return keras.Model(backbone.input, keras.layers.Dense(3, name="head_logits")(features))


def trained_layers(model: keras.Model) -> list[str]:
    """Names of the backbone's layers that are trained, BatchNormalization aside."""
    layers = backbone_layers(model)
    return [x.name for x in layers if x.trainable and not isinstance(x, keras.layers.BatchNormalization)]


def names(model: keras.Model, *stages: int) -> list[str]:
    chosen = [layer for number, stage in enumerate(find_stages(model), 1) if number in stages for layer in stage.layers]
    return [layer.name for layer in chosen if not isinstance(layer, keras.layers.BatchNormalization)]


def values(layers) -> list[np.ndarray]:
    return [keras.ops.convert_to_numpy(weight).copy() for layer in layers for weight in layer.weights]


def same(one: list[np.ndarray], other: list[np.ndarray]) -> list[bool]:
    return [np.array_equal(a, b) for a, b in zip(one, other, strict=True)]


def compile_and_fit(model: keras.Model, compile_first: bool = True) -> None:
    if compile_first:
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (8, 32, 32, 3)).astype("float32")
    model.fit(images, generator.integers(0, 3, 8), batch_size=4, verbose=0)


@pytest.mark.parametrize(
    "what, trained",
    [
        (0, ()),
        ("0", ()),
        (2, (4, 5)),
        ("2", (4, 5)),
        (5, (1, 2, 3, 4, 5)),
        ("all", (1, 2, 3, 4, 5)),
        ("stage4", (4, 5)),
        ("STAGE4", (4, 5)),
        ("block_6_expand", (4, 5)),
    ],
)
def test_unfreeze_counts_from_the_top(what, trained, shared_model):
    unfreeze(shared_model, what)
    assert trained_layers(shared_model) == names(shared_model, *trained)
    assert [row.stage for row in describe_freezing(shared_model).rows if row.trainable] == [
        *(f"stage{number}" for number in trained),
        "head",
    ]
    assert all(layer.trainable for layer in head_layers(shared_model))


@pytest.mark.parametrize(
    "what, trained",
    [
        (0, (1, 2, 3, 4, 5)),
        ("2", (3, 4, 5)),
        (5, ()),
        ("all", ()),
        ("stage2", (3, 4, 5)),
        ("block_2_add", (3, 4, 5)),
    ],
)
def test_freeze_counts_from_the_bottom(what, trained, shared_model):
    freeze(shared_model, what)
    assert trained_layers(shared_model) == names(shared_model, *trained)
    assert all(layer.trainable for layer in head_layers(shared_model))


@pytest.mark.parametrize("what", [0.25, "0.25"])
def test_a_fraction_is_of_the_layers(what, shared_model):
    layers = [layer.name for layer in backbone_layers(shared_model)]
    quarter = round(len(layers) / 4)
    unfreeze(shared_model, what, batch_norm="train")
    assert [x.name for x in backbone_layers(shared_model) if x.trainable] == layers[-quarter:]
    freeze(shared_model, what, batch_norm="train")
    assert [x.name for x in backbone_layers(shared_model) if not x.trainable] == layers[:quarter]


@pytest.mark.parametrize("what", [re.compile("^block_1[0-2]_project$"), "re:^block_1[0-2]_project$"])
def test_a_pattern_chooses_layers_wherever_they_are(what, shared_model):
    chosen = ["block_10_project", "block_11_project", "block_12_project"]
    unfreeze(shared_model, what)
    assert trained_layers(shared_model) == chosen
    freeze(shared_model, what)
    assert not set(trained_layers(shared_model)) & set(chosen) and "block_9_project" in trained_layers(shared_model)


def test_batch_norm_stays_in_inference_mode_unless_asked(shared_model):
    norms = [x for x in backbone_layers(shared_model) if isinstance(x, keras.layers.BatchNormalization)]
    table = unfreeze(shared_model, 1)
    assert not any(norm.trainable for norm in norms) and {row.batch_norm for row in table.rows[:5]} == {"inference"}
    table = unfreeze(shared_model, 1, batch_norm="train")
    above = set(find_stages(shared_model)[-1].layers)
    assert all(norm.trainable == (norm in above) for norm in norms) and table.rows[4].batch_norm == "train"
    assert table.rows[5].batch_norm == "train"  # the head's own is always trained


def test_each_call_sets_the_whole_state(shared_model):
    shared_model.trainable = False
    first = unfreeze(shared_model, 2)
    freeze(shared_model, 1, batch_norm="train")
    assert unfreeze(shared_model, 2) == first == describe_freezing(shared_model)
    assert unfreeze(shared_model, "all") == freeze(shared_model, 0)


def test_the_table_adds_up_and_is_returned_alone(shared_model, capsys):
    table = unfreeze(shared_model, 1)
    assert table.parameters == shared_model.count_params()
    assert table.trainable == sum(int(np.prod(w.shape)) for w in shared_model.trainable_weights) > 0
    assert sum(row.num_layers for row in table.rows) == len(shared_model.layers)
    assert capsys.readouterr() == ("", "")  # a notebook would show it twice
    lines = str(table).splitlines()
    assert len(lines) == 8 and lines[-1].split() == ["total", "157", f"{table.parameters:,}", f"{table.trainable:,}"]
    assert lines[1].split()[1:4] == ["image", "..", "expanded_conv_project_BN"]


@pytest.mark.parametrize(
    "what, expected",
    [
        ("stage6", "Did you mean 'stage5'"),
        ("block_12_ad", "Did you mean 'block_12_add'"),
        ("re:^no_such", "must match the name of a layer"),
        ("re:[", "valid regular expression"),
        (6, "between 0 and 5"),
        (-1, "between 0 and 5"),
        (1.5, "between 0 and 1"),
        ("nan", "between 0 and 1"),
        (True, "must be a number"),
        (None, "must be a number"),
    ],
)
def test_what_names_nothing_is_an_error_and_changes_nothing(what, expected, shared_model):
    before = unfreeze(shared_model, 2)
    for change in (freeze, unfreeze):
        with pytest.raises(InputError, match=f"`what`.*{expected}"):
            change(shared_model, what)
    with pytest.raises(InputError, match=r"`batch_norm`.*'forzen'.*Did you mean 'frozen'"):
        unfreeze(shared_model, 2, batch_norm="forzen")
    assert describe_freezing(shared_model) == before


def test_freezing_after_compile_and_fit_takes_effect_in_stock_fit(model):
    unfreeze(model, "all", batch_norm="train")
    start = values(backbone_layers(model))
    compile_and_fit(model)
    trained = values(backbone_layers(model))
    assert sum(same(start, trained)) < 0.1 * len(start)
    head = values(head_layers(model))
    freeze(model, "all")
    compile_and_fit(model, compile_first=False)
    assert all(same(trained, values(backbone_layers(model)))) and not any(same(head, values(head_layers(model))))


def test_unfreezing_after_compile_takes_effect_in_stock_fit(model):
    freeze(model)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    unfreeze(model, 1)
    top, below = find_stages(model)[-1].layers, [x for stage in find_stages(model)[:-1] for x in stage.layers]
    kernels = [x for x in top if x.trainable_weights]
    before = values(kernels), values(below)
    compile_and_fit(model, compile_first=False)
    assert not all(same(before[0], values(kernels))) and all(same(before[1], values(below)))


def test_unfreezing_after_fit_fails_until_compiled_again(model):
    freeze(model)
    compile_and_fit(model)
    unfreeze(model, 1)
    with pytest.raises(ValueError, match=r"(?i)unknown variable"):
        compile_and_fit(model, compile_first=False)
    kernels = [x for x in find_stages(model)[-1].layers if x.trainable_weights]
    before = values(kernels)
    compile_and_fit(model)
    assert not all(same(before, values(kernels)))  # random weights leave some gradients too small to count


def test_learning_rate_multipliers_fall_from_the_head_down(shared_model):
    multipliers = learning_rate_multipliers(shared_model, 0.5)
    assert set(multipliers) == {weight.path for weight in shared_model.weights}
    stages = find_stages(shared_model)
    for depth, layers in enumerate([head_layers(shared_model), *(stage.layers for stage in reversed(stages))]):
        assert {multipliers[weight.path] for layer in layers for weight in layer.weights} == {0.5**depth}
    assert set(learning_rate_multipliers(shared_model, 1.0).values()) == {1.0}


def test_batch_norm_inside_a_nested_block_is_found():
    image = keras.Input((8, 8, 3))
    block = keras.Sequential([keras.layers.Conv2D(4, 3, strides=2), keras.layers.BatchNormalization()], name="block")
    model = keras.Model(image, keras.layers.Conv2D(2, 1, name="top")(block(image)))
    unfreeze(model, "all")
    assert [len(layer.trainable_weights) for layer in block.layers] == [2, 0]
    table = unfreeze(model, "top")
    assert not block.trainable_weights and table.trainable == 4 * 2 + 2


@pytest.mark.parametrize(
    "what, batch_norm",
    [
        ("re:_relu", "train"),
        ("re:_relu", "frozen"),
        ("re:_BN$|_bn$", "frozen"),
        ("0.01", "frozen"),
        ("out_relu", "train"),
    ],
)
def test_unfreezing_what_has_no_trainable_weight_is_refused(what, batch_norm, model):
    before = describe_freezing(model)
    with pytest.raises(InputError, match=r"`what` must reach a layer with trainable weights.*Did you mean '1'"):
        unfreeze(model, what, batch_norm=batch_norm)
    assert describe_freezing(model) == before


@pytest.mark.parametrize("what, batch_norm", [("re:_BN$|_bn$", "train"), ("0.01", "train"), ("0.02", "frozen")])
def test_unfreezing_the_same_with_trained_batch_norm_works(what, batch_norm, model):
    trained_before = unfreeze(model, 0).trainable
    assert unfreeze(model, what, batch_norm=batch_norm).trainable > trained_before
    freeze(model, "all")  # a frozen layer can still be unfrozen
    assert unfreeze(model, what, batch_norm=batch_norm).trainable > trained_before


def test_freezing_what_has_no_weights_is_refused(model):
    with pytest.raises(InputError, match="`what` must reach a layer with trainable weights"):
        freeze(model, "re:_relu")
