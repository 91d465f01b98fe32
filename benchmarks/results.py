"""Make the table of docs/benchmarks/results.md: the default of tfl and the recipe of the Keras guide.

    KERAS_HOME=COPY python benchmarks/results.py --data=../shared/data --write=docs/benchmarks/results.md

COPY is a copy of ../shared/weights/keras_home. For every data set, network and seed, tfl divides the images, and both
programs then read the same folder with `train` and `test`. tfl holds back what it needs for its choices from `train`.
The guide chooses nothing, so it trains on all of it. `cifar10` and `fashion_mnist` are cut to 100 training images per
class, because transfer learning is about few labels. Each figure is kept as soon as it is measured, so that the
benchmark can run in pieces: `--only`, `--backbones`, `--seeds` and `--programs` choose a piece.
"""

import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from absl import app, flags

ROOT = Path(__file__).resolve().parent.parent
SETS = {  # data set: (pixels per side, training images per class or 0); at 64 px all networks load their 224 px weights
    "hymenoptera": (224, 0),
    "dogs_cats_small": (224, 0),
    "scenes_64px_subset": (224, 0),
    "sign_language_digits": (224, 0),
    "cifar10_jpg_subset": (64, 100),
    "fashion_mnist_png_subset": (64, 100),
}
BACKBONES = ("MobileNetV2:0.35", "MobileNet:0.25", "MobileNetV2:1.0", "MobileNet:1.0")
PROGRAMS = ("guide", "tfl")

_DATA = flags.DEFINE_string("data", "../shared/data", "Folder of the data sets.")
_WRITE = flags.DEFINE_string("write", "", "A page with the markers of the table, which is written again.")
_FIGURES = flags.DEFINE_string("figures", "benchmarks/results.json", "Where the figures are collected.")
_ONLY = flags.DEFINE_list("only", list(SETS), "Data sets.")
_BACKBONES = flags.DEFINE_list("backbones", list(BACKBONES), "Networks.")
_SEEDS = flags.DEFINE_list("seeds", ["0", "1", "2"], "Seeds of the split and of the training.")
_PROGRAMS = flags.DEFINE_list("programs", list(PROGRAMS), "Programs to measure.")
_AGAIN = flags.DEFINE_bool("again", False, "Measure also what is measured already.")
_OPTIONS = flags.DEFINE_list("options", [], "More options of tfl, such as --config.finetune.epochs=0.")


def main(argv: list[str]) -> None:
    del argv
    file = Path(_FIGURES.value)
    for seed in map(int, _SEEDS.value):
        for backbone in _BACKBONES.value:
            for name in _ONLY.value:
                for program in _PROGRAMS.value:
                    key = f"{name} {backbone} {seed}"
                    if _AGAIN.value or program not in read(file).get(key, {}):
                        result = measure(program, name, backbone, seed)
                        figures = read(file)  # another piece may have written meanwhile
                        figures.setdefault(key, {})[program] = result
                        file.write_text(json.dumps(dict(sorted(figures.items())), indent=1) + "\n")
                        print(key, program, json.dumps(result), flush=True)
    print(table(read(file)))
    if _WRITE.value:
        write(Path(_WRITE.value), table(read(file)))


def read(file: Path) -> dict[str, dict]:
    return json.loads(file.read_text()) if file.exists() else {}


def measure(program: str, name: str, backbone: str, seed: int) -> dict[str, Any]:
    network, _, alpha = backbone.partition(":")
    size, per_class = SETS[name]
    with tempfile.TemporaryDirectory() as folder:
        link_splits(name, seed, per_class, Path(folder, "photos"))
        if program == "guide":
            places = [f"--train={folder}/photos/train", f"--test={folder}/photos/test", f"--seed={seed}"]
            options = [f"--backbone={network}", f"--alpha={alpha}", f"--image_size={size}"]
            output, seconds, cpu = run(["benchmarks/keras_guide.py", *places, *options])
            return json.loads(output.splitlines()[-1]) | {"seconds": seconds, "processor_seconds": cpu}
        options = [
            f"--config.data.source=folder:{folder}/photos",
            f"--config.backbone.name={network}",
            f"--config.backbone.alpha={alpha}",
            f"--config.data.image_size={size}",
            f"--config.seed={seed}",
            *_OPTIONS.value,
        ]
        command = ["scripts/train.py", "--config=configs/folder.py", *options, f"--workdir={folder}/run"]
        os.environ["TFL_CACHE"] = f"{folder}/cache"
        _, seconds, cpu = run(command)
        metrics = json.loads(Path(folder, "run", "metrics.json").read_text())
        return {
            "accuracy": metrics["test"]["accuracy"],
            "correct": correct_bits(Path(folder, "run", "predictions.csv")),
            "loss": metrics["test"]["loss"],
            "kept": metrics["kept"],
            "test_images": metrics["test"]["num_examples"],
            "seconds": seconds,
            "processor_seconds": cpu,
        }


