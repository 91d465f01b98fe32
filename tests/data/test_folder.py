"""Folders of images: layouts, bad files, hidden files, names, and the errors for what cannot be used."""

import csv
import hashlib
import os
import re
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from tfl.data import load_data, load_source, make_dataset, write_quarantine_csv
from tfl.data.folder import load_folder
from tfl.data.index import describe_order
from tfl.errors import InputError
from tfl.inputs import get_input
from tfl.inputs.image.scan import MAX_BYTES, BadImageError, ScannedImage, scan_image
from tfl.inputs.scan import scan_files

IMAGE = get_input("image")


def draw(path, seed=0, size=(12, 10), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **options)
    return path


def make_classes(root, classes=("ant", "bee"), count=10, start=0):
    for number, name in enumerate(classes):
        for i in range(count):
            draw(root / name / f"{i}.png", seed=start + 1000 * number + i)
    return root


def test_class_folders(tmp_path):
    make_classes(tmp_path, ("10", "2", "ameise ü"), count=4)
    draw(tmp_path / "2" / "deeper" / "still" / "x.jpg", seed=77, size=(31, 7))
    splits = load_data(f"folder:{tmp_path}")
    index = splits.index
    assert splits.class_names == ("2", "10", "ameise ü")
    assert [index.class_names[label] for label in index.labels] == ["2"] * 5 + ["10"] * 4 + ["ameise ü"] * 4
    assert index.ids.tolist()[:6] == ["2/0.png", "2/1.png", "2/2.png", "2/3.png", "2/deeper/still/x.jpg", "10/0.png"]
    for row, path in enumerate(index.paths):
        assert hashlib.sha256(Path(path).read_bytes()).hexdigest() == index.sha256[row]
        assert Image.open(path).size == (index.facts["width"][row], index.facts["height"][row])


@pytest.mark.parametrize("name", ["val", "Valid", "VALIDATION", "test"])
def test_the_second_of_two_splits_is_the_test_set(tmp_path, name):
    make_classes(tmp_path / "Train", count=20)
    make_classes(tmp_path / name, count=5, start=500)
    splits = load_data(f"folder:{tmp_path}")
    assert {id.split("/")[0] for id in splits.index.ids[splits.test]} == {name}
    assert {id.split("/")[0] for id in splits.index.ids[np.r_[splits.train, splits.validation]]} == {"Train"}
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (32, 8, 10)  # .15 / .85 of 20, twice


def test_three_splits_are_kept(tmp_path):
    for start, (name, count) in enumerate({"train": 6, "val": 3, "TEST": 4}.items()):
        make_classes(tmp_path / name, count=count, start=100 * start)
    splits = load_data(f"folder:{tmp_path}")
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (12, 6, 8)
    assert all(id.startswith("val/") for id in splits.index.ids[splits.validation])


def test_a_lone_train_folder_is_cut(tmp_path):
    make_classes(tmp_path / "train", count=10)
    splits = load_data(f"folder:{tmp_path}")
    assert splits.class_names == ("ant", "bee")
    assert min(len(splits.train), len(splits.validation), len(splits.test)) >= 2


def test_train_may_be_a_class(tmp_path):
    make_classes(tmp_path, ("bus", "train"), count=5)
    assert load_data(f"folder:{tmp_path}").class_names == ("bus", "train")


def test_linked_folders_are_followed_and_loops_end(tmp_path):
    make_classes(tmp_path / "real", count=4)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "ant").symlink_to(tmp_path / "real" / "ant")
    (tmp_path / "data" / "bee").symlink_to(tmp_path / "real" / "bee")
    (tmp_path / "real" / "ant" / "loop").symlink_to(tmp_path / "real" / "ant")
    assert len(load_folder(str(tmp_path / "data"), IMAGE).index) == 8


def test_home_folder(tmp_path, monkeypatch):
    make_classes(tmp_path / "photos", count=3)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(load_folder("~/photos", IMAGE).index) == 6


