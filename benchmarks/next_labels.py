"""Are chosen examples worth more than random ones? The table of docs/benchmarks/value.md.

    KERAS_HOME=COPY python benchmarks/next_labels.py --data=../shared/data

COPY is a copy of ../shared/weights/keras_home. For each seed, some examples outside of the test split have labels, and
5 a class are labelled next: chosen by each method, or at random (the mean of three draws). The head is solved on all
labels. Its accuracy on the test split, which chooses nothing, is compared with that after the random choice. The
intervals draw the seeds and the test examples again; that of the mean keeps the data sets.
"""

import os

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
DRAWS = 3  # random choices for each seed

_DATA = flags.DEFINE_string("data", "../shared/data", "Folder of the data sets.")
_ONLY = flags.DEFINE_list("only", list(SETS), "Data sets.")
_SEEDS = flags.DEFINE_integer("seeds", 6, "Number of seeds.")
_STARTS = flags.DEFINE_list("starts", ["0", "2", "5", "10", "20"], "Labels a class at the start.")


def main(argv: list[str]) -> None:
    del argv
    materials = {name: load(name) for name in _ONLY.value}
    print("| labels a class | data | random | method | difference, 95 % interval (points) |")
    print("|---|---|---|---|---|")
    for start in map(int, _STARTS.value):
        found = {name: measure(material, start) for name, material in materials.items()}
        for name, (accuracy, differences) in found.items():
            for method, (mean, drawn) in differences.items():
                print(f"| {start} | {name} | {accuracy:.3f} | {method} | {describe(mean, drawn)} |", flush=True)
        for method in next(iter(found.values()))[1]:
            columns = [differences[method] for _, differences in found.values()]
            mean, drawn = (np.mean([column[number] for column in columns], axis=0) for number in (0, 1))
            print(f"| {start} | mean of {len(found)} | | {method} | {describe(mean, drawn)} |", flush=True)


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


def measure(material: Material, start: int) -> tuple[float, dict[str, tuple[float, np.ndarray]]]:
    """Return the accuracy after a random choice, and by method the mean difference to it and its resamples."""
    methods = [TYPICLUST, MARGIN, DROPQUERY] if start else [TYPICLUST]
    hits = np.array([measure_seed(material, start, seed, methods) for seed in range(_SEEDS.value)])
    drawn = resampled_means(hits.transpose(1, 0, 2), material.splits.index.group_numbers(material.splits.test))
    means = hits.mean(axis=(0, 2))
    return float(means[0]), {
        method: (float(means[place] - means[0]), drawn[:, place] - drawn[:, 0])
        for place, method in enumerate(methods, 1)
    }


def measure_seed(material: Material, start: int, seed: int, methods: list[str]) -> np.ndarray:
    """Return how often each test example is correct after random draws, and after each method: `(1 + M, T)`."""
    cell = Cell(FROZEN, start, seed)
    labelled = material.rows(cell)
    others = np.setdiff1d(material.pool, labelled)
    count = min(NEXT * len(material.names), len(others))
    rng = np.random.default_rng([seed, start])
    random = [hits_of(material, cell, labelled, rng.choice(others, count, replace=False)) for _ in range(DRAWS)]
    features, probabilities = material.features, None
    if start:
        head = solve(material, cell, labelled)
        probabilities = lambda values: material.task.scores(head.logits(values))  # noqa: E731
    chosen = [
        choose_next(features[labelled], features[others], count, probabilities, method=method, seed=seed)
        for method in methods
    ]
    return np.array([np.mean(random, axis=0), *(hits_of(material, cell, labelled, others[one]) for one in chosen)])


def hits_of(material: Material, cell: Cell, labelled: np.ndarray, more: np.ndarray) -> np.ndarray:
    """Return whether each test example is predicted correctly by the head of some labelled rows."""
    test = material.splits.test
    head = solve(material, cell, np.sort(np.concatenate([labelled, more])))
    return material.task.is_correct(head.logits(material.features[test]), material.splits.index.labels[test])


def describe(mean: float, drawn: np.ndarray) -> str:
    low, high = ends(drawn)
    return f"{100 * mean:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"


if __name__ == "__main__":
    app.run(main)
