"""`View`: one augmented version of every example, whose features are stored."""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class View:
    """One augmented version of every image; stateless, so the same view always gives the same pixels.

    Attributes:
        augmentation: "light", "shift", "rand", "trivial" or "erase".
        seed: seed of the augmentation.
        number: number of the version, from 0; it corresponds to the epoch of training.

    Example:
        >>> extractor = tfl.Extractor(lower, splits.source, 224)
        >>> features = extractor(splits.train, views=[None, View("light", seed=0, number=0)])
        >>> len(features.values) == 2 * len(splits.train)
        True
    """

    augmentation: str
    seed: int
    number: int


PLAIN: tuple[View | None, ...] = (None,)


def drawn_as(view: View | None) -> dict[str, Any]:
    """Return the arguments of `make_dataset` and `make_label_dataset` that give a version of the examples."""
    if view is None:
        return {}
    return {"augmentation": view.augmentation, "seed": view.seed, "epoch": view.number}
