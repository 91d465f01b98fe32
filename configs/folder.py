"""Your own photos, in one folder per class.

Command:
    python scripts/train.py --config=configs/folder.py --config.data.source=folder:PATH --workdir=W

PATH has one folder per class, or the folders train, val and test with one folder per class in each.

Expected: docs/benchmarks/results.md. On the 245 + 153 ants and bees, with MobileNetV2 (alpha 0.35), the test accuracy
for the seeds 0, 1, 2 is: frozen 0.902, 0.908, 0.889; fine-tuned 0.915, 0.915, 0.889, of which validation keeps the
first.
Hardware: 2 CPU cores. Minutes: 1-2.
"""

from tfl.config import DataConfig, FeaturesConfig, FinetuneConfig, ProbeConfig, TransferConfig


def get_config() -> TransferConfig:
    """Solve the head, then train the top stages from there, and keep the better of the two; tfl chooses the rest."""
    return TransferConfig(
        data=DataConfig(source="folder:photos"),
        probe=ProbeConfig(folds=-1),
        features=FeaturesConfig(views=-1),
        finetune=FinetuneConfig(
            epochs=-1, unfreeze="auto", learning_rate=3e-4, ema=0.95, clip_norm=1.0, early_stopping=4
        ),
    )
