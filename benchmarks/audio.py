"""Compare features of spoken digits, each speaker left out in turn: YAMNet by layer, random weights, and no network.

    python benchmarks/audio.py --weights=yamnet_256_arrays.npz

The set is speech_fsdd_subset: 600 clips of 10 digits by 6 speakers, 8 kHz, named LABEL_SPEAKER_TAKE.wav. Each clip is
resampled to 16 kHz and is one second long: its end is cut off, or silence follows. Features are pooled over time, with
the bands kept or not, and standardised on the training speakers. Logistic regression answers the clips of the speaker
that was left out; the strength of its L2 penalty is the one with the best accuracy on the training speakers, each of
them held out in turn. The interval of a speaker is Wilson's, over clips; that of the mean is from Student's t over the
speakers.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import scipy.stats
from absl import app, flags
from scipy.io import wavfile
from scipy.signal import resample_poly
from sklearn.linear_model import LogisticRegressionCV
from sklearn.model_selection import LeaveOneGroupOut
from sklearn.preprocessing import StandardScaler

from tfl.backbones.audio.front import FRAME, HOP, SAMPLE_RATE
from tfl.backbones.audio.yamnet import LAYERS, load_arrays, yamnet

_DATA = flags.DEFINE_string("data", "../shared/data/speech_fsdd_subset/recordings", "Folder of the clips.")
_WEIGHTS = flags.DEFINE_string("weights", "../shared/weights/audio_yamnet_256/yamnet_256_arrays.npz", "File of YAMNet.")
_SEED = flags.DEFINE_integer("seed", 0, "Of the random weights.")
_STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)  # C of scikit-learn


@dataclasses.dataclass(frozen=True)
class Clips:
    """Clips of one second.

    Attributes:
        waves: float32 `(N, 16000)` in [-1, 1].
        lengths: number of samples before the silence at the end, `(N,)`.
        digits: what is said, `(N,)`.
        speakers: who says it, `(N,)`.
    """

    waves: np.ndarray
    lengths: np.ndarray
    digits: np.ndarray
    speakers: np.ndarray


def read_clips(folder: Path) -> Clips:
    """Read the files of a folder."""
    files = sorted(folder.glob("*.wav"))
    waves, lengths = np.zeros((len(files), SAMPLE_RATE), np.float32), []
    for wave, file in zip(waves, files, strict=True):
        rate, samples = wavfile.read(file)
        found = resample_poly(samples / 2**15, SAMPLE_RATE, rate)[:SAMPLE_RATE]
        wave[: len(found)] = found
        lengths.append(len(found))
    digits, speakers, _ = zip(*(file.stem.split("_") for file in files), strict=True)
    return Clips(waves, np.array(lengths), np.array(digits), np.array(speakers))


def all_maps(clips: np.ndarray, weights: str) -> list[np.ndarray]:
    """Return the log-mel spectrogram and the maps of each layer, each `(N, T, bands, channels)`."""
    keras.utils.set_random_seed(_SEED.value)
    entrance = keras.Input(clips.shape[1:])
    network = keras.Model(entrance, yamnet(entrance))
    if weights:
        load_arrays(Path(weights), network)
    ends = [network.get_layer("layer1_conv").input]
    ends += [network.get_layer(f"block{number}_end").output for number in range(1, len(LAYERS) + 1)]
    model = keras.Model(entrance, ends)
    batches = [model(clips[start : start + 50]) for start in range(0, len(clips), 50)]
    return [np.concatenate([np.asarray(batch[number]) for batch in batches]) for number in range(len(ends))]


def small_picture(spectrogram: np.ndarray) -> np.ndarray:
    """Return a spectrogram `(T, 64)` as a picture of 14 by 14, each value the mean of a rectangle, `(196,)`."""
    rows = [part.mean(axis=0) for part in np.array_split(spectrogram, 14)]
    columns = [part.mean(axis=1) for part in np.array_split(np.stack(rows), 14, axis=1)]
    return np.stack(columns, axis=1).ravel()


def all_features(clips: Clips, weights: str) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the name of each kind of features, and the features `(N, D)`."""
    trained = all_maps(clips.waves, weights)
    spectrograms = trained[0][..., 0]
    frames = np.maximum(14, 1 + (clips.lengths - FRAME) // HOP)
    pictures = [small_picture(whole[:number]) for whole, number in zip(spectrograms, frames, strict=True)]
    yield "no network: log-mel, 14 x 14, from begin to end of the clip", np.stack(pictures)
    yield "no network: log-mel, 14 x 14, of the second", np.stack([small_picture(whole) for whole in spectrograms])
    yield "no network: log-mel, mean over time", spectrograms.mean(axis=1)
    for number, maps in enumerate(trained[1:], start=1):
        yield f"YAMNet, layer {number}, bands kept", maps.mean(axis=1).reshape(len(maps), -1)
    last = trained[-1]
    yield "YAMNet, layer 6, mean over bands too", last.mean(axis=(1, 2))
    yield "YAMNet, layer 6, bands kept, maximum over time", last.max(axis=1).reshape(len(last), -1)
    yield "YAMNet, layer 6, bands kept, thirds of the time", thirds(last)
    random = all_maps(clips.waves, "")[-1]
    yield "random weights, layer 6, bands kept", random.mean(axis=1).reshape(len(random), -1)


def thirds(maps: np.ndarray) -> np.ndarray:
    """Return the means over the first, second and last third of the time, with the bands kept, side by side."""
    return np.concatenate([part.mean(axis=1).reshape(len(maps), -1) for part in np.array_split(maps, 3, 1)], axis=1)


def accuracies(features: np.ndarray, digits: np.ndarray, speakers: np.ndarray) -> list[tuple[int, int]]:
    """Return for each speaker how many clips a head that has not heard it answers rightly, and of how many."""
    found = []
    for speaker in np.unique(speakers):
        train, test = speakers != speaker, speakers == speaker
        scaled, unseen = standardised(features[train], features[test])
        folds = list(LeaveOneGroupOut().split(scaled, groups=speakers[train]))
        head = LogisticRegressionCV(Cs=_STRENGTHS, cv=folds, tol=1e-3).fit(scaled, digits[train])
        found.append((int((head.predict(unseen) == digits[test]).sum()), int(test.sum())))
    return found


def standardised(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both, scaled by the mean and the deviation of the first, in the coordinates of its rows.

    A head with an L2 penalty is a sum of training rows. So no more numbers than rows are needed, and its answers stay.
    """
    scaler = StandardScaler().fit(train)
    rows, others = scaler.transform(train), scaler.transform(test)
    basis = np.linalg.svd(np.asarray(rows), full_matrices=False)[2].T
    return rows @ basis, others @ basis


def wilson(right: int, number: int) -> str:
    """Return an accuracy with its interval of 95 %."""
    low, high = scipy.stats.binomtest(right, number).proportion_ci(method="wilson")
    return f"{right / number:.2f} ({low:.2f} to {high:.2f})"


def mean_of_speakers(shares: np.ndarray) -> str:
    """Return the mean of the accuracies of the speakers with its interval of 95 %."""
    error = scipy.stats.t.ppf(0.975, len(shares) - 1) * scipy.stats.sem(shares)
    return f"{shares.mean():.3f} ({max(0, shares.mean() - error):.2f} to {min(1, shares.mean() + error):.2f})"


def main(_: list[str]) -> None:
    """Print the table."""
    clips = read_clips(Path(_DATA.value))
    speakers = np.unique(clips.speakers)
    print("| features | number | mean of the speakers |", " | ".join(speakers), "|")
    print("|---|---|---|" + "---|" * len(speakers))
    for name, features in all_features(clips, _WEIGHTS.value):
        found = accuracies(features, clips.digits, clips.speakers)
        cells = " | ".join(wilson(*one) for one in found)
        mean = mean_of_speakers(np.array([right / number for right, number in found]))
        print(f"| {name} | {features.shape[1]:,} | {mean} | {cells} |", flush=True)


if __name__ == "__main__":
    app.run(main)
