"""The figures of docs/benchmarks/segmentation.md: mean IoU and processor time of ways to a class for every pixel.

    KERAS_HOME=COPY python benchmarks/segmentation.py --source=masks:seg_camvid_subset --ignore_label=11 --seeds=0,1,2
    KERAS_HOME=COPY python benchmarks/segmentation.py --source=... --ignore_label=11 --sizes=10,20,40 --ways=solved
    python benchmarks/segmentation.py --write=docs/benchmarks/segmentation.md

COPY is a copy of ../shared/weights/keras_home. Each way is the recipe configs/segmentation.py with some options, in a
process of its own, whose processor seconds count everything: the start of Python, features, head, training, evaluation
and report. What is measured is kept in `--figures`, so that the benchmark goes on where it was stopped. With `--sizes`
the first so many training images of an order drawn by the seed are used, with published weights and with random ones.
Nothing is chosen on test.
"""

import csv
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from absl import app, flags

ROOT = Path(__file__).resolve().parents[1]
UNET = "U-Net decoder, random head"
TRAINED = "trained from it"
WAYS: dict[str, dict[str, Any]] = {
    "solved": {},
    "solved, 2 versions": {"features.views": 2},
    TRAINED: {"features.views": 2},
    UNET: {},
}
WEIGHTS = {"imagenet": "published", "none": "random"}

_SOURCE = flags.DEFINE_string("source", "", "masks:PATH; empty: nothing is measured.")
_IGNORE = flags.DEFINE_integer("ignore_label", 255, "The value of masks that does not count.")
_WAYS = flags.DEFINE_list("ways", [name.replace(",", "") for name in WAYS], "Which of them, without commas.")
_EPOCHS = flags.DEFINE_integer("epochs", 20, "Epochs of training.")
_SIZE = flags.DEFINE_integer("image_size", 480, "Pixels per side.")
_SEEDS = flags.DEFINE_list("seeds", ["0"], "Seeds.")
_SIZES = flags.DEFINE_list("sizes", [], "Numbers of training images, for the worth of pre-training; empty: all images.")
_FIGURES = flags.DEFINE_string("figures", str(ROOT / "benchmarks" / "segmentation.json"), "Where figures are kept.")
_WRITE = flags.DEFINE_string("write", "", "The page whose tables are written again.")


def main(argv: list[str]) -> None:
    del argv
    file = Path(_FIGURES.value)
    rows = json.loads(file.read_text()) if file.exists() else []
    for case in cases() if _SOURCE.value else ():
        if not any(case.items() <= row.items() for row in rows):
            rows.append(case | measured(case))
            file.write_text(json.dumps(rows, indent=1) + "\n")
    text = {"heads": heads_table(rows), "worth": worth_table(rows)}
    sys.stdout.write("\n\n".join(text.values()) + "\n")
    if _WRITE.value:
        write(Path(_WRITE.value), text)


def cases() -> list[dict[str, Any]]:
    """Return what is to be measured: way, seed, training images (0: all) and weights."""
    ways = [name for name in WAYS if name.replace(",", "") in _WAYS.value]
    sizes, weights = ([int(size) for size in _SIZES.value], list(WEIGHTS)) if _SIZES.value else ([0], ["imagenet"])
    return [
        {"way": way, "seed": int(seed), "images": size, "weights": kind}
        for way in ways
        for seed in _SEEDS.value
        for size in sizes
        for kind in weights
    ]


def measured(case: dict[str, Any]) -> dict[str, Any]:
    """Run one case in a process of its own, and return its figures."""
    with tempfile.TemporaryDirectory() as folder:
        source = subset(Path(folder), case) if case["images"] else _SOURCE.value
        before = spent()
        metrics = run_unet(case, source, folder) if case["way"] == UNET else run_tfl(case, source, folder)
        seconds = spent() - before
    test, held = metrics["test"], metrics["validation"]
    low, high = metrics["intervals"]["mean_iou"]
    return {
        "kept": metrics["kept"],
        **{name: test[name] for name in ("mean_iou", "mean_dice", "pixel_accuracy")},
        "low": low,
        "high": high,
        "validation_mean_iou": held["mean_iou"],
        "seconds": seconds,
    }


def run_tfl(case: dict[str, Any], source: str, folder: str) -> dict[str, Any]:
    options = {"data.source": source, "segmentation.ignore_label": _IGNORE.value, "data.image_size": _SIZE.value}
    options |= {"seed": case["seed"], "backbone.weights": case["weights"], "features.store": f"{folder}/store"}
    options |= {"finetune.epochs": _EPOCHS.value if case["way"] == TRAINED else 0} | WAYS[case["way"]]
    words = [f"--config.{name}={value}" for name, value in options.items()]
    recipe, workdir = ROOT / "configs" / "segmentation.py", Path(folder) / "run"
    run("scripts/train.py", f"--config={recipe}", f"--workdir={workdir}", *words)
    return json.loads((workdir / "metrics.json").read_text())


