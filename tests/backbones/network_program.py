"""Build one network of the catalogue, and check its graph: see test_stages.py. A process gives its memory back.

python network_program.py NAME
"""

import sys

import keras
import numpy as np
from graphs import check_partition, names_through_which_all_paths_pass

from tfl.backbones.catalog import get_backbone_spec
from tfl.backbones.stages import find_cut_points, find_stages
from tfl.backbones.table import MILLIONS
from tfl.backbones.weights import build_backbone


def start_at_zero() -> None:
    """Draw no weights: the graph is checked, and the largest network has 350 million of them."""
    keras.initializers.VarianceScaling.__call__ = lambda self, shape, dtype=None: keras.ops.zeros(shape, dtype)


def check_network(name: str) -> None:
    spec = get_backbone_spec(name)
    model = build_backbone(name, image_size=spec.minimum_size, weights="none")
    assert model.output.shape[-1] == spec.num_features
    assert round(model.count_params() / 1e6, 1) == MILLIONS[name]
    check_partition(model)
    assert {cut.name for cut in find_cut_points(model)} == names_through_which_all_paths_pass(model)
    assert len(find_stages(model)) == (2 if name.startswith("NASNet") else 4 if name.startswith("ConvNeXt") else 5)
    image = np.random.default_rng(0).uniform(0, 255, (1, *model.input.shape[1:])).astype("float32")
    pixels = keras.Model(model.input, next(x for x in model.layers if not isinstance(x, keras.layers.InputLayer)).input)
    np.testing.assert_allclose(pixels(image), spec.preprocess(image.copy()), atol=1e-4)


if __name__ == "__main__":
    start_at_zero()
    for name in sys.argv[1:]:
        check_network(name)
