"""Make the table of docs/benchmarks/detection.md: the solved head for boxes on photos of raccoons and of blood cells.

    KERAS_HOME=COPY python benchmarks/detection.py --data=../shared/data --seeds=0,1,2

COPY is a copy of ../shared/weights/keras_home. Each row is one run of `tfl train boxes:SET`. Processor seconds are
those of the whole command, with the start of Python, the features and the report.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from absl import app, flags

ROOT = Path(__file__).resolve().parent.parent
SETS = ("det_raccoon", "det_bccd")
FIGURES = ("ap50", "ap", "ap75")

_DATA = flags.DEFINE_string("data", "../shared/data", "Folder of the data sets.")
_ONLY = flags.DEFINE_list("only", list(SETS), "Data sets.")
_SEEDS = flags.DEFINE_list("seeds", ["0"], "Seeds of the split.")
_OPTIONS = flags.DEFINE_list("options", [], "More options of tfl, such as --config.data.image_size=416.")


def main(argv: list[str]) -> None:
    del argv
    print("| data | seed | test images | AP50 | AP | AP75 | processor seconds |\n|---|---|---|---|---|---|---|")
    for name in _ONLY.value:
        for seed in _SEEDS.value:
            metrics, seconds = measure(name, seed)
            cells = [_cell(metrics, figure) for figure in FIGURES]
            count = metrics["test"]["num_examples"]
            print(f"| {name} | {seed} | {count} | {' | '.join(cells)} | {seconds:.0f} |", flush=True)


def measure(name: str, seed: str) -> tuple[dict, float]:
    """Return the metrics of one run, and the processor seconds of its command."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(ROOT / "scripts" / "train.py"), f"--config={ROOT / 'configs' / 'detection.py'}"]
        command += [f"--config.data.source=boxes:{Path(_DATA.value) / name}", f"--config.seed={seed}"]
        command += [f"--workdir={folder}/run", f"--config.features.store={folder}/store", *_OPTIONS.value]
        before = _spent()
        done = subprocess.run(command, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}, capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stderr)
        return json.loads((Path(folder) / "run" / "metrics.json").read_text()), _spent() - before


def _spent() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _cell(metrics: dict, figure: str) -> str:
    low, high = metrics["intervals"].get(figure, (float("nan"), float("nan")))
    return f"{metrics['test'][figure]:.3f} ({low:.3f} to {high:.3f})"


if __name__ == "__main__":
    app.run(main)
