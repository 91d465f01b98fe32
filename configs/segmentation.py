"""A class for every pixel: images with masks, in folders of their own.

Command:
    python scripts/train.py --config=configs/segmentation.py --config.data.source=masks:PATH --workdir=W

PATH has the folders images and masks, or train, trainannot, val, valannot, test and testannot, or a folder of images
and one of masks in each of train, val and test.

Expected: docs/benchmarks/segmentation.md. On 40 + 10 + 10 street scenes of CamVid: test mean IoU 0.452.
Hardware: 2 CPU cores. Minutes: 1.
"""

from tfl.config import BackboneConfig, DataConfig, FinetuneConfig, SegmentationConfig, TaskConfig, TransferConfig


def get_config() -> TransferConfig:
    """Solve the head of every position on the frozen network; with finetune.epochs=20 train all from there."""
    return TransferConfig(
        data=DataConfig(source="masks:streets", image_size=480, batch_size=4),
        backbone=BackboneConfig(name="MobileNetV2", alpha=0.35),
        task=TaskConfig(name="segmentation"),
        segmentation=SegmentationConfig(ignore_label=255),
        finetune=FinetuneConfig(epochs=0, unfreeze="all", learning_rate=4e-4),
    )
