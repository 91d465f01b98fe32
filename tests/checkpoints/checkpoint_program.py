"""Save checkpoints in a process that may be killed or run out of room: see test_checkpoint.py.

python checkpoint_program.py save FOLDER    on and on from the newest one, each step said once its save has returned
python checkpoint_program.py fill FOLDER    step 2 after step 1, with less room than it takes, in twenty sizes
"""

import json
import resource
import sys
from pathlib import Path

import numpy as np

from tfl.checkpoints.store import Checkpoint, CheckpointStore


def make_arrays(step: int, size: int = 200_000) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(step)
    return {
        "kernel": rng.random(size, np.float32),
        "bias": rng.random(10),
        "empty": np.zeros((0, 3)),
        "seed": rng.integers(99, size=2),
    }


def save_on_and_on(store, make) -> None:
    newest = store.load()
    step = newest.step if newest else 0
    while True:
        step += 1
        store.save(make(step, make_arrays(step), {"step": step}), best=step % 3 == 0)
        sys.stdout.write(f"{step}\n")
        sys.stdout.flush()


def fill(store, make) -> None:
    """Say as JSON, for each size of the largest file, what the save said and what `load` gave after it."""
    store.save(make(1, make_arrays(1, 2000), {"step": 1}))
    full = make(2, make_arrays(2, 2000), {"step": 2})
    needed = sum(array.nbytes for array in full.arrays.values())
    outcomes = []
    for size in [0, 1, 50, *np.linspace(100, needed - 1, 17).astype(int).tolist()]:
        error = ""
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        try:
            store.save(full)
        except ValueError as caught:
            error = str(caught)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        loaded = store.load()
        same = all(np.array_equal(loaded.arrays[name], values) for name, values in make_arrays(1, 2000).items())
        names = sorted(path.name for path in Path(store.folder).iterdir())
        outcomes.append({"size": size, "error": error, "step": loaded.step, "same": same, "names": names})
    store.save(full)
    sys.stdout.write(json.dumps({"outcomes": outcomes, "then": store.load().step}))


if __name__ == "__main__":
    {"save": save_on_and_on, "fill": fill}[sys.argv[1]](CheckpointStore(sys.argv[2]), Checkpoint)
