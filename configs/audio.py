"""Audio clips with classes: one folder of WAV files per class, or labels in the names of the files.

Command:
    python scripts/train.py --config=configs/audio.py --config.data.source=folder:FOLDER \
        --config.backbone.weights=yamnet.npz --workdir=W

Labels and speakers in the names of files, as in three_anna_07.wav, are found by regular expressions:
`--config.data.label_pattern='^([a-z]+)_' --config.data.group_pattern='_([a-z]+)_'`. The network is YAMNet; the file
has its weights, and without it they are random.

Expected: docs/how-to/audio.md.
Hardware: 2 CPU cores. Minutes: 1-3.
"""

from tfl.config import BackboneConfig, DataConfig, FinetuneConfig, TransferConfig


def get_config() -> TransferConfig:
    """Solve the head on the features of the frozen network; tfl chooses the length of the clips."""
    return TransferConfig(
        data=DataConfig(source="folder:clips", image_size=-1, augmentation="none"),
        backbone=BackboneConfig(name="YAMNet", weights="none"),
        finetune=FinetuneConfig(epochs=0),
    )
