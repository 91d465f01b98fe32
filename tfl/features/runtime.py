"""Compile the frozen part of a model into one fast inference function.

A BatchNorm whose statistics do not change is a scale and a shift, which can be folded into the convolution below it.
tfl folds the arrays before it traces the graph. TensorFlow's own optimizer folds constants into ordinary convolutions
only, not into depthwise ones, and needs seconds for networks with many weights. Folding makes MobileNetV2 at 0.35
about twice as fast on two cores, and ResNet50 1.1 to 1.2 times as fast.

OpenVINO, the optional second runtime on a CPU, reads the same graph. It makes MobileNetV2 about 1.2 times as fast
again, and ResNet50 and DenseNet 1.1 times, but it is half as fast for EfficientNet, so it has to be timed. ONNX
Runtime was never the fastest of the three. XLA and bfloat16 on a GPU are not used, because they were not measured.
"""

import functools
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfl.config import RUNTIMES
from tfl.errors import InputError
from tfl.features.installed import check_runtime, has_openvino
from tfl.progress import say
from tfl.registry import resolve

TOLERANCE = 1e-4  # largest allowed difference between two runtimes, relative to the largest feature

_WORTH_TIMING = 5000  # images; with fewer, compiling and timing costs more than the faster runtime saves
_CHECKED = 4  # images on which a runtime must agree with the network; a whole batch would take more than a second
_ROUNDS, _SECONDS = 3, 1.0  # of timing; a slow network stops after the seconds
_KERNELS: dict[type, str] = {  # the layers that a scale and a shift can be folded into, with the name of their kernel
    keras.layers.Conv2D: "kernel",
    keras.layers.DepthwiseConv2D: "kernel",
    keras.layers.SeparableConv2D: "pointwise_kernel",
}


class Forward:
    """The compiled frozen part of a model, which runs on batches of images.

    Every batch runs at the same size. A short batch is filled with zeros (black images), whose features are then
    removed. So the features of an image do not depend on the number of other images in the batch.

    Attributes:
        name: name of the runtime, "tensorflow" or "openvino".
        input_shape: (batch size, S, S, 3) of the images that run together.
        dtype: of the images, uint8; another kind of example may have another type.
        examples: the name of several examples, for messages.
    """

    def __init__(
        self,
        name: str,
        run: Callable[[np.ndarray], np.ndarray],
        input_shape: Sequence[int],
        dtype: Any = np.uint8,
        examples: str = "images",
    ) -> None:
        self.name, self.dtype, self.examples = name, np.dtype(dtype), examples
        self.input_shape = tuple(input_shape)
        self._run = run

    def __call__(self, images: Any) -> np.ndarray:
        """Return the features of some images.

        Args:
            images: RGB `(n, S, S, 3)` uint8, array or tensor, with 1 <= n <= batch_size.

        Returns:
            `(n, ...)` float32, a new array.

        Raises:
            InputError: the images do not have the type, shape or number that the function was compiled for.
        """
        images = np.asarray(images)
        batch_size, *size = self.input_shape
        if images.dtype != self.dtype or list(images.shape[1:]) != size or not 0 < len(images) <= batch_size:
            raise InputError(
                f"`images` must be 1 to {batch_size} {self.dtype} {self.examples} of shape {tuple(size)}. "
                f"Received: {images.dtype} of shape {images.shape}."
            )
        missing = batch_size - len(images)
        whole = np.concatenate([images, np.zeros((missing, *size), self.dtype)]) if missing else images
        return self._run(np.ascontiguousarray(whole))[: len(images)]


