"""The files that are left out: check that there are not too many, and write the list of them."""

from collections.abc import Sequence

from absl import logging
from etils import epath

from tfl import progress
from tfl.errors import InputError
from tfl.workdir import write_csv

_INSTALL = "pip install"  # in the reason of a file whose decoder is not installed


def check_bad_fraction(quarantine: Sequence[tuple[str, str]], total: int, max_bad_fraction: float) -> None:
    """Print how many files are left out, and stop if there are too many.

    Raises:
        InputError: more than `max_bad_fraction` of `total` are bad.
    """
    if not quarantine:
        return
    lacking = [row for row in quarantine if _INSTALL in row[1]]
    path, reason = (lacking or quarantine)[0]
    if len(quarantine) - len(lacking) <= max_bad_fraction * total < len(quarantine):
        raise InputError(
            f"`data.source` must hold photos whose decoders are installed. Received: {len(lacking)} of {total} files "
            f"without a decoder, the first: {path} ({reason})."
        )
    if len(quarantine) > max_bad_fraction * total:
        raise InputError(
            f"`data.max_bad_fraction` must be at least the fraction of files that cannot be used: {len(quarantine)} "
            f"of {total}, the first: {path} ({reason}). Received: data.max_bad_fraction={max_bad_fraction:g}."
        )
    left_out = "is left out:" if len(quarantine) == 1 else "are left out; the first is"
    progress.say(f"{len(quarantine)} of {total} files cannot be used and {left_out} {path} ({reason})")
    for path, reason in quarantine:
        logging.info("Left out: %s (%s)", path, reason)


def write_quarantine_csv(path: epath.PathLike, rows: Sequence[tuple[str, str]]) -> None:
    """Write the list of left-out files as (path, reason); the CSV file is written even if the list is empty."""
    write_csv(path, ("path", "reason"), rows)
