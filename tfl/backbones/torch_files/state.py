"""Read a state dict from a safetensors file or one that torch wrote: first names and shapes, later the arrays.

A network is found and built from the shapes alone. The arrays are read once, one at a time, when the network gets its
weights. Code is never loaded.
"""

import contextlib
import functools
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from tfl.errors import InputError
from tfl.extras import check_extra

PICKLED = (".pt", ".pth", ".bin", ".ckpt")
ENDINGS = (".safetensors", *PICKLED)
_NESTED = ("state_dict", "state_dict_ema", "model_ema", "model")  # where training scripts put it
_PREFIXES = ("module.", "model.", "backbone.", "encoder.")  # of names, from wrappers around a network
_NAMES = (  # as other versions of torchvision and timm have them
    (re.compile(r"(denselayer\d+\.(?:norm|conv))\.(\d\.)"), r"\1\2"),
    (re.compile(r"(\.\d+\.(?:gamma|layer_scale))$"), r"\1.weight"),
)
_FLOATS = ("F16", "F32", "F64", "BF16")
_COUNTERS = "num_batches_tracked"  # whole numbers that no network needs
# torch is imported in a process of its own: beside TensorFlow it has crashed. It prints the shapes of the arrays of the
# file argv[1]; if there is an argv[2], it writes them into this .npz file.
_READER = f"""
import functools, json, sys, torch, numpy as np
load = functools.partial(torch.load, sys.argv[1], map_location="cpu", weights_only=True)
try:
    found = load(mmap=True)  # reads only what is used
except RuntimeError:  # a file of torch before 1.6, or a damaged one
    found = load()
for name in {_NESTED!r}:
    if isinstance(found, dict) and isinstance(found.get(name), dict):
        found = found[name]
tensors = {{k: v for k, v in found.items() if isinstance(v, torch.Tensor)}} if isinstance(found, dict) else {{}}
print(json.dumps({{k: list(v.shape) for k, v in tensors.items()}}))
if len(sys.argv) > 2:
    np.savez(sys.argv[2], **{{k: v.detach().float().numpy() for k, v in tensors.items()}})
"""

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]
Read = Callable[[str], np.ndarray]


def read_shapes(path: Path) -> Shapes:
    """Return the shapes of the arrays of a state dict by their names, without the prefixes of wrappers like `module.`.

    Of a safetensors file only the header is read.

    Args:
        path: a .safetensors file, or .pt, .pth, .bin or .ckpt, which needs torch; it is read with `weights_only=True`.

    Raises:
        InputError: the file cannot be read, is cut short, or needs a package that is not installed.
    """
    return {name: shape for name, (_, shape) in _entries(path).items()}


@contextlib.contextmanager
def open_arrays(path: Path) -> Iterator[Read]:
    """Give a function that reads one array of a state dict, as float32; nothing of what it read is kept.

    Args:
        path: as for `read_shapes`, whose names the function takes.

    Raises:
        InputError: as for `read_shapes`; the function raises it for NaN or infinity.
    """
    own = {name: theirs for name, (theirs, _) in _entries(path).items()}
    with (_pickled_arrays if path.suffix in PICKLED else _safe_arrays)(path) as read:

        def finite(name: str) -> np.ndarray:
            values = np.asarray(read(own[name]), np.float32)
            if not np.isfinite(values).all():
                raise InputError(
                    f"`backbone.name` must name a file of finite numbers. Received: {str(path)!r} with NaN or infinity "
                    f"in {name}."
                )
            return values

        yield finite


def _entries(path: Path) -> dict[str, tuple[str, Shape]]:
    """Return the name in the file and the shape of each array, by the name that tfl has for it."""
    stat = path.stat()
    found = _header(path, stat.st_mtime_ns, stat.st_size)
    return dict(zip(_names(list(found)), found.items(), strict=True))


@functools.lru_cache(maxsize=16)
def _header(path: Path, changed: int, size: int) -> dict[str, Shape]:
    del changed, size  # a file that has changed is read again
    found = _pickled_shapes(path) if path.suffix in PICKLED else _safe_shapes(path)
    if not found:
        raise InputError(f"`backbone.name` must name a file with a state dict. Received: {str(path)!r} without arrays.")
    return found


def _names(names: Sequence[str]) -> list[str]:
    for prefix in _PREFIXES:
        if all(name.startswith(prefix) for name in names):
            names = [name.removeprefix(prefix) for name in names]
    for pattern, replacement in _NAMES:
        names = [pattern.sub(replacement, name) for name in names]
    return list(names)


def _safe_shapes(path: Path) -> dict[str, Shape]:
    check_extra("backbone.name=torch:FILE", "safetensors", "torch")
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            types = {name: values.get_dtype() for name, values in slices.items()}
            shapes = {name: tuple(values.get_shape()) for name, values in slices.items()}
    except (SafetensorError, OSError) as error:
        raise _not_usable(path, error) from error
    if other := [name for name, kind in types.items() if kind not in _FLOATS and not name.endswith(_COUNTERS)]:
        raise _not_usable(path, f"{other[0]} has the type {types[other[0]]}")
    return shapes


def _not_usable(path: Path, reason: object) -> InputError:
    return InputError(
        f"`backbone.name` must name a whole safetensors file of floating-point numbers. Received: {str(path)!r}: "
        f"{reason}."
    )


@contextlib.contextmanager
def _safe_arrays(path: Path) -> Iterator[Read]:
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        yield file.get_tensor


def _pickled_shapes(path: Path) -> dict[str, Shape]:
    lines = _run_torch(path).splitlines() or ["{}"]
    return {name: tuple(shape) for name, shape in json.loads(lines[-1]).items()}


@contextlib.contextmanager
def _pickled_arrays(path: Path) -> Iterator[Read]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "state.npz")
        _run_torch(path, file)
        with np.load(file) as arrays:
            yield arrays.__getitem__


def _run_torch(*files: Path) -> str:
    """Run the reader in a process that has torch, and return what it printed."""
    command = [sys.executable, "-c", _READER, *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))
    if done.returncode == 0:
        return done.stdout
    path = files[0]
    if "No module named 'torch'" in done.stderr:
        raise InputError(
            f"`backbone.name` must name a .safetensors file, or torch must be installed: {path.suffix} files are "
            f"pickles, which only torch reads safely. Received: {str(path)!r}. Did you mean to run pip install torch, "
            "or to convert the file where torch is, with safetensors.torch.save_file(state_dict, FILE)?"
        )
    raise InputError(
        "`backbone.name` must name a file that torch reads with weights_only=True. "
        f"Received: {str(path)!r}: {_reason(done.stderr.strip() or f'exit code {done.returncode}')}"
    )


def _reason(error: str) -> str:
    """Return one short sentence from the traceback of torch, without its advice to load the file unsafely."""
    if "Weights only load failed" in error:
        named = re.search(r"GLOBAL ([\w.]+)", error)
        what = named[1] if named else "other objects"
        return f"it holds {what}, and not only arrays. Did you mean to save model.state_dict()?"
    lines = error.splitlines()
    return next((line for line in lines if "Error: " in line), lines[-1]).partition(". ")[0][:200]
