"""Choose which layers of a classifier are trained, by stages, names, a pattern or a fraction, and show a table of them.

Layers are frozen, never single variables: if only the variables of a BatchNormalization layer are frozen, the layer
still updates its statistics, and every batch changes the features of the "frozen" network.
"""

import dataclasses
import math
import re
from collections.abc import Collection, Sequence
from typing import Any

import keras

from tfl.backbones.stages import FIXED_PREFIX, Stage, backbone_layers, find_stages, head_layers
from tfl.config import BATCH_NORMS
from tfl.errors import InputError
from tfl.notebook import html_table
from tfl.registry import did_you_mean, resolve

LayerSelection = int | float | str | re.Pattern[str]


_HEADER = ("stage", "layers", "number", "parameters", "trainable", "batch norm")


@dataclasses.dataclass(frozen=True)
class FreezeRow:
    """One row of `FreezeTable`: a stage, or the head."""

    stage: str
    layers: str  # "first .. last"
    num_layers: int
    parameters: int
    trainable: int  # parameters that the optimizer may change
    batch_norm: str  # inference, train, mixed, or - if there is none


@dataclasses.dataclass(frozen=True)
class FreezeTable:
    """The trained part of a model, stage by stage; `str()` returns an aligned table for the screen."""

    rows: tuple[FreezeRow, ...]

    @property
    def parameters(self) -> int:
        """The number of parameters of the model."""
        return sum(row.parameters for row in self.rows)

    @property
    def trainable(self) -> int:
        """The number of parameters that are trained."""
        return sum(row.trainable for row in self.rows)

    def __str__(self) -> str:
        lines = [_HEADER, *(tuple(map(_with_commas, cells)) for cells in self._cells())]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(
                cell.rjust(width) if 2 <= column <= 4 else cell.ljust(width)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        )

    def __repr__(self) -> str:
        trained = ", ".join(row.stage for row in self.rows if row.trainable) or "nothing"
        return f"FreezeTable(trains {trained}: {self.trainable:,} of {self.parameters:,} parameters)"

    def _repr_html_(self) -> str:
        return html_table(_HEADER, self._cells())

    def _cells(self) -> list[tuple[str | int, ...]]:
        total = sum(row.num_layers for row in self.rows)
        return [
            *(dataclasses.astuple(row) for row in self.rows),
            ("total", "", total, self.parameters, self.trainable, ""),
        ]


def _with_commas(cell: str | int) -> str:
    return f"{cell:,}" if isinstance(cell, int) else cell


def freeze(model: keras.Model, what: LayerSelection = "all", *, batch_norm: str = "frozen") -> FreezeTable:
    """Freeze part of the backbone, and make the rest trainable; the head always stays trainable.

    Each call sets the whole state: earlier calls have no effect. The next `tfl.fit` of a compiled model uses the
    new state. With Keras' own `fit` you must call `compile` again: its optimizer fails ("Unknown variable") for
    weights that became trainable after it was built.

    Args:
        model: a backbone, or a functional classifier whose head layers' names start with "head_".
        what: part to freeze: "all"; a number of stages from the bottom; a stage or layer name (all layers up to this
            one, and this one too); a fraction in (0, 1) of the backbone's layers, from the bottom; a regular
            expression that is searched for in layer names (compiled, or as "re:PATTERN"). Numbers may be strings, as
            flags give them.
        batch_norm: mode of BatchNormalization in the trainable part: "frozen" keeps these layers in inference mode
            (with gamma and beta frozen too), "train" trains them and updates their statistics.

    Returns:
        The table of the trained layers; `print` shows it, and a notebook shows it as a table.

    Raises:
        InputError: `what` names nothing of this backbone, is out of range, or reaches no trainable weight.

    Example:
        >>> table = freeze(model, 3)  # stages 1 to 3 stay as they are
    """
    batch_norm = resolve(batch_norm, BATCH_NORMS, "batch_norm")
    frozen = select_layers(model, what, from_top=False)
    return train_only(model, {layer.name for layer in backbone_layers(model)} - frozen, batch_norm)


