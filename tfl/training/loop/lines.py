"""The line about an epoch."""

from collections.abc import Mapping
from typing import Any

import numpy as np

VALIDATION = "val_"
_COUNTS = {  # counts that are only shown if there is something to tell
    "skipped_steps": "{} skipped, because the loss or the gradient was not finite",
    "overflows": "{} repeated with a smaller loss scale, because float16 overflowed",
}


def describe_epoch(logs: Mapping[str, Any]) -> str:
    """Return the figures of an epoch in words: those of training, then those of validation.

    Args:
        logs: what Keras callbacks get at the end of an epoch.

    Example:
        >>> describe_epoch({"loss": 0.35, "accuracy": 0.95, "val_loss": 0.32, "skipped_steps": 0})
        'loss 0.35, accuracy 0.95; validation: loss 0.32'
        >>> describe_epoch({"loss": 0.35, "skipped_steps": 1})
        'loss 0.35; 1 step skipped, because the loss or the gradient was not finite'
    """
    own = {name: value for name, value in logs.items() if name not in _COUNTS and not name.startswith(VALIDATION)}
    held_out = {name.removeprefix(VALIDATION): v for name, v in logs.items() if name.startswith(VALIDATION)}
    parts = [_figures(own), *(["validation: " + _figures(held_out)] if held_out else [])]
    for name, text in _COUNTS.items():
        if count := logs.get(name, 0):
            parts.append(text.format(f"{count} step{'' if count == 1 else 's'}"))
    return "; ".join(parts)


def _figures(values: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name.replace('_', ' ')} {' '.join(f'{number:.4g}' for number in np.ravel(value))}"
        for name, value in values.items()
    )
