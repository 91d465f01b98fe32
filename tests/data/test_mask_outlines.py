"""Masks drawn from the outlines of COCO files: what they show, and which broken outlines are named."""

import copy
import json

import numpy as np
import pytest
from faster_coco_eval.core import mask as coco_mask
from PIL import Image

from tfl.data import load_data, load_source, make_dataset
from tfl.errors import InputError
from tfl.inputs import get_input

IMAGE = get_input("image").sized(32)
WIDTH, HEIGHT = 10, 8


def square(left, top, right, bottom):
    return [[left, top, right, top, right, bottom, left, bottom]]


def filled(left, top, right, bottom):
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[top:bottom, left:right] = 1
    return mask


def runs_of(mask):
    """Return the runs of a mask as COCO's files have them: columns from the left, first those of 0."""
    flat = mask.ravel(order="F")
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flat, [2]]))) if flat[0] == 0 else None
    assert edges is not None
    return {"size": [HEIGHT, WIDTH], "counts": np.diff(np.concatenate([[0], edges])).tolist()}


def compressed(mask):
    found = coco_mask.encode(np.asfortranarray(mask))
    counts = found["counts"]
    return {"size": [HEIGHT, WIDTH], "counts": counts.decode() if isinstance(counts, bytes) else counts}


def item(number, image, category, outline):
    return {"id": number, "image_id": image, "category_id": category, "bbox": [0, 0, 1, 1], "segmentation": outline}


def content_of(*annotations, names=("cat", "dog"), count=3):
    return {
        "images": [{"id": n, "file_name": f"{n}.png", "width": WIDTH, "height": HEIGHT} for n in range(count)],
        "annotations": list(annotations),
        "categories": [{"id": 10 * n, "name": name} for n, name in enumerate(names, start=1)],
    }


