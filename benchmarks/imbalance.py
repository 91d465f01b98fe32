"""Compare what tfl offers for unequal classes and for wrong labels, for docs/benchmarks/imbalance.md.

    KERAS_HOME=COPY python benchmarks/imbalance.py --data=../shared/data

COPY is a copy of ../shared/weights/keras_home. The features of a frozen MobileNetV2 0.35 are computed once. Each seed
draws the training and validation images anew: so that the classes go from 1 to 1/20 of the largest in equal ratios, in
a random order (unequal), or equally many of each class, of whose labels a share is replaced by another class (wrong).
Test images are equally many of each class and keep their labels. λ and epoch are chosen on validation alone.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from absl import app, flags

_DATA = flags.DEFINE_string("data", "../shared/data", "Folder of the data sets.")
_SETS = flags.DEFINE_list("sets", ["cifar10_jpg_subset", "fashion_mnist_png_subset"], "Folders in it.")
_SIZE = flags.DEFINE_integer("image_size", 112, "Pixels per side.")
_SEEDS = flags.DEFINE_integer("seeds", 10, "Draws of the training images.")
_EPOCHS = flags.DEFINE_integer("epochs", 30, "Of the training in steps.")
_RATIO = flags.DEFINE_float("ratio", 20, "Of the largest class to the smallest.")
_WRONG = flags.DEFINE_float("wrong", 0.2, "Share of the labels that are wrong.")

SHARES = (0.6, 0.15)  # of the training folder of each class: training and validation images of the largest class


@dataclasses.dataclass(frozen=True)
class Split:
    """Features and labels of some images."""

    values: np.ndarray
    labels: np.ndarray


Method = Callable[[Split, Split, int], Callable[[np.ndarray], np.ndarray]]  # from features to logits


def main(argv: list[str]) -> None:
    del argv
    for name in _SETS.value:
        train, test = read_features(name)
        for title, draw, methods in (
            (f"1 to {_RATIO.value:g}", draw_unequal, unequal_methods()),
            (f"{_WRONG.value:.0%} wrong", draw_wrong, wrong_methods()),
        ):
            print(
                f"\n| {name}, {title} | balanced accuracy | 95 % interval | difference to the first | 95 % interval |"
            )
            print("|---" * 5 + "|", flush=True)
            splits = [draw(train, seed) for seed in range(_SEEDS.value)]
            first: np.ndarray | None = None
            for label, method in methods.items():
                scores = np.array([measure(method(*pair, seed), test) for seed, pair in enumerate(splits)])
                first = scores if first is None else first
                cells = [
                    *interval(scores, "{:.4f}"),
                    *(interval(scores - first, "{:+.4f}") if label != next(iter(methods)) else ("", "")),
                ]
                print(f"| {label} | {' | '.join(cells)} |", flush=True)


def read_features(name: str) -> tuple[Split, Split]:
    """Return the features of the training folder and of the test folder."""
    import tfl
    from tfl.models.classifier import split_at_features

    splits = tfl.load_data(f"folder:{Path(_DATA.value) / name}")
    backbone = tfl.build_backbone("MobileNetV2", image_size=_SIZE.value, alpha=0.35)
    names = splits.class_names
    metadata = tfl.Metadata("MobileNetV2", 0.35, _SIZE.value, "multiclass", names)
    lower, _ = split_at_features(tfl.build_classifier(backbone, tfl.HeadSpec(len(names)), metadata))
    extract = tfl.Extractor(lower, splits.source, _SIZE.value)
    rows = np.sort(np.concatenate([splits.train, splits.validation]))
    train, test = extract(rows), extract(splits.test)
    return Split(np.asarray(train.values), train.labels), Split(np.asarray(test.values), test.labels)


def draw_unequal(source: Split, seed: int) -> tuple[Split, Split]:
    """Return training and validation images whose classes go from 1 to 1 / ratio of the largest."""
    rng, count = np.random.default_rng(seed), int(source.labels.max()) + 1
    shares = _RATIO.value ** -(rng.permutation(count) / (count - 1))
    train, validation = (Split(source.values[rows], source.labels[rows]) for rows in _draw(source, shares, rng))
    return train, validation


def draw_wrong(source: Split, seed: int) -> tuple[Split, Split]:
    """Return training and validation images of which a share has the label of another class."""
    rng, count = np.random.default_rng(seed), int(source.labels.max()) + 1
    drawn = []
    for rows in _draw(source, np.ones(count), rng):
        wrong = rng.random(len(rows)) < _WRONG.value
        others = (source.labels[rows] + rng.integers(1, count, len(rows))) % count
        drawn.append(Split(source.values[rows], np.where(wrong, others, source.labels[rows])))
    train, validation = drawn
    return train, validation


def _draw(source: Split, shares: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    train, validation = [], []
    for number, share in enumerate(shares):
        rows = rng.permutation(np.flatnonzero(source.labels == number))
        sizes = [max(2, round(share * part * len(rows))) for part in SHARES]
        train.append(rows[: sizes[0]])
        validation.append(rows[sizes[0] : sum(sizes)])
    return np.concatenate(train), np.concatenate(validation)


def unequal_methods() -> dict[str, Method]:
    """Return the methods for unequal classes by their name in the table."""
    from tfl.tasks import LossOptions

    return {
        "solved, no weights": solved(),
        "solved, class_weight=balanced": solved(class_weight="balanced"),
        "solved, class_weight=effective": solved(class_weight="effective"),
        "solved, logit_adjustment=1": solved(tau=1.0),
        "in steps, no weights": in_steps(),
        "in steps, class_weight=balanced": in_steps(class_weight="balanced"),
        "in steps, sampling=balanced": in_steps(sampling="balanced"),
        "in steps, logit_adjustment=1": in_steps(tau=1.0),
        "in steps, loss=focal": in_steps(options=LossOptions("focal", 2.0)),
        "in steps, focal and balanced weights": in_steps(options=LossOptions("focal", 2.0), class_weight="balanced"),
    }


def wrong_methods() -> dict[str, Method]:
    """Return the methods for wrong labels by their name in the table."""
    from tfl.tasks import LossOptions

    return {
        "solved, cross-entropy": solved(),
        "in steps, cross-entropy": in_steps(),
        "in steps, loss=focal": in_steps(options=LossOptions("focal", 2.0)),
        "in steps, generalized_cross_entropy, q 0.3": in_steps(options=LossOptions("generalized_cross_entropy", 0.3)),
        "in steps, generalized_cross_entropy, q 0.7": in_steps(options=LossOptions("generalized_cross_entropy", 0.7)),
    }


def solved(class_weight: str | None = None, tau: float = 0.0) -> Method:
    """Return the method that solves the head, as phase 1 of a run does."""

    def solve(train: Split, validation: Split, seed: int) -> Callable[[np.ndarray], np.ndarray]:
        import tfl
        from tfl.models.inference import Outputs

        del seed
        tables = [Outputs(split.values, split.labels, np.arange(len(split.labels))) for split in (train, validation)]
        return tfl.choose_head(*tables, target=_task(train, tau), class_weight=class_weight).chosen.logits

    return solve


def in_steps(
    class_weight: str | None = None, tau: float = 0.0, sampling: str = "uniform", options: Any = None
) -> Method:
    """Return the method that trains the head in steps, as phase 2 of a run does, and keeps the best epoch."""

    def train_head(train: Split, validation: Split, seed: int) -> Callable[[np.ndarray], np.ndarray]:
        import keras
        import tensorflow as tf

        import tfl
        from tfl.data.order import epoch_order, split_draws
        from tfl.models.class_weights import resolve_class_weight
        from tfl.training.objective.calibrated_loss import metrics_to_choose_by

        keras.utils.set_random_seed(seed)
        count, task = int(train.labels.max()) + 1, _task(train, tau)
        head = keras.Sequential([keras.Input(train.values.shape[1:]), keras.layers.Dense(count)])
        learned = task if options is None else task.with_loss(options)
        tfl.compile(head, tfl.make_optimizer("adam", 1e-3), loss=learned, metrics=metrics_to_choose_by(task))
        classes = None if sampling == "uniform" else train.labels
        choosing = class_weight or ("balanced" if classes is not None else None)
        by_class = resolve_class_weight(choosing, count, labels=train.labels) or {}
        weights = np.array([by_class.get(int(label), 1.0) for label in validation.labels], np.float32)

        def epoch(number: int) -> tf.data.Dataset:
            rows, _ = split_draws(epoch_order(np.arange(len(train.labels)), seed, number, classes))
            return tf.data.Dataset.from_tensor_slices((train.values[rows], train.labels[rows])).batch(64)

        best = keras.callbacks.EarlyStopping(
            "val_calibrated_loss", patience=_EPOCHS.value, mode="min", restore_best_weights=True
        )
        held = (validation.values, validation.labels, weights / weights.mean())
        given = None if classes is not None else (by_class or None)
        tfl.fit(
            head, epoch, epochs=_EPOCHS.value, validation_data=held, callbacks=[best], class_weight=given, verbose=False
        )
        return lambda values: np.asarray(head(values))

    return train_head


def _task(train: Split, tau: float) -> Any:
    from tfl.tasks import LossOptions, get_task
    from tfl.training import logit_offsets

    task = get_task("multiclass")
    return (
        task.with_loss(LossOptions(offsets=logit_offsets(train.labels, int(train.labels.max()) + 1, tau)))
        if tau
        else task
    )


def measure(logits: Callable[[np.ndarray], np.ndarray], test: Split) -> float:
    """Return the mean recall over the classes."""
    right = logits(test.values).argmax(axis=1) == test.labels
    return float(np.mean([right[test.labels == number].mean() for number in np.unique(test.labels)]))


def interval(values: np.ndarray, form: str) -> tuple[str, str]:
    """Return the mean and its 95 % interval over the seeds (Student's t)."""
    from tfl.evaluation.intervals import student_interval

    low, high = student_interval(values.tolist()) or (np.nan, np.nan)
    return form.format(values.mean()), f"{form.format(low)} to {form.format(high)}"


if __name__ == "__main__":
    app.run(main)
