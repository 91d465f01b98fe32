"""Images of more than three channels: every form of file gives the same values, and the network takes them."""

import dataclasses
import os

import numpy as np
import pytest
import tensorflow as tf
import tifffile
from option_runs import make_config, tiny_networks

import tfl
from tfl.data import load_source, make_dataset
from tfl.errors import BadImageError, InputError
from tfl.export import load_artefact
from tfl.inputs import get_input
from tfl.inputs.image.bands_decode import decode_bands
from tfl.inputs.image.bands_files import read_bands, write_bands
from tfl.inputs.scan import scan_files
from tfl.inputs.untrusted import RefusedError
from tfl.runs.evaluate import evaluate_workdir

CHANNELS = 5
VALUES = np.random.default_rng(0).integers(0, 4096, (7, 9, CHANNELS)).astype(np.uint16)


def forms(folder):
    """The same image in each form of file that is read."""
    np.save(folder / "plain.npy", VALUES)
    np.save(folder / "first.npy", np.moveaxis(VALUES, -1, 0))
    np.save(folder / "fortran.npy", np.asfortranarray(VALUES))
    np.save(folder / "big_endian.npy", VALUES.astype(">u2"))
    np.save(folder / "int32.npy", VALUES.astype(np.int32))
    np.save(folder / "float64.npy", VALUES.astype(np.float64))
    tifffile.imwrite(folder / "last.tif", VALUES, photometric="minisblack", planarconfig="contig")
    tifffile.imwrite(folder / "planes.tiff", np.moveaxis(VALUES, -1, 0), photometric="minisblack")
    tifffile.imwrite(folder / "packed.tif", VALUES, photometric="minisblack", planarconfig="contig", compression="lzw")
    return sorted(map(str, folder.iterdir()))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TFL_CACHE", str(tmp_path / "cache"))


def kind_of(window=(0, 4095)):
    return dataclasses.replace(get_input("bands:5").sized(16), window=window)


def test_every_form_of_file_gives_the_same_values(tmp_path, cache):
    (tmp_path / "files").mkdir()
    paths = forms(tmp_path / "files")
    scanned = scan_files(kind_of(), paths)
    contents = [tf.io.read_file(result.replacement or path) for path, result in zip(paths, scanned, strict=True)]
    assert [not result.replacement for result in scanned] == [path.endswith("plain.npy") for path in paths]
    for content, result in zip(contents, scanned, strict=True):
        assert np.array_equal(decode_bands(content, CHANNELS), VALUES)
        assert (result.facts, result.peak) == ({"width": 9, "height": 7}, VALUES.max())
    expected = tf.image.resize(VALUES / np.float32(4095) * 255, (16, 16), antialias=True)
    assert np.allclose(kind_of().prepare(contents[0]), expected, atol=1e-3)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_values_of_each_type_come_back_in_the_graph(dtype):
    values = (np.random.default_rng(1).random((4, 1, CHANNELS)) * 255).astype(dtype)
    assert np.array_equal(tf.function(decode_bands)(tf.constant(write_bands(values)), CHANNELS), values)


