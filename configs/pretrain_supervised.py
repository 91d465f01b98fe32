"""Pre-train a network on your own labelled images, for other tasks.

Command:
    python scripts/pretrain.py --config=configs/pretrain_supervised.py --config.data.source=folder:PATH --workdir=W
    python scripts/train.py --config=configs/folder.py --config.data.source=folder:OTHER --config.backbone.weights=W

The network starts from random weights. --config.backbone.weights=imagenet continues from the published weights, with a
smaller --config.pretrain.learning_rate, such as 1e-4.

Expected: not measured. Hardware: not measured. Minutes: not measured.
"""

from tfl.config import BackboneConfig, DataConfig, FinetuneConfig, PretrainConfig, TransferConfig


def get_config() -> TransferConfig:
    """Train the whole network with strong augmentation, an average of the weights, and mixup."""
    return TransferConfig(
        data=DataConfig(source="folder:photos", batch_size=64),
        backbone=BackboneConfig(weights="none"),
        pretrain=PretrainConfig(method="supervised", epochs=20, learning_rate=3e-3, augmentation="rand"),
        finetune=FinetuneConfig(mixup=0.2, ema=0.99, clip_norm=1.0),
    )
