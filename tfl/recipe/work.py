"""Estimate how long a run takes, from the speed at which the frozen network runs over the images."""

import dataclasses

from tfl.config import TransferConfig
from tfl.features.speed import Speed

# A step computes the network once forward and, from the lowest trained layer up, once backward; the backward pass needs
# about twice the operations of the forward pass (Kaplan et al. 2020, arXiv:2001.08361, section 2.1).
BACKWARD = 2.0


@dataclasses.dataclass(frozen=True)
class Work:
    """What a run still has to compute.

    Attributes:
        passes: number of examples that run through the whole network, forward; parts of it count as their share.
        graphs: number of graphs to compile, in the size of the graph of a forward pass.
        waits: number of times that the run waits for its first batch, for example at the start of an epoch.
    """

    passes: float
    graphs: float
    waits: float

    def seconds(self, speed: Speed) -> float:
        """Return about how many seconds it takes; it leaves out the report and the writing of files."""
        return self.passes * speed.per_example + self.graphs * speed.start + self.waits * speed.wait


def remaining_work(config: TransferConfig, num_examples: dict[str, int], *, missing: int, trained_share: float) -> Work:
    """Return what is left of a run from phase 1 on.

    Args:
        config: the options.
        num_examples: number of examples in "train", "validation" and "test".
        missing: number of features that are not stored.
        trained_share: share of the network from the lowest layer on that fine-tuning trains; see `share_above`.
    """
    epochs, held_out = config.finetune.epochs, num_examples["validation"]
    first = float(missing > 0)
    if not epochs:
        return Work(missing, first, first)
    changes = bool(config.finetune.mixup or config.finetune.cutmix)
    views = config.features.views or int(config.data.augmentation == "none")
    once = bool(views) and not changes and epochs > 1  # the part below runs once per image, as `finetune` decides
    below = 1 - trained_share
    step, validation = below + (1 + BACKWARD) * trained_share, 1.0
    if once:
        step, validation = step - below, 1 - below
    passes = missing + epochs * (num_examples["train"] * step + held_out * validation)
    passes += (views * num_examples["train"] + held_out) * below * once
    passes += held_out + num_examples["test"]  # the result is evaluated
    # The graphs of training, of its validation and of the evaluation; the splits of each epoch and of the evaluation.
    return Work(passes, first + (1 + BACKWARD) + 2, first + 2 * epochs + 2)
