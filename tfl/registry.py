"""Look a name up among the known ones, say which one was probably meant, and which names look alike."""

import difflib
import unicodedata
from collections.abc import Iterable

from tfl.errors import InputError


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `" Did you mean 'x'?"` for the nearest known name, or `""` where none is near.

    Example:
        >>> did_you_mean("ResNet5", ["ResNet50", "VGG16"])
        " Did you mean 'ResNet50'?"
    """
    by_lower = {candidate.lower(): candidate for candidate in known}
    nearest = difflib.get_close_matches(name.lower(), list(by_lower), n=1, cutoff=0.5)
    return f" Did you mean '{by_lower[nearest[0]]}'?" if nearest else ""


def resolve(name: str, known: Iterable[str], argument: str) -> str:
    """Return the known name that equals `name` up to case.

    Args:
        name: what the user wrote.
        known: the admitted names, as they are spelled.
        argument: the option's name, for the error text.

    Raises:
        InputError: no known name equals it; the message suggests the nearest.

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


def normal_name(name: str) -> str:
    """Return a name in the one form (NFC) in which names that look the same are the same characters.

    macOS writes "ä" as "a" and a mark (NFD), most other programs as one character.

    Example:
        >>> normal_name("Ka\u0308fer") == "Käfer"
        True
    """
    return unicodedata.normalize("NFC", name)


def find_same(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is `name`, or else is equal after Unicode normalisation."""
    known = list(known)
    equal = (candidate for candidate in known if normal_name(candidate) == normal_name(name))
    return name if name in known else next(equal, None)


def look_alike(first: str, second: str) -> bool:
    """Return whether two names differ only in case, in blanks, or in characters that nobody sees."""
    return appearance(first) == appearance(second)


def appearance(name: str) -> str:
    """Return what names have in common that look alike to a reader."""
    seen = "".join(character for character in name if unicodedata.category(character) != "Cf")
    return " ".join(unicodedata.normalize("NFKC", seen).casefold().split())
