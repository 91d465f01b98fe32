"""Tiny runs for tests of options: a network of three layers, a folder of small images, and all that a run shows."""

import contextlib
import dataclasses
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import tfl
from tfl.backbones import weights_fingerprint
from tfl.config import value_of
from tfl.errors import InputError

TIMES = re.compile(r"[\d.,]+ (?:k?B|MB|ms|s|min|h)\b")
PROGRESS = re.compile(r"; about [\d.]+ \w+ left$|^.*: \d+ of \d+ .*\(\d+ %\).*$|^training: about .*$")  # of slow runs


def build_tiny(*, input_tensor: Any, alpha: float = 1.0, **_: Any) -> keras.Model:
    """Stand in for a network of keras.applications: three strided convolutions with BatchNorm."""
    x = input_tensor
    for number in (1, 2, 3):
        filters = int(16 * number * alpha)
        x = keras.layers.Conv2D(filters, 3, 2, padding="same", use_bias=False, name=f"conv{number}")(x)
        x = keras.layers.BatchNormalization(name=f"bn{number}")(x)
        x = keras.layers.ReLU(name=f"relu{number}")(x)
    return keras.Model(keras.utils.get_source_inputs(input_tensor), x, name="tiny")


@contextlib.contextmanager
def tiny_networks() -> Iterator[None]:
    """Let MobileNet and VGG16 be the tiny network."""
    stock = {name: getattr(keras.applications, name) for name in ("MobileNet", "VGG16")}
    for name in stock:
        setattr(keras.applications, name, build_tiny)
    yield
    for name, network in stock.items():
        setattr(keras.applications, name, network)


def write_photos(folder: Path, counts: tuple[int, ...], seed: int = 0, *, deep: bool = False) -> Path:
    """Write so many images of each class, of another brightness each, and noise that keeps accuracy below 1.

    With `deep` they are PNG files of 16 bits that hold 12.
    """
    rng = np.random.default_rng(seed)
    for label, count in enumerate(counts):
        (folder / f"class_{label}").mkdir(parents=True)
        for number in range(count):
            pixels = np.clip(rng.normal(80 + 40 * label + rng.normal(0, 25), 40, (32, 32, 3)), 0, 255).astype(np.uint8)
            pixels = pixels.astype(np.uint16) * 16 if deep else pixels
            (folder / f"class_{label}" / f"{number}.png").write_bytes(tf.io.encode_png(pixels).numpy())
    return folder


def make_config(photos: Path, store: Path, options: dict[str, Any]) -> tfl.TransferConfig:
    """Return a config for a tiny run with some options set by their dotted names."""
    config = tfl.TransferConfig()
    base = {
        "data.source": f"folder:{photos}",
        "data.image_size": 32,
        "backbone.name": "MobileNet",
        "backbone.weights": "none",
        "features.store": str(store),
        "report.gallery": 0,
    }
    for path, value in (base | options).items():
        section, _, name = path.rpartition(".")
        setattr(value_of(config, section) if section else config, name, value)
    return config


@dataclasses.dataclass
class Shown:
    """What one run shows: its result, or the line that refused it."""

    refused: str = ""
    kept: str = ""
    weights: str = ""
    files: dict[str, str] = dataclasses.field(default_factory=dict)
    store_bytes: int = 0
    said: str = ""

    def differs_from(self, other: "Shown") -> set[str]:
        """Return the names of what is another in the other run."""
        mine, theirs = dataclasses.asdict(self), dataclasses.asdict(other)
        return {name for name in mine if mine[name] != theirs[name]}


def watch(config: tfl.TransferConfig, workdir: Path, capsys: Any) -> Shown:
    """Run a config and return what it shows; what names the folder or a time is left out."""
    capsys.readouterr()
    try:
        result = tfl.transfer(config, workdir)
    except InputError as error:
        return Shown(refused=str(error), said=_said(capsys, workdir))
    store = Path(config.features.store)
    return Shown(
        kept=result.metrics["kept"],
        weights=weights_fingerprint(result.model),
        files={
            str(path.relative_to(workdir)): _digest(path)
            for path in sorted(workdir.rglob("*"))
            if path.is_file() and path.name != "config.json" and "tfevents" not in path.name
        },
        store_bytes=sum(path.stat().st_size for path in store.rglob("*.npy")) if store.is_dir() else 0,
        said=_said(capsys, workdir),
    )


def _said(capsys: Any, workdir: Path) -> str:
    lines = (PROGRESS.sub("", line) for line in capsys.readouterr().err.replace(str(workdir), "RUN").splitlines())
    kept = (line for line in lines if line.strip() and not line.startswith("strategy: "))  # said once a process
    return "\n".join(TIMES.sub("N", line) for line in kept)


def _digest(path: Path) -> str:
    """Digest what holds neither times nor paths: tables, test metrics, the number of pictures in the report."""
    if path.suffix == ".csv":
        return hashlib.sha256(path.read_bytes()).hexdigest()
    if path.name == "metrics.json":
        return json.dumps(json.loads(path.read_text()).get("test"))
    return f"{path.read_text().count('<img')} pictures" if path.name == "report.html" else "there"
