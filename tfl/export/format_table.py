"""The formats that tfl writes, and a table of formats of your own."""

import dataclasses
import dis
import importlib.metadata
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Any

from tfl.errors import InputError
from tfl.registry import resolve
from tfl.version import install_command

FORMATS = ("saved_model", "litert", "onnx", "keras")
QUANTIZATIONS = ("none", "dynamic", "float16", "int8")
_PACKAGES = {"litert": ("ai_edge_litert",), "onnx": ("onnx", "tf2onnx", "onnxruntime")}  # to write and to run the files
_TAKEN = (*FORMATS, "tflite")  # as names, and as endings of file names
_NAME = re.compile(r"[a-z][a-z0-9_-]*")

if TYPE_CHECKING:
    import numpy as np

Write = Callable[[Any, Any, Path], None]
Load = Callable[[Path], "Callable[[np.ndarray], np.ndarray]"]


@dataclasses.dataclass(frozen=True)
class OwnFormat:
    """A format of your own; see `register_format`.

    Attributes:
        name: of the format, and the ending of its folders: "openvino", `model.openvino`.
        write: `write(model, metadata, folder)` writes a model into an empty folder.
        load: `load(folder)` returns the function from pixels to probabilities.
        packages: the packages that `write` and `load` import, under their names for pip.
        source: the source code of `load`.
    """

    name: str
    write: Write
    load: Load
    packages: tuple[str, ...]
    source: str

    @property
    def missing(self) -> list[str]:
        """The packages that are not installed."""
        return [name for name in self.packages if not any(importlib.metadata.Distribution.discover(name=name))]


_OWN: dict[str, OwnFormat] = {}


def register_format(name: str, write: Write, load: Load, packages: Sequence[str] = ()) -> OwnFormat:
    """Add an export format of your own, so that `ExportOptions.formats` and `load_artefact` know its name.

    An artefact of the format is a folder, `model.NAME`, that holds what `write` puts there. tfl adds the metadata as
    `tfl.json`. A format that is registered again replaces the earlier one.

    Args:
        name: lower-case letters, digits, "_" and "-".
        write: `write(model, metadata, folder)`: it writes a Keras model from images to logits into an empty folder.
            `tfl.export.freeze(model, metadata)` gives the TensorFlow graph from pixels to probabilities.
        load: `load(folder)`: it returns a function from uint8 pixels `(N, S, S, 3)` to float32 probabilities `(N, C)`,
            at the temperature of the metadata. The certificate runs its source code in a process without your module
            and without tfl, so it must import inside itself all that it uses.
        packages: the packages that both functions import, under their names for pip. A missing one is reported before
            anything is written, and the certificate records their versions.

    Raises:
        InputError: the name is another format's or cannot be a file name, or `load` uses names of its module.

    Example:
        >>> def write(model, metadata, folder):
        ...     model.export(folder / "graph")
        >>> def load(folder):
        ...     import tensorflow as tf
        ...     graph = tf.saved_model.load(str(folder / "graph"))
        ...     return lambda pixels: tf.nn.softmax(graph.serve(tf.cast(pixels, tf.float32))).numpy()
        >>> register_format("plain", write, load, packages=["tensorflow"]).name
        'plain'
    """
    if not _NAME.fullmatch(name) or name in _TAKEN:
        raise InputError(
            f"`name` must be of lower-case letters and digits, and not be {', '.join(_TAKEN)}. Received: name={name!r}."
        )
    _OWN[name] = OwnFormat(name, write, load, tuple(packages), _source(load))
    return _OWN[name]


def check_formats(formats: Sequence[str], quantize: str) -> tuple[tuple[str, ...], str]:
    """Return formats and quantization in their standard spelling; check them before anything slow starts.

    Raises:
        InputError: a format or quantization is unknown, the packages of a format are not installed, or none of the
            formats supports the quantization.
    """
    resolved = tuple(dict.fromkeys(resolve(name, format_names(), "formats") for name in formats))
    quantize = resolve(quantize, list(QUANTIZATIONS), "quantize")
    if not resolved:
        raise InputError(f"`formats` must name at least one of {', '.join(format_names())}. Received: none.")
    if quantize != "none" and "litert" not in resolved:
        raise InputError(
            f"`quantize` must be 'none' without the format litert, because the other formats store float32. "
            f"Received: quantize={quantize!r}, formats={','.join(resolved)}."
        )
    for name in resolved:
        own = own_format(name)
        missing = own.missing if own else [each for each in _PACKAGES.get(name, ()) if find_spec(each) is None]
        if missing:
            remedy = f"pip install {' '.join(missing)}" if own else install_command("export")
            raise InputError(
                f"`formats` must be formats whose packages are installed. Received: formats={','.join(resolved)} "
                f"without {', '.join(missing)}. Did you mean to run {remedy}?"
            )
    return resolved, quantize


def format_names() -> list[str]:
    """Return the names of all formats: those of tfl, and those of your own."""
    return [*FORMATS, *_OWN]


def own_format(name: str) -> OwnFormat | None:
    """Return the format of your own with a name; None for a format of tfl."""
    return _OWN.get(name)


def format_of_folder(path: Any) -> OwnFormat | None:
    """Return the format of your own that the ending of a folder's name says; None if there is none."""
    return _OWN.get(path.suffix.removeprefix("."))


def _source(load: Load) -> str:
    """Return the source code of a function that runs without its module; refuse another one."""
    try:
        source = textwrap.dedent(inspect.getsource(load))
    except (OSError, TypeError):
        source = ""
    code: Any = getattr(load, "__code__", None)
    if not source.startswith("def ") or code is None:
        raise InputError(f"`load` must be a function of its own, defined with `def` in a file. Received: {load!r}.")
    builtin = vars(__import__("builtins"))
    outside = sorted({*code.co_freevars, *(name for name in _globals(code) if name not in builtin)})
    if outside:
        raise InputError(
            "`load` must import inside itself all that it uses: the certificate runs it without its module. "
            f"Received: a function that uses {outside[0]!r}."
        )
    return source


def _globals(code: CodeType) -> Iterator[str]:
    """Yield the global names that a function and the functions in it use."""
    yield from (each.argval for each in dis.get_instructions(code) if each.opname == "LOAD_GLOBAL")
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _globals(inner)
