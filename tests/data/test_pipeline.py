"""Batches: order, exactly-once, independence of threads, and the prediction data set."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from tfl.data import explain_lost, load_data, make_dataset, make_prediction_dataset
from tfl.errors import InputError
from tfl.inputs import ImageInput


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Files of every kind that folders hold, two classes of 24."""
    root = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    kinds = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "JPEG")
    for number in range(48):
        folder = root / ("cat", "dog")[number % 2]
        folder.mkdir(exist_ok=True)
        small = Image.fromarray(rng.integers(0, 256, (4, 5, 3), dtype=np.uint8))
        image = small.resize((20 + number, 60 - number), Image.Resampling.BICUBIC)
        exif = Image.Exif()
        exif[0x0112] = 1 + number % 8
        kind = kinds[number % 6]
        image.save(folder / f"{number}.{kind.lower()}", kind, **({"exif": exif} if kind == "JPEG" else {}))
    return root


def collect(dataset, threads=None):
    options = tf.data.Options()
    if threads:
        options.threading.private_threadpool_size = threads
    batches = list(dataset.with_options(options).as_numpy_iterator())
    return {key: np.concatenate([batch[key] for batch in batches]) for key in batches[0]}


def test_evaluation_sees_every_example_once_in_index_order(photos):
    splits = load_data(f"folder:{photos}")
    for batch_size in (1, 5, 1000):
        found = collect(make_dataset(splits.source, splits.train, image_size=8, batch_size=batch_size))
        np.testing.assert_array_equal(found["id"], splits.train)
        np.testing.assert_array_equal(found["label"], splits.index.labels[splits.train])
        assert found["weight"].dtype == np.float32 and (found["weight"] == 1).all()
        assert found["id"].dtype == np.int64 and found["input"].dtype == np.uint8


def test_pixels_equal_pillow(photos):
    splits = load_data(f"folder:{photos}")
    rows = np.arange(len(splits.index))
    found = collect(make_dataset(splits.source, rows, image_size=16, batch_size=7))
    for row, pixels in zip(found["id"], found["input"], strict=True):
        image = Image.open(splits.index.paths[row])
        assert (image.format == "JPEG") == ("jpeg" in splits.index.paths[row])
        upright = (ImageOps.exif_transpose(image) if image.format == "JPEG" else image).convert("RGB")
        assert upright.size == (splits.index.facts["width"][row], splits.index.facts["height"][row])
        expected = np.asarray(upright.resize((16, 16), Image.Resampling.BILINEAR))
        assert np.abs(pixels.astype(int) - expected).max() <= 1, splits.index.paths[row]


def test_order_is_a_permutation_drawn_from_seed_and_epoch(photos):
    splits = load_data(f"folder:{photos}")

    def order(seed, epoch):
        dataset = make_dataset(splits.source, splits.train, image_size=4, batch_size=4, seed=seed, epoch=epoch)
        return collect(dataset)["id"].tolist()

    expected = np.random.default_rng((3, 1)).permutation(splits.train).tolist()
    assert order(3, 1) == order(3, 1) == expected
    assert sorted(expected) == splits.train.tolist()
    assert len({tuple(order(*key)) for key in ((3, 1), (3, 2), (4, 1), (0, 0))}) == 4


@pytest.mark.parametrize("augmentation", ["none", "light", "shift", "rand"])
def test_batches_do_not_depend_on_the_number_of_threads(photos, augmentation):
    splits = load_data(f"folder:{photos}")
    options = {"image_size": 12, "batch_size": 5, "augmentation": augmentation, "seed": 2, "epoch": 3}
    one, two = (collect(make_dataset(splits.source, splits.train, **options), threads) for threads in (1, 2))
    for key in one:
        np.testing.assert_array_equal(one[key], two[key])


def test_augmentation_goes_by_example_not_by_place(photos):
    splits = load_data(f"folder:{photos}")
    options = {"image_size": 12, "batch_size": 5, "augmentation": "light", "epoch": 0}
    whole = collect(make_dataset(splits.source, splits.train, **options))
    part = collect(make_dataset(splits.source, splits.train[10:], **options))
    for id, image in zip(part["id"], part["input"], strict=True):
        np.testing.assert_array_equal(image, whole["input"][whole["id"] == id][0])


