"""Check every file once, before slow work starts: is it an example, does it decode, what are its digest and facts?

Files of a large set that have not changed since their last check are not checked again; see `tfl.inputs.remembered`.
A damaged file that is found after hours of training stops the run. Found here, it is only a line in quarantine.csv.
"""

import functools
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tfl import progress
from tfl.errors import BadExampleError
from tfl.inputs.input import Input
from tfl.inputs.remembered import ScanMemory, stamp_of


def scan_files(kind: Input, paths: Sequence[str], description: str = "") -> list[Any]:
    """Scan files in parallel threads (decoding releases Python's global lock), with a progress bar.

    Args:
        kind: what the files hold.
        paths: of the files.
        description: text beside the progress bar; by default "Checking images" for images.

    Returns:
        One result per path, in order: what the scan found (`Scanned`), or the `BadExampleError` that says why the file
        is left out.
    """
    folders = {os.path.dirname(os.path.abspath(path)) for path in paths}  # noqa: PTH100, PTH120 - fast for many files
    data_set = os.path.commonpath(folders) if folders else ""
    memory = ScanMemory.of(kind, data_set, len(paths))
    stamps = [stamp_of(path) for path in paths] if memory.file else [None] * len(paths)
    known = memory.recall(paths, stamps)
    others = [path for path in paths if path not in known]
    if known:
        progress.say(f"{len(known):,} of {len(paths):,} {kind.noun[1]} have not changed since their last check")
    new = _check(kind, others, data_set, description or f"Checking {kind.noun[1]}")
    scanned = [known[path] if path in known else next(new) for path in paths]
    if others:
        memory.keep(paths, stamps, scanned)
    kind.after_scan(scanned)
    return scanned


def _check(kind: Input, paths: Sequence[str], data_set: str, description: str) -> Iterator[Any]:
    scan = functools.partial(_scan_file, kind, data_set=data_set)
    with ThreadPoolExecutor(max_workers=min(16, os.cpu_count() or 1)) as pool:
        yield from progress.track(pool.map(scan, paths), description, total=len(paths), unit=kind.noun)


def _scan_file(kind: Input, path: str, data_set: str) -> Any:
    try:
        return kind.scan_file(path, data_set)
    except BadExampleError as error:
        return error
    except OSError as error:
        return kind.error(f"cannot be read: {error.strerror or error}")
