"""Boxes around objects: images with boxes in Pascal VOC, COCO or YOLO form, or in a table.

Command:
    python scripts/train.py --config=configs/detection.py --config.data.source=boxes:PATH --workdir=W

Expected: docs/benchmarks/detection.md. On 72 test images of blood cells: AP50 0.726, AP 0.336.
Hardware: 2 CPU cores. Minutes: 1.
"""

from tfl.config import BackboneConfig, DataConfig, FinetuneConfig, TaskConfig, TransferConfig


def get_config() -> TransferConfig:
    """Solve the classes and the boxes of cells on the frozen network; with finetune.epochs=15 train all from there."""
    return TransferConfig(
        data=DataConfig(source="boxes:objects", image_size=320, augmentation="light", batch_size=8),
        backbone=BackboneConfig(name="MobileNetV2", alpha=0.35),
        task=TaskConfig(name="detection"),
        finetune=FinetuneConfig(epochs=0, unfreeze="all", learning_rate=3e-4),
    )
