"""Read the arrays of a state dict, by name, from a safetensors file or one that torch wrote. Code is never loaded."""

import functools
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tfl.errors import InputError
from tfl.extras import check_extra

PICKLED = (".pt", ".pth", ".bin", ".ckpt")
ENDINGS = (".safetensors", *PICKLED)
_NESTED = ("state_dict", "state_dict_ema", "model_ema", "model")  # where training scripts put it
_PREFIXES = ("module.", "model.", "backbone.", "encoder.")  # of names, from wrappers around a network
_OLD_NORM = re.compile(r"(denselayer\d+\.(?:norm|conv))\.(\d\.)")  # as torchvision's files of DenseNet have it
# torch is imported in a process of its own: beside TensorFlow it has crashed.
_CONVERT = f"""
import sys, torch, numpy as np
found = torch.load(sys.argv[1], map_location="cpu", weights_only=True)
for name in {_NESTED!r}:
    if isinstance(found, dict) and isinstance(found.get(name), dict):
        found = found[name]
tensors = {{k: v for k, v in found.items() if isinstance(v, torch.Tensor)}} if isinstance(found, dict) else {{}}
np.savez(sys.argv[2], **{{k: v.detach().float().numpy() for k, v in tensors.items()}})
"""

State = Mapping[str, np.ndarray]


def read_state(path: Path) -> State:
    """Return the float32 arrays of a state dict by their names, without the prefixes of wrappers such as `module.`.

    Args:
        path: a .safetensors file, or .pt, .pth, .bin or .ckpt, which needs torch; it is read with `weights_only=True`.

    Raises:
        InputError: the file cannot be read, has NaN or infinity, or needs a package that is not installed.
    """
    stat = path.stat()
    return _read(path, stat.st_mtime_ns, stat.st_size)


@functools.lru_cache(maxsize=1)
def _read(path: Path, changed: int, size: int) -> State:
    del changed, size  # a file that has changed is read again
    found = _read_pickled(path) if path.suffix in PICKLED else _read_safetensors(path)
    if not found:
        raise InputError(f"`backbone.name` must name a file with a state dict. Received: {str(path)!r} without arrays.")
    for prefix in _PREFIXES:
        if all(name.startswith(prefix) for name in found):
            found = {name.removeprefix(prefix): values for name, values in found.items()}
    found = {_OLD_NORM.sub(r"\1\2", name): values for name, values in found.items()}
    for name, values in found.items():
        if not np.isfinite(values).all():
            raise InputError(
                f"`backbone.name` must name a file of finite numbers. Received: {str(path)!r} with NaN or infinity in "
                f"{name}."
            )
    return found


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    check_extra("backbone.name=torch:FILE", "safetensors", "torch")
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return {name: values.astype(np.float32) for name, values in load_file(path).items()}
    except (SafetensorError, OSError, KeyError, ValueError) as error:  # KeyError: a type that NumPy does not have
        raise InputError(
            f"`backbone.name` must name a whole safetensors file of floating-point numbers. Received: {str(path)!r}: "
            f"{error}."
        ) from error


def _read_pickled(path: Path) -> dict[str, np.ndarray]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "state.npz")
        command = [sys.executable, "-c", _CONVERT, str(path), str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))
        if done.returncode:
            lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            if "No module named 'torch'" in done.stderr:
                raise InputError(
                    f"`backbone.name` must name a .safetensors file, or torch must be installed: {path.suffix} files "
                    f"are pickles, which only torch reads safely. Received: {str(path)!r}."
                )
            reason = next((line for line in lines if "Error: " in line), lines[-1])
            raise InputError(
                "`backbone.name` must name a file that torch reads with weights_only=True. "
                f"Received: {str(path)!r}: {reason[:200]}"
            )
        with np.load(file) as arrays:
            return dict(arrays)
