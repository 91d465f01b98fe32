"""What one of two workers sums, gathers and solves: see test_workers.py.

python workers_program.py OUTPUT_FOLDER
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from tfl.distribution import workers as module
from tfl.distribution.strategy import make_strategy
from tfl.distribution.workers import Workers
from tfl.features import choose_head
from tfl.models.inference import Outputs

COUNT, HELD, DIM = 700, 150, 40
TARGETS = {"multiclass": {"class_weight": {0: 2.0, 2: 0.5}}, "binary": {}, "multilabel": {}, "regression": {}}


def make_split(target: str, count: int, seed: int) -> Outputs:
    rng = np.random.default_rng(seed)
    values = (rng.normal(size=(count, DIM)) * np.linspace(0.1, 3, DIM) + 5).astype(np.float32)
    logits = (values - 5) @ np.random.default_rng(9).normal(size=(DIM, 3)) + rng.normal(size=(count, 3))
    labels = {
        "multiclass": logits.argmax(axis=1),
        "binary": (logits[:, 0] > 0).astype(np.int64),
        "multilabel": (logits > 0).astype(np.float32),
        "regression": logits.astype(np.float32),
    }[target]
    return Outputs(values, labels, np.arange(count))


def part_of(split: Outputs, positions: np.ndarray) -> Outputs:
    return Outputs(split.values[positions], split.labels[positions], split.ids[positions])


def solve(target: str, workers: Workers | None) -> dict[str, np.ndarray]:
    train, held = make_split(target, COUNT, 1), make_split(target, HELD, 2)
    options = {"target": target, "num_outputs": 1 if target == "binary" else 3, **TARGETS[target]}
    if workers is not None:
        train, held = (part_of(split, workers.share(len(split), 32)) for split in (train, held))
        options["over_workers"] = workers.sum
    result = choose_head(train, held, **options)
    path = np.array([[p.l2, p.objective, p.validation_loss, p.validation_accuracy or 0.0] for p in result.path])
    return {"kernel": result.chosen.kernel, "bias": result.chosen.bias, "l2": np.array(result.chosen.l2), "path": path}


if __name__ == "__main__":
    workers = Workers(make_strategy())
    module.CHUNK = 1000  # so that a sum takes several
    rng = np.random.default_rng(workers.index)
    found = {"sum": workers.sum([rng.normal(size=(30, 50)), 1.0, rng.normal(size=(7,))])[0]}
    numbers = np.random.default_rng(5).normal(size=(77, 3)).astype(np.float32)
    for name, count in (("gathered", 77), ("of one alone", 5)):
        mine = workers.share(count, 32)
        found[name] = workers.gather(numbers[:count][mine], mine, count)
    found["mean"] = np.array(workers.mean(float(workers.index), 3.0))
    for target in TARGETS:
        found |= {f"{target} {name}": values for name, values in solve(target, workers).items()}
    np.savez(Path(sys.argv[1]) / f"{workers.index}.npz", **found)