def make_forward(
    extractor: keras.Model,
    runtime: str = "auto",
    *,
    batch_size: int,
    sample: np.ndarray | None = None,
    num_images: int | None = None,
    examples: str = "images",
) -> Forward:
    """Compile the frozen part of a model into one inference function.

    The weights are copied, so later changes of `extractor` do not affect the function. The features equal those of
    the original model up to rounding (1e-5 of their scale; another runtime is used only if it is within `TOLERANCE`).

    Args:
        extractor: functional model from uint8 or float images `(B, S, S, 3)` to features `(B, ...)`.
        runtime: "tensorflow"; "openvino" (CPU, in the extra `fast-cpu`); or "auto", which times the installed runtimes
            and takes the fastest. If OpenVINO cannot run a network, TensorFlow runs it, and a message says why.
        batch_size: images per call, at least 1; the function is compiled for this number only.
        sample: some real images, `(n, S, S, 3)` uint8 with 1 <= n <= batch_size, for comparing and timing the
            runtimes; None uses noise.
        num_images: number of images to run. Below 5,000 "auto" means TensorFlow, because timing would cost more than
            a faster runtime saves. None means many.
        examples: the name of several examples, for messages.

    Returns:
        The compiled function.

    Raises:
        InputError: the runtime is unknown or not installed, the batch size is below 1, or the model has no fixed
            image size.

    Example:
        >>> forward = make_forward(lower, batch_size=32)
        >>> len(forward(images)) == len(images) <= 32
        True
    """
    name = resolve(runtime, RUNTIMES, "features.runtime")
    check_runtime(name)
    if batch_size < 1:
        raise InputError(f"`batch_size` must be at least 1. Received: batch_size={batch_size}.")
    input_shape = (batch_size, *extractor.input.shape[1:])
    if None in input_shape:
        raise InputError(
            f"`extractor` must take {examples} of one size. Received: an input of shape {input_shape[1:]}."
        )
    dtype = np.uint8 if sample is None else sample.dtype
    graph = _trace(extractor, input_shape, dtype)
    plain = Forward("tensorflow", lambda images: graph(tf.constant(images)).numpy(), input_shape, dtype, examples)
    is_worth_timing = (num_images is None or num_images >= _WORTH_TIMING) and not tf.config.list_physical_devices("GPU")
    if name == "tensorflow" or not has_openvino() or (name == "auto" and not is_worth_timing):
        return plain
    if sample is None:
        sample = np.random.default_rng(0).integers(0, 256, input_shape, np.uint8)
    other = _try_openvino(graph, extractor, plain, sample[:_CHECKED])
    if other is None or name == "openvino":
        return other or plain
    return _fastest(plain, other, sample)


def _trace(extractor: keras.Model, input_shape: Sequence[int], dtype: Any) -> Any:
    """Return the concrete function of `extractor` in inference mode, with norms folded and weights copied."""
    values, biases = _fold(extractor)
    # The function captures tensors. As constants in the graph, the optimizer would copy and search through them.
    weights = [(variable, tf.constant(value)) for variable, value in values]

    def operation(original: keras.Operation) -> Callable[..., Any]:
        if original in biases:
            return lambda inputs, **_: tf.nn.bias_add(inputs, biases[original])  # ignores the mask that Keras passes
        has_phase = getattr(original, "_call_has_training_arg", False)
        return functools.partial(original, training=False) if has_phase else original

    @functools.partial(tf.function, autograph=False)
    def forward(example: tf.Tensor) -> tf.Tensor:
        inputs = tf.cast(example, extractor.input.dtype)
        with keras.StatelessScope(state_mapping=weights):
            return tf.cast(extractor._run_through_graph([inputs], operation_fn=operation), tf.float32)

    return forward.get_concrete_function(tf.TensorSpec(input_shape, dtype, name="example"))


def _fold(model: keras.Model) -> tuple[list[tuple[keras.Variable, np.ndarray]], dict[keras.Operation, np.ndarray]]:
    """Return the value of every variable after folding, and the bias that replaces each folded norm."""
    values = {id(variable): (variable, variable.numpy()) for variable in model.variables}
    biases: dict[keras.Operation, np.ndarray] = {}
    for convolution, norm in _foldable_pairs(model):
        scale, shift = _scale_and_shift(norm)
        kernel = _kernel(convolution)
        is_depthwise = type(convolution) is keras.layers.DepthwiseConv2D  # (h, w, C, m) gives C m channels
        scaled = kernel.numpy() * (scale.reshape(kernel.shape[2:]) if is_depthwise else scale)
        values[id(kernel)] = (kernel, scaled.astype(np.float32))
        if convolution.use_bias:
            bias = convolution.bias.numpy()
            shift = shift + scale * bias
            values[id(convolution.bias)] = (convolution.bias, np.zeros_like(bias))
        biases[norm] = shift.astype(np.float32)
    return list(values.values()), biases


def _scale_and_shift(norm: Any) -> tuple[np.ndarray, np.ndarray]:
    scale = 1.0 / np.sqrt(norm.moving_variance.numpy().astype(np.float64) + norm.epsilon)
    if norm.scale:
        scale = scale * norm.gamma.numpy()
    shift = -scale * norm.moving_mean.numpy()
    return scale, shift + norm.beta.numpy() if norm.center else shift


