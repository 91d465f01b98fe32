"""Trees of folders as archives have them: each is read right, or refused in one line that draws it."""

import re

import pytest
from PIL import Image

from tfl.data import load_source
from tfl.data.split_names import find_splits
from tfl.errors import InputError


def make_tree(root, tree):
    """Write the tree `a/b a/c/x.txt d*5 e/`: folders of two images, text files, a folder of five, an empty folder."""
    for item in tree.split():
        path, _, count = item.partition("*")
        if path.endswith(".txt"):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text("text")
            continue
        (root / path).mkdir(parents=True, exist_ok=True)
        for number in range(0 if path.endswith("/") else int(count or 2)):
            Image.new("RGB", (1, 1)).save(root / path / f"{number}.png")
    return root


def read(root):
    """Return {split: {class: folders}} as the index has it."""
    index = load_source(f"folder:{root}").index
    found: dict = {}
    for split, label, id in zip(index.splits, index.labels, index.ids, strict=True):
        found.setdefault(str(split), {}).setdefault(index.class_names[label], set()).add(id.rpartition("/")[0])
    return found


def parts(**splits):
    """Expect classes by split: `parts(train="a/cat")` is class cat in folder a/cat; `CLASS=FOLDER` names it."""
    result: dict = {}
    for split, folders in splits.items():
        classes = result.setdefault(split, {})
        for item in folders.split():
            name, _, folder = item.rpartition("=")
            classes.setdefault(name or folder.rpartition("/")[2], set()).add(folder)
    return result


def both(train, test):
    """Expect cat and dog in two split folders."""
    return parts(train=f"{train}/cat {train}/dog", test=f"{test}/cat {test}/dog")


def plain(folders):
    """Expect classes without splits."""
    return {"": parts(all=folders)["all"]}


def pair(*folders):
    """Cat and dog in each of some folders."""
    return " ".join(f"{folder}/cat {folder}/dog" for folder in folders)


