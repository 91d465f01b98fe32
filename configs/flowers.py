"""Five kinds of flowers from TensorFlow Datasets (3,670 photos in one split, which tfl divides).

First prepare the data set on this machine, once, with internet access:
    python -c "import tensorflow_datasets as tfds; tfds.load('tf_flowers')"

Command:
    python scripts/train.py --config=configs/flowers.py --workdir=W

Expected: not measured (the data set was not available). Hardware: not measured. Minutes: not measured.
"""

from tfl.config import BackboneConfig, DataConfig, FinetuneConfig, TransferConfig


def get_config() -> TransferConfig:
    """Solve the head on EfficientNetV2B0, then train its top stage."""
    return TransferConfig(
        data=DataConfig(source="tfds:tf_flowers"),
        backbone=BackboneConfig(name="EfficientNetV2B0"),
        finetune=FinetuneConfig(epochs=5, unfreeze="1", learning_rate=1e-4),
    )
