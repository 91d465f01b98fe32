"""The ants and bees of the classic transfer-learning tutorials, with their well-known recipe.

ResNet50 is frozen. SGD (learning rate 0.001, momentum 0.9) trains a new linear head for ten epochs, with batches of
32 lightly augmented images. This config is for comparison: `configs/folder.py` solves the same head exactly, in one
pass over the images.

Command:
    python scripts/train.py --config=configs/hymenoptera.py --config.data.source=folder:PATH --workdir=W

Expected: not measured (the published ResNet50 weights were not available).
Hardware: not measured. Minutes: not measured.
"""

from tfl.config import BackboneConfig, DataConfig, FinetuneConfig, ProbeConfig, TransferConfig


def get_config() -> TransferConfig:
    """Train only the head, by SGD, without solving it first."""
    return TransferConfig(
        data=DataConfig(source="folder:hymenoptera_data"),
        backbone=BackboneConfig(name="ResNet50"),
        probe=ProbeConfig(solver="none"),
        finetune=FinetuneConfig(
            epochs=10, unfreeze="0", optimizer="sgd", learning_rate=1e-3, momentum=0.9, schedule="step"
        ),
    )