RECOGNISED = {
    "class folders": ("cat dog", plain("cat dog")),
    "a wrapper folder": ("photos/cat photos/dog", plain("photos/cat photos/dog")),
    "wrappers, twice": (pair("data/data"), plain(pair("data/data"))),
    "a wrapper beside text": (pair("data") + " code/run.txt README.txt", plain(pair("data"))),
    "a lone train folder": (pair("train"), plain(pair("train"))),
    "train is a class": ("bus train", plain("bus train")),
    "train is a class of three": ("bus train car", plain("bus train car")),
    "names that only contain words of splits": (
        "train_station test_tube valley contest",
        plain("train_station test_tube valley contest"),
    ),
    "years are classes": ("1999 2000 2001", plain("1999 2000 2001")),
    "masks are a class": ("mask no_mask", plain("mask no_mask")),
    "test and control": ("test control", plain("test control")),
    "sub-folders of their own": (
        "cat/persian cat/siamese dog/poodle",
        plain("cat=cat/persian cat=cat/siamese dog=dog/poodle"),
    ),
    "years within classes": (
        "cat/2023 cat/2024 dog/2023",
        plain("cat=cat/2023 cat=cat/2024 dog=dog/2023"),
    ),
    "folds within classes": ("cat/fold1 dog/fold1", plain("cat=cat/fold1 dog=dog/fold1")),
    "images within classes (tiny-imagenet)": (
        "train/n01/images*12 train/n01/boxes.txt train/n02/images val/n01 val/n02",
        parts(train="n01=train/n01/images n02=train/n02/images", validation="val/n01 val/n02"),
    ),
    "a class folder doubled": ("cat/cat dog/dog", plain("cat/cat dog/dog")),
    "own images and sub-folders": (
        "cat*5 cat/more dog*5 dog/more",
        plain("cat cat=cat/more dog dog=dog/more"),
    ),
    "Training/Testing (brain tumours)": (pair("Training", "Testing"), both("Training", "Testing")),
    "Training/Test (fruits)": (pair("fruits/Training", "fruits/Test"), both("fruits/Training", "fruits/Test")),
    "training_set/test_set": (pair("training_set", "test_set"), both("training_set", "test_set")),
    "training_set doubled": (
        pair("training_set/training_set", "test_set/test_set"),
        both("training_set/training_set", "test_set/test_set"),
    ),
    "train1/test1": (pair("train1", "test1"), both("train1", "test1")),
    "train/train": (pair("train/train", "test/test"), both("train/train", "test/test")),
    "a wrapper in one split only": (pair("train/images", "test"), both("train/images", "test")),
    "seg_train (scenes)": (
        pair("seg_train/seg_train", "seg_test/seg_test") + " seg_pred/seg_pred",
        both("seg_train/seg_train", "seg_test/seg_test"),
    ),
    "asl_alphabet_train": (
        pair("asl_alphabet_train", "asl_alphabet_test"),
        both("asl_alphabet_train", "asl_alphabet_test"),
    ),
    "trainset/testset": (pair("trainset", "testset"), both("trainset", "testset")),
    "TrainData/TestData": (pair("TrainData", "TestData"), both("TrainData", "TestData")),
    "a wrapper above": (pair("archive/train", "archive/test"), both("archive/train", "archive/test")),
    "wrappers above and text": (pair("a/b/Train", "a/b/TEST") + " a/readme.txt", both("a/b/Train", "a/b/TEST")),
    "labels as text beside splits": (pair("train", "test") + " labels/x.txt", both("train", "test")),
    "an unlabelled folder": (pair("train", "test") + " unlabeled", both("train", "test")),
    "train/dev": (pair("train", "dev"), parts(train=pair("train"), validation=pair("dev"))),
    "train/eval": (pair("train", "eval"), parts(train=pair("train"), validation=pair("eval"))),
    "train/val": (pair("train", "val"), parts(train=pair("train"), validation=pair("val"))),
    "train/valid/test": (
        pair("train", "valid", "test"),
        parts(train=pair("train"), validation=pair("valid"), test=pair("test")),
    ),
    "train/val/eval": (
        pair("train", "val", "eval"),
        parts(train=pair("train"), validation=pair("val"), test=pair("eval")),
    ),
    "train/eval/test": (
        pair("train", "eval", "test"),
        parts(train=pair("train"), validation=pair("eval"), test=pair("test")),
    ),
    "splits within classes": (
        "cat/train cat/test dog/train dog/test",
        parts(train="cat=cat/train dog=dog/train", test="cat=cat/test dog=dog/test"),
    ),
    "splits within classes, below a wrapper": (
        "data/cat/Training data/cat/valid data/dog/Training data/dog/valid",
        parts(train="cat=data/cat/Training dog=data/dog/Training", validation="cat=data/cat/valid dog=data/dog/valid"),
    ),
    "two trees of images and labels, with classes": (
        pair("images/train", "images/val") + " labels/train/1.txt labels/val/1.txt",
        parts(train=pair("images/train"), validation=pair("images/val")),
    ),
}


@pytest.mark.parametrize("name", RECOGNISED)
def test_recognised(tmp_path, name):
    tree, expected = RECOGNISED[name]
    assert read(make_tree(tmp_path, tree)) == expected


