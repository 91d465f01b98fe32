"""Accuracy of a frozen BERT and of tf-idf on texts: the table of docs/benchmarks/text.md.

    python benchmarks/text.py --data=../shared/data --network=../shared/weights/hf_paraphrase_minilm_l3

For each seed a part of the texts for training is drawn, and with AG News also the split. Each row is a whole run: its
features are the mean of the last hidden states (`avg`), or those that cross-validation chooses (`auto`). Beside it
stand tf-idf with logistic regression, fitted on the same texts for training, and scikit-learn's logistic regression on
the features of the run. Processor seconds are those of a run with an empty feature store, without the import of
TensorFlow, and the part of them that tf-idf takes.
"""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from absl import app, flags
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import tfl
from tfl.build import load_splits
from tfl.recipe import evaluate
from tfl.recipe.extraction import frozen_features
from tfl.workdir import read_config

SETS = {  # source, columns, word pieces, texts for training of each class
    "SST-2": (
        "csv:{data}/text_sst2/train.tsv,csv:{data}/text_sst2/dev.tsv,csv:{data}/text_sst2/test.tsv",
        *("text=#1,label=#2", 56, 1000),
    ),
    "AG News": ("csv:{data}/text_ag_news_test/test.csv", "text=#2+#3,label=#1", 80, 500),
}
STRENGTHS = (1e-4, 1e-3, 1e-2)

_DATA = flags.DEFINE_string("data", "../shared/data", "Folder of the data sets.")
_NETWORK = flags.DEFINE_string("network", "../shared/weights/hf_paraphrase_minilm_l3", "Folder of the network.")
_ONLY = flags.DEFINE_list("only", list(SETS), "Data sets.")
_SEEDS = flags.DEFINE_integer("seeds", 3, "Number of seeds.")
_PER_CLASS = flags.DEFINE_integer("per_class", -1, "Texts for training of each class; 0: all, -1: as in the table.")
_SKLEARN = flags.DEFINE_bool("sklearn", False, "Also fit scikit-learn on the features.")


def main(argv: list[str]) -> None:
    """Print one line for each run."""
    del argv
    columns = ("set", "seed", "features", "network", "tf-idf", "difference", "scikit-learn", "processor seconds")
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for name in _ONLY.value:
        with tempfile.TemporaryDirectory() as folder:
            for seed in range(_SEEDS.value):
                for pooling in ("auto", "avg"):
                    print(row_of(name, seed, pooling, Path(folder)), flush=True)


def row_of(name: str, seed: int, pooling: str, folder: Path) -> str:
    """Run once, and return what it found as one row of a table."""
    source, columns, size, per_class = SETS[name]
    config = tfl.TransferConfig(
        seed=seed,
        data=tfl.DataConfig(
            source=source.format(data=_DATA.value),
            columns=columns,
            image_size=size,
            augmentation="none",
            train_examples_per_class=per_class if _PER_CLASS.value < 0 else _PER_CLASS.value,
        ),
        backbone=tfl.BackboneConfig(name=f"hf:{_NETWORK.value}"),
        head=tfl.HeadConfig(pooling=pooling),
        features=tfl.FeaturesConfig(store=str(folder / "store")),
        finetune=tfl.FinetuneConfig(epochs=0),
    )
    config.report.audit = False
    is_first, spent, kept = not (folder / "store").exists(), [], evaluate.measure_baseline
    evaluate.measure_baseline = _timed(kept, spent)
    start = time.process_time()
    try:
        result = tfl.transfer(config, folder / f"{name}-{seed}-{pooling}")
    finally:
        evaluate.measure_baseline = kept
    seconds = f"{time.process_time() - start:.0f}, of them tf-idf {sum(spent):.0f}" if is_first else ""
    metrics, chosen = result.metrics, read_config(result.workdir)
    baseline = metrics["baseline"]
    low, high = metrics["intervals"]["accuracy"]
    their_low, their_high = baseline["intervals"]["accuracy"]
    difference = baseline["difference"]
    cells = (
        name,
        str(seed),
        f"{pooling}: {chosen.head.pooling}" if pooling == "auto" else pooling,
        f"{metrics['test']['accuracy']:.3f} ({low:.3f} to {high:.3f})",
        f"{baseline['test']['accuracy']:.3f} ({their_low:.3f} to {their_high:.3f})",
        f"{difference['difference']:+.3f} ({difference['low']:+.3f} to {difference['high']:+.3f})",
        f"{_with_scikit_learn(chosen):.3f}" if _SKLEARN.value else "",
        seconds,
    )
    return f"| {' | '.join(cells)} |"


def _timed(function: Callable[..., Any], spent: list[float]) -> Callable[..., Any]:
    def timed(*given: Any) -> Any:
        start = time.process_time()
        found = function(*given)
        spent.append(time.process_time() - start)
        return found

    return timed


def _with_scikit_learn(config: tfl.TransferConfig) -> float:
    """Return the test accuracy of scikit-learn's logistic regression on the same features."""
    splits = load_splits(config)
    features = frozen_features(config, splits)
    values, labels = np.asarray(features.values[:]), features.labels
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=200, tol=1e-3))
    search = GridSearchCV(model, {"logisticregression__C": STRENGTHS}, scoring="neg_log_loss", cv=3)
    search.fit(values[splits.train], labels[splits.train])
    return float(np.mean(search.predict(values[splits.test]) == labels[splits.test]))


if __name__ == "__main__":
    app.run(main)
