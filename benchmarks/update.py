"""Measure ridge regression by sufficient statistics for docs/how-to/update.md: its time, and how good its head is.

    python benchmarks/update.py --times
    KERAS_HOME=COPY python benchmarks/update.py --data=../shared/data

COPY is a copy of ../shared/weights/keras_home. Three heads are solved on the same stored features of the same photos:
the logistic head with λ from the validation split, the logistic head with λ from 5 folds of train and validation, and
ridge regression on train and validation. Nothing is chosen on test. The intervals resample the test photos, with the
differences of one photo averaged over the seeds.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from absl import app, flags

_TIMES = flags.DEFINE_bool("times", False, "Measure times on random features, and not heads on photos.")
_ROWS = flags.DEFINE_integer("rows", 10_000, "Examples of the times.")
_COLUMNS = flags.DEFINE_integer("columns", 1280, "Features of an example in the times.")
_DATA = flags.DEFINE_string("data", "../shared/data", "Folder of the data sets.")
_SETS = flags.DEFINE_list(
    "sets",
    ["hymenoptera:224", "dogs_cats_small:224", "scenes_64px_subset:112", "sign_language_digits:112"],
    "Folders in it, with the pixels per side.",
)
_NETWORKS = flags.DEFINE_list("networks", ["MobileNetV2:0.35", "MobileNet:0.25"], "Names with width multipliers.")
_SEEDS = flags.DEFINE_integer("seeds", 3, "Splits of each set.")
_STORE = flags.DEFINE_string("store", "cache", "Where features are stored.")


def main(argv: list[str]) -> None:
    del argv
    measure_times() if _TIMES.value else compare_heads()


def measure_times() -> None:
    """Time an update of the statistics beside summing them anew, and beside the whole path of λ."""
    from tfl.features import Statistics, cross_validate_head, solve_ridge

    rng, count = np.random.default_rng(0), _ROWS.value
    labels = np.arange(count) % 10
    features = np.maximum(rng.normal(size=(count, _COLUMNS.value)), 0).astype(np.float32)
    features[:, :10] += np.eye(10, dtype=np.float32)[labels]
    names = [str(number) for number in range(10)]
    known = Statistics.of(features, np.eye(10)[labels], names)
    new, targets = features[:20] + 1, np.eye(11)[[10] * 20]

    def update() -> Any:
        changed = known.remove(features[:10], np.eye(10)[labels[:10]]).with_names([*names, "new"])
        return changed.add(new, targets).solve(1e-3)

    def anew() -> Any:
        all_labels = np.append(labels[10:], [10] * 20)
        return Statistics.of(np.concatenate([features[10:], new]), np.eye(11)[all_labels], [*names, "new"]).solve(1e-3)

    print(f"{os.cpu_count()} cores, {count:,} examples of {_COLUMNS.value:,} features\n")
    print("| | seconds | processor seconds |\n|---|---|---|")
    first = timed("ten examples less, a new class of 20, and the head at a given λ", update)
    second = timed("the same, summed anew from all features", anew)
    timed("ridge: statistics, path of λ with leave-one-out, head", lambda: solve_ridge(features, labels))
    timed("logistic head: path of λ in 5 folds, head", lambda: cross_validate_head(features, labels))
    print(f"\ndifference of the two objectives: {abs(first.objective - second.objective):.1e}")


def timed(name: str, call: Callable[[], Any]) -> Any:
    """Print the shortest of three times."""
    times = []
    for _ in range(3):
        start = time.perf_counter(), time.process_time()
        result = call()
        times.append((time.perf_counter() - start[0], time.process_time() - start[1]))
    print(f"| {name} | {min(times)[0]:.2f} | {min(cpu for _, cpu in times):.2f} |", flush=True)
    return result


def compare_heads() -> None:
    """Print accuracy and log-loss of the three heads on test, and the differences of ridge to the other two."""
    heads = ("logistic, validation", "logistic, 5 folds", "ridge")
    print(f"| data | network | {' | '.join(heads)} | ridge - 5 folds: accuracy | log-loss |")
    print("|---" * 7 + "|")
    pooled: list[np.ndarray] = []
    for network in _NETWORKS.value:
        for word in _SETS.value:
            name, size = word.split(":")
            results = [measure(name, int(size), network, seed) for seed in range(_SEEDS.value)]
            table = by_photo(results)  # (photos, heads, 2)
            means = table.mean(axis=0)
            cells = " | ".join(f"{right:.3f} / {loss:.3f}" for right, loss in means)
            difference = table[:, 2] - table[:, 1]
            pooled.append(difference)
            print(f"| {name} | {network} | {cells} | {' | '.join(between(difference))} |", flush=True)
    print(f"| mean | | | | | {' | '.join(between_all(pooled))} |")


def measure(name: str, size: int, network: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the ids of the test photos, and of each whether each head is right, and its log-loss."""
    import tfl
    from tfl.build import checked, load_splits
    from tfl.evaluation import Predictions, fit_temperature
    from tfl.features import choose_head, cross_validate_head, solve_ridge
    from tfl.models.inference import Outputs
    from tfl.recipe.extraction import frozen_features

    backbone, alpha = network.split(":")
    config = tfl.TransferConfig(seed=seed)
    config.data = tfl.DataConfig(source=f"folder:{Path(_DATA.value) / name}", image_size=size)
    config.backbone = tfl.BackboneConfig(name=backbone, alpha=float(alpha))
    config.features = tfl.FeaturesConfig(store=_STORE.value)
    config = checked(config)
    splits = load_splits(config)
    values = np.asarray(frozen_features(config, splits).values[:])
    index, outputs = splits.index, len(splits.class_names)
    both = np.sort(np.concatenate([splits.train, splits.validation]))
    part = {
        rows: Outputs(values[at], index.labels[at], at)
        for rows, at in (("train", splits.train), ("validation", splits.validation))
    }
    plain = choose_head(part["train"], part["validation"], num_outputs=outputs)
    groups = index.together()[both]
    folds = cross_validate_head(values[both], index.labels[both], groups=groups, num_outputs=outputs, seed=seed)
    ridge = solve_ridge(values[both], index.labels[both], groups=groups, num_outputs=outputs)
    held_out = [
        (splits.validation, plain.chosen.logits(values[splits.validation])),
        (both, folds.held_out_logits),
        (both, ridge.held_out_logits),
    ]
    result = []
    for head, (rows, logits) in zip((plain, folds, ridge), held_out, strict=True):
        found = Predictions(rows, index.labels[rows], logits, "multiclass")
        temperature = fit_temperature(found).temperature
        scores = head.chosen.logits(values[splits.test]) / temperature
        test = Predictions(splits.test, index.labels[splits.test], scores, "multiclass")
        result.append(np.stack([scores.argmax(axis=1) == test.labels, test.losses()], axis=1))
    return index.ids[splits.test], np.stack(result, axis=1)


def by_photo(results: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Return the results of each photo, averaged over the seeds in which it is a test photo."""
    ids, places = np.unique(np.concatenate([names for names, _ in results]), return_inverse=True)
    values = np.concatenate([table for _, table in results])
    sums = np.zeros((len(ids), *values.shape[1:]))
    np.add.at(sums, places, values)
    return sums / np.bincount(places)[:, None, None]


def between(differences: np.ndarray) -> list[str]:
    """Return mean and 95 % interval of differences, resampled by photo."""
    return between_all([differences])


def between_all(parts: list[np.ndarray]) -> list[str]:
    """Return the mean over several sets of their means, and its interval; photos are resampled within their set."""
    rng = np.random.default_rng(0)
    drawn = [part[rng.integers(0, len(part), (2000, len(part)))].mean(axis=1) for part in parts]
    low, high = np.quantile(np.mean(drawn, axis=0), [0.025, 0.975], axis=0)
    means = np.mean([part.mean(axis=0) for part in parts], axis=0)
    return [f"{mean:+.3f} ({a:+.3f} to {b:+.3f})" for mean, a, b in zip(means, low, high, strict=True)]


if __name__ == "__main__":
    app.run(main)