def link_splits(name: str, seed: int, per_class: int, folder: Path) -> None:
    """Link the images of a split by tfl into folders of classes: train (with tfl's validation) and test."""
    import tfl

    source = str((ROOT / _DATA.value / name).resolve())
    splits = tfl.load_data(f"folder:{source}", seed=seed)
    index, paths = splits.index, splits.index.paths.tolist()
    for side, rows in {"train": np.sort([*splits.train, *splits.validation]), "test": splits.test}.items():
        rows = np.random.default_rng(seed).permutation(rows)
        for number, label in enumerate(index.class_names):
            own = rows[index.labels[rows] == number]
            for row in own[:per_class] if per_class and side == "train" else own:
                target = folder / side / label / f"{row}{Path(paths[row]).suffix}"
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(Path(source, paths[row]), target)


def correct_bits(predictions: Path) -> str:
    """Return which test images are classified correctly: bits in hexadecimal, in the order of the sorted paths."""
    with predictions.open() as file:
        rows = sorted((row["id"], row["label"] == row["predicted"]) for row in csv.DictReader(file))
    return np.packbits([right for _, right in rows]).tobytes().hex()


def run(command: list[str]) -> tuple[str, float, float]:
    """Run a program; return what it prints, its seconds on the clock, and those of the processor."""
    start, before = time.perf_counter(), os.times()
    result = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False)
    if result.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{result.stderr}")
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return result.stdout, time.perf_counter() - start, cpu


def table(figures: dict[str, dict]) -> str:
    """Return a row for each data set and network, and the mean difference to the guide's better column."""
    lines = [
        "| data, network | seeds | test images | guide, frozen | guide, fine-tuned | tfl | tfl - better of guide "
        "| interval | processor time, guide / tfl |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    groups: dict[str, list[dict]] = {}
    for key, row in figures.items():
        if all(program in row for program in PROGRAMS):
            groups.setdefault(key.rpartition(" ")[0], []).append(row)
    for key, rows in groups.items():
        mean = {
            column: np.mean([row[program][column] for row in rows])
            for program, column in (("guide", "frozen"), ("guide", "finetuned"), ("tfl", "accuracy"))
        }
        gains = [100 * gain(row) for row in rows]
        time_ratio = sum(row["guide"]["processor_seconds"] for row in rows) / sum(
            row["tfl"]["processor_seconds"] for row in rows
        )
        low, high = interval(rows)
        lines.append(
            f"| {key} | {len(rows)} | {rows[0]['tfl']['test_images']} | {mean['frozen']:.4f} | {mean['finetuned']:.4f} "
            f"| {mean['accuracy']:.4f} | {np.mean(gains):+.1f} | {low:+.1f} to {high:+.1f} | {time_ratio:.1f} |"
        )
    if groups:
        means = np.array([100 * np.mean([gain(row) for row in rows]) for rows in groups.values()])
        rng = np.random.default_rng(0)
        low, high = np.percentile(rng.choice(means, (10_000, len(means))).mean(axis=1), [2.5, 97.5])
        lines.append(f"| mean of {len(means)} | | | | | | {means.mean():+.2f} | {low:+.2f} to {high:+.2f} | |")
    return "\n".join(lines)


def gain(row: dict) -> float:
    """Return by how much tfl is above the guide's better figure."""
    return row["tfl"]["accuracy"] - max(row["guide"]["frozen"], row["guide"]["finetuned"])


def interval(rows: list[dict]) -> tuple[float, float]:
    """Return a 95 % interval of the mean gain in points, from the differences on the same test images of each seed."""
    variance, mean = 0.0, 100 * np.mean([gain(row) for row in rows])
    for row in rows:
        better = "frozen" if row["guide"]["frozen"] > row["guide"]["finetuned"] else "finetuned"
        count = row["tfl"]["test_images"]
        ours, theirs = (bits(text, count) for text in (row["tfl"]["correct"], row["guide"][f"{better}_correct"]))
        variance += np.var(ours - theirs, ddof=1) / count
    half = 196 * np.sqrt(variance) / len(rows)
    return mean - half, mean + half


def bits(text: str, count: int) -> np.ndarray:
    return np.unpackbits(np.frombuffer(bytes.fromhex(text), np.uint8))[:count].astype(float)


def write(page: Path, text: str, name: str = "results") -> None:
    """Write a table between its markers in a page."""
    before, _, rest = page.read_text().partition(f"<!-- {name} -->\n")
    _, _, after = rest.partition(f"<!-- /{name} -->")
    page.write_text(f"{before}<!-- {name} -->\n{text}\n<!-- /{name} -->{after}")


if __name__ == "__main__":
    app.run(main)
