"""Your own photos, sorted into one folder a class.

Command:
    python scripts/train.py --config=configs/folder.py --config.data.source=folder:PATH --workdir=W

PATH holds a folder a class, or train / val / test folders with a folder a class each.
"""

from tfl.config import DataConfig, FinetuneConfig, TransferConfig


def get_config() -> TransferConfig:
    """Solve the head, then train the top stage at a small learning rate, and keep the better of the two."""
    return TransferConfig(
        data=DataConfig(source="folder:photos"),
        finetune=FinetuneConfig(epochs=8, unfreeze="1", learning_rate=1e-4),
    )