def run_unet(case: dict[str, Any], source: str, folder: str) -> dict[str, Any]:
    options = {"source": source, "ignore_label": _IGNORE.value, "image_size": _SIZE.value, "seed": case["seed"]}
    options |= {"epochs": _EPOCHS.value, "output": f"{folder}/unet.json"}
    run("benchmarks/unet_decoder.py", *(f"--{name}={value}" for name, value in options.items()))
    return json.loads((Path(folder) / "unet.json").read_text())


def run(script: str, *words: str) -> None:
    """Run a script of the project; its lines go to stderr, because stdout has the tables."""
    subprocess.run([sys.executable, ROOT / script, *words], check=True, stdout=sys.stderr)


def subset(folder: Path, case: dict[str, Any]) -> str:
    """Write a table of the images of all splits, with some of the training images, and return its source."""
    home = Path(_SOURCE.value.partition(":")[2])
    files = {split: sorted((home / split).iterdir()) for split in ("train", "val", "test")}
    order = np.random.default_rng(case["seed"]).permutation(len(files["train"]))[: case["images"]]
    files["train"] = [files["train"][number] for number in sorted(order)]
    with (folder / "images.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "mask", "split"])
        for split, images in files.items():
            for image in images:
                writer.writerow([image.resolve(), (home / f"{split}annot" / image.name).resolve(), split])
    return f"csv:{folder / 'images.csv'}"


def spent() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def heads_table(rows: list[dict[str, Any]]) -> str:
    """Return a row for each way and seed on all images, and their means."""
    lines = [
        "| head | seed | kept | test mean IoU | 95 % interval | pixel accuracy | validation mean IoU | CPU s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for way in WAYS:
        mine = sorted((row for row in rows if row["way"] == way and not row["images"]), key=lambda row: row["seed"])
        lines += [
            cells(way, str(row["seed"]), row["kept"], row, f"{row['low']:.3f} to {row['high']:.3f}") for row in mine
        ]
        if len(mine) > 1:
            names = ("mean_iou", "pixel_accuracy", "validation_mean_iou", "seconds")
            lines.append(cells(way, "mean", "", {name: np.mean([row[name] for row in mine]) for name in names}, ""))
    return "\n".join(lines)


def cells(way: str, seed: str, kept: str, row: dict[str, Any], interval: str) -> str:
    figures = [f"{row[name]:.3f}" for name in ("mean_iou", "pixel_accuracy", "validation_mean_iou")]
    return f"| {' | '.join([way, seed, kept, figures[0], interval, *figures[1:]])} | {row['seconds']:.0f} |"


def worth_table(rows: list[dict[str, Any]]) -> str:
    """Return the test mean IoU over the number of training images, with published and with random weights."""
    found: dict[tuple[str, int], dict[str, dict[int, float]]] = {}
    for row in rows:
        if row["images"]:
            kinds = found.setdefault((row["way"], row["images"]), {kind: {} for kind in WEIGHTS})
            kinds[row["weights"]][row["seed"]] = row["mean_iou"]
    head = ("head", "training images", "seeds", *(f"{name} weights" for name in WEIGHTS.values()), "difference")
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for (way, size), kinds in sorted(found.items()):
        seeds = sorted(set.intersection(*(set(kinds[kind]) for kind in WEIGHTS)))
        if seeds:
            published, random = (np.array([kinds[kind][seed] for seed in seeds]) for kind in WEIGHTS)
            each = [spread(values) for values in (published, random, published - random)]
            lines.append(f"| {way} | {size} | {len(seeds)} | {' | '.join(each)} |")
    return "\n".join(lines)


def spread(values: np.ndarray) -> str:
    """Return a mean, and the range of the seeds."""
    return f"{values.mean():.3f} ({values.min():.3f} to {values.max():.3f})"


def write(page: Path, tables: dict[str, str]) -> None:
    """Put the tables between the marks of the page."""
    text = page.read_text(encoding="utf-8")
    for name, table in tables.items():
        before, _, rest = text.partition(f"<!-- {name} -->\n")
        text = f"{before}<!-- {name} -->\n{table}\n<!-- /{name} -->{rest.partition(f'<!-- /{name} -->')[2]}"
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    app.run(main)
