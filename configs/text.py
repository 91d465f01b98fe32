"""Texts with classes: a table with a column of texts, or one folder of .txt files per class.

Command:
    python scripts/train.py --config=configs/text.py --config.data.source=csv:FILE --workdir=W

FILE is a table (CSV, TSV, JSON lines, Parquet) with the columns text and label; `--config.data.columns` names others.
The network is a folder with a BERT, as the library transformers writes it.

Expected: docs/benchmarks/text.md.
Hardware: 2 CPU cores. Minutes: 1-3.
"""

from tfl.config import BackboneConfig, DataConfig, FinetuneConfig, HeadConfig, TransferConfig


def get_config() -> TransferConfig:
    """Solve the head on hidden states; tfl chooses the length of the texts, and the states by cross-validation."""
    return TransferConfig(
        data=DataConfig(source="csv:texts.csv", image_size=-1, augmentation="none"),
        backbone=BackboneConfig(name="hf:minilm"),
        head=HeadConfig(pooling="auto"),
        finetune=FinetuneConfig(epochs=0),
    )
