"""How good is the first choice of a ranking? The table of docs/benchmarks/ranking.md.

    KERAS_HOME=COPY python benchmarks/ranking.py --data=../shared/data

COPY is a copy of ../shared/weights/keras_home. The scores are computed on the train and validation images alone, as
`tfl rank` does. Then the head of each network is solved on the same images, and its accuracy on the test images is what
the user gets. Regret is the best of these accuracies minus that of the first choice, in points. Weighted Kendall tau
compares the whole order. `imagenet` is the fixed order by the published accuracy on ImageNet.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from absl import app, flags
from scipy.stats import weightedtau
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier

import tfl
from tfl.build import checked, load_splits
from tfl.features import cross_validate_head
from tfl.recipe.extraction import frozen_extractor
from tfl.selection import h_score, log_evidence, n_leep

# Top-1 accuracy of the weights of Keras on ImageNet (Howard et al. 2017, Sandler et al. 2018).
IMAGENET = {"MobileNetV2:1.0": 0.713, "MobileNet:1.0": 0.704, "MobileNetV2:0.35": 0.603, "MobileNet:0.25": 0.506}
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
_NETWORKS = flags.DEFINE_list("networks", list(IMAGENET), "Networks.")


def main(argv: list[str]) -> None:
    del argv
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
        IMAGENET[network],
    ]
    return accuracy, scores


if __name__ == "__main__":
    app.run(main)
