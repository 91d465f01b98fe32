"""Measure for docs/benchmarks/evaluation.md: calibration error before and after temperature, coverage of sets.

    KERAS_HOME=COPY python benchmarks/calibration.py --data=../shared/data

COPY is a copy of ../shared/weights/keras_home. There is one run per seed: it splits the data (if the set has no
split), trains, fits the temperature on validation and measures on test. Then the held-out images of the first run of
each set are divided at random into two halves: one half calibrates prediction sets, and the other half counts how
often the sets have the true class.
"""

import math
import tempfile
from pathlib import Path

import numpy as np
from absl import app, flags

_DATA = flags.DEFINE_string("data", "../shared/data", "Folder of the data sets.")
_SETS = flags.DEFINE_list("sets", ["hymenoptera", "dogs_cats_small", "sign_language_digits"], "Folders in it.")
_SIZE = flags.DEFINE_integer("image_size", 224, "Pixels per side.")
_L2 = flags.DEFINE_float("l2", 0.0, "λ of the head; 0: chosen on validation. 1e-6 gives one that is far too sure.")
_FOLDS = flags.DEFINE_integer("folds", 0, "Choose λ and the temperature on so many held-out folds; 0: on validation.")
_EPOCHS = flags.DEFINE_integer("epochs", 0, "Of fine-tuning; 0: the frozen backbone with the solved head.")
_AUGMENTATION = flags.DEFINE_string("augmentation", "none", "Of fine-tuning.")
_SEEDS = flags.DEFINE_integer("seeds", 10, "Runs of each set.")
_CUTS = flags.DEFINE_integer("cuts", 50, "Random halves of the held-out images.")


MEASURES = ("loss", "ece", "ece_by_chance", "adaptive_ece")


def main(argv: list[str]) -> None:
    del argv
    first = {}
    print(
        "| data | seed | kept | validation | test | T | loss | at T | ECE | at T | by chance | at T | adaptive | at T |"
    )
    print("|---" * 14 + "|")
    for name in _SETS.value:
        rows = []
        for seed in range(_SEEDS.value):
            figures, tables = run(name, seed)
            first.setdefault(name, tables)
            rows.append(figures[3:])
            print(f"| {name} | {seed} | " + " | ".join(map(_text, figures)) + " |", flush=True)
        print(f"| {name} | mean | | | | " + " | ".join(_text(value) for value in np.mean(rows, axis=0)) + " |")
    print("\n| data | examples | classes | method | promised | measured | expected | its error | classes in a set |")
    print("|---" * 9 + "|")
    for name, tables in first.items():
        for row in cover(tables):
            print(f"| {name} | " + " | ".join(map(_text, row)) + " |", flush=True)


def run(name: str, seed: int) -> tuple[list, list]:
    """Make one run; return its row of the first table, and its predictions on validation and test."""
    import tfl
    from tfl.evaluation import describe_calibration, read_predictions

    config = tfl.TransferConfig(
        seed=seed,
        data=tfl.DataConfig(
            source=f"folder:{Path(_DATA.value) / name}", image_size=_SIZE.value, augmentation=_AUGMENTATION.value
        ),
        backbone=tfl.BackboneConfig(alpha=0.35),
        probe=tfl.ProbeConfig(l2=_L2.value, folds=_FOLDS.value),
        finetune=tfl.FinetuneConfig(epochs=_EPOCHS.value, unfreeze="1"),
    )
    config.report.gallery = 0
    with tempfile.TemporaryDirectory() as folder:
        result = tfl.transfer(config, Path(folder) / "run")
        files = ("validation_predictions.csv", "predictions.csv")
        validation, test = (read_predictions(Path(folder) / "run" / file)[0] for file in files)
    temperature = result.model.metadata.temperature
    before, after = describe_calibration(test), describe_calibration(test.at(temperature))
    pairs = [value for measure in MEASURES for value in (getattr(before, measure), getattr(after, measure))]
    return [result.metrics["kept"], len(validation), len(test), temperature, *pairs], [validation, test]


def cover(tables: list) -> list[list]:
    """Divide held-out examples at random; calibrate on one half, and count on the other."""
    from tfl.evaluation import Predictions, fit_conformal

    labels, logits = (np.concatenate([getattr(table, name) for table in tables]) for name in ("labels", "logits"))
    pool = Predictions(np.arange(len(labels)), labels, logits, tables[0].task)
    num_calibration = len(pool) // 2
    num_counted = len(pool) - num_calibration
    rows = []
    for method in ("lac", "aps"):
        for coverage in (0.8, 0.9, 0.95):
            covered, sizes = [], []
            for seed in range(_CUTS.value):
                order = np.random.default_rng(seed).permutation(len(pool))
                sets = fit_conformal(pool.take(order[:num_calibration]), coverage, method)
                covered.append(sets.covers(pool.take(order[num_calibration:])).mean())
                sizes.append(sets.contains(pool.take(order[num_calibration:])).sum(axis=1).mean())
            expected = math.ceil((num_calibration + 1) * coverage - 1e-9) / (num_calibration + 1)
            variance = coverage * (1 - coverage) * (1 / num_calibration + 1 / num_counted)
            error = math.sqrt(variance / _CUTS.value)
            rows.append(
                [len(pool), logits.shape[1], method, coverage, np.mean(covered), expected, error, np.mean(sizes)]
            )
    return rows


def _text(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    app.run(main)
