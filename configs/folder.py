"""x"""
from tfl.config import DataConfig, TransferConfig


def get_config() -> TransferConfig:
    return TransferConfig(data=DataConfig(source="folder:photos"))
