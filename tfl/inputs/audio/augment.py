"""Random changes of a waveform that do not change what it says."""

import math

import tensorflow as tf

_SHIFT = 0.1  # of the length of the clip, to either side
_GAIN = 6.0  # decibels, up or down
_NOISE = (10.0, 40.0)  # decibels below the clip


def augment_wave(wave: tf.Tensor, size: int, name: str, seed: tf.Tensor) -> tf.Tensor:
    """Return a changed version of a waveform; runs in a graph.

    "shift" moves the clip in time by up to a tenth of its length, in both directions, and fills with silence. "light"
    also makes it up to 6 dB louder or softer, and adds white noise that is 10 to 40 dB softer than the clip. What would
    be above 1 is cut off.

    Args:
        wave: float32 `(N,)`, in [-1, 1].
        size: samples of the prepared clip.
        name: "none", "shift" or "light".
        seed: int64 `(2,)`; the same seed gives the same version.

    Returns:
        float32 `(M,)`, in [-1, 1].

    Reference:
        Ko et al. 2015, Audio augmentation for speech recognition.
    """
    if name == "none":
        return wave
    seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 4))
    length = tf.minimum(tf.size(wave), size)
    most = tf.cast(_SHIFT * tf.cast(length, tf.float32), tf.int32)
    shift = tf.random.stateless_uniform((), seeds[0], -most, most + 1, tf.int32)
    moved = tf.pad(wave[tf.maximum(-shift, 0) :], [[tf.maximum(shift, 0), 0]])[:size]
    if name == "shift":
        return moved
    gain = _amplitude(tf.random.stateless_uniform((), seeds[1], -_GAIN, _GAIN))
    below = _amplitude(tf.random.stateless_uniform((), seeds[2], *_NOISE))
    loudness = tf.sqrt(tf.reduce_mean(tf.square(wave)))
    noise = tf.random.stateless_normal(tf.shape(moved), seeds[3]) * loudness / below
    return tf.clip_by_value(gain * (moved + noise), -1.0, 1.0)


def _amplitude(decibels: tf.Tensor) -> tf.Tensor:
    return tf.exp(decibels * (math.log(10) / 20))
