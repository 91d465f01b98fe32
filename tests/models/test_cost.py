"""The cost of networks, against the figures of their papers."""

import keras
import pytest

import tfl
from tfl.models.cost import multiply_adds, share_above

PUBLISHED = {  # million multiply-adds at 224 pixels, without the classifier
    "MobileNetV2": 300,  # Sandler et al. 2018, table 4
    "MobileNet": 568,  # Howard et al. 2017, table 8: 569, with the classifier
    "ResNet50": 3860,  # He et al. 2016: 3.8 billion
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_cost_of_a_network_is_the_published_one(name):
    backbone = tfl.build_backbone(name, weights="none")
    assert sum(map(multiply_adds, backbone.layers)) / 1e6 == pytest.approx(PUBLISHED[name], rel=0.01)


def test_the_share_above_a_layer_is_that_of_its_kernels():
    entrance = keras.Input((8, 8, 3))
    tensor = keras.layers.Conv2D(4, 3, padding="same", name="low")(entrance)  # 64 places x 27 x 4
    tensor = keras.layers.BatchNormalization(name="norm")(tensor)
    tensor = keras.layers.DepthwiseConv2D(3, strides=2, padding="same", name="high")(tensor)  # 16 places x 9 x 4
    model = keras.Model(entrance, tensor)
    low, high = 64 * 27 * 4, 16 * 9 * 4
    assert share_above(model, "low") == 1.0
    assert share_above(model, "norm") == share_above(model, "high") == pytest.approx(high / (low + high))


def test_a_network_without_kernels_counts_as_a_whole():
    entrance = keras.Input((8, 8, 3))
    model = keras.Model(entrance, keras.layers.ReLU(name="only")(entrance))
    assert share_above(model, "only") == 1.0
