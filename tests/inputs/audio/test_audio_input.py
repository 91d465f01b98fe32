"""Audio clips as an input: files of every kind, lengths, rates, broken files, augmentation."""

import struct

import numpy as np
import pytest
import tensorflow as tf
from clips import RATE, wav
from scipy.signal import resample_poly

from tfl.data import load_data
from tfl.errors import BadExampleError, InputError
from tfl.inputs import get_input
from tfl.inputs.audio.read import read_sound, write_wav
from tfl.inputs.scan import scan_files
from tfl.inputs.untrusted import RefusedError

KIND = get_input("audio").sized(1600)
WAVE = np.sin(np.arange(1600) / 10) * 0.6
PCM = np.round(WAVE * 32767).astype(np.int16)
GOOD = wav(PCM)
ENDLESS = b"\xff\xff\xff\xff"  # the length that a program writes that does not know it yet


def chunked(bits: int, data: bytes, *, tag: int = 1, rate: int = RATE) -> bytes:
    """Return a WAV file with the extensible header that programs write for 24 bits."""
    width = bits // 8
    start = struct.pack("<HHIIHHHHIH", 0xFFFE, 1, rate, rate * width, width, bits, 22, bits, 4, tag)
    form = start + bytes.fromhex("000000001000800000aa00389b71")
    chunks = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(chunks)) + chunks


USED = {
    "16 bits": (GOOD, 1e-4),
    "8 bits": (wav(np.round(WAVE * 127 + 128).astype(np.uint8)), 1e-2),
    "24 bits": (chunked(24, b"".join(struct.pack("<i", int(v * 2**23))[:3] for v in WAVE)), 1e-4),
    "32 bits": (wav((WAVE * 2**31).astype(np.int32)), 1e-4),
    "floats": (wav(WAVE.astype(np.float32)), 1e-4),
    "doubles": (wav(WAVE), 1e-4),
    "extensible": (chunked(16, PCM.tobytes()), 1e-4),
    "a list of facts before the samples": (GOOD[:36] + b"LIST" + struct.pack("<I", 4) + b"INFO" + GOOD[36:], 1e-4),
    "an unknown chunk": (GOOD[:12] + b"zzzz" + struct.pack("<I", 4) + b"abcd" + GOOD[12:], 1e-4),
    "bytes after the end": (GOOD + b"xx", 1e-4),
    "equal channels": (wav(np.stack([PCM, PCM], 1)), 1e-4),
    "a little too loud": (wav(np.where(WAVE > 0.59, 1.2, WAVE).astype(np.float32)), 0.5),
}
BROKEN = {
    "empty": (b"", "an empty file"),
    "text": (b"three words here", "not an audio file"),
    "text of UTF-16": ("three words".encode("utf-16"), "not an audio file"),
    "JPEG": (b"\xff\xd8\xff\xe0" + bytes(40), "not an audio file"),
    "AVI": (b"RIFF\x00\x00\x00\x00AVI LIST", "not an audio file"),
    "0 seconds": (wav(PCM[:0]), "0 seconds"),
    "cut short": (GOOD[:1000], "truncated WAV file"),
    "cut inside a sample": (GOOD[:1001], "broken"),
    "cut in the header": (GOOD[:20], "broken or truncated WAV file"),
    "a header alone": (GOOD[:44], "truncated WAV file"),
    "a stream without a length": (GOOD[:4] + ENDLESS + GOOD[8:40] + ENDLESS + GOOD[44:], "truncated WAV file"),
    "NaN": (wav(np.full(10, np.nan, np.float32)), "NaN or infinite"),
    "infinity": (wav(np.full(10, np.inf, np.float32)), "NaN or infinite"),
    "whole numbers as floats": (wav(PCM.astype(np.float32)), r"samples up to 19,\d+, outside of \[-1, 1\]"),
    "a rate of 0": (GOOD[:24] + bytes(4) + GOOD[28:], "broken WAV file"),
    "a rate of 10": (wav(PCM, 10), "a rate of 10 samples a second"),
    "no channels": (GOOD[:22] + bytes(2) + GOOD[24:], "broken or truncated WAV file"),
    "a name alone": (b"RIFF\0\0\0\0WAVE", "broken or truncated WAV file"),
}


@pytest.mark.parametrize("name", USED)
def test_a_file_of_every_kind_gives_the_same_samples(name, tmp_path):
    content, bound = USED[name]
    file = tmp_path / "clip.wav"
    file.write_bytes(content)
    (found,) = scan_files(KIND, [str(file)])
    assert found.samples == 1600
    read = tf.io.read_file(found.replacement or str(file))
    np.testing.assert_allclose(KIND.prepare(read), WAVE, atol=bound)
    np.testing.assert_array_equal(KIND.prepare(read), KIND.prepare(KIND.graph_bytes(content)))
    np.testing.assert_array_equal(KIND.prepare(read), KIND.decoder(10**6).decode(KIND.decoder(10**6).check(content)))


def test_channels_become_their_mean():
    silent = wav(np.stack([PCM, -PCM], 1))
    assert np.array_equal(KIND.prepare(silent), np.zeros(1600))
    np.testing.assert_allclose(KIND.prepare(wav(np.stack([PCM, 0 * PCM], 1))), WAVE / 2, atol=1e-4)


