"""Features of texts from hidden states, computed again in NumPy."""

import numpy as np
import pytest
from texts import TINY

import tfl
from tfl.backbones.stages import block_ends, find_stages
from tfl.errors import InputError
from tfl.models.classifier import split_at_features
from tfl.models.states import columns_of

PIECES = np.array([[2, 6, 8, 10, 3, 0, 0, 0], [2, 6, 3, 0, 0, 0, 0, 0], [2, 3, 0, 0, 0, 0, 0, 0]], np.int32)


@pytest.fixture(scope="module")
def backbone():
    return tfl.build_backbone(f"hf:{TINY}", image_size=8)


def features(backbone, pooling, pieces=PIECES):
    lower, _ = split_at_features(tfl.build_classifier(backbone, tfl.HeadSpec(2, pooling)))
    return np.asarray(lower(pieces))


def test_means_leave_out_what_is_after_the_end_of_a_text(backbone):
    import keras

    states = [np.asarray(state) for state in keras.Model(backbone.input, block_ends(backbone))(PIECES)]
    lengths = (PIECES != 0).sum(1)
    means = [np.stack([state[row, :end].mean(0) for row, end in enumerate(lengths)]) for state in states]
    assert len(states) == 2
    expected = np.concatenate([means[0], means[1], states[1][:, 0]], axis=1)
    np.testing.assert_allclose(features(backbone, "layers_cls"), expected, atol=1e-6)


def test_longer_padding_changes_no_feature(backbone):
    longer = tfl.build_backbone(f"hf:{TINY}", image_size=12)
    padded = np.pad(PIECES, ((0, 0), (0, 4)))
    for pooling in ("avg", "cls", "layers", "layers_cls"):
        np.testing.assert_allclose(features(backbone, pooling), features(longer, pooling, padded), atol=1e-6)


def test_every_kind_is_columns_of_all_features(backbone):
    whole = features(backbone, "layers_cls")
    width = whole.shape[1] // 3
    for pooling in ("avg", "cls", "layers", "layers_cls"):
        columns = columns_of(pooling, 2, width)
        np.testing.assert_allclose(features(backbone, pooling), whole[:, columns], atol=1e-6)


@pytest.mark.parametrize("pooling", ["cls", "layers", "layers_cls"])
def test_the_blocks_are_the_stages_of_the_classifier_too(backbone, pooling):
    model = tfl.build_classifier(backbone, tfl.HeadSpec(2, pooling))
    stages = find_stages(model)
    assert [stage.name for stage in stages] == ["stage1", "stage2"] and stages[0].cut.name == "block1_end"
    held = {layer.name for stage in stages for layer in stage.layers}
    assert held <= {layer.name for layer in backbone.layers}


def test_a_network_without_blocks_has_no_states():
    backbone = tfl.build_backbone("MobileNetV2", image_size=32, alpha=0.35, weights="none")
    with pytest.raises(InputError, match=r"`head\.pooling` must be 'avg', 'max' or 'gem' for a network without"):
        tfl.build_classifier(backbone, tfl.HeadSpec(2, "layers"))
