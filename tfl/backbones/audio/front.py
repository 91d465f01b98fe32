"""From the samples of a clip to its log-mel spectrogram, by layers of Keras whose weights are constants.

Both the Fourier transform and the mel filters are products with constant matrices, so every export format has the
operations. Each frame depends on its own samples alone: neither the loudest frame of a clip nor its neighbours in the
batch change it. (`keras.layers.MelSpectrogram` clips at the maximum of the batch, and ONNX lacks its Fourier transform;
the mode "magnitude" of `STFTSpectrogram` has a floor that is higher than `OFFSET`.)
"""

import functools
from typing import Any

import numpy as np
from keras import layers, ops

from tfl.backbones.stages import FIXED_PREFIX

SAMPLE_RATE = 16_000  # samples per second
FRAME, HOP = 400, 160  # samples: 25 ms and 10 ms
FFT = 512
BANDS = 64
LOWEST, HIGHEST = 125.0, 7500.0  # Hz
OFFSET = 0.001  # added before the logarithm, so that silence is a number
_SMALLEST = 1e-20  # of a power; below it the slope of the square root would be infinite


def log_mel(samples: Any) -> Any:
    """Return the log-mel spectrogram of clips: the logarithm of 64 bands of the magnitude of a Fourier transform.

    Args:
        samples: a Keras tensor, float32 (B, N), of clips with 16,000 samples per second in [-1, 1].

    Returns:
        A Keras tensor, float32 (B, T, 64, 1), with T = 1 + (N - 400) // 160 frames, 10 ms apart. Samples after the last
        whole frame are left out. Silence is log(0.001) everywhere.

    Example:
        >>> log_mel(keras.Input((16_000,))).shape
        (None, 98, 64, 1)

    Reference:
        Plakal and Ellis 2020, YAMNet (features.py of its code); Hershey et al. 2017, CNN architectures for
        large-scale audio classification, arXiv:1609.09430.
    """
    fourier = layers.STFTSpectrogram(
        mode="stft",
        frame_length=FRAME,
        frame_step=HOP,
        fft_length=FFT,
        periodic=True,
        scaling=None,
        trainable=False,
        dtype="float32",
        name=f"{FIXED_PREFIX}fourier",
    )
    parts = fourier(layers.Reshape((-1, 1), name="samples")(samples))  # (B, T, 2 * 257): real, then imaginary
    fourier.set_weights(fourier_kernels())
    parts = layers.Reshape((-1, 2, FFT // 2 + 1), name="real_and_imaginary")(parts)
    power = ops.sum(ops.square(parts), axis=2)
    magnitude = ops.sqrt(ops.maximum(power, _SMALLEST))
    mel = layers.Dense(BANDS, use_bias=False, trainable=False, dtype="float32", name=f"{FIXED_PREFIX}mel")
    bands = mel(magnitude)
    mel.set_weights([mel_matrix()])
    return ops.expand_dims(ops.log(bands + OFFSET), -1)


def fourier_kernels() -> list[np.ndarray]:
    """Return the real and the imaginary part of the Fourier transform of a frame under a periodic Hann window.

    Keras computes the angles with 32 bits, up to 1,260 rad, so that its spectrum is 10 times less exact.

    Returns:
        Two arrays, float32 (400, 1, 257), as the weights of `STFTSpectrogram`.
    """
    time = np.arange(FRAME)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * time / FRAME)
    turns = np.outer(time, np.arange(FFT // 2 + 1)) % FFT
    wave = window[:, None] * np.exp(-2j * np.pi * turns / FFT)
    return [part[:, None].astype(np.float32) for part in (wave.real, wave.imag)]


@functools.cache
def mel_matrix() -> np.ndarray:
    """Return the weights of 64 triangular filters, float32 (257, 64), equidistant in mels from 125 to 7,500 Hz.

    A mel is that of the Hidden Markov Model Toolkit, 1127 ln(1 + f / 700 Hz). The slopes are straight in mels, and each
    filter has its largest value, 1, in its middle.

    Example:
        >>> mel_matrix().shape
        (257, 64)
    """
    bins = _mels(np.linspace(0, SAMPLE_RATE / 2, FFT // 2 + 1))[:, None]
    edges = np.linspace(_mels(LOWEST), _mels(HIGHEST), BANDS + 2)
    lower, middle, upper = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (bins - lower) / (middle - lower), (upper - bins) / (upper - middle)
    weights = np.clip(np.stack([rising, falling]), 0, None).min(axis=0)
    weights[0] = 0  # the mean of the samples is no sound
    return weights.astype(np.float32)


def _mels(hertz: Any) -> Any:
    return 1127 * np.log1p(np.asarray(hertz) / 700)
