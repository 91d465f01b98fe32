"""One example of every kind of input: files as a user has them, which show the signals of `task_examples`.

A new input needs one entry in `INPUTS`; then tests/test_every_task_and_input.py takes it the whole way with every task.
"""

import base64
import contextlib
import dataclasses
import io
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import PIL.Image
from clips import EARS, RATE, ears, tones, wav
from doc_blocks import code_under, import_code
from option_runs import tiny_networks
from scipy.io import wavfile
from task_examples import boxes_of, mask_of
from texts import TINY, reference_tokenizer

import tfl

SIZE = 32


@dataclasses.dataclass(frozen=True)
class Data:
    """Labelled files.

    Attributes:
        files: the file of each example, by the id of the example in predictions.csv.
        options: the options of a run on them, by their dotted names: the source, the network.
        python: data from Python, if labels of this kind can not come from files; else None.
    """

    files: dict[str, Path]
    options: dict[str, Any]
    python: Any = None


@dataclasses.dataclass(frozen=True)
class InputExample:
    """How to make data of one kind of input.

    Attributes:
        write: from a new folder, signals `(N, 3)` and labels to data. Noise must keep a model from being perfect.
        prepare: from the bytes of a file to the input of a model for one example, without tfl.
        broken: a body that is no example.
        instance: from the bytes of a file to an instance in the JSON of a request.
        networks: a context in which the network of the options is known, and tiny.
    """

    write: Callable[[Path, np.ndarray, np.ndarray], Data]
    prepare: Callable[[bytes], np.ndarray]
    broken: bytes
    instance: Callable[[bytes], Any] = lambda content: {"b64": base64.b64encode(content).decode()}
    networks: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext


def write_images(folder: Path, signals: np.ndarray, labels: np.ndarray) -> Data:
    """Write a PNG file for each example, whose red, green and blue are the signals; names are folders of classes.

    Signals `(N, H, W, 3)` are those of each pixel; their labels are masks, which get a folder of their own, or boxes,
    which get a file of Pascal VOC beside each image.
    """
    rng, is_class = np.random.default_rng(0), labels.dtype.kind == "U"
    is_boxes = labels.ndim == 3 and labels.dtype.kind == "f"
    is_map = labels.ndim == 3 and not is_boxes
    kind = "masks" if is_map else "boxes" if is_boxes else "folder" if is_class else ""
    files, pixels = {}, []
    for number, (signal, label) in enumerate(zip(signals, labels, strict=True)):
        colour = 70 + 60 * signal + rng.normal(0, 25, 3)
        pixels.append(np.clip(colour + rng.normal(0, 40, (SIZE, SIZE, 3)), 0, 255).astype(np.uint8))
        above = "images" if is_map or is_boxes else label
        name = f"{above}/{number}.png" if kind else str(number)
        files[name] = folder / (name if kind else f"{name}.png")
        files[name].parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(pixels[-1]).save(files[name])
        if is_map:
            mask = mask_of(files[name])
            mask.parent.mkdir(exist_ok=True)
            PIL.Image.fromarray(label).save(mask)
        if is_boxes:
            boxes_of(files[name]).write_text(to_voc(label))
    backbone = folder.with_name("backbone.keras")
    with tiny_networks():
        keras.utils.set_random_seed(0)
        tfl.build_backbone("MobileNet", image_size=SIZE, weights="none").save(backbone)
    options = {
        "data.image_size": SIZE,
        "backbone.name": "MobileNet",
        "backbone.weights": str(backbone),  # a seed is then that of the splits, not of the network
        **({"data.source": f"{kind}:{folder}"} if kind else {}),
    }
    return Data(files, options, None if kind else (np.stack(pixels), labels))


def to_voc(rows: np.ndarray) -> str:
    """Return boxes as a file of Pascal VOC; the name of a class is its number."""
    one = (
        "<object><name>{4:.0f}</name><bndbox><xmin>{0}</xmin><ymin>{1}</ymin><xmax>{2}</xmax><ymax>{3}</ymax></bndbox>"
        "</object>"
    )
    objects = "".join(one.format(*row) for row in rows.tolist() if row[4] >= 0)
    return f"<annotation><size><width>{SIZE}</width><height>{SIZE}</height></size>{objects}</annotation>"


def write_rows(folder: Path, signals: np.ndarray, labels: np.ndarray) -> Data:
    """Write a text file for each example, with noisy copies of its signals as numbers; folders are classes."""
    rng, is_class = np.random.default_rng(0), labels.dtype.kind == "U"
    files, rows = {}, []
    for number, (signal, label) in enumerate(zip(signals, labels, strict=True)):
        centre = signal + rng.normal(0, 0.4, len(signal))
        rows.append(np.float32(8 + 6 * np.tile(centre, 4) + rng.normal(0, 2, 4 * len(signal))))
        name = f"{label}/{number}.txt" if is_class else str(number)
        files[name] = folder / (name if is_class else f"{name}.txt")
        files[name].parent.mkdir(parents=True, exist_ok=True)
        files[name].write_text(",".join(map(str, rows[-1].tolist())))
    backbone = folder.with_name("backbone.keras")
    keras.utils.set_random_seed(0)
    tfl.build_backbone("Columns", image_size=len(rows[0]), weights="none").save(backbone)
    options = {
        "data.image_size": len(rows[0]),
        "data.augmentation": "none",
        "backbone.name": "Columns",
        "backbone.weights": str(backbone),
        **({"data.source": f"folder:{folder}"} if is_class else {}),
    }
    return Data(files, options, None if is_class else (np.stack(rows), labels))


