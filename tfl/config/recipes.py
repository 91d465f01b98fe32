"""The recipes that come with tfl. That for your own photos is here, the others are files in `configs/`."""

import os
from pathlib import Path

from tfl.config.sections import DataConfig, FinetuneConfig
from tfl.config.transfer import TransferConfig

DEFAULT = "folder"  # the recipe of a command that names none


def folder_recipe(source: str = "folder:photos") -> TransferConfig:
    """Solve the head, then train the top two stages at a small learning rate, and keep the better of the two.

    Args:
        source: a source string such as "folder:photos" or "digits", or the path of a folder that exists.

    Example:
        >>> config = folder_recipe("photos")
        >>> config.data.source, config.finetune.epochs
        ('folder:photos', 8)
    """
    return TransferConfig(
        data=DataConfig(source=source_of(source)),
        finetune=FinetuneConfig(epochs=8, unfreeze="2", learning_rate=1e-4, mixup=0.2, ema=0.9),
    )


def source_of(place: str) -> str:
    """Return the source string for a place: a path becomes "folder:PATH" if there is a folder at this path.

    Any other text is returned unchanged, also if a folder has the name of a source, such as "digits".

    Example:
        >>> source_of("photos"), source_of("digits")
        ('folder:photos', 'digits')
    """
    is_path = place.lower() != "digits" and os.path.isdir(os.path.expanduser(place))  # noqa: PTH111, PTH112
    return f"folder:{place}" if is_path else place


def recipes() -> dict[str, Path]:
    """Return the recipes that come with tfl, by name: those of the package, or of `configs/` in a checkout.

    Example:
        >>> sorted(recipes())
        ['flowers', 'folder', 'hymenoptera', 'quickstart']
    """
    package = Path(__file__).resolve().parents[1]
    installed = package / "configs"
    folder = installed if installed.is_dir() else package.parent / "configs"
    return {file.stem: file for file in folder.glob("*.py")}
