"""Pre-training without labels against random weights: a solved head on the frozen features, on the test images.

    tfl pretrain cifar10_jpg_subset --workdir=W ...
    python benchmarks/pretraining.py --workdir=W

The network of the run and the same network with random weights (those that the run started from) give the features of
at most 2,000 labelled training images and of all test images. The features are standardised by the training images.
The head is solved on the training images, with λ from five folds; the test images only count its right answers.
"""

import sys

import keras
import numpy as np
from absl import app, flags

from tfl.build import load_splits, make_extractor
from tfl.evaluation.intervals import mean_interval, share_interval
from tfl.features import cross_validate_head
from tfl.models.heads import pool
from tfl.recipe.backbone import backbone_of
from tfl.workdir import read_config

_WORKDIR = flags.DEFINE_string("workdir", None, "A finished run of `tfl pretrain` on labelled images.", required=True)
_LABELLED = flags.DEFINE_integer("labelled", 2000, "Training images whose labels the head gets.")


def main(argv: list[str]) -> None:
    """Print both accuracies with their 95 % intervals, and the interval of the difference."""
    del argv
    config = read_config(_WORKDIR.value)
    splits = load_splits(config)
    train = np.random.default_rng(config.seed).permutation(splits.train)[: _LABELLED.value]
    hits = {}
    for name, weights in (("random", ""), ("pre-trained", _WORKDIR.value)):
        backbone = backbone_of(config, weights)
        network = keras.Model(backbone.input, pool(backbone.output, config.head.pooling))
        extractor = make_extractor(network, splits.source, config.features, None)
        values, held = (np.asarray(extractor(rows).values[:]) for rows in (train, splits.test))
        mean, scale = values.mean(axis=0), np.maximum(values.std(axis=0), 1e-12)
        labels = splits.index.labels
        head = cross_validate_head((values - mean) / scale, labels[train], seed=config.seed).chosen
        hits[name] = head.logits((held - mean) / scale).argmax(axis=1) == labels[splits.test]
        low, high = share_interval(hits[name])
        sys.stdout.write(f"{name}: test accuracy {hits[name].mean():.4f} ({low:.4f} to {high:.4f})\n")
        sys.stdout.flush()
    gains = hits["pre-trained"].astype(float) - hits["random"]
    low, high = mean_interval(gains)
    sys.stdout.write(f"difference: {gains.mean():.4f} ({low:.4f} to {high:.4f}), {len(gains)} test images\n")


if __name__ == "__main__":
    app.run(main)