BROKEN = {
    "empty": b"",
    "text": b"hello, this is a text",
    "another number of channels": write_bands(np.zeros((4, 4, 3), np.uint8)),
    "two axes": write_bands(np.zeros((4, 4), np.uint8)),
    "text values": write_bands(np.array([[["a"] * CHANNELS]])),
    "NaN": write_bands(np.full((2, 2, CHANNELS), np.nan, np.float32)),
    "cut off": write_bands(VALUES)[:200],
    "cut in the header": write_bands(VALUES)[:40],
    "trailing": write_bands(VALUES) + b"x",
    "no pixels": write_bands(np.zeros((0, 4, CHANNELS), np.uint8)),
    "TIFF cut off": b"II*\0\x08\0\0\0",
    "JPEG": b"\xff\xd8\xff\xe0",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_named_in_one_line(name):
    with pytest.raises(BadImageError) as found:
        read_bands(BROKEN[name], CHANNELS)
    assert "\n" not in str(found.value)


def test_a_pipe_is_never_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.npy")
    (found,) = scan_files(kind_of(), [str(tmp_path / "pipe.npy")])
    assert str(found) == "not a regular file"


def test_pickled_arrays_are_never_loaded(tmp_path):
    np.save(tmp_path / "code.npy", np.array([[[{}] * CHANNELS]], dtype=object), allow_pickle=True)
    with pytest.raises(BadImageError):
        read_bands((tmp_path / "code.npy").read_bytes(), CHANNELS)


def test_augmentation_follows_its_seed_and_keeps_the_range():
    kind, raw = kind_of(), tf.constant(write_bands(VALUES))
    seeds = [tf.constant([0, number], tf.int64) for number in range(3)]
    for name in ("light", "shift"):
        images = [kind.augment(raw, name, seed).numpy() for seed in seeds]
        assert np.array_equal(images[0], kind.augment(raw, name, seeds[0])) and not np.array_equal(*images[:2])
        assert all(image.shape == (16, 16, CHANNELS) and 0 <= image.min() <= image.max() <= 255 for image in images)


@pytest.fixture(scope="module")
def satellite(tmp_path_factory):
    """Two classes that differ only in the fifth channel, in both kinds of files."""
    folder = tmp_path_factory.mktemp("satellite")
    rng = np.random.default_rng(0)
    for label, name in enumerate(("dry", "wet")):
        (folder / "photos" / name).mkdir(parents=True)
        for number in range(16):
            values = rng.normal(1500, 300, (24, 24 + number, CHANNELS))
            values[..., 4] += 1500 * label
            values = np.clip(values, 0, 4095).astype(np.uint16)
            if number % 2:
                tifffile.imwrite(folder / "photos" / name / f"{number}.tif", values, photometric="minisblack")
            else:
                np.save(folder / "photos" / name / f"{number}.npy", values)
    return folder


def config_of(folder, **options):
    options = {"data.channels": CHANNELS, "data.window": (0, 4095), "finetune.epochs": 0} | options
    return make_config(folder / "photos", folder / "store", options)


@pytest.fixture(scope="module")
def run(satellite):
    with tiny_networks(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("TFL_CACHE", str(satellite / "cache"))
        yield tfl.transfer(config_of(satellite), satellite / "run")


def test_a_run_predicts_evaluates_and_says_what_was_changed(satellite, run, capsys):
    assert run.metrics["test"]["accuracy"] == 1.0  # only the fifth channel tells the classes apart
    assert run.model.metadata.kind == "bands:5"
    found = run.predict([str(satellite / "photos" / "wet" / name) for name in ("1.tif", "2.npy")])
    assert [answer["classes"][0]["class"] for answer in found] == ["wet", "wet"]
    again = evaluate_workdir(satellite / "run")
    assert again["test"]["loss"] == pytest.approx(run.metrics["test"]["loss"], rel=1e-3)
    page = (satellite / "run" / "report.html").read_text("utf-8")
    assert "Each of the 5 channels here began with the mean weights" in page


def test_the_exported_model_reads_files_of_arrays(satellite, run):
    """A SavedModel reads NumPy files itself; loaded by tfl it reads TIFF, too."""
    with tiny_networks():
        certificate = tfl.export_workdir(satellite / "run", tfl.ExportOptions(formats=["saved_model"]))
    assert all(entry["max_difference"] <= 1e-5 for entry in certificate["artefacts"].values())
    artefact = load_artefact(satellite / "run" / "export" / "saved_model")
    for name in ("0.npy", "1.tif"):
        content = (satellite / "photos" / "wet" / name).read_bytes()
        assert artefact.predict_bytes([content])[0].argmax() == 1


def test_fine_tuning_trains_the_widened_convolution(satellite, run):
    options = {"finetune.epochs": 1, "finetune.unfreeze": "all", "probe.solver": "none", "data.augmentation": "light"}
    with tiny_networks():
        tuned = tfl.transfer(config_of(satellite, **options), satellite / "tuned")
    kernels = [model.get_layer("conv1").kernel.numpy() for model in (run.model, tuned.model)]
    assert kernels[0].shape == kernels[1].shape and not np.array_equal(*kernels)
    with tiny_networks():  # the backbone of a run of as many channels
        options = {"backbone.weights": str(satellite / "tuned")}
        again = tfl.transfer(config_of(satellite, **options), satellite / "again")
    assert np.array_equal(again.model.get_layer("conv1").kernel, kernels[1])


def refused(config, workdir, data=None):
    with tiny_networks(), pytest.raises(InputError) as found:
        tfl.transfer(config, workdir, data=data)
    return str(found.value)


def test_what_does_not_fit_is_refused_in_one_line(satellite, tmp_path):
    assert "Did you mean data.window=0,4095?" in refused(config_of(satellite, **{"data.window": ()}), tmp_path / "a")
    message = refused(config_of(satellite, **{"data.augmentation": "rand", "finetune.epochs": 1}), tmp_path / "b")
    assert "must be one of none, light, shift" in message
    message = refused(config_of(satellite, **{"data.window": (), "data.bit_depth": 12}), tmp_path / "c")
    assert "Did you mean data.window=0,4095?" in message
    message = refused(config_of(satellite, **{"data.scaled_decoding": True}), tmp_path / "d")
    assert "`data.scaled_decoding` must be False" in message
    arrays = (np.zeros((8, 9, 9, 3), np.uint8), np.arange(8) % 2)
    assert "shape (H, W, 5)" in refused(config_of(satellite, **{"data.window": ()}), tmp_path / "e", arrays)


def test_arrays_in_memory_are_examples(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (30, 12, 12, CHANNELS), np.uint8)
    source = load_source((images, np.arange(30) % 2), kind=get_input("bands:5").sized(12))
    batch = next(iter(make_dataset(source, np.arange(4), image_size=12, batch_size=4)))
    ids = source.index.ids[batch["id"].numpy()].astype(int)
    assert np.array_equal(batch["input"], images[ids])


def test_the_service_decodes_arrays_and_refuses_other_bytes():
    decoder = kind_of().decoder(10_000)
    content = write_bands(VALUES)
    assert np.array_equal(decoder.decode(decoder.check(content)), kind_of().prepare(tf.constant(content)))
    for encoded, status in ((b"x", 400), (content[:60], 400), (b"x" * 20_000, 413)):
        with pytest.raises(RefusedError) as found:
            decoder.decode(decoder.check(encoded))
        assert found.value.status == status
