"""How good is the first choice of a ranking? The table of docs/benchmarks/ranking.md.

    KERAS_HOME=COPY python benchmarks/ranking.py --data=../shared/data

COPY is a copy of ../shared/weights/keras_home. The scores are computed on the train and validation images alone, as
`tfl rank` does (`--measure=scores`). Then the head of each network is solved on the same images, and its accuracy on
the test images is what the user gets. Regret is the best of these accuracies minus that of the first choice, in points.
Weighted Kendall tau compares the whole order. `imagenet` is the fixed order by the published accuracy on ImageNet.

`--measure=ranking`, `--measure=choice` and `--measure=finetuning` print processor seconds instead, each with an empty
feature store and without the import of TensorFlow: of `tfl.rank_backbones`, of the choice of `backbone.name=auto`, and
of the whole run of the recipe for one's own photos with each network.
"""

import os
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from absl import app, flags
from scipy.stats import weightedtau
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier

import tfl
from tfl.backbones.imagenet import imagenet_accuracy
from tfl.backbones.left import candidates_of
from tfl.build import checked, checked_run, load_splits
from tfl.config import with_options
from tfl.features import cross_validate_head
from tfl.recipe.budget import Budget
from tfl.recipe.choice import choose_backbone
from tfl.recipe.extraction import frozen_extractor
from tfl.selection import h_score, log_evidence, n_leep

NETWORKS = ("MobileNetV2:1.0", "MobileNet:1.0", "MobileNetV2:0.35", "MobileNet:0.25")
SETS = {  # data set: (pixels per side, training images per class or 0)
    "hymenoptera": (224, 0),
    "dogs_cats_small": (224, 0),
    "sign_language_digits": (224, 0),
    "scenes_64px_subset": (224, 0),
    "fashion_mnist_png_subset": (64, 100),
    "cifar10_jpg_subset": (64, 100),
}
SCORES = ("cross-validation", "neighbours", "LogME", "H-score", "N-LEEP", "imagenet")

_DATA = flags.DEFINE_string("data", "../shared/data", "Folder of the data sets.")
_ONLY = flags.DEFINE_list("only", list(SETS), "Data sets.")
_NETWORKS = flags.DEFINE_list("networks", list(NETWORKS), "Networks.")
_MEASURE = flags.DEFINE_enum("measure", "scores", ["scores", "ranking", "choice", "finetuning"], "What is measured.")


def main(argv: list[str]) -> None:
    del argv
    if _MEASURE.value != "scores":
        for name in _ONLY.value:
            print_times(name)
        return
    print("| data | test accuracy of " + ", ".join(_NETWORKS.value) + " | " + " | ".join(SCORES) + " |")
    print("|---|---|" + "---|" * len(SCORES))
    regrets, taus = [], []
    for name in _ONLY.value:
        measured = [measure(name, network) for network in _NETWORKS.value]
        accuracies = [accuracy for accuracy, _ in measured]
        columns = np.array([scores for _, scores in measured]).T
        regrets.append([100 * (max(accuracies) - accuracies[int(np.argmax(column))]) for column in columns])
        taus.append([weightedtau(column, accuracies)[0] for column in columns])
        cells = [f"{regret:.1f} / {tau:+.2f}" for regret, tau in zip(regrets[-1], taus[-1], strict=True)]
        print(f"| {name} | {', '.join(f'{one:.3f}' for one in accuracies)} | {' | '.join(cells)} |", flush=True)
    means = zip(np.mean(regrets, axis=0), np.nanmean(taus, axis=0), strict=True)
    print(f"| mean | | {' | '.join(f'{regret:.2f} / {tau:+.2f}' for regret, tau in means)} |")


def print_times(name: str) -> None:
    """Print the processor seconds of a part, for all networks together or for each."""
    for networks in [[one] for one in _NETWORKS.value] if _MEASURE.value == "finetuning" else [_NETWORKS.value]:
        with tempfile.TemporaryDirectory() as folder:
            start, wall = time.process_time(), time.perf_counter()
            run_part(name, networks, folder)
            seconds, wall = time.process_time() - start, time.perf_counter() - wall
        print(f"| {name} | {_MEASURE.value} | {', '.join(networks)} | {seconds:.0f} | {wall:.0f} |", flush=True)


def run_part(name: str, networks: list[str], folder: str) -> None:
    """Run what is timed."""
    size, per_class = SETS[name]
    options = {"data.image_size": size, "data.train_examples_per_class": per_class, "features.store": f"{folder}/store"}
    config = tfl.load_recipe("folder", f"{_DATA.value}/{name}", options)
    if _MEASURE.value == "ranking":
        tfl.rank_backbones(config, networks)
    elif _MEASURE.value == "choice":
        config = checked_run(with_options(config, {"backbone.name": "auto"}), folder)
        choose_backbone(config, load_splits(candidates_of(config)[0]), Budget(0))
    else:
        backbone, _, alpha = networks[0].partition(":")
        config = with_options(config, {"backbone.name": backbone, "backbone.alpha": float(alpha)})
        tfl.transfer(config, f"{folder}/run")


def measure(name: str, network: str) -> tuple[float, list[float]]:
    """Return the test accuracy of the solved head, and the scores from train and validation."""
    (size, per_class), (backbone, _, alpha) = SETS[name], network.partition(":")
    data = tfl.DataConfig(f"folder:{_DATA.value}/{name}", image_size=size, train_examples_per_class=per_class)
    config = checked(tfl.TransferConfig(data=data, backbone=tfl.BackboneConfig(backbone, float(alpha))))
    splits = load_splits(config)
    rng, labels = np.random.default_rng(0), splits.index.labels
    rows = np.sort(np.concatenate([splits.train, splits.validation]))
    if per_class:  # validation is not limited, so it is cut to the same share
        rows = np.sort(
            np.concatenate([rng.permutation(rows[labels[rows] == k])[:per_class] for k in np.unique(labels)])
        )
    extractor = frozen_extractor(config, splits)
    features, test = (np.asarray(extractor(part).values[:], np.float64) for part in (rows, splits.test))
    known = labels[rows]
    result = cross_validate_head(features, known, groups=splits.index.together()[rows])
    accuracy = float(np.mean(result.chosen.logits(test).argmax(axis=1) == labels[splits.test]))
    scores = [
        float(np.mean(result.held_out_logits.argmax(axis=1) == known)),
        float(cross_val_score(KNeighborsClassifier(10, metric="cosine"), features, known, cv=5).mean()),
        log_evidence(features, known),
        h_score(features, known),
        n_leep(features, known),
        imagenet_accuracy(config.backbone) or 0.0,
    ]
    return accuracy, scores


if __name__ == "__main__":
    app.run(main)
