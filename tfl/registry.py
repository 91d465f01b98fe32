"""Look up a name among the known names, suggest the nearest one, and compare names that look alike."""

import difflib
import re
import unicodedata
from collections.abc import Iterable
from typing import Any

from tfl.errors import InputError

# tfl's name of an option -> the names that other libraries use for it.
_ELSEWHERE = {
    "learning_rate": ("lr", "learn_rate", "base_lr", "rate"),
    "epochs": ("epoch", "num_epochs", "n_epochs", "max_epochs", "num_train_epochs", "nb_epoch"),
    "unfreeze": ("freeze", "trainable", "unfreeze_layers", "freeze_layers", "unfrozen"),
    "batch_norm": ("bn", "norm"),
    "weight_decay": ("wd", "decay"),
    "layer_decay": ("llrd", "layer_lr_decay", "layer_wise_lr_decay", "discriminative_lr"),
    "l2": ("regularization", "weight_l2", "lambda", "alpha_l2", "penalty"),
    "batch_size": ("bs", "batch", "train_batch_size", "per_device_train_batch_size"),
    "image_size": ("img_size", "imgsz", "size", "resolution", "input_size", "crop_size"),
    "dropout": ("dropout_rate", "drop_rate", "drop", "p_dropout"),
    "hidden_units": ("hidden", "units", "hidden_layer_sizes", "dense"),
    "optimizer": ("opt", "optim"),
    "schedule": ("scheduler", "lr_scheduler", "lr_schedule", "lr_scheduler_type", "sched"),
    "warmup_fraction": ("warmup", "warmup_ratio", "warmup_steps", "warmup_epochs", "pct_start"),
    "label_smoothing": ("smoothing", "ls"),
    "clip_norm": ("clipnorm", "global_clipnorm", "grad_clip", "clip_grad", "max_grad_norm", "gradient_clip_val"),
    "accumulate": ("accumulate_grad_batches", "gradient_accumulation_steps", "grad_accum"),
    "early_stopping": ("patience",),
    "ema": ("use_ema", "ema_decay", "ema_momentum", "model_ema", "swa"),
    "jit_compile": ("xla", "jit"),
    "augmentation": ("aug", "augment", "augmentations", "data_augmentation", "transforms"),
    "source": ("data_dir", "dataset", "path", "root", "directory", "folder"),
    "split": ("val_split", "validation_split", "test_size", "val_size"),
    "name": ("model", "arch", "architecture", "model_name", "backbone"),
    "weights": ("pretrained", "init"),
    "pooling": ("pool", "global_pool"),
    "folds": ("cv", "n_splits", "kfold", "k_folds"),
    "seed": ("random_state", "random_seed"),
    "precision": ("mixed_precision", "fp16", "bf16", "amp", "dtype_policy"),
    "strategy": ("distribution_strategy", "accelerator", "devices", "gpus", "num_gpus"),
    "every_steps": ("save_steps", "save_freq"),
    "keep": ("save_total_limit", "max_to_keep"),
}
_OURS = {theirs: ours for ours, names in _ELSEWHERE.items() for theirs in names}
_SIMILAR = 0.6  # least share of equal letters of two similar names, as in `difflib.get_close_matches`
_TYPO = 0.9  # share of equal letters of a name with one wrong letter
_ALIKE, _MOST = 0.1, 3  # names that are so much less similar than the nearest one are near too, up to so many


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `" Did you mean 'x'?"` for the nearest known names, or `""` if no name is near.

    Example:
        >>> did_you_mean("ResNet5", ["ResNet50", "VGG16"])
        " Did you mean 'ResNet50'?"
        >>> did_you_mean("ResNet18", ["ResNet50", "ResNet101", "VGG16"])
        " Did you mean 'ResNet50' or 'ResNet101'?"
    """
    *others, last = [repr(each) for each in find_near(name, known)] or [""]
    meant = f"{', '.join(others)} or {last}" if others else last
    return f" Did you mean {meant}?" if meant else ""


def find_near(name: str, known: Iterable[str]) -> list[str]:
    """Return the known names that the user may have meant: one if it is clear which one, else up to three.

    A name that has the given one as a whole word comes before all others ("float16" in "mixed_float16").

    Example:
        >>> find_near("float16", ["float32", "mixed_bfloat16", "mixed_float16"])
        ['mixed_float16']
    """
    known = list(known)
    if in_our_words(name) in map(str.lower, known):
        return [find_nearest(name, known)]
    having = [each for each in known if name.lower() in re.split(r"[\W_]+", each.lower())]
    scores = {each: _similarity(name, each) for each in having or known}
    best = max(scores.values(), default=0.0)
    lowest = best if best >= _TYPO else best - _ALIKE
    found = [each for each, score in scores.items() if score >= (lowest if having else max(_SIMILAR, lowest))]
    return sorted(found, key=lambda each: abs(_number(each) - _number(name)))[:_MOST]  # stage5 is nearest to stage6


def find_nearest(name: str, known: Iterable[str]) -> str:
    """Return the known name that the user probably meant: it may be mistyped, or another library's name; else "".

    Example:
        >>> find_nearest("lr", ["l2", "learning_rate"])
        'learning_rate'
    """
    by_lower = {candidate.lower(): candidate for candidate in known}
    ours = in_our_words(name)
    nearest = [ours] if ours in by_lower else difflib.get_close_matches(name.lower(), list(by_lower), n=1)
    return by_lower[nearest[0]] if nearest else ""


def _number(name: str) -> float:
    return float("".join(filter(str.isdecimal, name)) or 0)  # `int` refuses very long numbers


def _similarity(name: str, known: str) -> float:
    return difflib.SequenceMatcher(None, known.lower(), name.lower()).ratio()


def in_our_words(name: str) -> str:
    """Return tfl's name for an option with this name in another library; return any other name in lower case.

    Example:
        >>> in_our_words("lr")
        'learning_rate'
    """
    return _OURS.get(name.lower(), name.lower())


def resolve(name: str, known: Iterable[str], argument: str) -> str:
    """Return the known name that equals `name`; upper and lower case are the same.

    Args:
        name: as the user wrote it.
        known: the accepted names in their official spelling.
        argument: name of the option, for the error message.

    Raises:
        InputError: no known name equals it; the message suggests the nearest name.

    Example:
        >>> resolve("resnet50", ["ResNet50", "VGG16"], "backbone.name")
        'ResNet50'
    """
    known = list(known)
    for candidate in known:
        if candidate.lower() == str(name).lower():
            return candidate
    hint = did_you_mean(str(name), known)
    listing = "" if hint or len(known) > 12 else f" Known: {', '.join(known)}."
    raise InputError(f"`{argument}` must be a known name. Received: {name!r}.{hint}{listing}")


def register(table: dict[str, Any], item: Any, argument: str) -> None:
    """Add an object with a `name` to a table by name.

    A class that is defined again, as by a notebook cell that runs twice, replaces the earlier one.

    Raises:
        InputError: the table has an object of another class with this name.
    """
    places = {(type(each).__module__, type(each).__qualname__) for each in (table.get(item.name, item), item)}
    if len(places) > 1:
        raise InputError(f"`{argument}` must have a name that no other {argument} has. Received: {item.name!r}.")
    table[item.name] = item


def normal_name(name: str) -> str:
    """Return a name in the Unicode form NFC, so that names that look the same have the same characters.

    macOS writes "ä" as "a" and a combining mark (NFD); most other programs write one character.

    Example:
        >>> normal_name("Ka\u0308fer") == "Käfer"
        True
    """
    return unicodedata.normalize("NFC", name)


def natural_key(text: str) -> tuple[tuple[int, int, str], ...]:
    """Return a sort key for natural order, which puts "2" before "10", and "img9" before "img10".

    Example:
        >>> sorted(["10", "2", "a"], key=natural_key)
        ['2', '10', 'a']
    """
    parts = enumerate(re.split(r"([0-9]+)", text))  # numbers are at the odd positions
    return tuple((0, int(part), part) if place % 2 else (1, 0, part) for place, part in parts if part)


def find_same(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that equals `name`, or else one that equals it after Unicode normalisation; else None."""
    known = list(known)
    equal = (candidate for candidate in known if normal_name(candidate) == normal_name(name))
    return name if name in known else next(equal, None)


def look_alike(first: str, second: str) -> bool:
    """Return whether two names differ only in case, in blanks, or in invisible characters."""
    return appearance(first) == appearance(second)


def appearance(name: str) -> str:
    """Return a form of a name that is equal for all names that look alike to a reader."""
    seen = "".join(character for character in name if unicodedata.category(character) != "Cf")
    return " ".join(unicodedata.normalize("NFKC", seen).casefold().split())