def test_bad_files_are_listed_and_hidden_files_passed_over(tmp_path, capsys):
    make_classes(tmp_path / "data", count=20)
    ant = tmp_path / "data" / "ant"
    for name in (".hidden.png", "._0.png", ".DS_Store"):
        (ant / name).write_bytes(b"junk")
    (ant / ".git").mkdir()
    (ant / ".git" / "x.png").write_bytes(b"junk")
    whole = draw(tmp_path / "whole.jpg", size=(200, 150), format="JPEG").read_bytes()
    (ant / "empty.jpg").write_bytes(b"")
    (ant / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (ant / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0" * 50)
    draw(ant / "really_png.png", seed=9).rename(ant / "called.jpg")
    splits = load_data(f"folder:{tmp_path / 'data'}")
    reasons = {Path(path).name: reason for path, reason in splits.quarantine}
    assert set(reasons) == {"empty.jpg", "cut.jpg"}
    assert "0 bytes" in reasons["empty.jpg"]
    assert "truncated JPEG" in reasons["cut.jpg"]
    said = capsys.readouterr().err
    assert said.count("Ignored: 5 files and folders") == 1 and "2 of 43 files" in said
    assert len(splits.index) == 41
    write_quarantine_csv(tmp_path / "q.csv", splits.quarantine)
    rows = list(csv.reader((tmp_path / "q.csv").open(encoding="utf-8")))
    assert rows == [["path", "reason"], *map(list, splits.quarantine)]


JUNK_FOLDERS = ["@eaDir", "__MACOSX", "lost+found", ".ipynb_checkpoints", "$RECYCLE.BIN", "#recycle", "__pycache__"]
JUNK_FOLDERS += ["System Volume Information", ".git", "@Recycle", "@tmp", ".Trash-1000"]
JUNK_FILES = ["Thumbs.db", "desktop.ini", ".DS_Store", "ehthumbs.db", "Icon\r", "._0.png", "0.png:Zone.Identifier"]
JUNK_FILES += ["0.xmp", "0.AAE", ".nomedia", "0.png@SynoEAStream"]


@pytest.mark.parametrize("layout", ["", "train test"])
def test_what_other_programs_left_is_never_data_and_said_once(tmp_path, capsys, layout):
    for start, split in enumerate(layout.split() or ["."]):
        make_classes(tmp_path / split, count=4, start=100 * start)
    expected = load_source(f"folder:{tmp_path}")
    places = [tmp_path, *(path for path in tmp_path.rglob("*") if path.is_dir())]
    for place in places:
        for name in JUNK_FOLDERS:
            draw(place / name / "ant" / "thumbnail.jpg")
        for name in JUNK_FILES:
            (place / name).write_bytes(b"junk")
    capsys.readouterr()
    source = load_source(f"folder:{tmp_path}", 0.0)
    assert source.index.ids.tolist() == expected.index.ids.tolist()
    assert source.index.class_names == ("ant", "bee") and source.quarantine == ()
    said = capsys.readouterr().err
    assert said.count("Ignored") == 1
    assert f"{len(places) * (len(JUNK_FOLDERS) + len(JUNK_FILES))} files and folders that are hidden" in said


def test_names_that_only_remind_of_other_programs_are_classes(tmp_path):
    names = ("recycled", "thumbs", "trash", "lost and found")
    assert set(load_source(f"folder:{make_classes(tmp_path, names, count=1)}").index.class_names) == set(names)


NFC, NFD = "K\xe4fer", "Ka\u0308fer"


def test_folders_equal_after_normalisation_are_one_class(tmp_path):
    make_classes(tmp_path, (NFC, NFD, "bee"), count=2)
    index = load_source(f"folder:{tmp_path}").index
    assert index.class_names == (NFC, "bee") or index.class_names == ("bee", NFC)
    assert [index.class_names[label] for label in index.labels].count(NFC) == 4


def test_splits_in_two_forms_have_the_same_classes(tmp_path):
    make_classes(tmp_path / "train", (NFC, "bee"), count=2)
    make_classes(tmp_path / "test", (NFD, "bee"), count=2, start=50)
    assert set(load_source(f"folder:{tmp_path}").index.class_names) == {NFC, "bee"}


@pytest.mark.parametrize("other", ["Ant", "ant ", "ANT", "ant\u200b"])
def test_names_that_look_alike_are_said(tmp_path, capsys, other):
    make_classes(tmp_path / "one", ("ant", other, "bee"), count=1)
    assert len(load_source(f"folder:{tmp_path / 'one'}").index.class_names) == 3
    said = capsys.readouterr().err
    assert "'ant'" in said and repr(other) in said and "differ only in case" in said
    make_classes(tmp_path / "two" / "train", ("ant", "bee"), count=1)
    make_classes(tmp_path / "two" / "test", (other, "bee"), count=1)
    with pytest.raises(InputError, match="differ only in case") as caught:
        load_source(f"folder:{tmp_path / 'two'}")
    assert "'ant'" in str(caught.value) and repr(other) in str(caught.value)


@pytest.mark.parametrize("names", [[str(number) for number in range(1, 13)], ["a9", "a10", "b"], ["9", "ant"]])
def test_the_order_is_said_where_keras_has_another(tmp_path, names):
    make_classes(tmp_path, names, count=1)
    ours = load_source(f"folder:{tmp_path}").index.class_names
    theirs = keras.utils.image_dataset_from_directory(tmp_path, image_size=(8, 8), verbose=False).class_names
    line = describe_order(ours)
    assert bool(line) == (list(ours) != theirs)
    if line:
        number = int(re.search(r"number (\d+)", line)[1])
        assert ours[:number] == tuple(theirs[:number]) and ours[number] != theirs[number]
        assert f"is {ours[number]!r}, but {theirs[number]!r} if Keras" in line


def test_an_order_of_the_user_s_own_is_not_called_natural():
    assert describe_order(["dog", "cat"]) == describe_order([]) == describe_order(["10", "9", "1"]) == ""


def test_the_same_folder_linked_into_two_splits_is_read_twice(tmp_path):
    make_classes(tmp_path / "data" / "train", count=3)
    (tmp_path / "data" / "test").symlink_to(tmp_path / "data" / "train")
    assert len(load_source(f"folder:{tmp_path / 'data'}").index) == 12  # and the leak is told


def test_too_many_bad_files_stop_the_run(tmp_path):
    make_classes(tmp_path, count=8)
    for i in range(4):
        (tmp_path / "ant" / f"bad{i}.jpg").write_bytes(b"")
    with pytest.raises(InputError, match=r"max_bad_fraction.* 4 of 20, the first: .*bad0.jpg \(empty"):
        load_data(f"folder:{tmp_path}")
    assert len(load_data(f"folder:{tmp_path}", max_bad_fraction=0.2).quarantine) == 4


def png_header(width, height):
    return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x02\0\0\0"


@pytest.mark.parametrize(
    ("encoded", "reason"),
    [
        (png_header(100_000, 100_000), "100000 x 100000 pixels are more than"),
        (png_header(5, 5), "truncated PNG"),
        (b"GIF89a", "truncated GIF"),
        (b"BM" + bytes(60), "truncated BMP"),
        (b"RIFF\0\0\0\0WEBP" + bytes(30), "truncated WebP"),
        (b"RIFF\0\0\0\0WAVE", "known format"),
        (b"\xff\xd8\xff" + bytes(20), "truncated JPEG"),
        (b"plain text", "known format"),
    ],
)
def test_reasons(encoded, reason):
    with pytest.raises(BadImageError, match=reason) as caught:
        scan_image(encoded)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "WEBP"])
