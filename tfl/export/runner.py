"""Run one artefact in a separate process, with the runtime of its format and without tfl.

This file is started as a program. It does not import tfl, and it imports TensorFlow only for the formats that need
it, so its outputs are those that any user of the artefact gets. Its one argument is a JSON file with all paths.
"""

import importlib.metadata
import json
import os
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

try:
    import resource
except ImportError:  # Windows
    resource = None

BATCH = 32  # examples at once, at most
STATUS = Path("/proc/self/status")  # only on Linux
_OF_BYTES = ("serving_bytes", "serving_default")
SECONDS, REPEATS, WARMUPS = 3.0, 50, 2  # limits of timing, for each batch size


class Loaded(NamedTuple):
    """An artefact that is loaded in its runtime.

    Attributes:
        run: the function that runs it, for each kind of input that it takes ("prepared", "bytes").
        metadata: the metadata of the artefact, as parsed JSON.
        labels: every list of class names in it, by its place.
        packages: the packages whose versions are recorded.
    """

    run: dict[str, Callable[[Any], np.ndarray]]
    metadata: dict[str, Any]
    labels: dict[str, list[str]]
    packages: list[str]


def load_saved_model(path: Path) -> Loaded:
    """Load a SavedModel with TensorFlow only."""
    import tensorflow as tf

    loaded: Any = tf.saved_model.load(str(path))
    of_bytes = loaded.signatures["serving_bytes"]
    (of_prepared,) = (loaded.signatures[name] for name in loaded.signatures if name not in _OF_BYTES)
    metadata = json.loads((path / "assets" / "tfl.json").read_text("utf-8"))
    raw_name, prepared_name = _input_of(of_bytes).name, _input_of(of_prepared).name
    blank = tf.zeros((1, *_input_of(of_prepared).shape[1:]), _input_of(of_prepared).dtype)
    names = of_prepared(**{prepared_name: blank})["class_names"].numpy()[0]
    run = {
        "bytes": lambda encoded: of_bytes(**{raw_name: tf.constant(encoded)})["probabilities"].numpy(),
        "prepared": lambda inputs: of_prepared(**{prepared_name: tf.constant(inputs)})["probabilities"].numpy(),
    }
    labels = {"assets/tfl.json": metadata["class_names"], "class_names": [name.decode() for name in names]}
    return Loaded(run, metadata, labels, ["tensorflow"])


def _input_of(signature: Any) -> Any:
    """Return name, shape and type of the one input of a signature."""
    (spec,) = signature.structured_input_signature[1].values()
    return spec


def load_litert(path: Path) -> Loaded:
    """Load a .tflite file with LiteRT only."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=num_cores())
    (input_details,) = interpreter.get_input_details()
    outputs = interpreter.get_signature_runner("serving_default").get_output_details()
    probabilities = outputs["probabilities"]["index"]

    def run(pixels: np.ndarray) -> np.ndarray:
        interpreter.resize_tensor_input(input_details["index"], pixels.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(input_details["index"], pixels)
        interpreter.invoke()
        return interpreter.get_tensor(probabilities)

    with zipfile.ZipFile(path) as archive:
        metadata = json.loads(archive.read("tfl.json"))
        # Not `splitlines`: a class name may have other line breaks.
        lines = archive.read("labels.txt").decode().removesuffix("\n").split("\n")
    return Loaded(
        {"prepared": run}, metadata, {"tfl.json": metadata["class_names"], "labels.txt": lines}, ["ai-edge-litert"]
    )


def load_onnx(path: Path) -> Loaded:
    """Load an .onnx file with ONNX Runtime only."""
    import onnxruntime

    session: Any = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    properties = session.get_modelmeta().custom_metadata_map
    metadata = json.loads(properties["tfl.json"])
    name = session.get_inputs()[0].name
    labels = {"tfl.json": metadata["class_names"], "labels": json.loads(properties["labels"])}
    wanted = ["probabilities"]
    return Loaded(
        {"prepared": lambda inputs: session.run(wanted, {name: inputs})[0]}, metadata, labels, ["onnxruntime"]
    )


def load_keras(path: Path) -> Loaded:
    """Load a .keras file with Keras only; it gives the outputs of the model, not yet probabilities."""
    import keras

    model: Any = keras.saving.load_model(path, compile=False, safe_mode=True)
    with zipfile.ZipFile(path) as archive:
        metadata = json.loads(archive.read("tfl.json"))

    def run(pixels: np.ndarray) -> np.ndarray:
        return model.predict_on_batch(pixels).astype(np.float64)

    return Loaded({"prepared": run}, metadata, {"tfl.json": metadata["class_names"]}, ["keras", "tensorflow"])


def load_own(path: Path, source: str, function: str, packages: list[str]) -> Loaded:
    """Load a folder of a format that the user registered, with the user's own function."""
    names: dict[str, Any] = {}
    exec("from __future__ import annotations\n" + source, names)  # its annotations may name what is not imported here
    metadata = json.loads((path / "tfl.json").read_text("utf-8"))
    run = names[function](path)
    return Loaded(
        {"prepared": lambda inputs: np.asarray(run(inputs))}, metadata, {"tfl.json": metadata["class_names"]}, packages
    )


