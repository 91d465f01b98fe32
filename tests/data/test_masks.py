"""Images with masks: which folders and files belong together, what a mask means, and what is left out."""

import numpy as np
import pytest
from masks import VOID, draw, write_masks
from PIL import Image

from tfl.data import load_data, load_source, make_dataset
from tfl.data.masks.mask_file import COLOURS, GREYS, NUMBERS, read_values
from tfl.data.masks.pairs import find_pairs
from tfl.data.masks.table import read_names
from tfl.data.pipeline import make_label_dataset
from tfl.data.tree import read_tree
from tfl.errors import InputError
from tfl.inputs import get_input

IMAGE = get_input("image").sized(32)


def write(folder, files):
    """Write a picture or a mask for each name; None writes a picture with noise."""
    rng = np.random.default_rng(0)
    for name, values in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        content = rng.integers(0, 256, (8, 6, 3), dtype=np.uint8) if values is None else np.asarray(values)
        if isinstance(values, Image.Image):
            values.save(path)
        else:
            Image.fromarray(content).save(path)
    return folder


def half(low=0, high=1, shape=(8, 6)):
    """Return a mask whose left half is one class and whose right half is another."""
    mask = np.full(shape, low, np.uint8)
    mask[:, shape[1] // 2 :] = high
    return mask


def load(folder, **options):
    return load_source(f"masks:{folder}", options.pop("most", 1.0), kind=IMAGE, **options)


@pytest.mark.parametrize(
    ("image", "mask", "split"),
    [
        ("images/{}.jpg", "masks/{}.png", ""),
        ("train/{}.png", "trainannot/{}.png", "train"),
        ("train/images/{}.png", "train/labels/{}.png", "train"),
        ("images/training/{}.png", "annotations/training/{}.png", "train"),
        ("data/val_images/{}.png", "data/val_masks/{}.png", "validation"),
        ("VOC/JPEGImages/{}.jpg", "VOC/SegmentationClass/{}.png", ""),
        ("img/{}.png", "gt/{}_mask.png", ""),
        ("test/{}.png", "test_labels/{}_L.png", "test"),
        ("leftImg8bit/train/aachen/{}_leftImg8bit.png", "gtFine/train/aachen/{}_gtFine_labelIds.png", "train"),
    ],
)
def test_folders_and_files_are_paired_by_their_names(image, mask, split, tmp_path):
    for number in ("2", "10"):
        write(tmp_path, {image.format(number): None, mask.format(number): half()})
    pairs, alone = find_pairs(read_tree(tmp_path, IMAGE.may_be), "masks:x")
    assert alone == ()
    assert {pair.split for pair in pairs} == {split}
    wanted = [(str(tmp_path / image.format(n)), str(tmp_path / mask.format(n))) for n in ("2", "10")]
    assert sorted((pair.image, pair.mask) for pair in pairs) == sorted(wanted)


@pytest.mark.parametrize("ending", ["npy", "tif"])
def test_examples_of_several_bands_have_masks_in_files_of_pictures(ending, tmp_path):
    bands = get_input("bands:4").sized(32)
    for name in ("a", "b"):
        write(tmp_path, {f"masks/{name}.png": half()})
        path = tmp_path / "images" / f"{name}.{ending}"
        path.parent.mkdir(exist_ok=True)
        values = np.random.default_rng(ord(name)).integers(0, 256, (8, 6, 4), dtype=np.uint8)
        np.save(path, values) if ending == "npy" else Image.fromarray(values).save(path)
    source = load_source(f"masks:{tmp_path}", 1.0, kind=bands)
    assert source.quarantine == () and len(source.index) == 2
    (batch,) = make_dataset(source, np.arange(2), image_size=32, batch_size=2)
    assert batch["input"].shape == (2, 32, 32, 4)
    np.testing.assert_array_equal(batch["label"][0], np.repeat([[0] * 16 + [1] * 16], 32, axis=0))


@pytest.mark.parametrize("folders", [("images",), ("cats", "dogs"), ("masks",)])
def test_a_folder_without_images_and_masks_is_refused(folders, tmp_path):
    write(tmp_path, {f"{name}/1.png": None for name in folders})
    with pytest.raises(
        InputError, match=r"`data\.source` must be a folder with a folder of images and a folder of mas"
    ):
        load(tmp_path)


def palette_mask(values):
    picture = Image.fromarray(values, "P")
    picture.putpalette([0, 0, 0, 200, 0, 0, 0, 200, 0])
    return picture


def test_grey_palette_and_colour_masks_mean_the_same(tmp_path):
    values = half(0, 2)
    colours = np.array([[0, 0, 0], [9, 9, 9], [200, 10, 5]], np.uint8)[values]
    for name, content in {"grey": values, "palette": palette_mask(values), "deep": values.astype(np.uint16)}.items():
        write(tmp_path, {f"{name}.png": content})
        found, form = read_values(str(tmp_path / f"{name}.png"))
        assert form == NUMBERS
        np.testing.assert_array_equal(found, values)
    write(tmp_path, {"rgb.png": colours, "equal.png": np.repeat(values[..., None], 3, axis=2)})
    found, form = read_values(str(tmp_path / "rgb.png"))
    assert form == COLOURS
    np.testing.assert_array_equal(found, np.where(values == 2, 200 * 65536 + 10 * 256 + 5, 0))
    assert read_values(str(tmp_path / "equal.png"))[1] == GREYS


def test_masks_become_the_labels_of_batches_at_the_size_of_the_image(tmp_path):
    folder = write_masks(tmp_path, {"train": 4, "val": 2, "test": 2})
    splits = load_data(f"masks:{folder}", kind=IMAGE, ignore_label=VOID)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (4, 2, 2)
    assert splits.class_names == ("ground", "red", "blue")
    assert splits.quarantine == ()
    (batch,) = make_dataset(splits.source, splits.train, image_size=32, batch_size=8)
    for row, pixels, label in zip(batch["id"].numpy(), batch["input"].numpy(), batch["label"].numpy(), strict=True):
        name = splits.index.ids[row].removeprefix("train/")
        np.testing.assert_array_equal(pixels, np.asarray(Image.open(folder / "train" / name)))
        mask = np.asarray(Image.open(folder / "trainannot" / name))
        np.testing.assert_array_equal(label, np.where(mask == VOID, 255, mask))
    (small,) = make_dataset(splits.source, splits.train, image_size=8, batch_size=8)
    np.testing.assert_array_equal(small["label"].numpy(), batch["label"].numpy()[:, 2::4, 2::4])


def test_colours_are_named_by_a_file(tmp_path):
    table = np.array([[128, 64, 128], [0, 128, 192]], np.uint8)
    write(tmp_path, {f"images/{n}.png": None for n in range(3)} | {f"masks/{n}.png": table[half()] for n in range(3)})
    assert load(tmp_path).index.class_names == ("#0080c0", "#804080")
    (tmp_path / "label_colors.txt").write_text("128 64 128\tRoad\n0 128 192 Bicyclist\n")
    assert load(tmp_path).index.class_names == ("Road", "Bicyclist")
    (tmp_path / "label_colors.txt").unlink()
    (tmp_path / "class_dict.csv").write_text("name,r,g,b\nBicyclist,0,128,192\nRoad,128,64,128\n")
    source = load(tmp_path)
    assert source.index.class_names == ("Bicyclist", "Road")
    (label,) = (row["label"].numpy() for row in source.labels(np.array([0])))
    np.testing.assert_array_equal(label, 1 - half())


def test_numbers_of_a_model_replace_those_of_the_source(tmp_path):
    write(tmp_path, {f"images/{n}.png": None for n in range(2)} | {f"masks/{n}.png": half() for n in range(2)})
    source = load(tmp_path)
    (label,) = (row["label"].numpy() for row in source.numbered_as(None, np.array([4, 2])).labels(np.array([1])))
    np.testing.assert_array_equal(label, np.where(half() == 0, 4, 2))


GOOD = {f"images/{n}.png": None for n in range(4)} | {f"masks/{n}.png": half() for n in range(4)}
JPEG_NOISE = np.random.default_rng(1).integers(0, 256, (8, 6, 3), dtype=np.uint8)
BROKEN = {
    "another size": ({"images/x.png": None, "masks/x.png": half(shape=(6, 8))}, "8 x 6 pixels, and its image 6 x 8"),
    "an unknown value": ({"images/x.png": None, "masks/x.png": half(0, 7)}, "the value 7, which is no class"),
    "colours": ({"images/x.png": None, "masks/x.png": np.eye(3, dtype=np.uint8)[half()] * 200}, "it has colours, and"),
    "a photo": ({"images/x.png": np.zeros((32, 32, 3), np.uint8), "masks/x.png": np.random.default_rng(2).integers(
        0, 256, (32, 32, 3), dtype=np.uint8)}, "different values: a mask needs a lossless format"),
    "only void": ({"images/x.png": None, "masks/x.png": half(255, 255)}, "no pixel of it counts"),
    "no mask": ({"images/x.png": None}, "it has no mask"),
    "no image": ({"masks/x.png": half()}, "it has no image"),
    "two masks": ({"images/x.png": None, "masks/x.png": half(), "masks/x.bmp": half()}, "it has 2 masks"),
    "another folder": ({"images/x/1.png": None}, "its folder has no partner of masks"),
    "floats": ({"images/x.png": None, "masks/x.tif": np.zeros((8, 6), np.float32)}, "it has the mode F"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_mask_is_named_and_the_others_are_used(name, tmp_path, capsys):
    files, reason = BROKEN[name]
    (tmp_path / "classes.txt").write_text("ground\nred\n")
    source = load(write(tmp_path, GOOD | files), ignore_label=255)
    assert len(source.index) == 4
    ((path, said),) = source.quarantine
    assert "x" in path.rsplit("s/", 1)[1]
    assert reason in said
    assert "cannot be used" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["mask", "image"])
def test_a_file_that_is_no_image_is_named(name, tmp_path):
    write(tmp_path, GOOD)
    (tmp_path / f"{name}s" / "2.png").write_bytes(b"\x89PNG no more")
    source = load(tmp_path)
    assert len(source.index) == 3
    assert source.quarantine[0][0] == str(tmp_path / f"{name}s" / "2.png")
    with pytest.raises(InputError, match=r"`data\.max_bad_fraction` must be at least"):
        load(tmp_path, most=0.1)


def test_a_mask_that_changes_later_is_named(tmp_path):
    source = load(write(tmp_path, GOOD))
    write(tmp_path, {"masks/1.png": half(1, 0)})
    with pytest.raises(Exception, match=r"changed since it was checked.*1\.png"):
        list(source.labels(np.arange(4)))


def test_masks_of_one_class_are_refused_with_the_reason(tmp_path):
    write(tmp_path, {f"images/{n}.png": None for n in range(3)} | {f"masks/{n}.png": half(0, 255) for n in range(3)})
    with pytest.raises(InputError, match=r"masks of 2 to 255 classes.*with 1: 0\..*ignore_label=-1"):
        load(tmp_path, ignore_label=255)
    assert load(tmp_path, ignore_label=-1).index.class_names == ("0", "255")


@pytest.mark.parametrize(
    ("file", "text", "names"),
    [
        ("classes.txt", "road\n\ncar\n", ("road", "car")),
        ("labels.csv", "road\ncar\n", ("road", "car")),
        ("codes.txt", "\ufeffroad\nold car\n", ("road", "old car")),
        ("label_colors.txt", "1 2 3 old car\n4 5 6 road\n", ("old car", "road")),
    ],
)
def test_names_are_read(file, text, names, tmp_path):
    (tmp_path / file).write_text(text, encoding="utf-8")
    assert read_names(tmp_path).names == names


def test_a_name_that_occurs_twice_is_refused(tmp_path):
    (tmp_path / "classes.txt").write_text("road\nroad\n")
    with pytest.raises(InputError, match="'road' twice"):
        read_names(tmp_path)


def test_masks_are_not_joined_with_other_sources(tmp_path):
    write(tmp_path, GOOD)
    with pytest.raises(InputError, match=r"`data\.source` must be one source if it has masks"):
        load_source(f"masks:{tmp_path},masks:{tmp_path}", kind=IMAGE)


def test_drawn_pictures_show_what_their_masks_say():
    pixels, mask = draw(np.random.default_rng(0))
    assert pixels[mask == 1].mean(axis=0).argmax() == 0
    assert pixels[mask == 2].mean(axis=0).argmax() == 2


@pytest.mark.parametrize("augmentation", ["light", "rand"])
def test_augmented_images_have_masks_that_moved_with_them(augmentation, tmp_path):
    """The most frequent true class of the colours in an augmented picture, and the mask alone as in the batch."""
    splits = load_data(
        f"masks:{write_masks(tmp_path / 'a', {'train': 12, 'val': 1, 'test': 1})}", kind=IMAGE, ignore_label=VOID
    )
    options = {"image_size": 32, "augmentation": augmentation, "seed": 3, "epoch": 1, "batch_size": 16}
    (batch,) = make_dataset(splits.source, splits.train, shuffle=False, **options)
    (plain,) = make_dataset(splits.source, splits.train, image_size=32, batch_size=16)
    (labels,) = make_label_dataset(splits.source, splits.train, **options)
    np.testing.assert_array_equal(labels["label"], batch["label"])
    np.testing.assert_array_equal(labels["id"], batch["id"])
    pixels, masks = batch["input"].numpy().astype(float), batch["label"].numpy()
    assert (masks != plain["label"].numpy()).mean() > 0.1
    for image, mask in zip(pixels, masks, strict=True) if augmentation == "light" else ():
        red, blue = image[:, :, 0] - image[:, :, 2] > 60, image[:, :, 2] - image[:, :, 0] > 60
        assert np.mean(red[mask == 1]) > 0.8 and np.mean(blue[mask == 2]) > 0.8
        assert np.mean((red | blue)[mask == 0]) < 0.1


def test_in_a_set_of_colours_the_usual_void_leaves_out_no_colour_and_greys_are_colours(tmp_path):
    """255 is a blue there; and a tile that is white alone has no other colours to show that it is one."""
    colours = {"water": (0, 0, 255), "barren": (255, 255, 255), "farm": (255, 255, 0)}
    pixels = np.array(list(colours.values()), np.uint8)
    masks = {"a": pixels[half(0, 2)], "b": pixels[half(1, 1)], "c": pixels[half(1, 0)]}
    for name, mask in masks.items():
        write(tmp_path, {f"images/{name}.png": None, f"masks/{name}.png": mask})
    (tmp_path / "label_colors.txt").write_text("".join(f"{r} {g} {b} {n}\n" for n, (r, g, b) in colours.items()))
    source = load(tmp_path, ignore_label=255)
    assert source.index.class_names == ("water", "barren", "farm") and not source.quarantine
    found = {
        path.rsplit("/", 1)[1]: set(np.unique(example["label"]).tolist())
        for path, example in zip(
            source.index.ids.tolist(), source.examples(np.arange(3)).as_numpy_iterator(), strict=True
        )
    }
    assert found == {"a.png": {0, 2}, "b.png": {1}, "c.png": {0, 1}}
    (tmp_path / "label_colors.txt").unlink()
    assert load(tmp_path, ignore_label=255).index.class_names == ("#0000ff", "#ffff00", "#ffffff")


def test_names_that_are_not_utf_8_are_one_clear_line(tmp_path):
    write(tmp_path, {"images/a.png": None, "masks/a.png": half()})
    (tmp_path / "classes.txt").write_bytes("Gebäude\nStraße\n".encode("latin-1"))
    with pytest.raises(InputError, match="names of classes in UTF-8"):
        load(tmp_path)
