"""Write a trained model in any format, under the file name of that format in an export folder."""

import contextlib
import dataclasses
import logging
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

import keras
import numpy as np
from tensorflow.lite.python.convert_phase import ConverterError

from tfl.errors import InputError
from tfl.export.certificate import Product
from tfl.export.format_table import QUANTIZATIONS, OwnFormat, format_names, own_format
from tfl.export.graph import metadata_to_json
from tfl.export.litert_file import write_litert
from tfl.export.model_files import METADATA_NAME
from tfl.export.onnx_file import write_onnx
from tfl.export.saved_model import write_saved_model
from tfl.models.classifier import Metadata, save_model

_NAMES = {"saved_model": "saved_model", "litert": "model.tflite", "onnx": "model.onnx", "keras": "model.keras"}


def build(
    model: keras.Model, name: str, folder: Path, quantize: str = "none", calibration: Iterable[np.ndarray] = ()
) -> Product:
    """Write a model in one format.

    Args:
        model: images to logits; its `metadata` is written, with the temperature.
        name: one of `FORMATS`, or a format of your own.
        folder: the folder to write into.
        quantize: the quantization of LiteRT; other formats stay float32.
        calibration: batches of training images, for "int8".

    Raises:
        InputError: the format cannot hold this network, or its converter is not installed.
    """
    metadata: Metadata = model.metadata
    quantize = quantize if name == "litert" else "none"
    product = Product(folder / product_name(name, quantize), name, quantize)
    try:
        with _quiet():
            if (own := own_format(name)) is not None:
                _write_own(own, model, metadata, product.path)
            elif name == "litert":
                write_litert(model, metadata, product.path, quantize, calibration)
            elif name == "keras":
                save_model(model, product.path)
            else:
                {"saved_model": write_saved_model, "onnx": write_onnx}[name](model, metadata, product.path)
    except InputError:
        raise
    except (ValueError, RuntimeError, KeyError, NotImplementedError, ConverterError) as error:
        reason = " ".join(str(error).split())[:300]
        raise InputError(
            f"`formats` must be formats that can store {metadata.backbone}. Received: {name}: {reason}."
        ) from error
    return product


def product_name(name: str, quantize: str) -> str:
    """Return the file name of a format, which includes the quantization, as in `model_int8.tflite`."""
    plain = _NAMES.get(name, f"model.{name}")
    return plain.replace(".", f"_{quantize}.") if quantize != "none" else plain


def named_product(path: Path) -> Product:
    """Return format and quantization of a file in an export folder, from its name (see `product_name`).

    Raises:
        InputError: no format has this name.
    """
    products = [Product(path, name, quantize) for name in format_names() for quantize in QUANTIZATIONS]
    for product in products:
        if path.name == product_name(product.format, product.quantize):
            return product
    raise InputError(
        f"`output` must have exports under the names that `tfl export` gives them. Received: {str(path)!r}."
    )


def _write_own(own: OwnFormat, model: keras.Model, metadata: Metadata, folder: Path) -> None:
    folder.mkdir()
    own.write(model, metadata, folder)
    (folder / METADATA_NAME).write_text(metadata_to_json(metadata), "utf-8")


def with_temperature(model: keras.Model, temperature: float) -> keras.Model:
    """Record the temperature in the metadata of a model; every format reads it from there."""
    model.metadata = dataclasses.replace(model.metadata, temperature=temperature)
    return model


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress converter messages that are of no use here: deprecated functions, statistics."""
    loggers = [logging.getLogger(name) for name in ("absl", "tensorflow", "tf2onnx")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
