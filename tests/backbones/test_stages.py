from pathlib import Path

import keras
import numpy as np
import pytest
import warm
from graphs import check_partition, names_through_which_all_paths_pass

from tfl.backbones.catalog import is_in_keras, list_backbones
from tfl.backbones.stages import (
    backbone_output,
    find_cut_points,
    find_stages,
    head_layers,
)
from tfl.backbones.weights import build_backbone

PROGRAM = Path(__file__).with_name("network_program.py")
ENDS = {
    "DenseNet121": ["conv1_relu", "pool2_conv", "pool3_conv", "pool4_conv", "relu"],
    "EfficientNetB0": ["block1a_project_bn", "block2b_add", "block3b_add", "block5c_add", "top_activation"],
    "InceptionV3": ["activation_2", "activation_4", "mixed2", "mixed7", "mixed10"],
    "MobileNet": ["conv_pw_1_relu", "conv_pw_3_relu", "conv_pw_5_relu", "conv_pw_11_relu", "conv_pw_13_relu"],
    "MobileNetV2": ["expanded_conv_project_BN", "block_2_add", "block_5_add", "block_12_add", "out_relu"],
    "NASNetMobile": ["stem_bn1", "activation_187"],
    "ResNet50": ["conv1_relu", "conv2_block3_out", "conv3_block4_out", "conv4_block6_out", "conv5_block3_out"],
    "ResNet50V2": ["conv1_conv", "conv2_block2_out", "conv3_block3_out", "conv4_block5_out", "post_relu"],
    "VGG16": ["block1_conv2", "block2_conv2", "block3_conv3", "block4_conv3", "block5_pool"],
}


def check_cut(model: keras.Model, cut, images: np.ndarray) -> None:
    below, above = keras.Model(model.input, cut.tensor), keras.Model(cut.tensor, model.output)
    expected = keras.ops.convert_to_numpy(model(images, training=False))
    np.testing.assert_allclose(above(below(images, training=False), training=False), expected, atol=1e-5, rtol=1e-5)


def described(model: keras.Model) -> list[tuple]:
    """Return what there is to say of each stage, as plain numbers and names."""
    return [
        (stage.name, [layer.name for layer in stage.layers], stage.cut.name, stage.resolution, stage.cut.channels)
        for stage in find_stages(model)
    ]


def test_stages_hold_every_layer_once(family, built):
    check_partition(built(family))


def test_cut_points_are_exactly_what_all_paths_pass_through(family, built):
    model = built(family)
    assert {cut.name for cut in find_cut_points(model)} == names_through_which_all_paths_pass(model)


def test_the_two_sides_of_a_cut_give_the_whole(family, built):
    model = built(family)
    images = np.random.default_rng(0).uniform(0, 255, (2, *model.input.shape[1:])).astype("float32")
    stages = find_stages(model)
    check_cut(model, stages[(len(stages) - 1) // 2].cut, images)


@pytest.mark.parametrize("name", ENDS)
def test_stages_end_where_the_blocks_of_the_paper_do(name, built):
    assert [stage.cut.name for stage in find_stages(built(name))] == ENDS[name]


@pytest.mark.parametrize("name", ["MobileNetV2", "EfficientNetB0", "InceptionV3"])
def test_stages_are_the_same_at_every_image_size(name, built):
    models = [built(name), build_backbone(name, image_size=333, weights="none")]
    small, large = ([[layer.name for layer in stage.layers] for stage in find_stages(model)] for model in models)
    assert small == large


def test_the_head_is_no_part_of_the_stages(built, add_head, tmp_path):
    backbone = built("MobileNetV2")
    classifier = add_head(backbone)
    assert [stage.layers for stage in find_stages(classifier)] == [stage.layers for stage in find_stages(backbone)]
    assert [layer.name for layer in head_layers(classifier)] == ["head_pool", "head_logits"]
    assert backbone_output(classifier) is backbone.output and not head_layers(backbone)
    classifier.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert described(loaded) == described(backbone)
    assert [cut.name for cut in find_cut_points(loaded)] == [cut.name for cut in find_cut_points(backbone)]


def test_operations_between_backbone_and_head_are_of_the_head(built):
    backbone = built("VGG16")
    pooled = keras.ops.mean(backbone.output**3, axis=(1, 2)) ** (1 / 3)
    classifier = keras.Model(backbone.input, keras.layers.Dense(2, name="head_logits")(pooled))
    assert backbone_output(classifier) is backbone.output
    assert find_cut_points(classifier)[-1].name == "block5_pool"


def test_stages_count_every_parameter_once(built):
    model = built("ResNet50")
    stages = find_stages(model)
    assert sum(layer.count_params() for stage in stages for layer in stage.layers) == model.count_params()
    assert [(stage.cut.name, stage.cut.channels) for stage in stages][1:3] == [
        ("conv2_block3_out", 256),
        ("conv3_block4_out", 512),
    ]


def test_a_model_without_a_graph_is_refused():
    with pytest.raises(TypeError, match="functional"):
        find_stages(type("Subclassed", (keras.Model,), {})())


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in list_backbones() if is_in_keras(name)])
def test_every_network_builds_and_is_cut(name):
    result = warm.run([PROGRAM, name])
    assert result.returncode == 0, result.stderr[-3000:]