ONCE, LEVEL, COUNT = "each split folder", "one level", "at least two class folders"
IN_EVERY, DETECTION, TOP = "class folders in every split", "detection or segmentation", "split folders at its top"
REFUSED = {
    "train twice": (pair("train", "test", "Training"), ONCE),
    "another folder beside splits": (pair("train", "test", "extra"), ONCE),
    "the data beside a copy (chest x-rays)": (pair("train", "test", "xray/train", "xray/test"), ONCE),
    "no train": (pair("val", "test"), ONCE),
    "parts of train": (pair("train1", "train2"), ONCE),
    "test sets of two kinds (hurricanes)": (
        pair("train_another", "validation_another", "test", "test_another"),
        ONCE,
    ),
    "lone train beside another folder": (pair("train") + " extra", ONCE),
    "annotated copies (street scenes)": ("train trainannot val valannot test testannot", ONCE),
    "splits and classes in one name": ("pos_train pos_test neg_train neg_test", ONCE),
    "images without classes": ("train test", IN_EVERY),
    "images without classes (coco)": ("train2017 val2017 annotations/x.txt", IN_EVERY),
    "a test set without labels": (pair("train") + " test", r"folder:.*train\?$"),
    "a test set without labels, doubled": (pair("train/train") + " test/test", r"folder:.*train\?$"),
    "a test set in images (tiny-imagenet)": ("train/a/images train/b/images val/images", r"folder:.*train\?$"),
    "images and labels (YOLO)": ("train/images train/labels/1.txt valid/images valid/labels/1.txt", IN_EVERY),
    "images and labels above splits (YOLO)": ("images/train images/val labels/train/1.txt labels/val/1.txt", IN_EVERY),
    "images and labels alone": ("images labels/1.txt", COUNT),
    "images and masks": ("images masks", DETECTION),
    "images and masks by class": (pair("images", "masks"), DETECTION),
    "images and masks in classes (covid)": ("covid/images covid/masks normal/images normal/masks", LEVEL),
    "Pascal VOC": ("VOC/JPEGImages VOC/Annotations/1.txt VOC/ImageSets/Main/1.txt", COUNT),
    "Pascal VOC with masks": ("VOC/JPEGImages VOC/Annotations/1.txt VOC/SegmentationClass", DETECTION),
    "years above classes": (pair("2023", "2024"), "dates"),
    "one class a year": ("2023/cat 2024/dog", "dates"),
    "one year flat": ("2023/cat 2023/dog 2024", "dates"),
    "years within a split": (pair("train/2023", "train/2024", "test/2023", "test/2024"), "dates"),
    "folds": (pair("fold1", "fold2", "fold3", "fold4", "fold5"), "parts of a data set"),
    "folds without classes": ("fold_1 fold_2", "parts of a data set"),
    "the same classes in two": (pair("left", "right"), LEVEL),
    "one class in two": ("north/cat north/dog south/cat", LEVEL),
    "the same classes in two, a stray image": (pair("left", "right") + " left*1", LEVEL),
    "deeper": (pair("a/p", "b/q"), LEVEL),
    "a copy beside the classes (brain tumours)": ("yes no brain/yes brain/no", LEVEL),
    "a class that fell into another": ("cat*5 cat/dog dog*5", LEVEL),
    "two data sets": (pair("a/train", "a/test") + " b/x", TOP),
    "two data sets with splits": (pair("a/train", "a/test", "b/train", "b/test"), TOP),
    "splits within splits": (pair("train/train", "train/val", "test"), TOP),
    "one class": ("cat", COUNT),
    "one class in each split": ("train/cat test/cat", COUNT),
    "images alone": (".", COUNT),
    "more images beside the classes": ("cat dog .*9", "every image in a class folder"),
    "an empty class": ("cat dog bird/", "class folder .*bird is empty"),
    "a class of texts": ("cat dog bird/1.txt", "usable images"),
    "an empty split": (pair("train") + " test/", IN_EVERY),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(tmp_path, name):
    tree, message = REFUSED[name]
    with pytest.raises(InputError, match=message) as caught:
        load_source(f"folder:{make_tree(tmp_path, tree)}")
    text = str(caught.value)
    assert text.startswith("`data.source` must ") and "\n" not in text
    drawn = text.partition(" Received: ")[2]
    assert tree == "." or re.split(r"[/*\s]", tree)[0] in drawn  # the tree that was seen


def test_what_is_not_plain_is_said(tmp_path, capsys):
    load_source(f"folder:{make_tree(tmp_path, pair('set/train/train', 'set/test') + ' set/unlabelled set/train')}")
    said = capsys.readouterr().err
    assert f"The data is read from {tmp_path / 'set'}" in said
    assert f"Not read: {tmp_path / 'set' / 'unlabelled'}" in said
    assert f"2 files beside the folders in {tmp_path / 'set' / 'train'}" in said


def test_large_trees_are_drawn_short(tmp_path):
    with pytest.raises(InputError) as caught:
        load_source(f"folder:{make_tree(tmp_path, ' '.join(pair(f'x{n}') for n in range(20)))}")
    assert "x0 {cat (2), dog (2)}" in str(caught.value) and "+16 more" in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["train_station", "test_tube"], {}),
        (["steam train", "toy train", "test"], {"test": "test"}),
        (["set_train", "Set-Val"], {"set_train": "train", "Set-Val": "validation"}),
        (["train_224x224", "test_224x224"], {"train_224x224": "train", "test_224x224": "test"}),
        (["dev", "eval", "trainval"], {"dev": "validation", "eval": "test", "trainval": "train"}),
        (["контроль", "train-ä", "test-ä"], {"train-ä": "train", "test-ä": "test"}),
    ],
)
def test_names_of_splits(names, expected):
    assert find_splits(names) == expected
