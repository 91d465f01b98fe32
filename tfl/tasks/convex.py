"""Convex losses in NumPy: the value L(y, z) of each example, and its first and second derivative in the outputs z."""

import abc

import numpy as np
import scipy.special


class Convex(abc.ABC):
    """A loss that is convex in the outputs, so that a linear head has one optimum.

    The values are equal to those of the Keras losses that train the network.

    Attributes:
        is_quadratic: whether the second derivative is constant.
    """

    is_quadratic = False

    @abc.abstractmethod
    def loss_and_residual(self, outputs: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the loss of each example `(N,)` and its derivative with respect to the outputs `(N, K)`.

        Args:
            outputs: `(N, K)` float32 or float64; the results have the same type.
            targets: from `Task.as_targets`.
        """

    @abc.abstractmethod
    def curvature(self, residual: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return the weighted sum of the second derivative with respect to the outputs, `(K, K)`.

        Args:
            residual: from `loss_and_residual`; it contains all that the second derivative needs.
            targets: from `Task.as_targets`.
            weights: of the examples, `(N,)`.
        """


class SoftmaxCrossEntropy(Convex):
    """Softmax cross-entropy; targets are class numbers `(N,)`."""

    def loss_and_residual(self, outputs: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Convex`."""
        rows = np.arange(len(outputs))
        shifted, total, residual = _softmax(outputs)
        loss = np.log(total) - shifted[rows, targets]
        residual[rows, targets] -= 1.0
        return loss, residual

    def curvature(self, residual: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """See `Convex`."""
        probabilities = residual.copy()
        probabilities[np.arange(len(targets)), targets] += 1.0
        return _curvature_of_softmax(probabilities, weights)


class SoftmaxOfShares(Convex):
    """Softmax cross-entropy; targets are shares of the classes `(N, K)`, each row with the sum 1."""

    def loss_and_residual(self, outputs: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Convex`."""
        shifted, total, residual = _softmax(outputs)
        targets = targets.astype(outputs.dtype, copy=False)
        loss = np.log(total) - np.einsum("nk,nk->n", targets, shifted)
        residual -= targets
        return loss, residual

    def curvature(self, residual: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """See `Convex`."""
        probabilities = residual + targets.astype(residual.dtype, copy=False)
        return _curvature_of_softmax(probabilities, weights)


def _softmax(outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the outputs less the largest of their row, the sums of their exponentials, and the probabilities."""
    shifted = outputs - outputs.max(axis=1, keepdims=True)
    probabilities = np.exp(shifted)
    total = probabilities.sum(axis=1)
    probabilities /= total[:, None]
    return shifted, total, probabilities


def _curvature_of_softmax(probabilities: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return np.diag(weights @ probabilities) - (probabilities * weights[:, None]).T @ probabilities


class SigmoidCrossEntropy(Convex):
    """Sigmoid cross-entropy, averaged over the outputs; targets are `(N, K)` in [0, 1]."""

    def loss_and_residual(self, outputs: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Convex`."""
        loss = np.mean(np.logaddexp(0.0, outputs) - targets * outputs, axis=1)
        return loss, (scipy.special.expit(outputs) - targets) / outputs.shape[1]

    def curvature(self, residual: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """See `Convex`."""
        num_outputs = residual.shape[1]
        distance = np.abs(residual) * num_outputs  # p for a label 0 and 1 - p for a label 1: p (1 - p) either way
        return np.diag(weights @ (distance * (1.0 - distance))) / num_outputs


class SquaredError(Convex):
    """Squared error, averaged over the outputs; targets are `(N, K)`."""

    is_quadratic = True

    def loss_and_residual(self, outputs: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Convex`."""
        error = outputs - targets
        return np.mean(error**2, axis=1), 2.0 * error / outputs.shape[1]

    def curvature(self, residual: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """See `Convex`."""
        num_outputs = residual.shape[1]
        return np.eye(num_outputs) * (2.0 / num_outputs * weights.sum())


class WeightedSigmoidCrossEntropy(Convex):
    """Sigmoid cross-entropy with a weight for each label that is absent and present; targets as without weights.

    Args:
        label_weights: `(2, K)`, of a label that is absent (first row) and present.
    """

    def __init__(self, label_weights: np.ndarray) -> None:
        self.absent, self.present = np.asarray(label_weights, np.float64)

    def loss_and_residual(self, outputs: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Convex`."""
        no, yes = (self.absent * (1.0 - targets)).astype(outputs.dtype), (self.present * targets).astype(outputs.dtype)
        loss = np.mean(yes * np.logaddexp(0.0, -outputs) + no * np.logaddexp(0.0, outputs), axis=1)
        probabilities = scipy.special.expit(outputs)
        return loss, (no * probabilities - yes * (1.0 - probabilities)) / outputs.shape[1]

    def curvature(self, residual: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """See `Convex`."""
        num_outputs, scale = residual.shape[1], self.absent * (1.0 - targets) + self.present * targets
        distance = np.divide(np.abs(residual) * num_outputs, scale, out=np.zeros(residual.shape), where=scale > 0)
        return np.diag(weights @ (scale * distance * (1.0 - distance))) / num_outputs


class ShiftedOutputs(Convex):
    """Another loss of outputs to which fixed numbers are added.

    Args:
        convex: the other loss.
        offsets: `(K,)`.
    """

    def __init__(self, convex: Convex, offsets: np.ndarray) -> None:
        self.convex, self.offsets, self.is_quadratic = convex, offsets, convex.is_quadratic

    def loss_and_residual(self, outputs: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Convex`."""
        return self.convex.loss_and_residual(outputs + self.offsets.astype(outputs.dtype), targets)

    def curvature(self, residual: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """See `Convex`."""
        return self.convex.curvature(residual, targets, weights)
