"""Are chosen examples worth more than random ones? The table of docs/benchmarks/value.md.

    KERAS_HOME=COPY python benchmarks/next_labels.py --data=../shared/data --work=WORK

COPY is a copy of ../shared/weights/keras_home. What is measured is kept in the folder WORK, so that the benchmark can
run in pieces: `--only`, `--starts` and `--seeds` choose a piece, and the table is that of all that is kept. For each
seed, some examples outside of the test split have labels, and 5 a class are labelled next: chosen by each method, or at
random (the mean of three draws). The head is solved on all labels. Its accuracy on the test split, which chooses
nothing, is compared with that after the random choice, in points. The 95 % intervals draw the seeds and the test
examples again; that of the mean keeps the data sets.
"""

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from absl import app, flags

import tfl
from tfl.build import checked, load_splits
from tfl.config.ways import FROZEN
from tfl.recipe.extraction import frozen_features
from tfl.recipe.value_cells import Cell, Material, solve
from tfl.selection.next_labels import DROPQUERY, MARGIN, TYPICLUST, choose_next
from tfl.selection.worth import ends, resampled_means

SETS = {  # data set: (pixels per side, training images per class or 0)
    "hymenoptera": (224, 0),
    "dogs_cats_small": (224, 0),
    "sign_language_digits": (224, 0),
    "scenes_64px_subset": (64, 0),
    "fashion_mnist_png_subset": (64, 100),
    "cifar10_jpg_subset": (64, 100),
}
NEXT = 5  # examples a class that are labelled next
METHODS = (TYPICLUST, MARGIN, DROPQUERY)
DRAWS = 3  # random choices for each seed

_DATA = flags.DEFINE_string("data", "../shared/data", "Folder of the data sets.")
_WORK = flags.DEFINE_string("work", None, "Folder of what is measured.", required=True)
_ONLY = flags.DEFINE_list("only", list(SETS), "Data sets.")
_SEEDS = flags.DEFINE_integer("seeds", 5, "Number of seeds.")
_STARTS = flags.DEFINE_list("starts", ["0", "2", "5", "10", "20"], "Labels a class at the start.")


def main(argv: list[str]) -> None:
    del argv
    work = Path(_WORK.value)
    work.mkdir(parents=True, exist_ok=True)
    for name in _ONLY.value:
        wanted = [
            (start, seed, file)
            for start in map(int, _STARTS.value)
            for seed in range(_SEEDS.value)
            if not (file := work / f"{name}-{start}-{seed}.npy").exists()
        ]
        material = load(name) if wanted else None
        for start, seed, file in wanted:
            if material is not None:
                np.save(file, measure(material, start, seed))
    show(work)


def show(work: Path) -> None:
    """Print what the files in a folder say."""
    print("| labels a class | data | seeds | random | " + " | ".join(METHODS) + " |")
    print("|---|---|---|---|" + "---|" * len(METHODS))
    for start in sorted({int(file.stem.split("-")[1]) for file in work.glob("*.npy")}):
        found = {name: [np.load(file) for file in sorted(work.glob(f"{name}-{start}-*.npy"))] for name in SETS}
        found = {name: np.array(one).transpose(1, 0, 2) for name, one in found.items() if one}
        drawn = {name: resampled_means(hits) for name, hits in found.items()}
        means = {name: hits.mean(axis=(1, 2)) for name, hits in found.items()}
        for name, mean in means.items():
            print(row(f"{start} | {name} | {found[name].shape[1]}", mean, drawn[name]))
        mean, spread = (np.mean(list(columns.values()), axis=0) for columns in (means, drawn))
        print(row(f"{start} | mean of {len(found)} | ", mean, spread))


def row(first: str, means: np.ndarray, drawn: np.ndarray) -> str:
    """Return a row: the accuracy after a random choice, and how much higher it is after each method, with intervals."""
    cells = [f"{means[0]:.3f}"]
    for place in range(1, len(means)):
        low, high = ends(drawn[:, place] - drawn[:, 0])
        cells.append(f"{100 * (means[place] - means[0]):+.1f} ({100 * low:+.1f} to {100 * high:+.1f})")
    cells += ["" for _ in METHODS[len(cells) - 1 :]]
    return f"| {first} | {' | '.join(cells)} |"


def load(name: str) -> Material:
    """Return a data set with the features of MobileNetV2 0.35."""
    size, most = SETS[name]
    config = tfl.TransferConfig(
        data=tfl.DataConfig(source=f"folder:{_DATA.value}/{name}", image_size=size, train_examples_per_class=most),
        backbone=tfl.BackboneConfig(name="MobileNetV2", alpha=0.35),
    )
    config = checked(config)
    splits = load_splits(config)
    return Material(config, config, splits, np.asarray(frozen_features(config, splits).values[:], np.float64))


def measure(material: Material, start: int, seed: int) -> np.ndarray:
    """Return how often each test example is correct after random draws, and after each method: `(1 + M, T)`."""
    cell = Cell(FROZEN, start, seed)
    labelled = material.rows(cell)
    others = np.setdiff1d(material.pool, labelled)
    count = min(NEXT * len(material.names), len(others))
    rng = np.random.default_rng([seed, start])
    draws = [hits_of(material, cell, labelled, rng.choice(others, count, replace=False)) for _ in range(DRAWS)]
    features, probabilities = material.features, None
    if start:
        head = solve(material, cell, labelled)
        probabilities = lambda values: material.task.scores(head.logits(values))  # noqa: E731
    chosen = [
        choose_next(features[labelled], features[others], count, probabilities, method=method, seed=seed)
        for method in (METHODS if start else METHODS[:1])
    ]
    return np.array([np.mean(draws, axis=0), *(hits_of(material, cell, labelled, others[one]) for one in chosen)])


def hits_of(material: Material, cell: Cell, labelled: np.ndarray, more: np.ndarray) -> np.ndarray:
    """Return whether each test example is predicted correctly by the head of some labelled rows."""
    test = material.splits.test
    head = solve(material, cell, np.sort(np.concatenate([labelled, more])))
    return material.task.is_correct(head.logits(material.features[test]), material.splits.index.labels[test])


if __name__ == "__main__":
    app.run(main)
