"""Files that would need much memory or time are refused before they are resampled, and a shift keeps the word."""

import numpy as np
import pytest
import tensorflow as tf
from clips import wav

from tfl.errors import BadExampleError
from tfl.inputs.audio.augment import augment_wave
from tfl.inputs.audio.read import MAX_SAMPLES, read_sound


@pytest.mark.parametrize(
    ("number", "rate", "said"),
    [(10, 767_999, "cannot be resampled"), (MAX_SAMPLES // 16 + 16, 1_000, "minutes, more than")],
)
def test_a_file_that_would_need_much_memory_is_refused(number, rate, said):
    with pytest.raises(BadExampleError, match=said):
        read_sound(wav(np.full(number, 128, np.uint8), rate))


@pytest.mark.parametrize("rate", [8_000, 11_025, 44_100, 192_000, 768_000])
def test_usual_rates_are_resampled(rate):
    assert read_sound(wav(np.zeros(rate // 10, np.int16), rate)).wave.shape == (1_600,)


@pytest.mark.parametrize("name", ["shift", "light"])
def test_a_short_clip_in_a_long_window_keeps_nine_tenths_of_its_samples(name):
    wave = tf.fill((1_000,), 0.5)
    for seed in range(20):
        changed = augment_wave(wave, 16_000, name, tf.constant([seed, 1], tf.int64)).numpy()
        assert 900 <= len(changed) <= 1_100 and (changed > 0.05).sum() >= 850