def unfreeze(model: keras.Model, what: LayerSelection = "all", *, batch_norm: str = "frozen") -> FreezeTable:
    """Make part of the backbone trainable, and freeze the rest; the head always stays trainable.

    Args:
        model: as for `freeze`.
        what: part to train: "all"; a number of stages from the top, 0 for the head alone; a stage or layer name
            (this one and all layers above it); a fraction in (0, 1) of the backbone's layers, from the top; a regular
            expression as for `freeze`.
        batch_norm: as for `freeze`.

    Returns:
        The table of the trained layers; `print` shows it, and a notebook shows it as a table.

    Raises:
        InputError: `what` names nothing of this backbone, is out of range, or reaches no trainable weight.

    Example:
        >>> table = unfreeze(model, "1")  # the topmost stage and the head
    """
    batch_norm = resolve(batch_norm, BATCH_NORMS, "batch_norm")
    chosen = select_layers(model, what, from_top=True, batch_norm=batch_norm)
    return train_only(model, chosen, batch_norm)


def learning_rate_multipliers(model: keras.Model, layer_decay: float) -> dict[str, float]:
    """Return a multiplier for the update of each weight, so that the learning rate falls towards the input.

    The head has multiplier 1, the top stage `layer_decay`, the stage below it `layer_decay`², and so on: a stage
    learns `layer_decay` times as fast as the stage above it.

    Args:
        model: as for `freeze`.
        layer_decay: in (0, 1]; 1: the same rate everywhere.

    Returns:
        `variable.path` -> multiplier, for all weights, including frozen weights.

    Reference:
        Bao et al. 2021, BEiT, arXiv:2106.08254 (there by transformer block).
    """
    multipliers = {weight.path: 1.0 for weight in model.weights}
    for depth, stage in enumerate(reversed(find_stages(model)), start=1):
        multipliers.update((weight.path, layer_decay**depth) for layer in stage.layers for weight in layer.weights)
    return multipliers


def trained_by_stage(model: keras.Model) -> dict[str, list[keras.Variable]]:
    """Return the trainable weights of each stage and of the head, from bottom to top; leave out frozen stages."""
    parts = {stage.name: list(stage.layers) for stage in find_stages(model)} | {"head": head_layers(model)}
    by_part = {name: [w for layer in layers for w in layer.trainable_weights] for name, layers in parts.items()}
    return {name: weights for name, weights in by_part.items() if weights}


def describe_freezing(model: keras.Model) -> FreezeTable:
    """Return the table of trained layers that `freeze` and `unfreeze` return, without changing the model.

    Args:
        model: as for `freeze`.
    """
    rows = [_row(stage.name, stage.layers) for stage in find_stages(model)]
    head = head_layers(model)
    return FreezeTable((*rows, _row("head", head)) if head else tuple(rows))


def select_layers(model: keras.Model, what: LayerSelection, *, from_top: bool, batch_norm: str = "train") -> set[str]:
    """Return the names of the backbone layers that `what` selects, without changing the model.

    Args:
        model: as for `freeze`.
        what: as for `unfreeze` if `from_top` is true, else as for `freeze`.
        from_top: whether numbers, names and fractions count from the top of the backbone.
        batch_norm: "frozen": the weights of BatchNormalization do not count, because they are not trained.

    Raises:
        InputError: `what` names nothing of this backbone, is out of range, or reaches only layers without
            trainable weights (for example activations), so that it would change nothing.
    """
    parsed = _parse(what)
    chosen = _named_by(parsed, backbone_layers(model), find_stages(model), from_top=from_top)
    if chosen and not any(_can_train(model.get_layer(name), batch_norm) for name in chosen):
        but = " other than BatchNormalization (batch_norm='frozen')" if batch_norm == "frozen" else ""
        raise InputError(
            f"`what` must reach a layer with trainable weights{but}. Received: what={_written(parsed)!r}, which "
            f"reaches only {len(chosen)} layers without such weights. "
            f"Did you mean '1', the {'top' if from_top else 'lowest'} stage?"
        )
    return chosen


def _can_train(layer: Any, batch_norm: str) -> bool:
    """Return whether an optimizer could change weights of a layer, whether or not the layer is frozen now."""
    if layer.name.startswith(FIXED_PREFIX):
        return False
    counted = (leaf for leaf in _leaves(layer) if not (batch_norm == "frozen" and _is_batch_norm(leaf)))
    return any(leaf._trainable_variables for leaf in counted)  # `trainable_weights` is empty while it is frozen


def _is_batch_norm(layer: Any) -> bool:
    return isinstance(layer, keras.layers.BatchNormalization)


