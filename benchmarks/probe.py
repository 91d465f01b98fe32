"""Compare the solved head with scikit-learn's LogisticRegression: the optimum, the cost of a path of λ, and the time.

    KERAS_HOME=COPY python benchmarks/probe.py
    KERAS_HOME=COPY python benchmarks/probe.py --rows=5000 --classes=10    # minutes less

COPY is a copy of ../shared/weights/keras_home. The first table uses features of real photos from MobileNetV2 (alpha
0.35). One function here computes the objective of both heads, in float64, at the λ that the path chose. scikit-learn
solves in float64, because in float32 it stops early. These seconds are processor time. The second table uses generated
features, split 9 to 1, in float32. Its seconds are wall-clock time.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import contextlib
import dataclasses
import io
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from absl import app, flags
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegression

import tfl
from tfl.features.rows import single_threaded
from tfl.models.classifier import split_at_features
from tfl.models.inference import Outputs

_DATA = flags.DEFINE_string("data", "../shared/data", "Folder of the sets.")
_SETS = flags.DEFINE_list(
    "sets", ["hymenoptera", "dogs_cats_small", "sign_language_digits", "scenes_64px_subset"], "Folders of photos."
)
_IMAGE_SIZE = flags.DEFINE_integer("image_size", 224, "Pixels per side.", lower_bound=32)
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Times that each way is timed on a real set; the best counts.", 1)
_ROWS = flags.DEFINE_integer("rows", 50_000, "Generated rows of 1,280 features; 0: none.", lower_bound=0)
_CLASSES = flags.DEFINE_integer("classes", 100, "Of the generated rows.", lower_bound=2)
_TOLERANCES = flags.DEFINE_list("tolerances", ["1e-4", "1e-6"], "Of scikit-learn, on the generated rows.")
DIM = 1280


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}.")
    print(
        "| set | rows | classes | λ | objective / scikit-learn's - 1 | path of 20 | one solve | path / one | sklearn |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for name in _SETS.value:
        compare_on_photos(Path(_DATA.value, name))
    if _ROWS.value:
        compare_on_many_rows(*generate_features())


def compare_on_photos(folder: Path) -> None:
    train, validation = extract(folder)
    with quiet(), single_threaded():  # also scikit-learn: with so few rows threads only wait for each other
        l2 = tfl.choose_head(train, validation).chosen.l2
        path, one, sklearn = best_seconds(
            lambda: tfl.choose_head(train, validation),
            lambda: tfl.solve_head(train.values, train.labels, l2=l2),
            lambda: fit_sklearn(train, l2, 1e-8, np.float64),
        )
        head = tfl.solve_head(train.values, train.labels, l2=l2)
        reference = objective(train, l2, *fit_sklearn(train, l2, 1e-8, np.float64))
    difference = objective(train, l2, head.kernel, head.bias) / reference - 1
    sizes = f"{len(train)} | {head.kernel.shape[1]} | {l2:.2g} | {difference:+.0e}"
    print(f"| {folder.name} | {sizes} | {path:.3f} s | {one:.3f} s | {path / one:.2f} | {sklearn:.2f} s |", flush=True)


def extract(folder: Path) -> tuple[Outputs, Outputs]:
    """Return the features of training and validation images, with the split of `tfl.transfer`."""
    with quiet():
        splits = tfl.load_data(f"folder:{folder}")
        backbone = tfl.build_backbone("MobileNetV2", alpha=0.35, image_size=_IMAGE_SIZE.value)
        lower, _ = split_at_features(tfl.build_classifier(backbone, tfl.HeadSpec(len(splits.index.class_names))))
        with tempfile.TemporaryDirectory() as store:
            extractor = tfl.Extractor(lower, splits.source, _IMAGE_SIZE.value, store=tfl.FeatureStore(store, 10**10))
            train, validation = extractor(splits.train), extractor(splits.validation)
            return in_memory(train), in_memory(validation)


def in_memory(features: Outputs) -> Outputs:
    return dataclasses.replace(features, values=features.values[:])


def compare_on_many_rows(train: Outputs, validation: Outputs) -> None:
    with quiet():
        chosen, path = timed(lambda: tfl.choose_head(train, validation).chosen)
        head, one = timed(lambda: tfl.solve_head(train.values, train.labels, l2=chosen.l2))
    best = objective(train, head.l2, head.kernel, head.bias)
    print(f"\n{len(train)} rows, {DIM} features, {_CLASSES.value} classes, λ = {head.l2:.2g}\n")
    print("| way | seconds | objective / tfl's - 1 |\n|---|---|---|")
    print(f"| tfl, one solve | {one:.1f} | 0 |\n| tfl, path of 20 and the choice | {path:.1f} | 0 |", flush=True)
    for tolerance in map(float, _TOLERANCES.value):
        weights, seconds = timed(lambda tol=tolerance: fit_sklearn(train, head.l2, tol, np.float32))
        excess = objective(train, head.l2, *weights) / best - 1
        print(f"| scikit-learn, one solve, tol={tolerance:g} | {seconds:.1f} | {excess:+.0e} |", flush=True)


def generate_features() -> tuple[Outputs, Outputs]:
    """Draw classes around centres, with noise that the columns partly share; negative values become 0."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, _CLASSES.value, _ROWS.value)
    centres = 0.25 * rng.standard_normal((_CLASSES.value, DIM), np.float32)
    shared = 0.25 * rng.standard_normal((64, DIM), np.float32)
    values = np.empty((_ROWS.value, DIM), np.float32)
    for start in range(0, _ROWS.value, 4096):
        block = values[start : start + 4096]
        block[:] = centres[labels[start : start + 4096]] + rng.standard_normal(block.shape, np.float32)
        block += rng.standard_normal((len(block), 64), np.float32) @ shared
        np.maximum(block, 0, out=block)
    cut, ids = _ROWS.value * 9 // 10, np.arange(_ROWS.value)
    return Outputs(values[:cut], labels[:cut], ids[:cut]), Outputs(values[cut:], labels[cut:], ids[cut:])