def test_a_file_cut_anywhere_is_caught(tmp_path, kind):
    whole = draw(tmp_path / "x", size=(64, 48), format=kind).read_bytes()
    assert isinstance(scan_image(whole), ScannedImage)
    for length in (3, 8, 11, 25, 29, len(whole) // 2, len(whole) * 9 // 10):
        with pytest.raises(BadImageError):
            scan_image(whole[:length])


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_size_is_as_displayed(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    scanned = scan_image(draw(tmp_path / "x.jpg", size=(30, 20), exif=exif).read_bytes())
    assert (scanned.width, scanned.height) == ((20, 30) if orientation >= 5 else (30, 20))


@pytest.mark.parametrize("options", [{"lossless": True}, {"quality": 50}, {"exif": b"Exif\0\0"}])
def test_webp_size(tmp_path, options):
    scanned = scan_image(draw(tmp_path / "x.webp", size=(300, 20), **options).read_bytes())
    assert (scanned.width, scanned.height) == (300, 20)


def test_unreadable_file(tmp_path):
    (result,) = scan_files(IMAGE, [str(tmp_path / "gone.jpg")])
    assert isinstance(result, BadImageError) and "cannot be read" in str(result)


def test_a_file_larger_than_any_photo_is_not_read(tmp_path):
    file = draw(tmp_path / "x.jpg")
    os.truncate(file, MAX_BYTES + 1)  # a hole: the disk holds nothing of it
    (result,) = scan_files(IMAGE, [str(file)])
    assert isinstance(result, BadImageError) and "536,870,911 bytes, more than the" in str(result)


def test_missing_folder_suggests_a_sibling(tmp_path):
    make_classes(tmp_path / "hymenoptera")
    with pytest.raises(InputError, match=r"exists.*hymenoptra\. Did you mean '.*hymenoptera'\?"):
        load_data(f"folder:{tmp_path / 'hymenoptra'}")


def test_one_class(tmp_path):
    make_classes(tmp_path, ("ant",))
    with pytest.raises(InputError, match=r"two class folders.*only the class folder ant"):
        load_data(f"folder:{tmp_path}")


def test_no_classes(tmp_path):
    draw(tmp_path / "x.png")
    with pytest.raises(InputError, match=r"no class folders"):
        load_data(f"folder:{tmp_path}")


def test_empty_class(tmp_path):
    make_classes(tmp_path)
    (tmp_path / "cat").mkdir()
    with pytest.raises(InputError, match=r"the class folder .*cat is empty"):
        load_data(f"folder:{tmp_path}")


def test_class_without_usable_images(tmp_path):
    make_classes(tmp_path)
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "x.jpg").write_bytes(b"")
    with pytest.raises(InputError, match=r"class 'cat', which has none"):
        load_data(f"folder:{tmp_path}")


def test_class_with_too_few_images(tmp_path):
    make_classes(tmp_path)
    make_classes(tmp_path, ("cat",), count=2)
    with pytest.raises(InputError, match=r"Class 'cat'.*at least 3 usable images.*Received: 2"):
        load_data(f"folder:{tmp_path}")


def test_splits_with_other_classes(tmp_path):
    make_classes(tmp_path / "train", ("ant", "bee"))
    make_classes(tmp_path / "test", ("ant", "bee", "cat"))
    with pytest.raises(InputError, match=r"same classes.*cat in test but not in train"):
        load_data(f"folder:{tmp_path}")


@pytest.mark.parametrize("extra", ["extra", "VAL"])
def test_folders_beside_splits(tmp_path, extra):
    for name in ("train", "val", extra):
        make_classes(tmp_path / name, count=3)
    with pytest.raises(InputError, match=rf"each split folder.*{extra}"):
        load_data(f"folder:{tmp_path}")


def test_leaks_are_told(tmp_path, capsys):
    make_classes(tmp_path / "train", count=6)
    make_classes(tmp_path / "test", count=3)  # the same seeds, so the same bytes
    load_data(f"folder:{tmp_path}")
    said = capsys.readouterr().err
    found = re.findall(r"(\d) of (\w+) are also in (\w+)", said)
    assert ("test", "train") in {
        (other, split) for _, other, split in found
    } and "Warning: two splits have the same images" in said
    assert sum(int(number) for number, *_ in found) == 6  # each test image is in train or was cut out of it


def test_a_file_that_changes_after_the_scan_is_named(tmp_path):
    make_classes(tmp_path, count=4)
    splits = load_data(f"folder:{tmp_path}")
    path = splits.index.paths[splits.train[1]]
    draw(Path(path), seed=999)
    with pytest.raises(Exception, match=r"changed since it was checked.*" + Path(path).name):
        list(make_dataset(splits.source, splits.train, image_size=8, batch_size=4))


REAL = {  # folder, splits on disk, kept as train + validation, test
    "hymenoptera": (("train",), ("val",)),
    "scenes_64px_subset": (("train",), ("val",)),
    "fashion_mnist_png_subset": (("train",), ("test",)),
    "dogs_cats_small": ((), ()),
    "sign_language_digits": ((), ()),
}


@pytest.mark.parametrize("name", REAL)
def test_real_folders_are_counted_as_on_disk(shared, name):
    root = shared / "data" / name
    files = [path for path in root.glob("*/**/*") if path.is_file()]
    splits = load_data(f"folder:{root}")
    assert splits.quarantine == ()
    assert len(splits.index) == len(files)
    fit, test = REAL[name]
    if test:
        assert len(splits.test) == sum(path.relative_to(root).parts[0] in test for path in files)
        assert len(splits.train) + len(splits.validation) == sum(
            path.relative_to(root).parts[0] in fit for path in files
        )
    for rows in (splits.train, splits.validation, splits.test):
        assert set(splits.index.labels[rows]) == set(range(len(splits.class_names)))


def test_a_class_name_that_is_no_utf8_is_refused_and_a_file_name_is_not(tmp_path):
    make_classes(tmp_path)
    draw(tmp_path / "ant" / os.fsdecode(b"K\xe4fer.png"), seed=99)
    assert len(load_data(f"folder:{tmp_path}").index) == 21
    (tmp_path / "ant").rename(tmp_path / os.fsdecode(b"K\xe4fer"))
    with pytest.raises(
        InputError, match=r"`data.source` must have class names in UTF-8. Received: 'K\ufffdfer'."
    ) as caught:
        load_data(f"folder:{tmp_path}")
    assert str(caught.value).isprintable()


def test_a_model_may_be_asked_about_one_class_or_an_empty_one(tmp_path):
    make_classes(tmp_path, classes=("bee",), count=3)
    (tmp_path / "ant").mkdir()
    source = load_source(f"folder:{tmp_path}", class_names=("ant", "bee", "fly"))
    assert source.index.class_names == ("bee",)
    assert source.index.labels.tolist() == [0, 0, 0]
    with pytest.raises(InputError):  # which is too little to train on
        load_source(f"folder:{tmp_path}")
    for other in tmp_path.glob("bee/*"):
        other.unlink()
    with pytest.raises(InputError, match=r"`source` must have images of at least one class. Received: folder:.* none"):
        load_source(f"folder:{tmp_path}", class_names=("ant", "bee"))
