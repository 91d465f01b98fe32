"""What tfl chooses against a random search over the same options: test accuracy of both, on the same test images.

    KERAS_HOME=COPY python benchmarks/auto_search.py --data=../shared/data --write=docs/benchmarks/results.md

Each trial draws views, folds, epochs, depth and learning rate, and trains. The search takes the trial with the lowest
held-out loss, at the temperature that is saved with its model. The test images decide nothing. Each figure is kept as
soon as it is measured, so that the benchmark can run in pieces (`--only`).
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import results
from absl import app, flags

import tfl

SIZE = 112  # pixels per side: at this size all networks load their weights of 224 pixels
TRIALS = 20
NETWORK = {"backbone.name": "MobileNet", "backbone.alpha": 0.25}

flags.FLAGS.set_default("figures", "benchmarks/auto_search.json")
flags.FLAGS.set_default("only", ["hymenoptera", "dogs_cats_small", "scenes_64px_subset", "sign_language_digits"])


def main(argv: list[str]) -> None:
    """Measure what is not measured yet, and print the table."""
    del argv
    file = Path(flags.FLAGS.figures)
    for name in flags.FLAGS.only:
        figures = results.read(file)
        figures.setdefault(name, measure(name))
        file.write_text(json.dumps(dict(sorted(figures.items())), indent=1) + "\n")
    text = table(results.read(file))
    sys.stdout.write(text + "\n")
    if flags.FLAGS.write:
        results.write(Path(flags.FLAGS.write), text, "auto search")


def measure(name: str) -> dict[str, Any]:
    """Return the runs of a data set: that of the default, and the trials."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TFL_CACHE"] = f"{folder}/cache"
        results.link_splits(name, 0, results.SETS[name][1], Path(folder, "photos"))
        rng, found = np.random.default_rng(0), {}
        for number in range(TRIALS + 1):
            options = draw(rng) if number else {}
            begin = time.process_time()
            run = Path(folder, f"run{number}")
            shared = {**NETWORK, "data.image_size": SIZE, "report.audit": False}
            config = tfl.load_recipe("folder", f"folder:{folder}/photos", shared | options)
            metrics = tfl.transfer(config, run).metrics
            found[number] = {
                "options": options,
                "held_out": held_out_loss(metrics),
                "accuracy": metrics["test"]["accuracy"],
                "correct": results.correct_bits(run / "predictions.csv"),
                "test_images": metrics["test"]["num_examples"],
                "processor_seconds": time.process_time() - begin,
            }
    trials = [one for number, one in found.items() if number]
    return {"auto": found[0], "search": min(trials, key=lambda one: one["held_out"]), "trials": trials}


def draw(rng: np.random.Generator) -> dict[str, Any]:
    """Draw the options that the default chooses, and the learning rate."""
    return {
        "features.views": int(rng.choice([0, 1, 2, 4])),
        "probe.folds": int(rng.choice([0, 5])),
        "finetune.epochs": int(rng.choice([0, 5, 10, 20])),
        "finetune.unfreeze": str(rng.choice([1, 2, 3, 4])),
        "finetune.learning_rate": float(10 ** rng.uniform(-4.5, -2.5)),
    }


def held_out_loss(metrics: dict[str, Any]) -> float:
    """Return the loss on held-out examples that decided, or that of the only phase."""
    return metrics["choice"][metrics["kept"]] if "choice" in metrics else metrics["validation"]["loss"]


def table(figures: dict[str, dict]) -> str:
    """Return a row for each data set, and the mean difference."""
    lines = ["| data | test images | tfl | 20 trials | tfl - trials | interval |", "|---|---|---|---|---|---|"]
    gains = []
    for name, row in figures.items():
        auto, search, count = row["auto"], row["search"], row["auto"]["test_images"]
        gains.append(100 * (auto["accuracy"] - search["accuracy"]))
        pairs = results.bits(auto["correct"], count) - results.bits(search["correct"], count)
        half = 196 * np.sqrt(np.var(pairs, ddof=1) / count)
        lines.append(
            f"| {name} | {count} | {auto['accuracy']:.4f} | {search['accuracy']:.4f} "
            f"| {gains[-1]:+.1f} | {gains[-1] - half:+.1f} to {gains[-1] + half:+.1f} |"
        )
    return "\n".join([*lines, f"| mean of {len(gains)} | | | | {np.mean(gains):+.2f} | |"])


if __name__ == "__main__":
    app.run(main)