def _written(what: LayerSelection) -> float | str:
    """Return `what` in the form that a flag has."""
    return f"re:{what.pattern}" if isinstance(what, re.Pattern) else what


def _named_by(what: LayerSelection, layers: Sequence[Any], stages: Sequence[Stage], *, from_top: bool) -> set[str]:
    if isinstance(what, re.Pattern):
        names = {layer.name for layer in layers if what.search(layer.name)}
        if not names:
            hint = did_you_mean(what.pattern, [layer.name for layer in layers])
            raise InputError(f"`what` must match the name of a layer. Received: what={_written(what)!r}.{hint}")
        return names
    if isinstance(what, int):
        if not 0 <= what <= len(stages):
            raise InputError(
                f"`what` must be between 0 and {len(stages)}, the number of stages of this backbone. Received: {what}."
            )
        return {
            layer.name
            for stage in (stages[len(stages) - what :] if from_top else stages[:what])
            for layer in stage.layers
        }
    position = _position(what, layers, stages, from_top=from_top)
    return {layer.name for layer in (layers[position:] if from_top else layers[:position])}


def _position(what: float | str, layers: Sequence[Any], stages: Sequence[Stage], *, from_top: bool) -> int:
    """Return the number of layers below the border that `what` names."""
    if isinstance(what, float):
        if not 0 < what < 1:
            raise InputError(f"`what` must be between 0 and 1 if it is a fraction. Received: what={what}.")
        count = max(1, round(what * len(layers)))
        return len(layers) - count if from_top else count
    names, by_stage = [layer.name for layer in layers], {stage.name: stage.layers for stage in stages}
    try:
        name = resolve(str(what), [*by_stage, *names, "all"], "what")
    except InputError as error:
        raise InputError(f"{error} For a pattern write 're:PATTERN'.") from error
    if name == "all":
        return 0 if from_top else len(layers)
    first, last = (by_stage[name][0].name, by_stage[name][-1].name) if name in by_stage else (name, name)
    return names.index(first) if from_top else names.index(last) + 1


def _parse(what: LayerSelection) -> LayerSelection:
    """Turn the string of a flag into a number or a pattern, if it is one."""
    if isinstance(what, bool) or not isinstance(what, (int, float, str, re.Pattern)):
        raise InputError(f"`what` must be a number, a name, a fraction or a regular expression. Received: {what!r}.")
    if not isinstance(what, str):
        return what
    if what.startswith("re:"):
        try:
            return re.compile(what[3:])
        except re.error as error:
            raise InputError(f"`what` must be a valid regular expression. Received: {what!r} ({error}).") from error
    for number in (int, float):
        try:
            return number(what)
        except ValueError:
            continue
    return what


def train_only(model: keras.Model, names: Collection[str], batch_norm: str = "frozen") -> FreezeTable:
    """Make some layers of the backbone and the head trainable, and freeze the rest; show nothing on the screen.

    Args:
        model: as for `freeze`.
        names: of the layers, see `select_layers`; empty for the head alone.
        batch_norm: as for `freeze`.
    """
    model.trainable = True  # a model frozen as a whole overrides its layers
    for layer in backbone_layers(model):
        layer.trainable = layer.name in names and not layer.name.startswith(FIXED_PREFIX)
        for leaf in _leaves(layer):
            if batch_norm == "frozen" and _is_batch_norm(leaf):
                leaf.trainable = False
    # Keras traces these functions once; an old trace would still train the old set of weights.
    model.train_function = model.test_function = model.predict_function = None
    return describe_freezing(model)


def _leaves(layer: Any) -> list[Any]:
    inner = getattr(layer, "layers", None)
    return [leaf for child in inner for leaf in _leaves(child)] if inner else [layer]


def _row(name: str, layers: Sequence[Any]) -> FreezeRow:
    modes = set()
    for leaf in (leaf for layer in layers for leaf in _leaves(layer)):
        if _is_batch_norm(leaf):
            modes.add("train" if leaf.trainable else "inference")
    return FreezeRow(
        stage=name,
        layers=f"{layers[0].name} .. {layers[-1].name}",
        num_layers=len(layers),
        parameters=sum(layer.count_params() for layer in layers),
        trainable=sum(math.prod(weight.shape) for layer in layers for weight in layer.trainable_weights),
        batch_norm="mixed" if len(modes) > 1 else modes.pop() if modes else "-",
    )
