"""Time all metrics and their bootstrap intervals on random predictions, by numbers of examples and classes.

    python benchmarks/intervals.py --cases=10000:2,10000:10

The peer is the simple way: draw rows, and compute the accuracy and macro F1 of each table with scikit-learn.
"""

import time
from collections.abc import Callable

import numpy as np
from absl import app, flags

_CASES = flags.DEFINE_list("cases", ["150:2", "10000:2", "10000:10", "10000:100"], "EXAMPLES:CLASSES.")
_ROUNDS = flags.DEFINE_integer("rounds", 3, "Of each, interleaved; the best counts.")


def main(argv: list[str]) -> None:
    del argv
    from tfl.evaluation import Predictions, bootstrap_intervals

    print("| examples | classes | metrics | intervals, 1,000 tables | peer, two metrics, 20 tables times 50 |")
    print("|---" * 5 + "|")
    for case in _CASES.value:
        count, num_classes = map(int, case.split(":"))
        rng = np.random.default_rng(0)
        logits, labels = rng.normal(size=(count, num_classes)), rng.integers(0, num_classes, count)
        logits[np.arange(count), labels] += 2.0
        table = Predictions(np.arange(count), labels, logits, "multiclass")
        work = (table.metrics, lambda table=table: bootstrap_intervals(table), lambda table=table: plain(table))
        seconds = [[_seconds(each) for each in work] for _ in range(_ROUNDS.value)]
        metrics, intervals, peer = np.min(seconds, axis=0)
        print(f"| {count} | {num_classes} | {metrics:.2f} s | {intervals:.2f} s | {50 * peer:.1f} s |", flush=True)


def plain(table: object) -> None:
    """Draw 20 tables and compute two of the ten metrics of each."""
    import sklearn.metrics

    labels, predicted = table.labels, table.logits.argmax(axis=1)  # pyright: ignore
    rng = np.random.default_rng(0)
    for _ in range(20):
        rows = rng.integers(0, len(labels), len(labels))
        sklearn.metrics.accuracy_score(labels[rows], predicted[rows])
        sklearn.metrics.f1_score(labels[rows], predicted[rows], average="macro")


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    app.run(main)
