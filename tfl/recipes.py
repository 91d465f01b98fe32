"""Recipes: the options of a run in a file of `configs/`, for the command `tfl train` and for `tfl.transfer`."""

import os
import runpy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfl.config import TransferConfig, set_options
from tfl.errors import InputError
from tfl.files.existing import guess_source
from tfl.registry import did_you_mean

DEFAULT = "folder"  # the recipe for your own photos
_OF_SOURCE = {"masks": "segmentation", "boxes": "detection"}  # the recipe for other kinds of sources


def recipes() -> dict[str, Path]:
    """Return the recipes that come with tfl, by name: those of the package, or of `configs/` in a checkout.

    Example:
        >>> sorted(recipes())[-1], len(recipes())
        ('text', 10)
    """
    package = Path(__file__).resolve().parent
    installed = package / "configs"
    folder = installed if installed.is_dir() else package.parent / "configs"
    return {file.stem: file for file in folder.glob("*.py")}


def find_recipe(name: str) -> str:
    """Return the file of a recipe.

    Raises:
        InputError: there is no such recipe.
    """
    known = recipes()
    if name not in known and not Path(name).is_file():
        hint = did_you_mean(name, known) or f" Known: {', '.join(sorted(known))}."
        raise InputError(f"`recipe` must be a known recipe or a file. Received: {name!r}.{hint}")
    return str(known.get(name, name))


def default_recipe(source: str) -> str:
    """Return the name of the recipe for a source, if none is named.

    Example:
        >>> default_recipe("folder:photos"), default_recipe("masks:streets")
        ('folder', 'segmentation')
    """
    return _OF_SOURCE.get(source.partition(":")[0].lower(), DEFAULT)


def load_recipe(
    name: str = "", source: str | os.PathLike[str] = "", options: Mapping[str, Any] | None = None
) -> TransferConfig:
    """Return the options of a recipe; some of them may be changed.

    `tfl.transfer(tfl.load_recipe("folder", "photos", {"seed": 1}), "runs/photos")` does what
    `tfl train photos --seed=1` does.

    Args:
        name: a recipe of `configs/`, or the path of a file with a function `get_config`; empty: the recipe for the
            source, `folder`, or `segmentation` for images with masks, or `detection` for images with boxes.
        source: where the examples are: a folder, a table or a source string; empty: the source of the recipe.
        options: more options by their dotted names, such as {"backbone.alpha": 0.35}; `tfl options` lists them.

    Raises:
        InputError: there is no such recipe, source or option, or a value breaks the rule of its option.

    Example:
        >>> config = tfl.load_recipe("folder", "photos", {"backbone.alpha": 0.35, "finetune.epochs": 3})
        >>> config.data.source, config.finetune.epochs, config.finetune.unfreeze
        ('folder:photos', 3, 'auto')
    """
    name = name or default_recipe(os.fspath(source))
    found = runpy.run_path(find_recipe(name)).get("get_config")
    config = found() if callable(found) else None
    if not isinstance(config, TransferConfig):
        raise InputError(f"`recipe` must have a function get_config that returns a TransferConfig. Received: {name!r}.")
    set_options(config, options or {})
    if source:
        config.data.source = guess_source(os.fspath(source))
    return config.validate()
