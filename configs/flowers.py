"""Five kinds of flowers from TensorFlow Datasets (3,670 photos, one split, so tfl cuts its own).

The data set must be prepared on this machine first, with a network, once:
    python -c "import tensorflow_datasets as tfds; tfds.load('tf_flowers')"

Command:
    python scripts/train.py --config=configs/flowers.py --workdir=W

Expected: not measured (the data set was not at hand). Hardware: not measured. Minutes: not measured.
"""

from tfl.config import BackboneConfig, DataConfig, FinetuneConfig, TransferConfig


def get_config() -> TransferConfig:
    """Solve the head on EfficientNetV2B0, then train its top stage."""
    return TransferConfig(
        data=DataConfig(source="tfds:tf_flowers"),
        backbone=BackboneConfig(name="EfficientNetV2B0"),
        finetune=FinetuneConfig(epochs=5, unfreeze="1", learning_rate=1e-4),
    )
