"""Images with boxes: which format a folder has, what its boxes mean, and what is left out."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from box_files import (
    BOXES,
    HEIGHT,
    WIDTH,
    coco_content,
    draw,
    voc_text,
    write_coco,
    write_table,
    write_voc,
    write_yolo,
)
from PIL import Image, ImageOps

from tfl.data import load_data, load_source, make_dataset
from tfl.data.boxes.text import LabelledBox, crowd_of, from_text, to_rows, to_text
from tfl.data.label_formats import BoxLabels, label_format_of
from tfl.data.pipeline import make_label_dataset
from tfl.errors import InputError
from tfl.inputs import get_input

IMAGE = get_input("image").sized(32)
TEXTS = ["2 3 12 13 cat", "5 5 35 25 dog|0 0 8 9 cat", "", "1 2 9 30 dog"]


def load(folder, **options):
    return load_source(f"boxes:{folder}", options.pop("most", 1.0), kind=IMAGE, **options)


def texts_of(source):
    return dict(zip([Path(name).stem for name in source.index.ids], source.index.labels.tolist(), strict=True))


@pytest.mark.parametrize("write", [write_voc, write_yolo, write_coco, write_table])
def test_every_format_gives_the_same_boxes(write, tmp_path):
    source = load(write(tmp_path))
    assert source.quarantine == ()
    assert set(source.index.class_names) == {"cat", "dog"}
    found = texts_of(source)
    for name, wanted in zip(BOXES, TEXTS, strict=True):
        boxes = from_text(found[name])
        assert [box.name for box in boxes] == [box.name for box in from_text(wanted)]
        corners, wanted_corners = ([box.corners for box in own] for own in (boxes, from_text(wanted)))
        np.testing.assert_allclose(corners, wanted_corners, atol=1e-5)


@pytest.mark.parametrize(("write", "names"), [(write_yolo, ("dog", "cat")), (write_coco, ("dog", "cat"))])
def test_classes_keep_the_order_of_their_numbers(write, names, tmp_path):
    folder = write(tmp_path, names) if write is write_yolo else write(tmp_path)
    assert load(folder).index.class_names == names


def test_boxes_become_the_labels_of_batches_at_the_size_of_the_image(tmp_path):
    source = load(write_voc(tmp_path))
    rows = np.arange(len(source.index))
    (batch,) = make_dataset(source, rows, image_size=80, batch_size=8)
    (alone,) = make_label_dataset(source, rows, image_size=80, batch_size=8)
    np.testing.assert_array_equal(batch["label"], alone["label"])
    np.testing.assert_array_equal(batch["id"], rows)
    empty = [0, 0, 0, 0, -1]
    across, down = 80 / WIDTH, 80 / HEIGHT
    wanted = [
        [[2 * across, 3 * down, 12 * across, 13 * down, 0], empty],
        [[5 * across, 5 * down, 35 * across, 25 * down, 1], [0, 0, 8 * across, 9 * down, 0]],
        [empty, empty],
        [[1 * across, 2 * down, 9 * across, 30 * down, 1], empty],
    ]
    np.testing.assert_allclose(batch["label"], wanted, rtol=1e-6)
    assert batch["label"].dtype.name == "float32"
    x1, y1, x2, y2 = (int(value) for value in wanted[1][0][:4])
    inside = batch["input"].numpy()[1, y1 + 30 : y2 - 4, x1 + 30 : x2 - 4]
    assert inside[..., 2].min() > 200  # the blue square of the dog is where its box says


def test_numbers_of_a_model_replace_those_of_the_source(tmp_path):
    source = load(write_voc(tmp_path))
    form = label_format_of(source.index.labels, source.index.class_names)
    assert isinstance(form, BoxLabels)
    order = form.match(source.index.labels, source.index.class_names, ("bird", "dog", "cat"))
    numbered = source.numbered_as(form, order)
    assert [box[:, 4].tolist() for box in numbered.boxes(np.arange(4))] == [[2], [1, 2], [], [1]]
    (batch,) = make_label_dataset(numbered, np.arange(4), image_size=32, batch_size=4)
    np.testing.assert_array_equal(batch["label"].numpy()[1, :, 4], [1, 2])


def test_the_text_of_boxes_is_read_back():
    boxes = [LabelledBox((0.1, 2.0, 3.25, 1e5), "big cat"), LabelledBox((0.0, 0.0, 1.0, 1.0), "crowd x", is_crowd=True)]
    text = to_text(boxes)
    assert [box.name for box in from_text(text)] == ["big cat", "crowd x"]
    rows = to_rows(text, {"big cat": 0, "crowd x": 4})
    np.testing.assert_array_equal(rows, np.array([[0.1, 2, 3.25, 1e5, 0], [0, 0, 1, 1, -6]], np.float32))
    assert to_rows(to_text([box._replace(corners=tuple(row[:4])) for box, row in zip(boxes, rows, strict=True)]),
                   {"big cat": 0, "crowd x": 4}).tobytes() == rows.tobytes()  # fmt: skip
    assert crowd_of(crowd_of(3)) == 3
    for wrong in ("1 2 3 cat", "1 2 1 4 cat", "nan 2 3 4 cat", "a b c d cat", "1 2 3 4"):
        with pytest.raises(ValueError, match=r"is not a box|has no area|could not convert"):
            BoxLabels().parse([wrong], ("cat",))
    with pytest.raises(KeyError):
        BoxLabels().parse(["1 2 3 4 bird"], ("cat",))


def test_labels_go_through_splits_csv(tmp_path):
    splits = load_data(f"boxes:{write_voc(tmp_path)}", kind=IMAGE)
    file = tmp_path / "splits.csv"
    splits.index.write_csv(file)
    assert "1 2 9 30 dog" in file.read_text()
    form = BoxLabels()
    np.testing.assert_array_equal(form.parse(splits.index.label_texts(), ("cat", "dog")), splits.index.labels)
    assert form.names_in(TEXTS[1]) == ["cat", "dog"]
    assert form.describe_misfit(splits.index.labels) == ""
    assert "boxes:PATH" in form.describe_misfit(np.arange(3))


def test_splits_of_image_sets_are_kept(tmp_path):
    write_voc(tmp_path)
    sets = tmp_path / "ImageSets" / "Main"
    sets.mkdir(parents=True)
    for name, stems in {
        "train": "a\nb\n",
        "val": "c",
        "test": "d\na",
        "trainval": "a\nb\nc",
        "dog_train": "a 1",
    }.items():
        (sets / f"{name}.txt").write_text(stems)
    source = load(tmp_path)
    assert dict(zip(source.index.ids.tolist(), source.index.splits.tolist(), strict=True)) == {
        "JPEGImages/a.png": "train",
        "JPEGImages/b.png": "train",
        "JPEGImages/c.png": "validation",
        "JPEGImages/d.png": "test",
    }
    (sets / "test.txt").write_text("")
    assert len(load(tmp_path).index) == 3  # what no file of ImageSets names is not read


def test_splits_of_yolo_folders_and_coco_files_are_kept(tmp_path):
    plain = write_yolo(tmp_path / "plain")
    for split, name in (("train", "a"), ("train", "c"), ("valid", "b"), ("test", "d")):
        for part, ending in (("images", "png"), ("labels", "txt")):
            place = tmp_path / "yolo" / split / part / f"{name}.{ending}"
            place.parent.mkdir(parents=True, exist_ok=True)
            os.rename(plain / part / f"{name}.{ending}", place)  # noqa: PTH104
    found = load(tmp_path / "yolo").index
    wanted = {"a": "train", "b": "validation", "c": "train", "d": "test"}
    assert dict(zip([Path(name).stem for name in found.ids], found.splits.tolist(), strict=True)) == wanted
    coco = write_coco(tmp_path / "coco")
    whole = coco_content()
    (coco / "annotations" / "instances.json").unlink()
    for split, numbers in {"train": (0, 2), "val": (1,), "test": (3,)}.items():
        part = whole | {"images": [image for image in whole["images"] if image["id"] in numbers]}
        part["annotations"] = [item for item in whole["annotations"] if item["image_id"] in numbers]
        (coco / "annotations" / f"instances_{split}2017.json").write_text(json.dumps(part))
    (coco / "annotations" / "captions_val2017.json").write_text(json.dumps({"images": [], "annotations": []}))
    found = load(coco).index
    assert dict(zip([Path(name).stem for name in found.ids], found.splits.tolist(), strict=True)) == wanted


def test_every_split_has_its_share_of_each_set_of_classes(tmp_path):
    names = ("cat", "dog")
    boxes = {f"{number}": [(1, 1, 9, 9, names[number % 2])] for number in range(40)}
    boxes |= {"rare": [(1, 1, 9, 9, "cat"), (10, 10, 19, 19, "dog")], "none": []}
    splits = load_data(f"boxes:{write_voc(tmp_path, boxes)}", kind=IMAGE, seed=3)
    for rows in (splits.validation, splits.test):
        found = splits.index.labels[rows].tolist()
        assert [sum(text.endswith(name) for text in found) for name in names] in ([3, 3], [3, 4], [4, 3])
    assert len(splits.train) + len(splits.validation) + len(splits.test) == 42


def write_turned(folder, name, orientation, *, is_stored=True, states_size=True, size=(WIDTH, HEIGHT)):
    """Write a JPEG with an EXIF orientation and a red rectangle, with its box in the stored or the upright pixels."""
    stored = (4, 6, 16, 20, "cat")
    picture = folder / f"{name}.png"
    draw(picture, [stored], size, seed=orientation)
    with Image.open(picture) as image:
        exif = image.getexif()
        exif[0x0112] = orientation
        image.save(folder / f"{name}.jpg", exif=exif, quality=95)
    picture.unlink()
    sides, box = size, stored
    if not is_stored:
        with Image.open(folder / f"{name}.jpg") as image:
            upright = np.asarray(ImageOps.exif_transpose(image))
        sides, box = upright.shape[1::-1], (*red_rectangle(upright), "cat")
    (folder / f"{name}.xml").write_text(voc_text([box], sides if states_size else None))


def red_rectangle(pixels):
    """Return x1, y1, x2, y2 of what is red."""
    red = (pixels[..., 0] > 150) & (pixels[..., 2] < 120)
    rows, columns = np.flatnonzero(red.any(axis=1)), np.flatnonzero(red.any(axis=0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


def boxes_and_rectangles(folder):
    """Return for each photo its box and the place of its red rectangle, in pixels of the prepared image."""
    source = load(folder)
    rows = np.arange(len(source.index))
    (batch,) = make_dataset(source, rows, image_size=240, batch_size=len(rows))
    boxes = np.asarray(batch["label"])[:, 0, :4]
    found = [red_rectangle(pixels) for pixels in np.asarray(batch["input"], np.float32)]
    return dict(zip([Path(name).stem for name in source.index.ids], zip(boxes, found, strict=True), strict=True))


@pytest.mark.parametrize(
    ("is_stored", "states_size"), [(True, True), (False, True), (False, False)], ids=["stored", "upright", "no size"]
)
def test_boxes_follow_the_pixels_in_all_orientations(is_stored, states_size, tmp_path):
    for orientation in range(1, 9):
        write_turned(tmp_path, str(orientation), orientation, is_stored=is_stored, states_size=states_size)
    write_turned(tmp_path, "square", 6, is_stored=is_stored, states_size=states_size, size=(30, 30))
    found = boxes_and_rectangles(tmp_path)
    assert len(found) == 9
    for name, (box, rectangle) in found.items():
        np.testing.assert_allclose(box, rectangle, atol=9, err_msg=name)  # a pixel of the photo is 6 to 8 wide


def test_a_mirrored_photo_alone_has_boxes_of_the_upright_pixels(tmp_path):
    for orientation in (1, 2, 3, 4):
        write_turned(tmp_path, str(orientation), orientation, is_stored=False)
    for name, (box, rectangle) in boxes_and_rectangles(tmp_path).items():
        np.testing.assert_allclose(box, rectangle, atol=9, err_msg=name)


def test_photos_that_tell_two_things_leave_the_others_upright(tmp_path):
    write_turned(tmp_path, "stored", 6)
    write_turned(tmp_path, "upright", 8, is_stored=False)
    write_turned(tmp_path, "mirrored", 2, is_stored=False)
    for name, (box, rectangle) in boxes_and_rectangles(tmp_path).items():
        np.testing.assert_allclose(box, rectangle, atol=9, err_msg=name)


def test_pixels_of_pascal_voc_itself_are_counted_from_one(tmp_path):
    draw(tmp_path / "a.png", [])
    (tmp_path / "a.xml").write_text(voc_text([(1, 1, WIDTH, HEIGHT, "cat")], database="The VOC2007 Database"))
    assert texts_of(load(tmp_path)) == {"a": f"0 0 {WIDTH} {HEIGHT} cat"}


def test_crowds_and_difficult_objects_are_marked(tmp_path):
    content = coco_content()
    content["annotations"][0]["iscrowd"] = 1
    source = load(write_coco(tmp_path / "coco", content))
    assert texts_of(source)["a"] == "crowd 2 3 12 13 cat"
    assert source.boxes(np.array([0]))[0][0, 4] == crowd_of(1)
    write_voc(tmp_path / "voc", {"a": [(1, 2, 9, 9, "cat")], "b": [(1, 2, 9, 9, "cat")]})
    file = tmp_path / "voc" / "Annotations" / "a.xml"
    file.write_text(file.read_text().replace("<bndbox>", "<difficult>1</difficult><bndbox>"))
    assert texts_of(load(tmp_path / "voc")) == {"a": "crowd 1 2 9 9 cat", "b": "1 2 9 9 cat"}


BOMB = "<!DOCTYPE x [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>]><annotation>&b;</annotation>"
NO_NAME = voc_text([(1, 2, 9, 9, " ")])
LEFT_OUT = {  # files that are added to a good folder of Pascal VOC, and the reason that is given
    "an empty file": ({"x.png": "", "x.xml": ""}, "it is empty"),
    "cut short": ({"x.png": "", "x.xml": voc_text([(1, 2, 9, 9, "cat")])[:-30]}, "it is not whole XML"),
    "entities": ({"x.png": "", "x.xml": BOMB}, "it declares a document type"),
    "no XML": ({"x.png": "", "x.xml": "cat 1 2 9 9"}, "it is not whole XML"),
    "no name": ({"x.png": "", "x.xml": NO_NAME}, "an object has no name"),
    "not a number": ({"x.png": "", "x.xml": voc_text([("nan", 2, 9, 9, "cat")])}, "which are not finite"),
    "infinite": ({"x.png": "", "x.xml": voc_text([(1, 2, "inf", 9, "cat")])}, "which are not finite"),
    "a word": ({"x.png": "", "x.xml": voc_text([(1, "two", 9, 9, "cat")])}, "which are not four numbers"),
    "no corner": ({"x.png": "", "x.xml": voc_text([(1, 2, 9, 9, "cat")]).replace("xmax", "x")}, "are not four"),
    "another size": ({"x.png": "", "x.xml": voc_text([(1, 2, 9, 9, "cat")], (80, 60))}, "it is for 80 x 60 pixels"),
    "a turned size": ({"x.png": "", "x.xml": voc_text([], (HEIGHT, WIDTH))}, "and its image has 40 x 30"),
    "no size": ({"x.png": "", "x.xml": voc_text([], ("?", "?"))}, "which is no size"),
    "a separator": ({"x.png": "", "x.xml": voc_text([(1, 2, 9, 9, "cat|dog")])}, "separates boxes in tables"),
    "no image": ({"x.xml": voc_text([])}, "its image is missing"),
    "no annotation": ({"x.png": ""}, "it has no annotation"),
    "two images": ({"x.png": "", "x.bmp": "", "x.xml": voc_text([])}, "it has 2 images"),
    "two annotations": ({"x.png": "", "x.xml": voc_text([]), "../more/x.xml": voc_text([])}, "another annotation, too"),
    "no photo": ({"x.png": "no photo", "x.xml": voc_text([])}, ""),
}  # fmt: skip


@pytest.mark.parametrize("name", LEFT_OUT)
def test_a_broken_annotation_is_named_and_the_others_are_used(name, tmp_path, capsys):
    write_voc(tmp_path)
    files, reason = LEFT_OUT[name]
    for file, text in files.items():
        place = tmp_path / ("Annotations" if file.endswith("xml") else "JPEGImages") / file
        place.parent.mkdir(exist_ok=True)
        if text or file.endswith("xml"):
            place.write_text(text)
        else:
            draw(place, [], seed=9)
    source = load(tmp_path)
    assert len(source.index) == len(BOXES) + (name == "two annotations")
    ((path, said),) = source.quarantine
    assert Path(path).stem == "x"
    assert reason in said
    assert "cannot be used" in capsys.readouterr().err


CHANGED = {  # a second box, the text that remains of both, and what is said
    "outside": ((50, 2, 60, 9), "1 2 9 9 cat", "is outside of its image"),
    "above": ((1, -20, 9, -3), "1 2 9 9 cat", "is outside of its image"),
    "reaching out": ((-5, 2, 60, 99), "1 2 9 9 cat|0 2 40 30 cat", "reaches out of its image and is clipped"),
    "flat": ((3, 5, 9, 5), "1 2 9 9 cat", "has no area"),
    "a point": ((3, 5, 3, 5), "1 2 9 9 cat", "has no area"),
    "turned around": ((9, 9, 1, 2), "1 2 9 9 cat", "has no area"),
    "twice": ((1, 2, 9, 9), "1 2 9 9 cat", "is there twice"),
}


@pytest.mark.parametrize("name", CHANGED)
def test_a_box_that_is_none_is_named_and_the_image_is_used(name, tmp_path, capsys):
    box, text, said = CHANGED[name]
    write_voc(tmp_path, {"a": [(1, 2, 9, 9, "cat"), (*box, "cat")]})
    source = load(tmp_path, most=0.0)
    assert source.index.labels.tolist() == [text]
    line = capsys.readouterr().err
    assert f"a.xml: box 2 (cat) {said}" in line.replace("\n", " ")


YOLO = {
    "class out of range": ("2 .5 .5 .1 .1", "the class 2, and there are 2 names"),
    "a name for a class": ("0 .5 .5 .1 .1\ncat .5 .5 .1 .1", "which is no whole number"),
    "pixels": ("0 20 15 10 10", "which is no fraction"),
    "too few numbers": ("0 .5 .5 .1 .1\n0 .5 .5 .1", "has 4 numbers"),
    "not finite": ("0 .5 .5 .1 .1\n0 nan .5 .1 .1", "which are not finite"),
    "bytes": (b"0 .5 .5 .1 .1\n\xff\xfe\x00", "it is not a text"),
}


@pytest.mark.parametrize("name", YOLO)
def test_a_broken_text_of_yolo_is_named_and_the_others_are_used(name, tmp_path):
    content, reason = YOLO[name]
    write_yolo(tmp_path)
    (tmp_path / "labels" / "b.txt").write_bytes(content if isinstance(content, bytes) else content.encode())
    source = load(tmp_path)
    assert set(texts_of(source)) == {"a", "c", "d"}
    ((path, said),) = source.quarantine
    assert (path, reason in said) == (str(tmp_path / "labels" / "b.txt"), True)


def test_an_image_of_yolo_without_a_text_has_no_object_and_a_text_without_an_image_is_named(tmp_path, capsys):
    write_yolo(tmp_path)
    (tmp_path / "labels" / "a.txt").unlink()
    (tmp_path / "labels" / "z.txt").write_text("0 .5 .5 .1 .1")
    source = load(tmp_path)
    assert texts_of(source)["a"] == ""
    assert source.quarantine == ((str(tmp_path / "labels" / "z.txt"), "its image is missing"),)
    assert "Images without a file of boxes, which have no object: 1." in capsys.readouterr().err


def test_a_polygon_of_yolo_is_its_box(tmp_path):
    write_yolo(tmp_path)
    (tmp_path / "labels" / "a.txt").write_text("1 0.25 0.5 0.5 0.1 0.75 0.5 0.5 0.9")
    assert texts_of(load(tmp_path))["a"] == "10 3 30 27 dog"


def edited(edit):
    content = coco_content()
    edit(content)
    return content


COCO = {
    "an unknown category": (lambda c: c["annotations"][1].update(category_id=99), "the category 99, which has no name"),
    "no category": (lambda c: c["annotations"][1].pop("category_id"), "the category None, which has no name"),
    "three numbers": (lambda c: c["annotations"][1].update(bbox=[1, 2, 3]), "which are not four numbers"),
    "no box": (lambda c: c["annotations"][1].pop("bbox"), "which are not four numbers"),
    "not finite": (lambda c: c["annotations"][1].update(bbox=[1, 2, float("nan"), 3]), "which are not finite"),
    "another size": (lambda c: c["images"][1].update(width=77), "it is for 77 x 30 pixels"),
    "a strange size": (lambda c: c["images"][1].update(width="wide"), "which is no size"),
    "no such image": (lambda c: c["images"][1].update(file_name="images/q.png"), "its image is missing"),
    "no name": (lambda c: c["images"][1].pop("file_name"), "an image has no id or no name"),
    "the same id": (lambda c: c["images"][1].update(id=0), "is also that of another image"),
    "the same image": (lambda c: c["images"][1].update(file_name="images/a.png"), "lists it twice"),
}


@pytest.mark.parametrize("name", COCO)
def test_a_broken_entry_of_coco_is_named_and_the_others_are_used(name, tmp_path):
    edit, reason = COCO[name]
    source = load(write_coco(tmp_path, edited(edit)))
    assert set(texts_of(source)) == {"a", "c", "d"}
    assert any(reason in said for _, said in source.quarantine)


@pytest.mark.parametrize("cut", [60, 300, -40])
def test_a_json_file_that_is_cut_short_is_refused_by_name(cut, tmp_path):
    file = write_coco(tmp_path) / "annotations" / "instances.json"
    file.write_text(file.read_text()[:cut])
    with pytest.raises(InputError, match=r"must have whole JSON files\. Received: .*instances\.json"):
        load(tmp_path)


def test_annotations_of_an_unknown_image_are_named(tmp_path):
    source = load(write_coco(tmp_path, edited(lambda c: c["annotations"][0].update(image_id=50))))
    assert texts_of(source)["a"] == ""
    ((_, said),) = source.quarantine
    assert said == "annotations are of the image 50, which is not listed"


HEADER = "path,x1,y1,x2,y2,class"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a.png": None}, r"must be a folder of images with boxes: XML files .* Received: boxes:"),
        ({"a.png": None, "a.xml": voc_text([]), "b.txt": "0 .5 .5 .1 .1"}, "must have boxes in one format"),
        ({"a.png": None, "a.xml": voc_text([])}, "must have at least one image with a box"),
        ({"a.png": None, "a.csv": HEADER, "b.csv": HEADER}, "with 2 tables of boxes"),
        ({"a.png": None, "a.json": '{"images": [], "annotations": []}'}, "must have a COCO file with lists of images"),
        ({"a.png": None, "a.txt": "0 .5 .5 .1 .1", "d.yaml": "names: [a"}, "must have whole YAML files"),
        ({"a.png": None, "a.txt": "0 .5 .5 .1 .1", "d.yaml": "names: {1: a, 7: b}"}, "must number its classes from 0"),
        ({"a.png": None, "a.txt": "0 .5 .5 .1 .1", "classes.txt": "a\na"}, "'a' twice"),
    ],
)  # fmt: skip
def test_a_folder_without_clear_boxes_is_refused(files, message, tmp_path):
    for name, text in files.items():
        if text is None:
            draw(tmp_path / name, [])
        else:
            (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        load(tmp_path)


@pytest.mark.parametrize(
    ("write", "name"),
    [
        (write_voc, "Annotations/b.xml"),
        (write_yolo, "labels/b.txt"),
        (write_yolo, "data.yaml"),
        (write_coco, "annotations/instances.json"),
        (write_table, "boxes.csv"),
    ],
)
def test_a_damaged_file_never_gives_a_traceback(write, name, tmp_path):
    file = write(tmp_path) / name
    whole, rng = file.read_bytes(), np.random.default_rng(0)
    answers = set()
    for _ in range(25):
        content = bytearray(whole)
        for place in rng.integers(0, len(whole), 3):
            content[place : place + rng.integers(0, 3)] = rng.bytes(rng.integers(0, 3))
        file.write_bytes(
            content[: rng.integers(len(content) // 2, len(content) + 1)] if rng.random() < 0.3 else content
        )
        try:
            source = load(tmp_path)
        except InputError as error:
            answers.add(str(error).count("\n"))
        else:
            answers.add(len(source.index) <= len(BOXES))
    assert answers <= {0, True}


def test_numbers_that_no_computer_holds_are_named(tmp_path):
    huge = edited(lambda c: c["annotations"][1].update(bbox=[10**400, 1, 2, 3]))
    ((_, said),) = load(write_coco(tmp_path, huge)).quarantine
    assert "which are not four numbers" in said


def test_a_list_of_lists_as_names_is_refused(tmp_path):
    write_yolo(tmp_path)
    (tmp_path / "data.yaml").write_text("a: &a [x, x]\nb: &b [*a, *a]\nnames: [*b, *b]")
    with pytest.raises(InputError, match="must have a text for the name of each class"):
        load(tmp_path)


def test_a_file_may_be_named_itself(tmp_path):
    write_table(tmp_path)
    os.rename(tmp_path / "boxes.csv", tmp_path / "images" / "b.csv")  # noqa: PTH104
    assert texts_of(load(tmp_path / "images" / "b.csv"))["d"] == TEXTS[3]
    coco = write_coco(tmp_path / "coco")
    assert texts_of(load(coco / "annotations" / "instances.json"))["d"] == TEXTS[3]
    with pytest.raises(InputError, match="without 'class', with path, x1"):
        (tmp_path / "x.csv").write_text("path,x1,y1,x2,y2\na.png,1,2,3,4\n")
        load(tmp_path / "x.csv")
    with pytest.raises(InputError, match=r"must name a folder or a file that exists.*Did you mean '.*x\.csv'"):
        load(tmp_path / "xx.csv")
    with pytest.raises(InputError, match="must name a folder, a JSON file or a table"):
        load(coco / "images" / "a.png")


def test_boxes_are_not_joined_with_other_sources(tmp_path):
    write_voc(tmp_path)
    with pytest.raises(InputError, match=r"`data\.source` must be one source if it has boxes"):
        load_source(f"boxes:{tmp_path},folder:{tmp_path}", kind=IMAGE)


@pytest.mark.parametrize(
    ("name", "counts", "boxes"), [("det_bccd", (205, 87, 72), 4886), ("det_raccoon", (140, 30, 30), 217)]
)
def test_real_annotations_are_read(name, counts, boxes, shared):
    splits = load_data(f"boxes:{shared / 'data' / name}", kind=IMAGE)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == counts
    assert splits.quarantine == ()
    assert sum(len(own) for own in splits.source.boxes(np.arange(len(splits.index)))) == boxes


def test_what_is_in_no_split_is_named_where_others_are(tmp_path):
    for split in ("train", "valid", "extra"):
        write_voc(tmp_path / split)
    source = load(tmp_path)
    assert sorted(set(source.index.splits.tolist())) == ["train", "validation"]
    assert {reason for _, reason in source.quarantine} == {"it is in none of the splits, which other files have"}


def test_the_name_of_a_file_decides_no_split(tmp_path):
    """Frames may be named test_001, also in the folder of training."""
    for split in ("train", "val"):
        write_voc(tmp_path / split, {"test": BOXES["a"], f"val_{split}": BOXES["b"]})
    source = load(tmp_path)
    assert dict(zip(source.index.ids.tolist(), source.index.splits.tolist(), strict=True)) == {
        f"{split}/JPEGImages/{name}.png": role
        for split, role in (("train", "train"), ("val", "validation"))
        for name in ("test", f"val_{split}")
    }


def test_masks_of_pascal_voc_are_no_images_of_its_boxes(tmp_path):
    write_voc(tmp_path)
    for name in ("SegmentationClass", "SegmentationObject"):
        draw(tmp_path / name / "a.png", [])
    assert not load(tmp_path).quarantine


def test_corners_in_shares_of_the_sides_are_refused(tmp_path):
    write_voc(tmp_path, {"a": [(0.1, 0.2, 0.5, 0.9, "cat")], "b": [(0.0, 0.2, 1.0, 0.9, "dog")]})
    with pytest.raises(InputError, match="must have boxes in pixels"):
        load(tmp_path)


def test_a_box_that_rounding_leaves_without_area_is_left_out(tmp_path, capsys):
    write_voc(tmp_path, BOXES | {"e": [(39.9999999, 5, 50, 20, "cat"), (1, 1, 9, 9, "cat")]})
    assert len(load(tmp_path).boxes(np.arange(5))[4]) == 1
