"""Audio clips, and a tiny network that hears them."""

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from keras import layers
from scipy.io import wavfile

import tfl
from tfl.backbones import BackboneSpec, catalog, register_backbone

RATE = 16_000
SPEAKERS = ("anna", "bert", "carl", "dora", "emil", "fred")
TONES = np.array([400.0, 1100.0, 3000.0])  # Hz


def wav(values: np.ndarray, rate: int = RATE) -> bytes:
    """Return samples as a WAV file of their type."""
    file = io.BytesIO()
    wavfile.write(file, rate, values)
    return file.getvalue()


def tones(loudness: np.ndarray, seconds: float, rng: np.random.Generator, rate: int = RATE) -> np.ndarray:
    """Return three tones with noise, int16; their loudness is a number for each."""
    time = np.arange(int(seconds * rate)) / rate
    waves = np.sin(2 * np.pi * TONES[:, None] * time + rng.uniform(0, 6, (3, 1)))
    wave = loudness @ waves + rng.normal(0, 0.02, len(time))
    return np.round(np.clip(wave, -1, 1) * 32767).astype(np.int16)


def write_speech(folder: Path, takes: int = 4, rate: int = RATE) -> Path:
    """Write clips LABEL_SPEAKER_TAKE.wav; each label has a loudest tone, and each speaker a loudness and a length."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for label, name in enumerate(("low", "mid", "top")):
        for number, speaker in enumerate(SPEAKERS):
            for take in range(takes):
                loudness = (0.05 + 0.25 * (np.arange(3) == label)) * rng.uniform(0.3, 1.7, 3) * (0.6 + 0.1 * number)
                clip = tones(loudness, 0.05 + 0.005 * number, rng, rate)
                (folder / f"{name}_{speaker}_{take}.wav").write_bytes(wav(clip, rate))
    return folder


def hear(waves: Any) -> Any:
    """A network of one convolution over the samples."""
    maps = layers.Conv1D(64, 64, 32, padding="same", activation="relu", name="ear")(waves[..., None])
    return layers.Reshape((-1, 1, 64))(layers.ReLU(name="block1_end")(maps))


EARS = BackboneSpec("Ears", "own", 1600, 64, 64, network=hear, input="audio")


@contextlib.contextmanager
def ears() -> Iterator[None]:
    """Know the tiny network."""
    register_backbone(EARS)
    yield
    catalog._BY_NAME.pop(EARS.name, None)


def audio_config(source: str, **data: object) -> tfl.TransferConfig:
    """Return the config of a solved head on the tiny network."""
    return tfl.TransferConfig(
        data=tfl.DataConfig(source=source, **({"image_size": -1, "augmentation": "none"} | data)),
        backbone=tfl.BackboneConfig(name=EARS.name, weights="none"),
        finetune=tfl.FinetuneConfig(epochs=0),
    )


def speech_config(folder: Path, **data: object) -> tfl.TransferConfig:
    """Return the config for clips of `write_speech`, with speakers as groups."""
    patterns = {"label_pattern": "([a-z]+)_", "group_pattern": "_([a-z]+)_"}
    return audio_config(f"folder:{folder}", **(patterns | data))
