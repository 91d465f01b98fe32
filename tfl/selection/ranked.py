"""What a ranking of pretrained networks found: an entry for each network, and the rounds that ran."""

import dataclasses

from tfl.backbones.entries import label_of
from tfl.config import BackboneConfig


@dataclasses.dataclass(frozen=True)
class RankedBackbone:
    """What was measured of one network; nothing of it is from the test split.

    Attributes:
        name: of the network.
        alpha: its width multiplier.
        weights: "imagenet", "none", a weights file or a workdir.
        metric: the headline of the task on held-out folds: accuracy, or the mean absolute error.
        low: lower end of its 95 % interval.
        high: upper end.
        loss: of the same predictions.
        neighbours: accuracy of the ten nearest neighbours on held-out folds; NaN for values.
        log_evidence: LogME of the features.
        h_score: NaN for values, as n_leep.
        n_leep: see `tfl.selection`.
        leep: LEEP by the classes that the network was pre-trained on; NaN if its file has no classifier of them.
        imagenet: the published accuracy on ImageNet; NaN without published weights.
        parameters: of the network without its top.
        milliseconds: of the frozen network for one example.
        gflops: billions of floating-point operations for one example: two for each multiplication of a kernel.
        megabytes: of the weights and of the activations of a batch of 32 that are held at once, counted in float32.
        examples: number of examples of its last round.
        is_on_front: no other network is better in no more time, or faster and as good.
    """

    name: str
    alpha: float
    weights: str
    metric: float
    low: float
    high: float
    loss: float
    neighbours: float
    log_evidence: float
    h_score: float
    n_leep: float
    leep: float
    imagenet: float
    parameters: int
    milliseconds: float
    gflops: float
    megabytes: float
    examples: int
    is_on_front: bool = True

    @property
    def label(self) -> str:
        """Its name with the width multiplier, as `tfl rank` takes it."""
        return label_of(BackboneConfig(self.name, self.alpha, self.weights))


@dataclasses.dataclass(frozen=True)
class Round:
    """One round of a ranking: all networks that were still in it, on the same examples.

    Attributes:
        examples: number of train and validation examples.
        order: the networks, best first.
        left_out: those of them that are surely worse than the first one, and have no further round.
    """

    examples: int
    order: tuple[str, ...]
    left_out: tuple[str, ...]
