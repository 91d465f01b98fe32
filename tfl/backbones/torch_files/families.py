"""The families of networks whose files tfl reads, and what tells them apart."""

import dataclasses

TENSORFLOW = r"tf_.*|.*_pruned.*"  # names of networks whose weights came from TensorFlow
_TORCHVISION_SIZES = (
    ("efficientnet_b1", 240),
    ("efficientnet_b2", 288),
    ("efficientnet_b3", 300),
    ("efficientnet_b4", 380),
    ("efficientnet_b5", 456),
    ("efficientnet_b6", 528),
    ("efficientnet_b7", 600),
    ("efficientnet_v2_s", 384),
    ("efficientnet_v2_[ml]", 480),
)


@dataclasses.dataclass(frozen=True)
class Family:
    """Networks that one builder makes.

    Attributes:
        names: a regular expression of their names in torchvision and timm.
        example: one of these names.
        builder: module in this package, with a function of the same name and `HEAD`, the prefixes of the classifier.
        keys: arrays that only this family has all of.
        features: the array whose first axis has the number of channels of the last map.
        is_unsure: whether networks of other names have the same arrays, so that the name must be known.
        large_epsilon: a regular expression of the names whose batch normalisations have the epsilon 1e-3, not 1e-5.
        image_sizes: pixels per side in the training, by the beginning of the name; of the others 224.
    """

    names: str
    example: str
    builder: str
    keys: tuple[str, ...]
    features: tuple[str, ...]
    is_unsure: bool = True
    large_epsilon: str = TENSORFLOW
    image_sizes: tuple[tuple[str, int], ...] = ()


FAMILIES = (
    Family(
        r"(wide_)?resne(t|xt)\d+(_\w+)?",
        "resnet50",
        "resnet",
        ("conv1.weight", "layer4.0.conv1.weight"),
        ("layer4.0.conv3.weight", "layer4.0.conv2.weight"),
    ),
    Family(
        r"mobilenet_v2",
        "mobilenet_v2",
        "mobilenet_v2",
        ("features.1.conv.0.0.weight",),
        ("features.18.0.weight",),
        is_unsure=False,
    ),
    Family(
        r"densenet\d+(_\w+)?",
        "densenet121",
        "densenet",
        ("features.conv0.weight", "features.denseblock1.denselayer1.conv1.weight"),
        ("features.norm5.weight",),
    ),
    Family(
        r"vgg\d+(_bn)?",
        "vgg16",
        "vgg",
        ("features.0.weight",),
        tuple(
            f"features.{last}.weight" for last in (18, 22, 28, 34, 25, 31, 40, 49)
        ),  # of each depth, with norms or not
    ),
    Family(
        r"(tf_)?efficientnet_(b\d|lite\d)(_\w+)?|mobilenetv2_\d+d?(_\w+)?",
        "tf_efficientnet_lite0",
        "efficientnet",
        ("conv_stem.weight", "blocks.1.0.conv_pwl.weight"),
        ("conv_head.weight",),
    ),
    Family(
        r"efficientnet_(b\d|v2_[sml])(_\w+)?",
        "efficientnet_v2_s",
        "torchvision_efficientnet",
        ("features.0.0.weight", "features.1.0.block.0.0.weight"),
        ("features.8.0.weight", "features.7.0.weight"),
        large_epsilon=r"efficientnet_(b[567]|v2_).*",
        image_sizes=_TORCHVISION_SIZES,
    ),
    Family(
        r"convnext_(tiny|small|base|large)(_\w+)?",
        "convnext_tiny",
        "convnext",
        ("features.0.0.weight", "features.1.0.block.5.weight"),
        ("features.7.0.block.0.weight",),
        is_unsure=False,
    ),
    Family(
        r"convnext_(atto|femto|pico|nano|tiny|small|base|large|xlarge)(_\w+)?",
        "convnext_nano",
        "convnext",
        ("stem.0.weight", "stages.0.blocks.0.conv_dw.weight"),
        ("stages.3.blocks.0.conv_dw.weight",),
    ),
)
