"""What holds for the graph of every network: oracles for stages and cut points."""

import keras

from tfl.backbones.stages import backbone_layers, backbone_output, find_cut_points, find_stages


def names_through_which_all_paths_pass(model: keras.Model) -> set[str]:
    """The definition itself: without this operation nothing leads from the input to the output."""
    consumers = {operation: set() for operation in model.operations}
    for operation in model.operations:
        for node in operation._inbound_nodes[:1]:
            for parent in node.parent_nodes:
                consumers[parent.operation].add(operation)
    first, last = model.operations[0], model.output._keras_history.operation
    cuts = {last.name}
    for removed in model.operations:
        seen, waiting = {removed}, [first] if removed is not first else []
        while waiting:
            operation = waiting.pop()
            if operation not in seen:
                seen.add(operation)
                waiting.extend(consumers[operation])
        if last not in seen and removed is not first:
            cuts.add(removed.name)
    return cuts


def check_partition(model: keras.Model) -> None:
    stages = find_stages(model)
    layers = [layer for stage in stages for layer in stage.layers]
    assert len(layers) == len(set(layers)) and set(layers) == set(model.layers)
    assert layers == backbone_layers(model)
    assert [stage.name for stage in stages] == [f"stage{number + 1}" for number in range(len(stages))]
    assert all(any(len(weight.shape) > 1 for layer in stage.layers for weight in layer.weights) for stage in stages)
    resolutions = [stage.resolution for stage in stages]
    assert resolutions == sorted(resolutions, reverse=True)
    assert stages[-1].cut.tensor is model.output is backbone_output(model)
    names = [cut.name for cut in find_cut_points(model)]
    assert [stage.cut.name for stage in stages] == [name for name in names if name in {s.cut.name for s in stages}]
