"""Make the table of docs/benchmarks/results.md: tfl and the recipe of the Keras guide on the same images, one run each.

    KERAS_HOME=COPY python benchmarks/results.py --data=../shared/data --output=docs/benchmarks/results.md

COPY is a copy of ../shared/weights/keras_home. Both get the same training and test images: if a set has no split,
tfl makes one, and the guide gets the same files. tfl uses part of the training images for validation. The guide
chooses nothing, so it trains on all of them. The runs of a pair follow each other on the same machine: use the seconds
only as ratios.
"""

import csv
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from absl import app, flags

_DATA = flags.DEFINE_string("data", "../shared/data", "Folder of the data sets.")
_OUTPUT = flags.DEFINE_string("output", "docs/benchmarks/results.md", "The table.")
_ONLY = flags.DEFINE_list("only", [], "Data sets to run; all where empty. Figures of the others are kept.")
_FIGURES = flags.DEFINE_string("figures", "benchmarks/results.json", "Where the figures are collected.")

# data set: (pixels per side, epochs of fine-tuning); at 64 px both networks load their weights for 224 px
SETS = {
    "hymenoptera": (224, 8),
    "dogs_cats_small": (224, 8),
    "scenes_64px_subset": (224, 8),
    "sign_language_digits": (224, 8),
    "cifar10_jpg_subset": (64, 4),
}
BACKBONES = {"MobileNetV2": 0.35, "MobileNet": 0.25}
ROOT = Path(__file__).resolve().parent.parent


def main(argv: list[str]) -> None:
    del argv
    file = Path(_FIGURES.value)
    figures = json.loads(file.read_text()) if file.exists() else {}
    for name, (size, epochs) in SETS.items():
        if _ONLY.value and name not in _ONLY.value:
            continue
        for backbone, alpha in BACKBONES.items():
            figures[f"{name} {backbone} {alpha}"] = measure(name, backbone, alpha, size, epochs)
            file.write_text(json.dumps(figures, indent=2) + "\n")
    write_table(figures)


def measure(name: str, backbone: str, alpha: float, size: int, epochs: int) -> dict[str, float]:
    """Run tfl frozen, tfl fine-tuned and the guide on one data set."""
    with tempfile.TemporaryDirectory() as folder:
        options = [
            f"--config.data.source=folder:{Path(_DATA.value) / name}",
            f"--config.backbone.name={backbone}",
            f"--config.backbone.alpha={alpha}",
            f"--config.data.image_size={size}",
        ]
        frozen, frozen_seconds = train([*options, "--config.finetune.epochs=0"], Path(folder, "frozen"))
        tuned, seconds = train([*options, f"--config.finetune.epochs={epochs}"], Path(folder, "tuned"))
        train_folder, test_folder = link_splits(Path(folder, "frozen", "splits.csv"), Path(folder, "links"))
        flags_ = ["--train", train_folder, "--test", test_folder, "--backbone", backbone, "--alpha", str(alpha)]
        guide = json.loads(run(["benchmarks/keras_guide.py", *flags_, "--image_size", str(size)]).splitlines()[-1])
    row = {
        "tfl_frozen": frozen["test"]["accuracy"],
        "tfl_frozen_seconds": frozen_seconds,
        "tfl": tuned["test"]["accuracy"],
        "tfl_kept": tuned["kept"],
        "tfl_seconds": seconds,
        "test_images": frozen["test"]["num_examples"],
        **{f"guide_{key}": value for key, value in guide.items()},
    }
    print(name, backbone, alpha, json.dumps(row), flush=True)
    return row


def train(options: list[str], workdir: Path) -> tuple[dict, float]:
    start = time.perf_counter()
    run(["scripts/train.py", "--config=configs/folder.py", *options, f"--workdir={workdir}"])
    return json.loads((workdir / "metrics.json").read_text()), time.perf_counter() - start


def run(command: list[str]) -> str:
    result = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False)
    if result.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{result.stderr}")
    return result.stdout


def link_splits(splits: Path, folder: Path) -> tuple[str, str]:
    """Link the files of tfl's splits into folders for the guide: one for train and validation, one for test."""
    with splits.open() as file:
        for number, row in enumerate(csv.DictReader(file)):
            side = "test" if row["split"] == "test" else "train"
            source = Path(ROOT, row["path"]).resolve()
            target = folder / side / row["label"] / f"{number}{source.suffix}"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(source)
    return str(folder / "train"), str(folder / "test")


def write_table(figures: dict[str, dict]) -> None:
    """Write the figures between the markers of the output file."""
    lines = [
        "| data, backbone | test images | tfl frozen | tfl as configured (kept) | guide frozen | guide fine-tuned "
        "| time, frozen: guide / tfl | time, whole: guide / tfl |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, row in figures.items():
        lines.append(
            f"| {name} | {row['test_images']} | {row['tfl_frozen']:.4f} | {row['tfl']:.4f} ({row['tfl_kept']}) "
            f"| {row['guide_frozen']:.4f} | {row['guide_finetuned']:.4f} "
            f"| {row['guide_frozen_seconds'] / row['tfl_frozen_seconds']:.1f} "
            f"| {row['guide_seconds'] / row['tfl_seconds']:.1f} |"
        )
    output = Path(_OUTPUT.value)
    before, _, rest = output.read_text().partition("<!-- results -->\n")
    _, _, after = rest.partition("<!-- /results -->")
    output.write_text(before + "<!-- results -->\n" + "\n".join(lines) + "\n<!-- /results -->" + after)


if __name__ == "__main__":
    app.run(main)