def num_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def measure(run: Callable[[Any], np.ndarray], images: Any) -> dict[str, float]:
    """Return the median and the 95th percentile of the time of one warm call, in milliseconds."""
    for _ in range(WARMUPS):
        run(images)
    times: list[float] = []
    while len(times) < REPEATS and (len(times) < 3 or sum(times) < SECONDS):
        begin = time.perf_counter()
        run(images)
        times.append(time.perf_counter() - begin)
    return {"median_ms": 1000 * float(np.median(times)), "p95_ms": 1000 * float(np.percentile(times, 95))}


def peak_memory() -> int | None:
    """Return the peak memory of this process, in bytes; None where the system does not tell it (Windows).

    On Linux `ru_maxrss` starts at the memory of the parent process, so /proc/self/status is read first.
    """
    if STATUS.exists():
        lines = dict(line.split(":", 1) for line in STATUS.read_text("utf-8").splitlines())
        return 1024 * int(lines["VmHWM"].split()[0])
    if resource is None:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def batches(folder: Path, kind: str, count: int, size: int) -> Iterator[Any]:
    """Yield the test examples of a folder, a batch at a time: prepared examples, or the bytes of files."""
    pixels = np.load(folder / "pixels.npy", mmap_mode="r")
    for start in range(0, count, size):
        rows = range(start, min(start + size, count))
        if kind == "prepared":
            yield np.ascontiguousarray(pixels[rows.start : rows.stop])
        else:
            yield [(folder / "images" / str(row)).read_bytes() for row in rows]


def main(request: dict[str, Any]) -> None:
    """Load, time and run one artefact; write its probabilities and the measurements."""
    folder, output = Path(request["images"]), Path(request["output"])
    load = {"saved_model": load_saved_model, "litert": load_litert, "onnx": load_onnx, "keras": load_keras}
    path = Path(request["path"])
    if "source" in request:
        loaded = load_own(path, request["source"], request["function"], request["packages"])
    else:
        loaded = load[request["format"]](path)
    names = {"prepared": request["prepared"], "bytes": "bytes"}  # in the certificate
    latency, sizes = [], (request["count"], request["batch"])
    for kind, run in loaded.run.items() if request["timed"] else ():
        first = next(batches(folder, kind, *sizes))
        for images in (first[:1], *([first] if len(first) > 1 else [])):
            latency.append({"input": names[kind], "batch": len(images), **measure(run, images)})
    report = {
        "latency": latency,
        "peak_memory_bytes": peak_memory(),  # measured before the pass over all images
        "metadata": loaded.metadata,
        "labels": loaded.labels,
        "inputs": [names[kind] for kind in loaded.run],
        "runtime": {name: importlib.metadata.version(name) for name in loaded.packages},
        "cores": num_cores(),
        "imported": sorted({"tfl", "tensorflow", "keras"} & sys.modules.keys()),
    }
    for kind, run in loaded.run.items():
        parts = [run(images) for images in batches(folder, kind, *sizes)]
        np.save(output / f"probabilities_{names[kind]}.npy", np.concatenate(parts))
    (output / "report.json").write_text(json.dumps(report), "utf-8")


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text("utf-8")))
