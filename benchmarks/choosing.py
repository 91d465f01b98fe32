"""Compare two rules that choose phase and epoch for docs/benchmarks/evaluation.md: at temperature 1, or at its own.

    KERAS_HOME=COPY python benchmarks/choosing.py --data=../shared/data

COPY is a copy of ../shared/weights/keras_home. Each run solves the head and then fine-tunes. Both rules use the same
training: the logits of validation and test are recorded at the start and after every epoch, and each rule then chooses
its epoch and its phase on validation only. The test accuracy shows which rule chose better.
"""

import tempfile
from pathlib import Path

import numpy as np
from absl import app, flags

_DATA = flags.DEFINE_string("data", "../shared/data", "Folder of the data sets.")
_SETS = flags.DEFINE_list("sets", ["hymenoptera", "dogs_cats_small"], "Folders in it.")
_SIZE = flags.DEFINE_integer("image_size", 224, "Pixels per side.")
_EPOCHS = flags.DEFINE_integer("epochs", 8, "Of fine-tuning.")
_SEEDS = flags.DEFINE_integer("seeds", 6, "Runs of each set.")
_RATE = flags.DEFINE_float("learning_rate", 1e-4, "Of fine-tuning.")


def main(argv: list[str]) -> None:
    del argv
    print("| data | seed | frozen | at T = 1: kept | test accuracy | at its own T: kept | test accuracy |")
    print("|---" * 7 + "|")
    accuracies = []
    for name in _SETS.value:
        for seed in range(_SEEDS.value):
            tables = run(name, seed)
            rows = [choose(tables, own=own) for own in (False, True)]
            accuracies.append([accuracy(tables[0]), *(accuracy(tables[epoch]) for epoch in rows)])
            cells = [f"epoch {epoch}" if epoch else "frozen" for epoch in rows]
            frozen, plain, own = (f"{value:.4f}" for value in accuracies[-1])
            print(f"| {name} | {seed} | {frozen} | {cells[0]} | {plain} | {cells[1]} | {own} |", flush=True)
    means = np.mean(accuracies, axis=0)
    print(f"| mean | | {means[0]:.4f} | | {means[1]:.4f} | | {means[2]:.4f} |")
    gains = np.array(accuracies)[:, 2] - np.array(accuracies)[:, 1]
    print(
        f"difference of the rules: {gains.mean():+.4f} ± {gains.std(ddof=1) / len(gains) ** 0.5:.4f} (standard error)"
    )


def run(name: str, seed: int) -> list[tuple]:
    """Return the predictions of validation and test of the frozen network and after each epoch."""
    import keras

    import tfl
    from tfl.data import make_dataset
    from tfl.evaluation import predict
    from tfl.recipe import finetune as finetuning

    config = tfl.TransferConfig(
        seed=seed,
        data=tfl.DataConfig(source=f"folder:{Path(_DATA.value) / name}", image_size=_SIZE.value, augmentation="none"),
        backbone=tfl.BackboneConfig(alpha=0.35),
        finetune=tfl.FinetuneConfig(epochs=_EPOCHS.value, unfreeze="1", learning_rate=_RATE.value),
    )
    config.report.gallery = 0
    tables = []

    class Recorder(keras.callbacks.Callback):
        """Predict validation and test with the present weights of the whole model."""

        def __init__(self, run) -> None:
            super().__init__()
            self.run = run

        def on_train_begin(self, logs=None) -> None:
            self.record()

        def on_epoch_end(self, epoch, logs=None) -> None:
            self.record()

        def record(self) -> None:
            run, pair = self.run, []
            for split in ("validation", "test"):
                rows = run.rows(split)
                batches = make_dataset(run.splits.source, rows, image_size=_SIZE.value, batch_size=32)
                pair.append(predict(run.model, batches, run.task))
            tables.append(tuple(pair))

    fit, original = finetuning.fit, finetuning._fit
    runs = []
    finetuning._fit = lambda run, *rest: (runs.append(run), original(run, *rest))[1]
    finetuning.fit = lambda *args, callbacks, **options: fit(
        *args, callbacks=[*callbacks, Recorder(runs[0])], **options
    )
    try:
        with tempfile.TemporaryDirectory() as folder:
            tfl.transfer(config, Path(folder) / "run")
    finally:
        finetuning.fit, finetuning._fit = fit, original
    return tables


def choose(tables: list[tuple], *, own: bool) -> int:
    """Return the epoch that a rule keeps: the best epoch if it is better than the frozen network, otherwise 0."""
    from tfl.evaluation import fit_temperature
    from tfl.evaluation.calibration import mean_loss

    losses = [mean_loss(v.at(fit_temperature(v).temperature) if own else v) for v, _ in tables]
    best = 1 + int(np.argmin(losses[1:]))
    return best if losses[best] < losses[0] else 0


def accuracy(pair: tuple) -> float:
    return float(pair[1].metrics()["accuracy"])


if __name__ == "__main__":
    app.run(main)
