"""Find the cut points and the stages of a network from its layer graph, without a table written by hand.

A *cut point* is one tensor through which everything passes: the layers below it can run once per image, and the layers
above it can be trained alone. A *stage* is the part of the network at one resolution; it ends at the cut point from
which the next stage starts. A stage of a transformer is a block. Resolution is counted in strides, not in pixels, so
that a network has the same stages at every image size.
"""

import dataclasses
import math
import re
from collections.abc import Iterable
from typing import Any

import keras

HEAD_PREFIX = "head_"
FIXED_PREFIX = "fixed_"  # of the names of layers whose weights are constants, such as filters: they are never trained
ENTRANCES = (HEAD_PREFIX + "pool", HEAD_PREFIX + "features")  # the layers whose output is what a head gets
_EXPANSION = 2.5  # inverted bottlenecks widen 3 to 6 times, an ordinary new stage at most twice


def is_block_end(name: str) -> bool:
    """Return whether a layer ends a block of a transformer, which has one resolution and is cut after each block.

    Example:
        >>> is_block_end("block3_end"), is_block_end("block_16_project")
        (True, False)
    """
    return re.fullmatch(r"block\d+_end", name) is not None


def block_ends(model: keras.Model) -> list[Any]:
    """Return the hidden states after each block of a transformer, `(B, L, W)`, from bottom to top; [] for others.

    A transformer ends in one vector `(B, W)`; a network that ends in a map may have layers of the same names.
    """
    if len(backbone_output(model).shape) != 2:
        return []
    ends = [node for node in _nodes(model) if is_block_end(node.operation.name)]
    return [node.outputs[0] for node in ends if len(node.outputs[0].shape) == 3]


@dataclasses.dataclass(frozen=True)
class CutPoint:
    """A tensor through which everything passes.

    Attributes:
        name: of the layer or operation that outputs it.
        tensor: the symbolic tensor (B, h, w, C).
        resolution: h, in pixels.
        channels: C.
    """

    name: str
    tensor: Any
    resolution: int
    channels: int


@dataclasses.dataclass(frozen=True)
class Stage:
    """A sequence of layers from one cut point to the next.

    Attributes:
        name: "stage1" at the bottom, and so on.
        layers: from bottom to top; all stages together hold each layer of the backbone exactly once.
        cut: the point where the stage ends.
        resolution: of that point, in pixels.
    """

    name: str
    layers: tuple[keras.layers.Layer, ...]
    cut: CutPoint
    resolution: int


def backbone_output(model: keras.Model) -> Any:
    """Return the output tensor of the last layer that does not belong to the head.

    Args:
        model: a backbone, or a functional classifier whose head layers' names start with `HEAD_PREFIX`.
    """
    return _backbone_nodes(model)[-1].outputs[0]


def backbone_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """Return the layers below the head, from bottom to top, with the input layer.

    Args:
        model: as for `backbone_output`.
    """
    return _layers(_backbone_nodes(model))


def head_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """Return the layers of the head, from bottom to top; an empty list for a backbone without head.

    Args:
        model: as for `backbone_output`.
    """
    return _layers(node for node in _nodes(model) if _is_head(node))


def find_cut_points(model: keras.Model) -> list[CutPoint]:
    """Return the points where the backbone narrows to one tensor, from bottom to top.

    The last cut point is the output of the backbone. The input itself is not a cut point.

    Args:
        model: as for `backbone_output`.

    Example:
        >>> [cut.name for cut in find_cut_points(tfl.build_backbone("VGG16", weights="none"))][-2:]
        ['block5_conv3', 'block5_pool']
    """
    nodes = _backbone_nodes(model)
    return [_cut_point(nodes[position]) for position in _cut_positions(nodes) if position > 0]


def find_crossings(model: keras.Model) -> list[CutPoint]:
    """Return the points whose tensor is all that the layers above them need, also the layers of the head.

    The head of a classifier only needs the output of the backbone, so these are all cut points, and the pooled
    features. A head on the maps of several stages needs them all: then no cut point above the lowest of these stages
    is a crossing, but the maps side by side are one.

    Args:
        model: as for `backbone_output`.
    """
    nodes, inside = _nodes(model), set(map(id, _backbone_nodes(model)))
    found = [nodes[position] for position in _cut_positions(nodes) if position > 0]
    return [_cut_point(node) for node in found if id(node) in inside or node.operation.name in ENTRANCES]


def find_stages(model: keras.Model) -> list[Stage]:
    """Return the stages of the backbone, from bottom to top.

    A stage ends before the resolution halves, at the last narrow point of the network. Layers between that point and
    the halving (the expansion of an inverted bottleneck, padding) start the next stage. If a network has no cut point
    at a resolution (NASNet), two stages become one.

    Args:
        model: as for `backbone_output`.

    Returns:
        At least one stage; all stages together hold every layer of the backbone exactly once.

    Example:
        >>> [stage.cut.name for stage in find_stages(tfl.build_backbone("ResNet50", weights="none"))]
        ['conv1_relu', 'conv2_block3_out', 'conv3_block4_out', 'conv4_block6_out', 'conv5_block3_out']
    """
    nodes = _backbone_nodes(model)
    stages, start = [], 0
    for end in [*_stage_ends(nodes), len(nodes) - 1]:
        cut = _cut_point(nodes[end])
        stages.append(Stage(f"stage{len(stages) + 1}", tuple(_layers(nodes[start : end + 1])), cut, cut.resolution))
        start = end + 1
    return stages


