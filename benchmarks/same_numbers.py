"""Check that two versions of tfl give the same numbers to the bit: make four runs, and compare digests of their files.

    git worktree add ../before COMMIT
    PYTHONPATH=../before python benchmarks/same_numbers.py /tmp/before
    PYTHONPATH=. python benchmarks/same_numbers.py /tmp/after --against=/tmp/before

The runs are: configs/quickstart.py; ants and bees on a frozen MobileNetV2 (needs the real photos and weights, see
tests/conftest.py); a run with several labels; a run with values. The benchmark compares metrics.json, predictions.csv,
the names of the stored features and every weight of model.keras. The exit code is 1 if something differs.
"""

import argparse
import hashlib
import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("TFL_SHARED", ROOT.parent / "shared")).resolve()


def make_runs(folder: Path) -> None:
    """Make the four runs, each with its own feature store."""
    import tfl

    spec: Any = importlib.util.spec_from_file_location("quickstart", ROOT / "configs" / "quickstart.py")
    quickstart = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(quickstart)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (60, 32, 32, 3), dtype=np.uint8)
    labels = (images.mean(axis=(1, 2)) > 127.5).astype(np.float32)
    values = images.mean(axis=(1, 2))[:, 0].astype(np.float32)

    def config(task: str) -> Any:
        return tfl.TransferConfig.from_dict(
            {
                "backbone": {"name": "MobileNetV2", "alpha": 0.35, "weights": "none"},
                "data": {"image_size": 32},
                "head": {"target": task},  # the old name of `task.name`, which older versions know too
                "finetune": {"epochs": 2, "learning_rate": 1e-3},
            }
        )

    jobs: dict[str, tuple[Any, Any]] = {
        "quickstart": (quickstart.get_config(), None),
        "labels": (config("multilabel"), (images, labels)),
        "values": (config("regression"), (images, values)),
    }
    photos = SHARED / "data" / "hymenoptera"
    if photos.is_dir():
        backbone = tfl.BackboneConfig(name="MobileNetV2", alpha=0.35)
        data = tfl.DataConfig(source=f"folder:{photos}")
        jobs["photos"] = (tfl.TransferConfig(backbone=backbone, data=data), None)
    for name, (options, data) in jobs.items():
        options.features.store = str(folder / "stores" / name)
        options.report.gallery = 0
        tfl.transfer(options, folder / name, data)


def digest(run: Path, store: Path) -> dict[str, str]:
    """Return the SHA-256 of each part of a run that must stay the same."""
    found = {"store": _sha256("\n".join(sorted(path.name for path in store.iterdir() if path.is_dir())).encode())}
    for path in sorted(run.rglob("*")):
        name = path.relative_to(run).as_posix()
        if path.name in ("predictions.csv", "validation_predictions.csv", "history.csv", "splits.csv"):
            found[name] = _sha256(path.read_bytes())
        elif path.name == "metrics.json":
            found[name] = _sha256(json.dumps(json.loads(path.read_text()), sort_keys=True).encode())
        elif path.name == "model.keras":
            found[name] = _weights(path)
    return found


def _weights(path: Path) -> str:
    import keras

    model: Any = keras.saving.load_model(path, compile=False)
    return _sha256(b"".join(np.ascontiguousarray(value).tobytes() for value in model.get_weights()))


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--against", type=Path)
    arguments = parser.parse_args()
    make_runs(arguments.folder)
    runs = [path for path in sorted(arguments.folder.iterdir()) if (path / "metrics.json").exists()]
    found = {run.name: digest(run, arguments.folder / "stores" / run.name) for run in runs}
    (arguments.folder / "digests.json").write_text(json.dumps(found, indent=2))
    if arguments.against is None:
        print(json.dumps(found, indent=2))
        return
    before = json.loads((arguments.against / "digests.json").read_text())
    for run in sorted(before.keys() | found.keys()):
        old, new = before.get(run, {}), found.get(run, {})
        differing = [name for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name)]
        print(f"{run}: {len(old)} digests, " + (f"these differ: {', '.join(differing)}" if differing else "all equal"))
    sys.exit(before != found)


if __name__ == "__main__":
    main()
