"""The two stages of transfer learning in minutes, on the handwritten digits of scikit-learn.

Stage 1 pre-trains a small MobileNetV2 on the digits 0-4. Stage 2 transfers it to 5-9 with five labels per
class, and compares three ways on the same 627 test images: from scratch, frozen with a solved head, fine-tuned.

Command:
    python scripts/train.py --config=configs/quickstart.py --workdir=runs/quickstart

Expected: docs/benchmarks/results.md. Seed 0: from scratch 0.531, frozen 0.518, fine-tuned 0.743; seed 1: 0.528, 0.464,
0.675. Hardware: 2 CPU cores. Minutes: 3.
"""

from tfl.config import (
    BackboneConfig,
    DataConfig,
    FinetuneConfig,
    PretrainConfig,
    ScratchConfig,
    TransferConfig,
)


def get_config() -> TransferConfig:
    """Pre-train on many images, then transfer to a task with few labels."""
    return TransferConfig(
        data=DataConfig(
            source="digits:5-9",
            split=(0.2, 0.1, 0.7),  # few labels for training, so that most images can test
            image_size=64,
            train_examples_per_class=5,
            augmentation="shift",
        ),
        backbone=BackboneConfig(name="MobileNetV2", alpha=0.35, weights="none"),
        pretrain=PretrainConfig(source="digits:0-4", epochs=12),
        scratch=ScratchConfig(epochs=40),
        finetune=FinetuneConfig(epochs=20, unfreeze="all", batch_norm="train", learning_rate=1e-3),
    )
