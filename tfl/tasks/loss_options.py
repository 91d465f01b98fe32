"""Losses of classifiers for classes of different sizes and for wrong labels: a cross-entropy with other terms.

A cross-entropy is a sum of -log p over the classes (softmax), or over the answers yes and no of each label (sigmoid).
The focal loss and the generalized cross-entropy take another function of p; logit adjustment changes p; weights of
labels multiply the terms.
"""

import dataclasses

import keras
import numpy as np
import tensorflow as tf

_TINY = 1e-30  # the power of 0 has no finite derivative


@dataclasses.dataclass(frozen=True, eq=False)
class LossOptions:
    """What a classifier minimises in place of its plain cross-entropy; see `Task.with_loss`.

    Attributes:
        form: "cross_entropy", -log p; "focal", -(1 - p)^power log p; or "generalized_cross_entropy",
            (1 - p^power) / power. Only cross-entropy is convex: a head that is solved always has it.
        power: gamma of the focal loss, at least 0; q of the generalized cross-entropy, in (0, 1].
        offsets: `(K,)` numbers that are added to the logits while they are learned, and not afterwards, as from
            `tfl.training.logit_offsets`; None for none.
        label_weights: `(2, K)` for tasks of labels: the weights of a label that is absent (first row) and present;
            None for equal weights.

    Example:
        >>> focal = tfl.tasks.get_task("multiclass").with_loss(LossOptions("focal", power=2.0))
        >>> tfl.compile(model, loss=focal)

    Reference:
        Lin et al. 2017, Focal loss for dense object detection, arXiv:1708.02002.
        Zhang and Sabuncu 2018, Generalized cross entropy loss for training deep neural networks with noisy labels,
        arXiv:1805.07836.
        Menon et al. 2021, Long-tail learning via logit adjustment, arXiv:2007.07314 (the loss of its equation 10).
    """

    form: str = "cross_entropy"
    power: float = 0.0
    offsets: np.ndarray | None = None
    label_weights: np.ndarray | None = None


class OtherCrossEntropy(keras.losses.Loss):
    """The loss of `LossOptions`, one value for each example; it is linear in the labels, so they may be mixed.

    Args:
        plain: the cross-entropy of the task, for evaluation and for saved models: they do not need tfl.
        options: what is different.
        activation: "softmax" or "sigmoid"; the mean over the outputs is taken for sigmoid.
        label_smoothing: as for `Task.loss`.
    """

    def __init__(
        self, plain: keras.losses.Loss, options: LossOptions, activation: str, label_smoothing: float = 0.0
    ) -> None:
        super().__init__(name=options.form, reduction="none")
        self.plain, self.options, self.activation, self.label_smoothing = plain, options, activation, label_smoothing

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Return the loss of each example, `(B,)`, of shares of the classes or labels, and logits, both `(B, K)`."""
        options, kept = self.options, 1.0 - self.label_smoothing
        logits = y_pred if options.offsets is None else y_pred + tf.constant(options.offsets, y_pred.dtype)
        if self.activation == "softmax":
            shares = y_true * kept + self.label_smoothing / y_pred.shape[-1]
            return tf.reduce_sum(shares * self._term(tf.nn.log_softmax(logits)), axis=-1)
        shares = y_true * kept + self.label_smoothing / 2
        absent, present = np.ones((2, 1)) if options.label_weights is None else options.label_weights
        yes = shares * self._term(tf.math.log_sigmoid(logits)) * tf.constant(present, y_pred.dtype)
        no = (1.0 - shares) * self._term(tf.math.log_sigmoid(-logits)) * tf.constant(absent, y_pred.dtype)
        return tf.reduce_mean(yes + no, axis=-1)

    def _term(self, logarithm: tf.Tensor) -> tf.Tensor:
        """Return the loss of one class that has the probability p, from log p."""
        power = self.options.power
        if self.options.form == "focal":
            return -tf.pow(tf.maximum(-tf.math.expm1(logarithm), _TINY), power) * logarithm
        if self.options.form == "generalized_cross_entropy":
            return -tf.math.expm1(power * logarithm) / power
        return -logarithm
