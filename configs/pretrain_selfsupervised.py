"""Pre-train a small network on your own images, without labels; the images may be in any folders.

Command:
    python scripts/pretrain.py --config=configs/pretrain_selfsupervised.py --config.data.source=folder:PATH --workdir=W
    python scripts/train.py --config=configs/folder.py --config.data.source=folder:LABELLED --config.backbone.weights=W

Both commands need the same network: --config.backbone.name, --config.backbone.alpha and --config.data.image_size.

Expected: not measured for 20 epochs; eight epochs are too few (docs/benchmarks/results.md). Hardware: 2 CPU cores.
Minutes: about 1 for each epoch of 10,000 images of 32 pixels (MobileNetV2, alpha 0.35).
"""

from tfl.config import BackboneConfig, DataConfig, PretrainConfig, TransferConfig


def get_config() -> TransferConfig:
    """Bring two views of each image together, in a network that starts from random weights."""
    return TransferConfig(
        data=DataConfig(source="folder:photos", batch_size=64),
        backbone=BackboneConfig(weights="none"),
        pretrain=PretrainConfig(method="barlow_twins", epochs=20, learning_rate=1e-3, augmentation="light"),
    )
