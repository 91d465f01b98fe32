"""The training contract: the promises of a phase of training, checked on the model after the phase.

Every check computes its result from the settings and the model, not from the records of the training code. Frozen
weights are compared bit by bit, the penalty is summed in NumPy, and learning rates are measured from a real step.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from tfl.backbones.stages import find_stages
from tfl.errors import ContractError
from tfl.inputs import input_of
from tfl.models.regularization import Penalty, is_kernel, kernels
from tfl.training.contract.measure import Update, first_gradients, measure_updates

_MOST_NAMES = 5
_PENALTY_TOLERANCE = 1e-4  # relative, for float32 sums against float64 sums
_RATIO_TOLERANCE = 0.02  # relative
_AGREEMENT = 1e-2  # relative; float16 keeps three digits
_STATISTICS = ("moving_mean", "moving_variance", "moving_stddev", "renorm_mean", "renorm_stddev")


class Contract:
    """The promises of one phase, recorded before it and verified after it.

    Create the contract directly after freezing, `regularize` and `compile`. The phase then promises to keep the frozen
    weights, the penalty and the learning-rate multipliers of that moment.

    Example:
        >>> tfl.compile(model)
        >>> promise = Contract.before(model, phase="finetune")
        >>> history = tfl.fit(model, images, labels, epochs=2)
        >>> record = promise.verify(history)
    """

    def __init__(self, model: keras.Model, phase: str) -> None:
        self.model, self.phase = model, phase
        self.values = [(v, v.numpy()) for v in model.variables if v.name != "seed_generator_state"]
        self.trainable = [variable.path for variable in model.trainable_variables]
        self.norms = {layer: layer.trainable for layer in model._flatten_layers() if _has_statistics(layer)}
        self.penalty: Penalty = getattr(model, "penalty_request", Penalty())
        plan = getattr(model, "_tfl_plan", None)
        self.layer_decay = plan.layer_decay if plan is not None else 1.0
        self.optimizer = getattr(model, "optimizer", None)
        self.iterations = int(self.optimizer.iterations.numpy()) if self.optimizer is not None else 0

    @classmethod
    def before(cls, model: keras.Model, phase: str = "training") -> "Contract":
        """Record the state and the settings of `model` before a phase.

        Args:
            model: the model after freezing, `regularize` and `compile`. A copy of its weights is kept in memory.
            phase: name of the phase, for messages.
        """
        return cls(model, phase)

    def verify(
        self,
        history: keras.callbacks.History | None = None,
        *,
        steps: int | None = None,
        penalty: Penalty | None = None,
    ) -> dict[str, Any]:
        """Check every promise.

        Args:
            history: return value of `tfl.fit`; None if the phase did not use it.
            steps: expected number of steps, including the skipped ones; None accepts the number in `history`.
            penalty: the penalty, if it became known only during the phase, such as a chosen λ.

        Returns:
            The measurements, ready for JSON.

        Raises:
            ContractError: a promise is broken; the message names all broken promises.
        """
        broken: list[str] = []
        record: dict[str, Any] = {"phase": self.phase}
        self.penalty = penalty or self.penalty
        record |= self._check_trainable_set(broken)
        record |= self._check_frozen(broken)
        record |= self._check_penalty(broken)
        applied = None
        if history is not None:
            record |= self._check_steps(broken, history, steps)
            applied = record["steps"] - record["skipped_steps"]
        is_start = history is not None and _ends_at_start(history, applied)
        record |= self._check_statistics(broken, 0 if is_start else applied)
        updates = self._measure(broken) if history is not None else None
        record |= self._check_trained(broken, updates, may_be_as_before=is_start)
        if updates is not None:
            record |= self._check_learning_rates(broken, updates)
        if broken:
            raise ContractError(f"The training contract of phase '{self.phase}' is broken: " + "; ".join(broken) + ".")
        return record

    def _check_trainable_set(self, broken: list[str]) -> dict[str, Any]:
        now = [variable.path for variable in self.model.trainable_variables]
        _complain(
            broken, "was frozen when the phase began and is trainable now", sorted(set(now) - set(self.trainable))
        )
        _complain(
            broken, "was trainable when the phase began and is frozen now", sorted(set(self.trainable) - set(now))
        )
        return {"trainable_variables": len(self.trainable)}

    def _check_frozen(self, broken: list[str]) -> dict[str, Any]:
        moving = {id(v) for layer, trains in self.norms.items() if trains for v in _statistics(layer)}
        frozen = [(v, old) for v, old in self.values if v.path not in set(self.trainable) and id(v) not in moving]
        changed = [v.path for v, old in frozen if not _same_bits(v.numpy(), old)]
        weights = [path for path in changed if path.rpartition("/")[2] not in _STATISTICS]
        _complain(broken, "is frozen but changed", weights)
        _complain(broken, "is a statistic of a frozen BatchNorm but changed", sorted(set(changed) - set(weights)))
        return {"frozen_variables": len(frozen), "frozen_changed": len(changed)}

    def _check_statistics(self, broken: list[str], applied: int | None) -> dict[str, Any]:
        training = [layer for layer, trains in self.norms.items() if trains]
        old = {id(v): value for v, value in self.values}
        still = [layer.name for layer in training if all(_same_bits(v.numpy(), old[id(v)]) for v in _statistics(layer))]
        if applied:
            _complain(broken, "is a trained BatchNorm, but its statistics did not change", still)
        return {"batch_norm_frozen": len(self.norms) - len(training), "batch_norm_trained": len(training)}

    def _check_penalty(self, broken: list[str]) -> dict[str, Any]:
        start = {id(v): value for v, value in self.values}
        asked: dict[int, float] = {}
        strengths = [0.0]
        for variable, in_head in kernels(self.model):
            if variable.path in self.trainable:
                strengths.append(self.penalty.head_l2 if in_head else self.penalty.l2 + self.penalty.l2_sp)
                value = variable.numpy().astype(np.float64)
                distance = float(np.sum((value - start[id(variable)]) ** 2))
                square = float(np.sum(value**2))
                pulls = (
                    (self.penalty.head_l2 * square,)
                    if in_head
                    else (
                        self.penalty.l2 * square,
                        self.penalty.l2_sp * distance,
                    )
                )
                asked[id(variable)] = sum(pulls)
        total = measured = 0.0
        wrong, stray = [], []
        for variable in self.model.variables:
            pull = float(variable.regularizer(variable.value)) if variable.regularizer is not None else 0.0
            expected = asked.get(id(variable), 0.0)
            total, measured = total + expected, measured + (pull if variable.trainable else 0.0)
            if not np.isclose(pull, expected, rtol=_PENALTY_TOLERANCE, atol=1e-12):
                wrong.append(f"{variable.path} ({pull:.6g} instead of {expected:.6g})")
            elif variable.regularizer is not None and not (is_kernel(variable) and variable.trainable):
                stray.append(variable.path)
        _complain(broken, "does not have the penalty that was set", wrong)
        _complain(broken, "has a penalty but is not a trained kernel", stray)
        # A solved kernel can be zero if the features carry no information, so check the strengths and not the sums.
        if self.penalty.head_l2 + self.penalty.l2 > 0 and asked and not any(strengths):
            broken.append("a penalty was set, but no trained variable has one")
        return {"penalty": measured, "penalty_expected": total}

    def _check_steps(self, broken: list[str], history: Any, steps: int | None) -> dict[str, Any]:
        done, skipped = int(history.steps), int(sum(history.history.get("skipped_steps", [])))
        base = self.iterations if self.model.optimizer is self.optimizer else 0
        applied = int(self.model.optimizer.iterations.numpy()) - base
        if applied != done - skipped:
            broken.append(f"{applied} steps changed the weights, but {done} were made and {skipped} of them skipped")
        if steps is not None and done != steps:
            broken.append(f"{done} steps were made instead of {steps}")
        if done and skipped == done:
            broken.append("every step was skipped, because no loss or no gradient was finite")
        known = [id(v) for v in self.model.optimizer._trainable_variables]
        missing = [v.path for v in self.model.trainable_variables if id(v) not in known]
        _complain(broken, "is trainable, but the optimizer does not know it", missing)
        return {"steps": done, "skipped_steps": skipped}

    def _measure(self, broken: list[str]) -> list[Update] | None:
        cached = getattr(self.model, "_tfl_trainer", None)
        if cached is None:
            broken.append("tfl.fit has not trained this model, so its step cannot be measured")
            return None
        if any(not np.isfinite(v.numpy()).all() for v in self.model.variables if "float" in str(v.dtype)):
            return None  # `_check_trained` reports it; a step from such values measures nothing
        if [v.path for v in cached.trainer.variables] != self.trainable:
            broken.append("the last step trained other variables than those that are trainable")
            return None
        return measure_updates(cached.trainer)

    def _check_trained(
        self, broken: list[str], updates: list[Update] | None, *, may_be_as_before: bool
    ) -> dict[str, Any]:
        trained = [(v, old) for v, old in self.values if v.path in set(self.trainable)]
        _complain(broken, "is not finite", [v.path for v, _ in self.values if not _finite(v.numpy())])
        same = [v.path for v, old in trained if _same_bits(v.numpy(), old)]
        if trained and len(same) == len(trained):
            if not may_be_as_before:
                broken.append("no trained variable changed")
        elif updates is not None:
            _complain(broken, "should be trained but did not change", self._still_layers(updates, set(same)))
        return {"trained_variables": len(trained) - len(same)}

    def _still_layers(self, updates: Sequence[Update], same: set[str]) -> list[str]:
        """Return the unchanged layers that a step should change, by the measured step and by the first batch."""
        names = _still_layers(updates, same)
        if not names:
            return []
        # A layer can have no gradient on the data (a ReLU that is always 0), but one on the noise of the measurement.
        norms = first_gradients(self.model._tfl_trainer.trainer, {id(v): old for v, old in self.values})
        return [name for name in names if any(n > 0 for path, n in norms.items() if path.rpartition("/")[0] == name)]

    def _check_learning_rates(self, broken: list[str], updates: list[Update]) -> dict[str, Any]:
        groups = self._asked_ratios()
        ratios: dict[str, float | None] = {}
        for name, (paths, asked) in groups.items():
            chosen = [u for u in updates if u.path in paths]
            if not chosen:
                continue
            plain, scaled = (np.concatenate([getattr(u, key) for u in chosen]) for key in ("plain", "scaled"))
            noise = np.linalg.norm([u.rounding for u in chosen]) / max(np.linalg.norm(plain), 1e-300)
            ratios[name] = float(scaled @ plain / (plain @ plain)) if noise < 0.5 else None
            ratio = ratios[name]
            if ratio is not None and abs(ratio - asked) > _RATIO_TOLERANCE * asked + 3 * noise:
                broken.append(f"the learning rate of {name} is {ratio:.4g} times the base instead of {asked:.4g}")
        return {"learning_rate_ratios": ratios}

    def _asked_ratios(self) -> dict[str, tuple[set[str], float]]:
        """Return the paths and the expected ratio of each group of variables, from the stages, not the multipliers."""
        if not isinstance(self.layer_decay, (int, float)):
            return {path: ({path}, self.layer_decay.get(path, 1.0)) for path in self.trainable}
        if self.layer_decay == 1.0:
            return {"all": (set(self.trainable), 1.0)}
        stages = find_stages(self.model)
        groups, seen = {}, set()
        for position, stage in enumerate(stages):
            paths = {weight.path for layer in stage.layers for weight in layer.weights}
            groups[stage.name] = (paths, self.layer_decay ** (len(stages) - position))
            seen |= paths
        groups["head"] = (set(self.trainable) - seen, 1.0)
        return groups


def _ends_at_start(history: Any, applied: int | None) -> bool:
    """Return whether no epoch can be the best one, so that the weights may equal those of the start."""
    losses = history.history.get("val_loss", [])
    return applied == 0 or (bool(losses) and not np.isfinite(losses).any())


def check_evaluation(ids: Sequence[Any] | np.ndarray, expected: Sequence[Any] | np.ndarray) -> dict[str, Any]:
    """Check that an evaluation saw every example exactly once.

    Args:
        ids: ids of the evaluated examples, in any order.
        expected: ids of the examples that the evaluation should contain.

    Returns:
        The results of the check, ready for JSON.

    Raises:
        ContractError: examples are missing, repeated or unknown; the message names them.

    Example:
        >>> check_evaluation(ids=[3, 1, 2], expected=[1, 2, 3])
        {'examples': 3, 'each_once': True}
    """
    ids, expected = np.asarray(ids), np.asarray(expected)
    seen, counts = np.unique(ids, return_counts=True)
    broken: list[str] = []
    _complain(broken, "is missing from the evaluation", [f"example {i}" for i in np.setdiff1d(expected, seen)])
    _complain(broken, "was evaluated more than once", [f"example {i}" for i in seen[counts > 1]])
    _complain(broken, "does not belong to the split", [f"example {i}" for i in np.setdiff1d(seen, expected)])
    if broken:
        raise ContractError("The evaluation contract is broken: " + "; ".join(broken) + ".")
    return {"examples": len(ids), "each_once": True}


def check_agreement(model: keras.Model, batch: Mapping[str, Any], table: Any) -> dict[str, Any]:
    """Check that a model has the same logits as its parts, which ran one after the other on stored activations.

    Args:
        model: the whole model, as it will be saved.
        batch: "input", "label" and "id" of some examples.
        table: `ids` and `logits` from stored activations, and the task, which says what they keep of the outputs.

    Returns:
        The largest difference of a logit, relative to the largest logit if that is above 1.

    Raises:
        ContractError: the difference is larger than rounding and float16 storage can cause.
    """
    rows = np.asarray(table.task.collect(model(input_of(batch), training=False), batch.get("label")))
    position = {int(row): place for place, row in enumerate(table.ids)}
    stored = table.task.steady(table.logits[[position[int(row)] for row in batch["id"]]])
    logits = table.task.steady(rows)
    difference = float(np.abs(logits - stored).max() / max(1.0, np.abs(logits).max()))
    if not difference <= _AGREEMENT:
        raise ContractError(
            f"The evaluation contract is broken: the model's logits differ by {difference:.2g} from those of its parts."
        )
    return {"stored_difference": difference}


def _still_layers(updates: Sequence[Update], same: set[str]) -> list[str]:
    """Return the unchanged layers that a step should change.

    If the gradients of a network vanish, the updates of the lower layers can be smaller than rounding. So a layer
    counts only if a step moves it, in units of rounding, at least as much as the median of the layers that changed.
    """
    layers: dict[str, list[Update]] = {}
    for update in updates:
        layers.setdefault(update.path.rpartition("/")[0], []).append(update)
    moved = {name: max(float(np.linalg.norm(u.plain)) / u.rounding for u in group) for name, group in layers.items()}
    still = [name for name, group in layers.items() if {u.path for u in group} <= same]
    typical = np.median([moved[name] for name in layers if name not in still])
    return [name for name in still if moved[name] >= typical]


def _complain(broken: list[str], what: str, names: Sequence[str]) -> None:
    if names:
        more = f" (and {len(names) - _MOST_NAMES} more)" if len(names) > _MOST_NAMES else ""
        broken.append(f"{', '.join(names[:_MOST_NAMES])}{more} {what}")


def _has_statistics(layer: Any) -> bool:
    return isinstance(layer, keras.layers.BatchNormalization)


def _statistics(layer: Any) -> list[keras.Variable]:
    return [variable for variable in layer.weights if variable.name in _STATISTICS]


def _same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and a.tobytes() == b.tobytes()


def _finite(values: np.ndarray) -> bool:
    return not np.issubdtype(values.dtype, np.floating) or bool(np.isfinite(values).all())
