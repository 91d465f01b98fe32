"""Choose how much more often a model of maps decides for rare classes, by the mean IoU of the validation split.

The most probable class of a position makes the fewest errors. But the mean IoU counts every class the same, and a rare
class that is never the most probable one has the IoU 0. So tau times the logarithm of the frequency of each class is
taken from the logits. A model is solved and trained without it, because its loss is that of the probabilities.

Reference:
    Menon et al. 2021, Long-tail learning via logit adjustment, arXiv:2007.07314.
"""

import numpy as np
import tensorflow as tf

from tfl.data.pipeline import make_label_dataset
from tfl.features.extract import BATCH
from tfl.models.classifier import logits_layer
from tfl.models.inference import run_over
from tfl.progress import say
from tfl.recipe.result import Part, batches_of
from tfl.recipe.run import Run
from tfl.tasks.regions import confusions, iou, mean_of_known

TAUS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


def adjust_logits(run: Run, part: Part | None, split: str = "validation") -> float:
    """Choose tau by the mean IoU of a split, and change the biases of the model.

    Args:
        run: the run; the logits of its model are not adjusted yet.
        part: the two parts of the model, or None; see `PhaseResult`.
        split: of the examples that choose.

    Returns:
        tau, the best one of `TAUS`; the smallest, if several are equally good.
    """
    rows, offsets, task = run.rows(split), _log_frequencies(run), run.task
    mine, num_classes = run.share(rows), len(offsets)

    def count(logits: tf.Tensor, masks: tf.Tensor | None) -> tf.Tensor:
        return tf.stack([task.collect(logits - (tau * offsets).astype(np.float32), masks) for tau in TAUS], axis=1)

    counts = np.zeros((len(TAUS), task.table_width(num_classes)))
    if len(mine):
        name = f"adjust on {split}"
        model, batches = batches_of(run, part, mine, name)
        counts = run_over(model, {name: batches}, count)[name].values.sum(axis=0, dtype=np.float64)
    (counts,) = run.workers.sum([counts])
    scores = mean_of_known(iou(confusions(counts)))
    tau = TAUS[int(np.nanargmax(scores))]
    shift_logits(run, -tau, offsets)
    say(f"logits: {tau:g} times the log frequency of each class is taken from them, by the mean IoU")
    return tau


def shift_logits(run: Run, tau: float, offsets: np.ndarray | None = None) -> None:
    """Add tau times the log frequency of each class, less the mean of all classes, to the biases of the model."""
    offsets = _log_frequencies(run) if offsets is None else offsets
    bias = logits_layer(run.model).bias
    bias.assign(bias.numpy() + tau * (offsets - offsets.mean()))


def _log_frequencies(run: Run) -> np.ndarray:
    """Return the logarithm of the share of each class among the positions of training that count, `(K,)`."""
    num_classes = run.model.output_shape[-1]
    counts, rows = np.zeros(num_classes), run.share(run.rows("train"))
    size = run.model.metadata.image_size
    for batch in make_label_dataset(run.splits.source, rows, image_size=size, batch_size=BATCH):
        counts += np.bincount(batch["label"].numpy().ravel(), minlength=256)[:num_classes]  # void is none of them
    (counts,) = run.workers.sum([counts])
    shares = counts / counts.sum()
    return np.log(np.where(counts > 0, shares, shares.max()))  # a class that never occurs must not win by it