@pytest.mark.parametrize("rate", [8000, 11_025, 22_050, 44_100, 48_000])
def test_another_rate_is_resampled_as_scipy_does(rate):
    values = np.sin(2 * np.pi * 440 * np.arange(rate // 10) / rate) * 0.5
    converted = KIND.graph_bytes(wav(values.astype(np.float32), rate))
    divisor = np.gcd(rate, RATE)
    expected = resample_poly(values, RATE // divisor, rate // divisor)[:1600]
    np.testing.assert_allclose(KIND.prepare(converted)[: len(expected)], expected, atol=1e-4)
    middle = slice(200, 1400)  # the true tone, away from the ends
    np.testing.assert_allclose(
        expected[middle], 0.5 * np.sin(2 * np.pi * 440 * np.arange(1600) / RATE)[middle], atol=2e-3
    )


def test_a_graph_refuses_another_rate_by_name():
    with pytest.raises(tf.errors.InvalidArgumentError, match="16,000 samples a second; it has"):
        KIND.prepare(wav(PCM, 8000))


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_named_in_one_line(name, tmp_path):
    content, reason = BROKEN[name]
    with pytest.raises(BadExampleError, match=reason) as caught:
        read_sound(content)
    assert "\n" not in str(caught.value)
    (tmp_path / "clip.wav").write_bytes(content)
    (found,) = scan_files(KIND, [str(tmp_path / "clip.wav")])
    assert str(found) == str(caught.value)
    with pytest.raises(RefusedError):
        KIND.decoder(10**6).decode(KIND.decoder(10**6).check(content))


def test_other_formats_need_a_package_or_are_read():
    name = "FLAC needs soundfile: pip install 'tfl-transfer\\[audio\\]'|broken or truncated FLAC file"
    with pytest.raises(BadExampleError, match=name):
        read_sound(b"fLaC" + bytes(100))


@pytest.mark.parametrize("name", ["FLAC", "OGG", "MP3"])
def test_compressed_files_are_read(name):
    soundfile = pytest.importorskip("soundfile", reason="needs the extra audio")
    import io

    file, values = io.BytesIO(), np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE) * 0.5
    soundfile.write(file, values, RATE, format=name)
    wave = read_sound(file.getvalue()).wave
    assert abs(len(wave) - RATE) <= 2400 and 0.3 < np.sqrt(np.mean(np.square(wave[2000:14_000]))) < 0.4
    with pytest.raises(BadExampleError, match=r"truncated|broken"):
        read_sound(file.getvalue()[:30])


def test_a_short_clip_ends_with_silence_and_a_long_one_is_cut_off():
    whole = KIND.prepare(GOOD).numpy()
    np.testing.assert_array_equal(KIND.sized(2000).prepare(GOOD), np.pad(whole, (0, 400)))
    np.testing.assert_array_equal(KIND.sized(700).prepare(GOOD), whole[:700])


def test_samples_in_memory_are_those_of_a_file():
    (wave,) = KIND.read_examples([WAVE.astype(np.float32)], ["0"])
    assert np.array_equal(KIND.prepare(wave), KIND.prepare(KIND.encode(tf.constant(wave))))
    assert read_sound(write_wav(wave)).values.ravel().tolist() == wave.tolist()


@pytest.mark.parametrize("wrong", [PCM, WAVE[None], WAVE[:0], WAVE * 2, WAVE * np.nan])
def test_other_values_in_memory_are_refused(wrong):
    with pytest.raises(InputError, match=r"`source` must have (clips of shape \(samples,\)|samples in \[-1, 1\])"):
        KIND.read_examples([WAVE, wrong], ["0", "1"])


def test_clips_of_several_lengths_in_memory():
    waves = [WAVE[: 800 + 40 * number].astype(np.float32) for number in range(20)]
    splits = load_data((waves, np.arange(20) % 2), kind=KIND)
    assert sorted(splits.index.facts["samples"]) == [len(wave) for wave in waves]
    assert all(len(KIND.prepare(row["input"])) == 1600 for row in splits.source.examples(np.arange(20)))


def test_augmentation_follows_its_seed_and_keeps_the_range():
    seeds = [tf.constant([0, number], tf.int64) for number in range(4)]
    for name in ("shift", "light"):
        waves = [KIND.augment(tf.constant(GOOD), name, seed).numpy() for seed in seeds]
        assert np.array_equal(waves[0], KIND.augment(tf.constant(GOOD), name, seeds[0]))
        assert len({wave.tobytes() for wave in waves}) == 4
        assert all(wave.shape == (1600,) and np.abs(wave).max() <= 1 for wave in waves)
    loud = KIND.augment(tf.constant(wav(np.full(1600, 32767, np.int16))), "light", seeds[0]).numpy()
    assert np.abs(loud).max() <= 1
    silence = KIND.augment(tf.constant(wav(np.zeros(1600, np.int16))), "light", seeds[0]).numpy()
    assert np.array_equal(silence, np.zeros(1600))


def test_a_shift_moves_the_clip_and_fills_with_silence():
    moved = KIND.augment(tf.constant(GOOD), "shift", tf.constant([3, 5], tf.int64)).numpy()
    whole = KIND.prepare(GOOD).numpy()
    fits = [
        shift
        for shift in range(-160, 161)
        if np.array_equal(moved, np.pad(whole[max(-shift, 0) :], (max(shift, 0), 160))[:1600])
    ]
    assert len(fits) == 1