PAIRS = (("good", "bad"), ("the", "a"), ("film", "was"))  # the words of a large and of a small signal
LENGTH = 12


def write_texts(folder: Path, signals: np.ndarray, labels: np.ndarray) -> Data:
    """Write a text file for each example, with three words for each of its signals; folders are classes."""
    rng, is_class = np.random.default_rng(0), labels.dtype.kind == "U"
    files, texts = {}, []
    for number, (signal, label) in enumerate(zip(signals, labels, strict=True)):
        is_large = rng.random((3, len(PAIRS))) < 1 / (1 + np.exp(-3 * signal))
        words = [pair[0] if large else pair[1] for row in is_large for large, pair in zip(row, PAIRS, strict=True)]
        texts.append(f"{' '.join(words)} . {number}")
        name = f"{label}/{number}.txt" if is_class else str(number)
        files[name] = folder / (name if is_class else f"{name}.txt")
        files[name].parent.mkdir(parents=True, exist_ok=True)
        files[name].write_text(texts[-1])
    options = {
        "data.image_size": LENGTH,
        "data.augmentation": "none",
        "backbone.name": f"hf:{TINY}",
        **({"data.source": f"folder:{folder}"} if is_class else {}),
    }
    return Data(files, options, None if is_class else (np.array(texts), labels))


def pieces_of_text(content: bytes) -> np.ndarray:
    """Return the numbers of the pieces of a text, by the library tokenizers."""
    names = (TINY / "vocab.txt").read_text().split()
    found = reference_tokenizer(names).encode(content.decode(), add_special_tokens=False).ids[: LENGTH - 2]
    whole = [names.index("[CLS]"), *found, names.index("[SEP]")]
    return np.array(whole + [0] * (LENGTH - len(whole)), np.int32)


SAMPLES = 1600


def write_clips(folder: Path, signals: np.ndarray, labels: np.ndarray) -> Data:
    """Write a WAV file for each example, with a tone for each of its signals; folders are classes."""
    rng, is_class = np.random.default_rng(0), labels.dtype.kind == "U"
    files, waves = {}, []
    for number, (signal, label) in enumerate(zip(signals, labels, strict=True)):
        loudness = 0.15 * np.exp(0.5 * np.clip(signal + rng.normal(0, 0.4, 3), -2, 1))
        clip = tones(loudness, SAMPLES / RATE, rng)
        waves.append(np.float32(clip / 2**15))
        name = f"{label}/{number}.wav" if is_class else str(number)
        files[name] = folder / (name if is_class else f"{name}.wav")
        files[name].parent.mkdir(parents=True, exist_ok=True)
        files[name].write_bytes(wav(clip))
    backbone = folder.with_name("backbone.keras")
    keras.utils.set_random_seed(0)
    tfl.build_backbone(EARS.name, image_size=SAMPLES, weights="none").save(backbone)
    options = {
        "data.image_size": SAMPLES,
        "data.augmentation": "none",
        "backbone.name": EARS.name,
        "backbone.weights": str(backbone),
        **({"data.source": f"folder:{folder}"} if is_class else {}),
    }
    return Data(files, options, None if is_class else (np.stack(waves), labels))


def samples_of_clip(content: bytes) -> np.ndarray:
    """Return the samples of a WAV file, by SciPy."""
    return np.float32(wavfile.read(io.BytesIO(content))[1] / 2**15)


@contextlib.contextmanager
def input_of_the_docs() -> Iterator[None]:
    """Register the input and the backbone of docs/how-to/extending.md, which tfl does not have."""
    with tempfile.TemporaryDirectory() as folder:
        import_code(ROW, Path(folder), "row_input")
        yield


(ROW,) = code_under("An input of your own")
INPUTS: dict[str, InputExample] = {
    "image": InputExample(
        write=write_images,
        prepare=lambda content: np.array(PIL.Image.open(io.BytesIO(content)).convert("RGB")),
        broken=b"no image at all",
        networks=tiny_networks,
    ),
    "text": InputExample(write=write_texts, prepare=pieces_of_text, broken=b"a \xff text"),
    "audio": InputExample(write=write_clips, prepare=samples_of_clip, broken=b"no clip at all", networks=ears),
    "row": InputExample(
        write=write_rows,
        prepare=lambda content: np.array(content.decode().split(","), np.float32),
        broken=b"1,2,three",
        networks=input_of_the_docs,
    ),
}
