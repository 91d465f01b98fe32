"""Short flags for the options that are set most often: `--epochs=3` for `--config.finetune.epochs=3`."""

from collections.abc import Sequence

from tfl.errors import InputError

SHORT_NAMES = {
    "backbone": "backbone.name",
    "epochs": "finetune.epochs",
    "unfreeze": "finetune.unfreeze",
    "learning_rate": "finetune.learning_rate",
    "image_size": "data.image_size",
    "batch_size": "data.batch_size",
    "augmentation": "data.augmentation",
    "precision": "precision",
    "strategy": "strategy",
    "seed": "seed",
}


def long_flags(words: Sequence[str], names: Sequence[str]) -> list[str]:
    """Return the words of a command with `--config.OPTION` in place of its short flags.

    Args:
        words: the words after the name of the command.
        names: the short names that this command has.

    Raises:
        InputError: an option is given under both names.

    Example:
        >>> long_flags(["photos", "--epochs=3"], ["epochs"])
        ['photos', '--config.finetune.epochs=3']
    """
    given = {_name_of(word) for word in words}
    for name in names:
        if {name, f"config.{SHORT_NAMES[name]}"} <= given:
            received = f"--{name} and --config.{SHORT_NAMES[name]}"
            raise InputError(f"`{name}` must be given once. Received: {received}.")
    return [_long(word) if _name_of(word) in names else word for word in words]


def _name_of(word: str) -> str:
    """Return the name of a flag, "" for a word that is no flag."""
    return word.lstrip("-").partition("=")[0] if word.startswith("-") else ""


def _long(word: str) -> str:
    _, equals, value = word.partition("=")
    return f"--config.{SHORT_NAMES[_name_of(word)]}{equals}{value}"
