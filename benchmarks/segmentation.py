"""Mean IoU and processor time of segmentation: a solved head, one solved on versions, and training from it.

    python benchmarks/segmentation.py --source=masks:seg_camvid_subset --ignore_label=11

Each way is the recipe configs/segmentation.py with some options, in a process of its own, whose processor seconds
count everything: the start of Python, features, head, training, evaluation and report. Nothing is chosen on test.
"""

import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from absl import app, flags

SCRIPT = Path(__file__).parents[1] / "scripts" / "train.py"
WAYS = {
    "solved": {},
    "solved, 2 versions": {"features.views": 2},
    "trained from it": {"features.views": 2},
}

_SOURCE = flags.DEFINE_string("source", None, "masks:PATH.", required=True)
_IGNORE = flags.DEFINE_integer("ignore_label", 255, "The value of masks that does not count.")
_WAYS = flags.DEFINE_list("ways", [*WAYS], "Which of them.")
_EPOCHS = flags.DEFINE_integer("epochs", 20, "Epochs of training.")
_SIZE = flags.DEFINE_integer("image_size", 480, "Pixels per side.")


def main(argv: list[str]) -> None:
    """Print a row for each way."""
    del argv
    sys.stdout.write("| head | kept | test mean IoU | 95 % interval | pixel accuracy | validation mean IoU | CPU s |\n")
    sys.stdout.write("|---|---|---|---|---|---|---|\n")
    with tempfile.TemporaryDirectory() as folder:
        for way in _WAYS.value:
            options = {"data.source": _SOURCE.value, "segmentation.ignore_label": _IGNORE.value}
            options |= {"data.image_size": _SIZE.value, "features.store": "none"} | WAYS[way]
            options["finetune.epochs"] = _EPOCHS.value if way == "trained from it" else 0
            _write_row(way, *_measure(Path(folder) / way.replace(" ", "_"), options))


def _measure(workdir: Path, options: dict[str, object]) -> tuple[dict, float]:
    """Run the recipe; return its metrics and the processor seconds."""
    words = [f"--config.{name}={value}" for name, value in options.items()]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    recipe = SCRIPT.parents[1] / "configs" / "segmentation.py"
    subprocess.run([sys.executable, SCRIPT, f"--config={recipe}", f"--workdir={workdir}", *words], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return json.loads((workdir / "metrics.json").read_text()), seconds


def _write_row(way: str, metrics: dict, seconds: float) -> None:
    test, (low, high) = metrics["test"], metrics["intervals"]["mean_iou"]
    cells = [
        *(way, metrics["kept"], f"{test['mean_iou']:.3f}", f"{low:.3f} to {high:.3f}"),
        *(f"{test['pixel_accuracy']:.3f}", f"{metrics['validation']['mean_iou']:.3f}", f"{seconds:.0f}"),
    ]
    sys.stdout.write(f"| {' | '.join(cells)} |\n")
    sys.stdout.flush()


if __name__ == "__main__":
    app.run(main)