def fit_sklearn(train: Outputs, l2: float, tol: float, dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the kernel and the bias of a softmax head.

    For two classes scikit-learn has one vector u. In the softmax head one class gets u / 2 and the other -u / 2, so
    the penalty λ ‖±u / 2‖² is half of λ ‖u‖².
    """
    binary = train.labels.max() == 1
    strength = (2 if binary else 1) / (2 * l2 * len(train))
    model = LogisticRegression(C=strength, tol=tol, max_iter=100_000).fit(train.values.astype(dtype), train.labels)
    kernel, bias = model.coef_.T.astype(np.float64), model.intercept_.astype(np.float64)
    return (kernel * [[-0.5, 0.5]], bias * [-0.5, 0.5]) if binary else (kernel, bias)


def objective(train: Outputs, l2: float, kernel: np.ndarray, bias: np.ndarray) -> float:
    total = 0.0
    for start in range(0, len(train), 4096):
        labels = train.labels[start : start + 4096]
        logits = train.values[start : start + 4096].astype(np.float64) @ kernel + bias
        total += float((logsumexp(logits, axis=1) - logits[np.arange(len(labels)), labels]).sum())
    return total / len(train) + l2 * float((kernel**2).sum())


def best_seconds(*ways: Callable[[], Any]) -> list[float]:
    """Time several ways that take turns, in processor seconds; all of them run on one thread here."""
    seconds = [[timed(way, time.process_time)[1] for way in ways] for _ in range(_ROUNDS.value)]
    return [min(column) for column in zip(*seconds, strict=True)]


def timed(way: Callable[[], Any], clock: Callable[[], float] = time.perf_counter) -> tuple[Any, float]:
    start = clock()
    return way(), clock() - start


def quiet() -> contextlib.AbstractContextManager[Any]:
    return contextlib.redirect_stderr(io.StringIO())


if __name__ == "__main__":
    app.run(main)