def find_maps(model: keras.Model) -> list[CutPoint]:
    """Return the narrowest point of each stage, from bottom to top, whose activations say where something is.

    They are the ends of the stages. But the last stage may end with a wide layer that only prepares the pooling, as the
    1,280 channels of MobileNetV2: then it is the point before that layer.

    Args:
        model: as for `backbone_output`.

    Example:
        >>> [point.channels for point in find_maps(tfl.build_backbone("MobileNetV2", weights="none"))]
        [16, 24, 32, 96, 320]
    """
    nodes = _backbone_nodes(model)
    ends = _stage_ends(nodes)
    inside = [position for position in _cut_positions(nodes) if position > (ends[-1] if ends else 0)]
    last = _narrowest(nodes, inside[len(inside) // 2 :]) if inside else len(nodes) - 1
    return [_cut_point(nodes[position]) for position in [*ends, last]]


def _nodes(model: keras.Model) -> list[Any]:
    """Return the nodes (layer calls) of the graph; each node comes after the nodes that it depends on."""
    if not isinstance(model, keras.Model) or not hasattr(model, "_nodes_by_depth"):
        raise TypeError(f"`model` must be a functional keras.Model. Received: model={model!r}.")
    depths = sorted(model._nodes_by_depth, reverse=True)
    return [node for depth in depths for node in model._nodes_by_depth[depth]]


def _is_head(node: Any) -> bool:
    return isinstance(node.operation, keras.layers.Layer) and node.operation.name.startswith(HEAD_PREFIX)


def _backbone_nodes(model: keras.Model) -> list[Any]:
    """Return the last layer that is not in the head, and all nodes that it needs; the others belong to the head."""
    nodes = _nodes(model)
    if not any(map(_is_head, nodes)):
        return nodes
    body = [isinstance(node.operation, keras.layers.Layer) and not _is_head(node) for node in nodes]
    needed, kept = set(), []
    for node in nodes[len(body) - 1 - body[::-1].index(True) :: -1]:
        if not kept or needed & set(map(id, node.outputs)):
            kept.append(node)
            needed |= set(map(id, node.input_tensors))
    return kept[::-1]


def _layers(nodes: Iterable[Any]) -> list[keras.layers.Layer]:
    operations = dict.fromkeys(node.operation for node in nodes)  # a shared layer has several nodes
    return [operation for operation in operations if isinstance(operation, keras.layers.Layer)]


def _cut_point(node: Any) -> CutPoint:
    tensor = node.outputs[0]
    return CutPoint(node.operation.name, tensor, int(tensor.shape[1] or 0), int(tensor.shape[-1]))


def _cut_positions(nodes: list[Any]) -> list[int]:
    """Return the positions of the nodes after which only their own output is still needed.

    Every node can be reached from the input and leads to the output. So every node is either above or below such a
    tensor, and any topological order has the nodes below it first.
    """
    last_use = {id(tensor): position for position, node in enumerate(nodes) for tensor in node.input_tensors}
    positions, needed = [], 0  # `needed`: last position that uses an earlier tensor; the newest tensor does not count
    for position, node in enumerate(nodes):
        if needed <= position and len(node.outputs) == 1:
            positions.append(position)
        needed = max([needed, *(last_use.get(id(tensor), position) for tensor in node.outputs)])
    return positions


def _strides(nodes: list[Any]) -> list[int]:
    """Return the total stride of every node: the image size divided by the size of its output."""
    stride_of: dict[int, int] = {}
    strides = []
    for node in nodes:
        stride = max((stride_of.get(id(tensor), 1) for tensor in node.input_tensors), default=1)
        stride *= _stride(node.operation)
        stride_of.update((id(tensor), stride) for tensor in node.outputs)
        strides.append(stride)
    return strides


def _stride(operation: Any) -> int:
    stride = 1
    for inner in getattr(operation, "layers", [operation]):  # a nested block counts as one layer
        own = getattr(inner, "strides", 1)
        stride *= max(own) if isinstance(own, (tuple, list)) else own
    return stride


def _stage_ends(nodes: list[Any]) -> list[int]:
    """Return the positions at which all stages but the last end."""
    cuts = _cut_positions(nodes)
    blocks = [position for position in cuts if is_block_end(nodes[position].operation.name)]
    if blocks:
        return blocks[:-1]
    strides = _strides(nodes)
    kernels = [position for position, node in enumerate(nodes) if _has_kernel(node.operation)]
    ends = []
    for stride in sorted(set(strides)):
        inside = [position for position in cuts if strides[position] == stride]
        trained = [position for position in kernels if strides[position] == stride]
        if inside and trained and max(kernels) > inside[-1]:  # a stage must have weights to train
            middle = (trained[0] + inside[-1]) // 2
            ends.append(_narrowest(nodes, [position for position in inside if position >= middle]))
    return ends


def _has_kernel(operation: Any) -> bool:
    return any(len(weight.shape) > 1 for weight in getattr(operation, "weights", []))


def _narrowest(nodes: list[Any], positions: list[int]) -> int:
    """Return the last position at which the network is narrow.

    Start at the highest position. Go down past padding and past the expansion of an inverted bottleneck, but not
    past an ordinary block that has more channels than the block below it.
    """
    best = positions[-1]
    for below, above in zip(positions[-2::-1], positions[:0:-1], strict=True):
        if _size(nodes[below]) > _size(nodes[above]):
            break
        channels, best_channels = (nodes[position].outputs[0].shape[-1] for position in (below, best))
        unpadded = channels == best_channels and _size(nodes[below]) < _size(nodes[best])
        if unpadded or channels * _EXPANSION <= best_channels:
            best = below
    return best


def _size(node: Any) -> int:
    return math.prod(side or 1 for side in node.outputs[0].shape[1:])
