"""The cost of networks, against the figures of their papers."""

import keras
import pytest

import tfl
from tfl.models.cost import memory_bytes, share_above, total_multiply_adds

PUBLISHED = {  # million multiply-adds at 224 pixels, without the classifier
    "MobileNetV2": 300,  # Sandler et al. 2018, table 4
    "MobileNet": 568,  # Howard et al. 2017, table 8: 569, with the classifier
    "ResNet50": 3860,  # He et al. 2016: 3.8 billion
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_cost_of_a_network_is_the_published_one(name):
    backbone = tfl.build_backbone(name, weights="none")
    assert total_multiply_adds(backbone) / 1e6 == pytest.approx(PUBLISHED[name], rel=0.01)


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


def test_memory_is_that_of_the_weights_and_of_what_is_held_for_later():
    """The branch around the two convolutions is held until it is added."""
    entrance = keras.Input((8, 8, 4))  # 256 values
    tensor = keras.layers.Conv2D(16, 1, name="wide")(entrance)  # 1,024 values
    tensor = keras.layers.ReLU()(tensor)
    tensor = keras.layers.Conv2D(4, 1)(tensor)
    model = keras.Model(entrance, keras.layers.Add()([tensor, entrance]))
    weights = 4 * 16 + 16 + 16 * 4 + 4
    assert memory_bytes(model, batch_size=1) == 4 * (weights + 256 + 1024 + 1024)
    assert memory_bytes(model, batch_size=3) == 4 * (weights + 3 * (256 + 1024 + 1024))
