"""Base class of the tasks whose loss is a cross-entropy, which other forms, offsets and weights can change."""

import abc
import copy
from typing import Any, ClassVar, Self

import keras

from tfl.tasks.classification import Classification
from tfl.tasks.convex import ShiftedOutputs, WeightedSigmoidCrossEntropy
from tfl.tasks.loss_options import LossOptions, OtherCrossEntropy
from tfl.tasks.task import check_smoothing


class CrossEntropy(Classification):
    """A task whose loss is the cross-entropy of its `activation`; a subclass with a loss of its own is none."""

    is_cross_entropy: ClassVar[bool] = True
    loss_options: LossOptions | None = None  # None: the plain cross-entropy

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "loss" in vars(cls):
            cls.is_cross_entropy = False

    @abc.abstractmethod
    def cross_entropy(self, label_smoothing: float) -> keras.losses.Loss:
        """Return the plain loss; see `loss`."""

    def loss(self, label_smoothing: float = 0.0) -> keras.losses.Loss:
        """See `Task`."""
        check_smoothing(self, label_smoothing)
        if self.loss_options is None:
            return self.cross_entropy(label_smoothing)
        return OtherCrossEntropy(self.cross_entropy(0.0), self.loss_options, self.activation, label_smoothing)

    def with_loss(self, options: LossOptions) -> Self:
        """See `Task`."""
        if not self.is_cross_entropy:
            return super().with_loss(options)
        task, convex = copy.copy(self), self.convex
        if options.label_weights is not None:
            convex = WeightedSigmoidCrossEntropy(options.label_weights)
        if options.offsets is not None:
            convex = ShiftedOutputs(convex, options.offsets)
        task.convex, task.loss_options = convex, options
        return task