def _foldable_pairs(model: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each linear convolution and the BatchNorm after it, if no other layer reads the convolution's output."""
    nodes = [node for nodes in model._nodes_by_depth.values() for node in nodes if not node.is_input]
    uses = Counter(node.operation for node in nodes)
    readers = Counter(id(tensor) for node in nodes for tensor in node.input_tensors)
    for node in nodes:
        norm, convolution = node.operation, node.parent_nodes[0].operation
        is_alone = uses[norm] == uses[convolution] == readers[id(node.input_tensors[0])] == 1
        if is_alone and _is_plain_norm(norm) and _is_plain_convolution(convolution):
            yield convolution, norm


def _is_plain_norm(layer: Any) -> bool:
    is_norm = type(layer) is keras.layers.BatchNormalization
    return is_norm and layer.axis in (-1, 3) and layer.compute_dtype == "float32"


def _is_plain_convolution(layer: Any) -> bool:
    return (
        type(layer) in _KERNELS
        and layer.activation is keras.activations.linear
        and layer.data_format == "channels_last"
        and layer.compute_dtype == "float32"
        and isinstance(_kernel(layer), keras.Variable)  # with LoRA the kernel is a sum
    )


def _kernel(convolution: Any) -> Any:
    return getattr(convolution, _KERNELS[type(convolution)])


def _try_openvino(graph: Any, extractor: keras.Model, plain: Forward, images: np.ndarray) -> Forward | None:
    """Return the OpenVINO function of a graph; None, after a message, if it fails or differs from the network."""
    try:
        forward = Forward("openvino", _compile_openvino(graph), plain.input_shape, images.dtype, plain.examples)
        features = forward(images)
    except (ImportError, RuntimeError) as error:  # OpenVINO raises no other errors
        say(f"runtime: tensorflow, because openvino cannot run this network ({' '.join(str(error).split())[:160]})")
        return None
    expected = keras.ops.convert_to_numpy(extractor(images, training=False)).astype(np.float32)
    scale, difference = np.abs(expected).max(), np.abs(features - expected).max()
    if not difference <= TOLERANCE * scale:  # also refuses NaN
        say(f"runtime: tensorflow, because openvino's features differ by {difference / scale:.1e} of the largest one")
        return None
    return forward


@functools.cache
def _openvino_core() -> Any:
    """Return the one `openvino.Core` of this process, which is never deleted before the process ends.

    OpenVINO gives its own signal stack to the thread that makes a core, and unmaps it with the core. If another thread
    deletes the core, as Python's garbage collector may, the first thread keeps a stack that is no longer there, and
    the next signal, such as that of Ctrl-C, is a segmentation fault.
    """
    import openvino

    return openvino.Core()


def _compile_openvino(graph: Any) -> Callable[[np.ndarray], np.ndarray]:
    # openvino.convert_model can also read functions, but its usage statistics take some seconds.
    core = _openvino_core()
    options = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}  # one batch at a time on all cores
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "frozen.pb"
        file.write_bytes(_freeze(graph.graph).SerializeToString())
        request = core.compile_model(core.read_model(file), "CPU", options).create_infer_request()
    return lambda images: request.infer([images], share_inputs=True)[0]


def _freeze(graph: Any) -> Any:
    """Return the definition of a graph, with its captured tensors as constants."""
    definition = graph.as_graph_def()
    captured = {inner.op.name: outer for outer, inner in graph.captures}
    for node in definition.node:
        if node.name in captured:
            node.op = "Const"
            node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(captured[node.name]))
    return definition


def _fastest(plain: Forward, other: Forward, sample: np.ndarray) -> Forward:
    """Time two functions in turns, report their speed, and return the faster one."""
    seconds = {plain: float("inf"), other: float("inf")}
    start = time.perf_counter()
    for _ in range(_ROUNDS):
        for forward in seconds:
            begin = time.perf_counter()
            forward(sample)
            seconds[forward] = min(seconds[forward], time.perf_counter() - begin)
        if time.perf_counter() - start > _SECONDS:
            break
    first, second = sorted(seconds, key=lambda forward: seconds[forward])
    rates = [plain.input_shape[0] / seconds[forward] for forward in (first, second)]
    say(f"runtime: {first.name}, {rates[0]:.0f} {plain.examples}/s ({second.name} {rates[1]:.0f})")
    return first