def write(folder, contents, count=3):
    """Write photos and COCO files by name."""
    rng = np.random.default_rng(0)
    for number in range(count):
        Image.fromarray(rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    for name, content in contents.items():
        (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


def load(path, **options):
    return load_source(f"masks:{path}", options.pop("most", 1.0), kind=IMAGE, **options)


def masks_of(source):
    order = np.argsort(source.index.ids)
    return [example["label"] for example in source.labels(order).as_numpy_iterator()]


def test_polygons_and_both_kinds_of_runs_give_the_same_pixels(tmp_path):
    outlines = [square(2, 1, 7, 6), runs_of(filled(2, 1, 7, 6)), compressed(filled(2, 1, 7, 6))]
    content = content_of(*(item(n, n, 20, outline) for n, outline in enumerate(outlines)))
    source = load(write(tmp_path, {"labels.json": content}))
    assert source.index.class_names == ("background", "cat", "dog") and source.quarantine == ()
    for mask in masks_of(source):
        np.testing.assert_array_equal(mask, 2 * filled(2, 1, 7, 6))


def test_smaller_objects_are_drawn_over_larger_ones_whatever_their_order(tmp_path):
    large, small = item(1, 0, 10, square(0, 0, 8, 8)), item(2, 0, 20, square(2, 2, 4, 4))
    equal = [item(3, 2, 10, square(0, 0, 4, 4)), item(4, 2, 20, square(2, 0, 6, 4))]  # the later one is over the other
    again = [{**small, "image_id": 1}, {**large, "image_id": 1}]
    source = load(write(tmp_path, {"labels.json": content_of(large, small, *again, *equal)}))
    first, second, third = masks_of(source)
    wanted = filled(0, 0, 8, 8)
    wanted[2:4, 2:4] = 2
    np.testing.assert_array_equal(first, wanted)
    np.testing.assert_array_equal(second, wanted)
    np.testing.assert_array_equal(third[0], [1, 1, 2, 2, 2, 2, 0, 0, 0, 0])


def test_parts_of_an_object_crowds_and_images_without_an_object(tmp_path):
    parts = item(1, 0, 10, [*square(0, 0, 2, 2), *square(5, 5, 7, 7)])
    crowd = {**item(2, 1, 20, runs_of(filled(3, 3, 9, 8))), "iscrowd": 1}
    source = load(write(tmp_path, {"labels.json": content_of(parts, crowd)}))
    first, second, third = masks_of(source)
    np.testing.assert_array_equal(first, filled(0, 0, 2, 2) + filled(5, 5, 7, 7))
    np.testing.assert_array_equal(second, 2 * filled(3, 3, 9, 8))
    assert not third.any()


def test_a_category_named_background_is_the_background(tmp_path):
    content = content_of(item(1, 0, 10, square(0, 0, 4, 4)), names=("cat", "Background"))
    source = load(write(tmp_path, {"labels.json": content}))
    assert source.index.class_names == ("Background", "cat")
    np.testing.assert_array_equal(masks_of(source)[0], filled(0, 0, 4, 4))


def test_background_may_be_left_out(tmp_path):
    content = content_of(*(item(n, n, 10 + 10 * (n % 2), square(0, 0, 4, 4)) for n in range(3)))
    source = load(write(tmp_path, {"labels.json": content}), ignore_label=0)
    assert source.index.class_names == ("cat", "dog")
    np.testing.assert_array_equal(masks_of(source)[0], np.where(filled(0, 0, 4, 4), 0, 255))


def test_a_file_for_each_split_gives_batches(tmp_path):
    for split in ("train", "val", "test"):
        (tmp_path / split).mkdir()
        write(tmp_path / split, {})
    (tmp_path / "annotations").mkdir()
    content = content_of(*(item(n, n, 10, square(0, 0, 5, 8)) for n in range(3)))
    files = {
        f"instances_{split}.json": content
        | {"images": [image | {"file_name": f"{split}/{image['file_name']}"} for image in content["images"]]}
        for split in ("train", "val", "test")
    }
    write(tmp_path / "annotations", files, 0)
    splits = load_data(f"masks:{tmp_path}", kind=IMAGE)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (3, 3, 3)
    (batch,) = make_dataset(splits.source, splits.train, image_size=32, batch_size=8)
    np.testing.assert_array_equal(batch["label"].numpy()[0, 0], [1] * 16 + [0] * 16)
    alone = load(tmp_path / "annotations" / "instances_val.json")
    assert len(alone.index) == 3 and {path.rsplit("/", 2)[1] for path in alone.index.paths} == {"val"}


def broken(change):
    """Return a file whose image 2 has a fault."""
    content = content_of(*(item(n, n, 10, square(0, 0, 4, 4)) for n in range(3)))
    change(content["annotations"][2], content)
    return content


def part(**values):
    return lambda annotation, content: annotation.update(values)


def of_image(**values):
    return lambda annotation, content: content["images"][2].update(values)


BROKEN = {
    "no outline": (part(segmentation=[]), "an annotation has no outline"),
    "null": (part(segmentation=None), "an annotation has no outline"),
    "text": (part(segmentation="0,0,4,4"), "an annotation has no outline"),
    "two corners": (part(segmentation=[[0, 0, 4, 4]]), "a polygon has 4 numbers"),
    "half a corner": (part(segmentation=[[0, 0, 4, 0, 4, 4, 1]]), "a polygon has 7 numbers"),
    "words": (part(segmentation=[[0, 0, 4, 0, 4, "x"]]), "values that are no numbers"),
    "infinite": (part(segmentation=[[0, 0, 4, 0, 4, float("inf")]]), "not finite"),
    "not a number": (part(segmentation=[[0, 0, 4, 0, 4, float("nan")]]), "not finite"),
    "runs of another size": (part(segmentation={"size": [4, 4], "counts": [16]}), "has the size [4, 4]"),
    "runs that are too short": (part(segmentation={"size": [8, 10], "counts": [5, 5]}), "do not cover the image"),
    "runs that are too long": (part(segmentation={"size": [8, 10], "counts": [70, 20]}), "do not cover the image"),
    "negative runs": (part(segmentation={"size": [8, 10], "counts": [90, -10]}), "do not cover the image"),
    "no runs": (part(segmentation={"size": [8, 10]}), "wrong runs of pixels"),
    "runs of words": (part(segmentation={"size": [8, 10], "counts": ["a"]}), "wrong runs of pixels"),
    "broken text of runs": (part(segmentation={"size": [8, 10], "counts": "zz~"}), "wrong runs of pixels"),
    "unknown category": (part(category_id=99), "the category 99, which has no name"),
    "category in a list": (part(category_id=[10]), "which has no name"),
    "no size": (of_image(width=None, height=None), "does not state its size"),
    "size in words": (of_image(width="wide"), "which is no size"),
    "another size": (of_image(width=20), "it has 20 x 8 pixels, and its image 10 x 8"),
    "missing photo": (of_image(file_name="other.png"), "its image is missing"),
    "no name": (of_image(file_name=None), "no id or no name"),
    "no id": (of_image(id=None), "no id or no name"),
    "the same id": (of_image(id=1), "is also that of another image"),
    "the same photo": (of_image(file_name="1.png"), "lists it twice"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_outline_is_named_and_the_other_images_are_used(name, tmp_path):
    change, reason = BROKEN[name]
    source = load(write(tmp_path, {"labels.json": json.dumps(broken(change))}))
    assert sorted(source.index.ids) == ["0.png", "1.png"]
    assert any(reason in said for _, said in source.quarantine), source.quarantine


def test_annotations_of_images_that_are_not_listed_are_named(tmp_path):
    content = content_of(item(1, 0, 10, square(0, 0, 4, 4)), item(2, 7, 10, square(0, 0, 4, 4)))
    content["annotations"].append({**item(3, 0, 10, square(0, 0, 2, 2)), "image_id": None})
    source = load(write(tmp_path, {"labels.json": content}))
    reasons = " ".join(reason for _, reason in source.quarantine)
    assert len(source.index) == 3
    assert "the image 7, which is not listed" in reasons and "the image None, which is no id" in reasons


def test_objects_without_a_pixel_are_counted(tmp_path, capsys):
    outside = item(2, 1, 20, [[-50, -50, -40, -50, -40, -40]])
    source = load(write(tmp_path, {"labels.json": content_of(item(1, 0, 10, square(0, 0, 4, 4)), outside)}))
    assert "Not drawn: 1 objects that cover no pixel" in capsys.readouterr().err
    assert not masks_of(source)[1].any()


GOOD = content_of(item(1, 0, 10, square(0, 0, 4, 4)))
BOXES_ONLY = copy.deepcopy(GOOD)
BOXES_ONLY["annotations"][0].pop("segmentation")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (json.dumps(GOOD)[:-30], r"must have whole JSON files"),
        (json.dumps(BOXES_ONLY), r"annotations with a segmentation"),
        (json.dumps(GOOD | {"categories": []}), r"annotations with a segmentation"),
        ("[]", r"annotations with a segmentation"),
        (json.dumps(content_of(*GOOD["annotations"], names=[f"c{n}" for n in range(300)])), r"2 to 254 classes"),
    ],
)
def test_a_file_without_outlines_is_refused(content, message, tmp_path):
    with pytest.raises(InputError, match=message):
        load(write(tmp_path, {"labels.json": content}) / "labels.json")


def test_files_with_different_categories_are_refused(tmp_path):
    other = content_of(item(1, 1, 10, square(0, 0, 4, 4)), names=("cat", "cow"))
    with pytest.raises(InputError, match="must have the same categories in all files"):
        load(write(tmp_path, {"a.json": GOOD, "b.json": other}))


def test_masks_come_first_and_a_line_names_the_file(tmp_path, capsys):
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
        Image.fromarray(filled(0, 0, 4, 4)).save(tmp_path / name / "1.png")
    write(tmp_path, {"labels.json": GOOD})
    assert load(tmp_path).index.class_names == ("0", "1")
    assert "because there are masks" in capsys.readouterr().err


def test_an_outline_that_changes_with_its_file_does_not_change_a_source_that_is_read(tmp_path):
    source = load(write(tmp_path, {"labels.json": GOOD}))
    write(tmp_path, {"labels.json": content_of(item(1, 0, 20, square(0, 0, 8, 8)))})
    np.testing.assert_array_equal(masks_of(source)[0], filled(0, 0, 4, 4))


def test_without_the_package_one_line_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setattr("tfl.extras.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"faster_coco_eval, which is not installed.*detection"):
        load(write(tmp_path, {"labels.json": GOOD}))
