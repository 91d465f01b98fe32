"""Write the scalars of every step, and of every stage after each epoch, for TensorBoard."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from etils import epath

from tfl.training.update.records import COLUMNS


class StepScalars(keras.callbacks.Callback):
    """Writes loss, gradient norm, learning rate and number of images for every step, and rates and norms by stage.

    Steps arrive in groups, after each call of the graph, so writing does not make training wait. A skipped step is
    also written, with its loss, finite or not, and its images are counted.

    Args:
        folder: folder for the files of TensorBoard.
        stages: name of a stage to its variables and the factor of its learning rate.
    """

    def __init__(
        self, folder: epath.PathLike, stages: Mapping[str, tuple[Sequence[keras.Variable], float]] | None = None
    ) -> None:
        super().__init__()
        self.folder, self.stages = epath.Path(folder), dict(stages or {})
        self.step, self.images_seen = 0, 0.0  # a checkpoint saves numeric attributes
        self._writer: Any = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.step, self.images_seen = 0, 0.0
        self._writer = tf.summary.create_file_writer(str(self.folder))

    def on_steps(self, rows: np.ndarray) -> None:
        """Write the scalars of some steps.

        Args:
            rows: float64 `(S, len(COLUMNS))`, one row for each step, in order.
        """
        with self._writer.as_default():
            for row in rows:
                values = dict(zip(COLUMNS, row.tolist(), strict=True))
                self.step, self.images_seen = self.step + 1, self.images_seen + values.pop("images")
                for name, value in (values | {"images_seen": self.images_seen}).items():
                    tf.summary.scalar(f"step/{name}", value, step=self.step)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        rate = float(np.asarray(self.model.optimizer.learning_rate))
        with self._writer.as_default():
            for stage, (variables, factor) in self.stages.items():
                norm = np.sqrt(sum(float(np.sum(np.square(v.numpy(), dtype=np.float64))) for v in variables))
                tf.summary.scalar(f"learning_rate/{stage}", rate * factor, step=self.step)
                tf.summary.scalar(f"weight_norm/{stage}", norm, step=self.step)
        self._writer.flush()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._writer.close()