def test_evaluation_ignores_augmentation():
    splits = load_data("digits")
    plain, augmented = (
        collect(make_dataset(splits.source, splits.test, image_size=8, batch_size=64, augmentation=name))["input"]
        for name in ("none", "rand")
    )
    np.testing.assert_array_equal(plain, augmented)


def test_the_last_batch_is_shorter():
    splits = load_data("digits")
    batches = make_dataset(splits.source, splits.test, image_size=8, batch_size=100)
    assert [len(batch["id"]) for batch in batches] == [100, 100, 69]


def test_prediction_dataset(photos, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    files = [photos / "dog" / "3.bmp", tmp_path / "broken.jpg", tmp_path / "gone.png", photos / "cat"]
    dataset, paths, bad = make_prediction_dataset(files, ImageInput(8), batch_size=4)
    assert [path for path, _ in bad] == [str(tmp_path / "broken.jpg"), str(tmp_path / "gone.png")]
    assert paths[0] == str(photos / "dog" / "3.bmp") and len(paths) == 25
    found = collect(dataset)
    assert found["id"].tolist() == list(range(25))
    splits = load_data(f"folder:{photos}")
    same = collect(make_dataset(splits.source, np.arange(len(splits.index)), image_size=8, batch_size=4))
    for path, image in zip(paths, found["input"], strict=True):
        np.testing.assert_array_equal(image, same["input"][splits.index.paths == path][0])


def test_files_of_other_programs_are_not_predicted(photos, tmp_path, capsys):
    folder = tmp_path / "photos"
    shutil.copytree(photos / "cat", folder)
    shutil.copytree(photos / "cat", folder / "@eaDir" / "deeper")
    shutil.copytree(photos / "cat", folder / "__MACOSX")
    for name in ("Thumbs.db", "desktop.ini", ".DS_Store"):
        (folder / name).write_bytes(b"junk")
    for files in ([folder], sorted(folder.glob("[!.]*"))):  # the folder, and what a shell gives for photos/*
        _, paths, bad = make_prediction_dataset(files, ImageInput(8), batch_size=4)
        assert len(paths) == 24 and not bad
        assert capsys.readouterr().err.count("Ignored") == 1
    with pytest.raises(InputError, match="no file"):
        make_prediction_dataset([folder / "@eaDir"], ImageInput(8), batch_size=4)


def test_what_goes_away_or_changes_before_its_turn_is_listed_and_the_rest_goes_on(photos, tmp_path):
    folder = shutil.copytree(photos / "cat", tmp_path / "photos")
    dataset, paths, _ = make_prediction_dataset([folder], ImageInput(8), batch_size=4)
    expected = collect(dataset)["input"]
    assert explain_lost(paths, np.arange(24), ImageInput(8)) == []
    gone, cut, other = (Path(paths[row]) for row in (0, 7, 23))
    gone.unlink()
    cut.write_bytes(cut.read_bytes()[:50])
    shutil.copy(paths[1], other)
    found = collect(dataset)
    kept = [row for row in range(24) if row not in (0, 7, 23)]
    assert found["id"].tolist() == kept
    np.testing.assert_array_equal(found["input"], expected[kept])
    lost = explain_lost(paths, found["id"], ImageInput(8))
    assert [path for path, _ in lost] == [str(gone), str(cut), str(other)]
    assert [reason.split(":")[0] for _, reason in lost[::2]] == ["cannot be read", "changed since it was checked"]
    assert "truncated" in lost[1][1]


@pytest.mark.parametrize("files", [[], ["no/such/file.jpg"]])
def test_nothing_to_predict(files):
    with pytest.raises(InputError, match=r"at least one usable image"):
        make_prediction_dataset(files, ImageInput(8), batch_size=4)


def test_real_photos_equal_pillow(shared):
    folder = shared / "data" / "hymenoptera" / "val" / "bees"
    dataset, paths, bad = make_prediction_dataset(sorted(folder.iterdir())[:12], ImageInput(224), batch_size=5)
    assert not bad and len(paths) == 12
    for path, pixels in zip(paths, collect(dataset)["input"], strict=True):
        image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
        expected = np.asarray(image.resize((224, 224), Image.Resampling.BILINEAR))
        # Pillow rounds after each of its two passes.
        assert np.abs(pixels.astype(int) - expected).max() <= 1
