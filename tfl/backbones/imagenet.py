"""The published accuracy of the ImageNet weights of each network, and the order that it gives."""

from tfl.backbones.entries import label_of
from tfl.backbones.weight_files import PUBLISHED
from tfl.config import BackboneConfig

# Top-1 accuracy on the validation images of ImageNet, from the table of keras.io/api/applications. Of other widths, and
# of MobileNetV3, from Howard et al. 2017 (arXiv:1704.04861, table 6), and from the model cards of MobileNetV2 and
# MobileNetV3 that keras.applications cites.
_TOP_1 = {
    **{"ConvNeXtTiny": 0.813, "ConvNeXtSmall": 0.823, "ConvNeXtBase": 0.853, "ConvNeXtLarge": 0.863},
    **{"ConvNeXtXLarge": 0.867, "DenseNet121": 0.750, "DenseNet169": 0.762, "DenseNet201": 0.773},
    **{"EfficientNetB0": 0.771, "EfficientNetB1": 0.791, "EfficientNetB2": 0.801, "EfficientNetB3": 0.816},
    **{"EfficientNetB4": 0.829, "EfficientNetB5": 0.836, "EfficientNetB6": 0.840, "EfficientNetB7": 0.843},
    **{"EfficientNetV2B0": 0.787, "EfficientNetV2B1": 0.798, "EfficientNetV2B2": 0.805, "EfficientNetV2B3": 0.820},
    **{"EfficientNetV2S": 0.839, "EfficientNetV2M": 0.853, "EfficientNetV2L": 0.857},
    **{"InceptionResNetV2": 0.803, "InceptionV3": 0.779, "Xception": 0.790},
    **{"MobileNet:0.25": 0.506, "MobileNet:0.5": 0.637, "MobileNet:0.75": 0.684, "MobileNet": 0.704},
    **{"MobileNetV2:0.35": 0.603, "MobileNetV2:0.5": 0.654, "MobileNetV2:0.75": 0.698, "MobileNetV2": 0.713},
    **{"MobileNetV2:1.3": 0.744, "MobileNetV2:1.4": 0.750},
    **{"MobileNetV3Large:0.75": 0.733, "MobileNetV3Large": 0.756},
    **{"MobileNetV3Small:0.75": 0.654, "MobileNetV3Small": 0.681},
    **{"NASNetLarge": 0.825, "NASNetMobile": 0.744},
    **{"ResNet50": 0.749, "ResNet101": 0.764, "ResNet152": 0.766},
    **{"ResNet50V2": 0.760, "ResNet101V2": 0.772, "ResNet152V2": 0.780, "VGG16": 0.713, "VGG19": 0.713},
}


def imagenet_accuracy(options: BackboneConfig) -> float | None:
    """Return the published top-1 accuracy of a network on ImageNet, in [0, 1]; None without published weights.

    Example:
        >>> imagenet_accuracy(tfl.BackboneConfig("MobileNetV2", 0.35))
        0.603
    """
    return _TOP_1.get(label_of(options)) if options.weights == PUBLISHED else None
