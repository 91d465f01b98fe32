"""The ants and bees of the classic transfer-learning tutorials, by the well-known recipe.

ResNet50, frozen; a new linear head, trained by SGD (learning rate 0.001, momentum 0.9) for ten epochs at
batch 32 on lightly augmented images. It is here as the point of comparison: `configs/folder.py` solves the
same head exactly, in one pass over the images.

Command:
    python scripts/train.py --config=configs/hymenoptera.py --config.data.source=folder:PATH --workdir=W

Expected: not measured (the published ResNet50 weights were not at hand).
Hardware: not measured. Minutes: not measured.
"""

from tfl.config import BackboneConfig, DataConfig, FinetuneConfig, ProbeConfig, TransferConfig


def get_config() -> TransferConfig:
    """The recipe as everybody knows it: nothing solved, only the head trained."""
    return TransferConfig(
        data=DataConfig(source="folder:hymenoptera_data"),
        backbone=BackboneConfig(name="ResNet50"),
        probe=ProbeConfig(solver="none"),
        finetune=FinetuneConfig(
            epochs=10, unfreeze="0", optimizer="sgd", learning_rate=1e-3, momentum=0.9, schedule="step"
        ),
    )
