"""Sources other than folders: digits, arrays, tf.data, tfds; and the source strings."""

import numpy as np
import pytest
import tensorflow as tf
from sklearn import datasets
from tiny_tfds import write_tfds

from tfl.data import load_data, load_source, make_dataset
from tfl.data.arrays import load_arrays
from tfl.data.stream import load_streams
from tfl.errors import InputError
from tfl.inputs import get_input

IMAGE = get_input("image")
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (60, 6, 5, 3), dtype=np.uint8)
LABELS = np.arange(60) % 3


def read(splits, rows, **options):
    """Evaluate a whole split at the images' own size: pixels, labels, ids."""
    batches = list(make_dataset(splits.source, rows, batch_size=7, **options).as_numpy_iterator())
    return tuple(np.concatenate([batch[key] for batch in batches]) for key in ("input", "label", "id"))


@pytest.mark.parametrize(
    ("selection", "digits"), [("", range(10)), (":0-4", range(5)), (":5,6,9", (5, 6, 9)), (":5-9", range(5, 10))]
)
def test_digits(selection, digits):
    original = datasets.load_digits()
    splits = load_data("digits" + selection)
    assert splits.class_names == tuple(map(str, digits))
    positions = splits.index.ids.astype(int)
    assert sorted(positions) == np.flatnonzero(np.isin(original.target, list(digits))).tolist()
    names = np.array(splits.class_names)[splits.index.labels].astype(int)
    np.testing.assert_array_equal(names, original.target[positions])
    pixels, labels, ids = read(splits, splits.test, image_size=8)
    expected = np.round(original.images[splits.index.ids[ids].astype(int)] * 255 / 16)
    np.testing.assert_array_equal(pixels, np.repeat(expected[..., None], 3, axis=-1))
    np.testing.assert_array_equal(labels, splits.index.labels[ids])


def test_a_digit_keeps_its_split_whatever_is_selected_beside_it():
    def places(source):
        splits = load_data(source)
        return dict(zip(splits.index.ids[splits.index.labels == 0], splits.index.splits, strict=False))

    assert places("digits:0-4") == places("digits:0,7")


@pytest.mark.parametrize("selection", ["5", "3-12", "a-b", "1,1", "4-2"])
def test_bad_digits(selection):
    with pytest.raises(InputError, match=rf"two or more of the digits.*{selection}"):
        load_source(f"digits:{selection}")


@pytest.mark.parametrize(("source", "hint"), [("foldr:x", "folder"), ("digts", "digits"), ("tfds:", "tfds:NAME")])
def test_bad_source_strings(source, hint):
    with pytest.raises(InputError, match=hint):
        load_source(source)


@pytest.mark.parametrize("labels", [LABELS, LABELS + 5, np.array(["c", "a", "b"])[LABELS], LABELS.reshape(-1, 1)])
def test_arrays(labels):
    splits = load_data((IMAGES, labels))
    pixels, numbers, ids = read(splits, splits.train, image_size=5)
    originals = splits.index.ids[ids].astype(int)
    np.testing.assert_array_equal(np.array(splits.class_names)[numbers], labels.reshape(-1).astype(str)[originals])
    assert pixels.shape == (len(splits.train), 5, 5, 3)
    assert len(np.unique(np.r_[splits.train, splits.validation, splits.test])) == 60


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 1), (4, 4, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.int64])
def test_pixels_come_through(shape, dtype):
    images = RNG.integers(0, 256, (12, *shape)).astype(dtype)
    splits = load_data((images, np.arange(12) % 2))
    pixels, _, ids = read(splits, splits.train, image_size=4)
    expected = images[splits.index.ids[ids].astype(int)].reshape(len(ids), 4, 4, -1)
    np.testing.assert_array_equal(pixels, np.broadcast_to(expected, pixels.shape))


def test_splits_of_arrays_are_kept():
    parts = {
        "train": (IMAGES[:30], LABELS[:30]),
        "validation": (IMAGES[30:45], LABELS[30:45]),
        "test": (IMAGES[45:], LABELS[45:]),
    }
    splits = load_data(parts)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (30, 15, 15)
    two = load_data({"train": parts["train"], "test": parts["test"]})
    assert set(two.index.ids[two.test]) == {f"test/{i}" for i in range(15)}
    assert len(two.train) + len(two.validation) == 30


def test_multilabel_targets():
    targets = (RNG.random((60, 4)) > 0.5).astype(np.int64)
    splits = load_data((IMAGES, targets))
    _, labels, ids = read(splits, splits.validation, image_size=4)
    assert labels.dtype == np.float32 and splits.class_names == ("0", "1", "2", "3")
    np.testing.assert_array_equal(labels, targets[splits.index.ids[ids].astype(int)])


def test_regression_targets():
    targets = RNG.normal(size=60)
    splits = load_data((IMAGES, targets))
    _, labels, ids = read(splits, splits.test, image_size=4)
    assert splits.class_names == () and len(splits.test) == 9
    np.testing.assert_allclose(labels, targets[splits.index.ids[ids].astype(int)], rtol=1e-6)


@pytest.mark.parametrize(
    ("images", "labels", "match"),
    [
        (IMAGES, LABELS[:-1], "60 images and 59 labels"),
        (IMAGES[:0], LABELS[:0], "at least one image"),
        (IMAGES / 255.0, LABELS, r"Did you mean 255 \* images"),
        (IMAGES.astype(np.float32) - 9, LABELS, r"\[0, 255\]"),
        (np.where(IMAGES > 250, np.nan, IMAGES), LABELS, r"\[0, 255\]"),
        (IMAGES[..., :2], LABELS, "shape"),
        (IMAGES, LABELS * 0, "at least two classes"),
        (IMAGES, np.full(60, np.nan), "60 of 60 examples without a label"),
        (IMAGES, np.zeros((60, 2, 2)), "labels of shape"),
    ],
)
def test_bad_arrays(images, labels, match):
    with pytest.raises(InputError, match=match):
        load_data((images, labels))


@pytest.mark.parametrize("source", [None, 3, {}, {"train": 1}, (1, 2, 3), {"training": (IMAGES, LABELS)}])
def test_bad_objects(source):
    with pytest.raises(InputError, match=r"`source` must"):
        load_data(source)


def as_pairs():
    return tf.data.Dataset.from_tensor_slices((IMAGES, LABELS))


def as_dicts():
    return tf.data.Dataset.from_tensor_slices({"image": IMAGES.astype(np.float32), "label": LABELS, "other": LABELS})


def as_bytes():
    return as_pairs().map(lambda image, label: (tf.io.encode_png(image), label))


@pytest.mark.parametrize("make", [as_pairs, as_dicts, as_bytes])
def test_streams(make):
    splits = load_data(make())
    for rows in (splits.train, splits.validation, splits.test):
        pixels, labels, ids = read(splits, rows, image_size=5)
        assert sorted(ids) == rows.tolist()
        np.testing.assert_array_equal(labels, LABELS[splits.index.ids[ids].astype(int)])
        reference, _, same = read(load_data((IMAGES, LABELS)), rows, image_size=5)
        np.testing.assert_array_equal(pixels[np.argsort(ids)], reference[np.argsort(same)])
    assert set(splits.index.facts["width"]) == {5} and set(splits.index.facts["height"]) == {6}


def test_stream_epochs_are_shuffled_and_repeatable():
    splits = load_data(as_pairs())
    orders = [read(splits, splits.train, image_size=4, epoch=epoch, seed=1)[2].tolist() for epoch in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[2]) == splits.train.tolist()


def test_streams_by_split_and_a_broken_image():
    broken = as_bytes().take(20).concatenate(tf.data.Dataset.from_tensors((b"\x89PNG", tf.constant(0, tf.int64))))
    splits = load_data({"train": broken, "test": as_bytes().skip(20)})
    assert splits.quarantine[0][0] == "train/20" and len(splits.test) == 40
    assert len(splits.train) + len(splits.validation) == 20
    _, labels, ids = read(splits, splits.test, image_size=4)
    numbers = [int(splits.index.ids[id].split("/")[1]) + 20 for id in ids]
    np.testing.assert_array_equal(labels, LABELS[numbers])


@pytest.mark.parametrize(
    ("dataset", "match"),
    [
        (lambda: as_pairs().batch(4), r"not batches.*unbatch"),
        (lambda: as_bytes().batch(4), r"not batches.*unbatch"),
        (lambda: tf.data.Dataset.from_tensor_slices(IMAGES), "image, label"),
        (lambda: as_pairs().take(0), "at least one example"),
        (lambda: as_pairs().map(lambda image, label: (tf.cast(image, tf.float32) / 255, label)), "Did you mean 255"),
        (lambda: as_pairs().map(lambda image, label: (image[..., :2], label)), "1 or 3 channels"),
    ],
)
def test_bad_streams(dataset, match):
    with pytest.raises(InputError, match=match):
        load_data(dataset())


@pytest.fixture(scope="module")
def tfds_folder(tmp_path_factory):
    """A data set that tfds itself wrote, with a split name that tfl does not know."""
    pytest.importorskip("tensorflow_datasets")
    splits = {"train": slice(0, 30), "test": slice(30, 50), "unsupervised": slice(50, 60)}
    names = ("zebra", "10", "2")
    return write_tfds(tmp_path_factory.mktemp("tfds"), splits=splits, names=names, images=IMAGES, labels=LABELS)


@pytest.mark.parametrize("name", ["tiny", "tiny:1.0.0"])
def test_tfds(tfds_folder, monkeypatch, name):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tfds_folder))
    splits = load_data(f"tfds:{name}")
    assert splits.class_names == ("2", "10", "zebra")
    assert len(splits.test) == 20 and len(splits.train) + len(splits.validation) == 30
    pixels, labels, ids = read(splits, splits.test, image_size=5)
    numbers = [int(splits.index.ids[id].split("/")[1]) + 30 for id in ids]
    np.testing.assert_array_equal(np.array(splits.class_names)[labels], np.array(["zebra", "10", "2"])[LABELS[numbers]])
    reference = load_data((IMAGES, LABELS))
    rows = [int(np.flatnonzero(reference.index.ids == str(number))[0]) for number in numbers]
    np.testing.assert_array_equal(pixels, read(reference, np.array(rows), image_size=5)[0])


@pytest.mark.parametrize(
    ("tfds_splits", "train", "validation", "test"),
    [
        ("train=train[:20],validation=train[20:],test=test", range(20), range(20, 30), range(30, 50)),
        ("train=train[:50%],validation=unsupervised, test=test[5:]+train[50%:]", range(15), range(50, 60), None),
        ("train=train+unsupervised,validation=test[:10],test=test[10:]", None, range(30, 40), range(40, 50)),
    ],
)
def test_splits_of_tfds(tfds_folder, tfds_splits, train, validation, test):
    splits = load_data("tfds:tiny", tfds_splits=tfds_splits, tfds_dir=str(tfds_folder))
    reference = load_data((IMAGES, LABELS))
    by_content = dict(zip(reference.index.sha256, reference.index.ids, strict=True))
    assert len(by_content) == len(IMAGES)
    pixels, _, ids = read(splits, np.arange(len(splits.index)), image_size=5)
    there, _, numbers = read(reference, np.arange(len(IMAGES)), image_size=5)
    number_of = {image.tobytes(): int(reference.index.ids[row]) for image, row in zip(there, numbers, strict=True)}
    found = {int(row): number_of[image.tobytes()] for image, row in zip(pixels, ids, strict=True)}
    expected = [train or [*range(30), *range(50, 60)], validation, test or [*range(15, 30), *range(35, 50)]]
    for rows, wanted in zip((splits.train, splits.validation, splits.test), expected, strict=True):
        assert sorted(found[row] for row in rows.tolist()) == list(wanted)


def test_one_split_of_tfds_is_divided_by_tfl(tfds_folder):
    splits = load_data("tfds:tiny", tfds_splits="train[:80%]", tfds_dir=str(tfds_folder))
    assert len(splits.index) == 24 and all(map(len, (splits.train, splits.validation, splits.test)))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"tfds_splits": "trian"}, r"must name splits of tfds:tiny: train, test, unsupervised, or.*Received: 'trian'"),
        ({"tfds_splits": "train[:x]"}, r"Received: 'train\[:x\]'"),
        ({"tfds_splits": "train=train[:0],test=test"}, r"'train\[:0\]', which is empty"),
        ({"tfds_splits": "train=train,trian=test"}, "known: train, validation, test. Received: 'trian=test'"),
        ({"tfds_splits": "train,test"}, "known: train, validation, test. Received: 'train'"),
        ({"tfds_splits": "test=test"}, "a split for train too"),
    ],
)
def test_bad_splits_of_tfds_are_one_line(tfds_folder, options, match):
    with pytest.raises(InputError, match=match) as caught:
        load_data("tfds:tiny", tfds_dir=str(tfds_folder), **options)
    assert "\n" not in str(caught.value)


def test_options_of_tfds_are_refused_for_other_sources():
    for options in ({"tfds_splits": "train"}, {"tfds_dir": "there"}):
        with pytest.raises(InputError, match="for a source without splits of tfds"):
            load_data("digits", **options)


def test_tfds_that_is_not_prepared_says_so_at_once(tfds_folder, monkeypatch):
    pytest.importorskip("tensorflow_datasets")
    monkeypatch.setattr("tfl.data.tfds._is_online", lambda: False)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tfds_folder))
    with pytest.raises(InputError, match=r"no network.*tfds:tf_flowers, not found in"):
        load_data("tfds:tf_flowers")


NFC, NFD = "K\xe4fer", "Ka\u0308fer"


def as_stream(images, labels):
    return tf.data.Dataset.from_tensor_slices((images, labels))


@pytest.mark.parametrize("make", [lambda images, labels: (images, labels), as_stream])
def test_names_equal_after_normalisation_are_one_class(make, capsys):
    index = load_source(make(IMAGES, np.array([NFC, NFD, "bee"])[LABELS])).index
    assert set(index.class_names) == {NFC, "bee"}
    counts = {name: int((index.labels == number).sum()) for number, name in enumerate(index.class_names)}
    assert counts == {NFC: 40, "bee": 20}
    load_source(make(IMAGES, np.array(["Bee", "bee", "ant"])[LABELS]))
    assert "'Bee' and 'bee' are different classes" in capsys.readouterr().err
    with pytest.raises(InputError, match="at least two classes"):
        load_source(make(IMAGES, np.array([NFC, NFD])[LABELS % 2]))


def test_names_of_columns_are_different_after_normalisation():
    rows = np.eye(3, dtype=np.float32)[LABELS]
    with pytest.raises(InputError, match=r"`class_names` must be different names.*twice"):
        load_arrays({"": (IMAGES, rows)}, IMAGE, class_names=(NFC, NFD, "bee"))
    with pytest.raises(InputError, match=r"must be different names.*twice"):
        load_streams({"": as_stream(IMAGES, rows)}, IMAGE, names=(NFC, NFD, "bee"))
    numbers = load_streams({"": as_stream(IMAGES, LABELS)}, IMAGE, names=(NFC, NFD, "bee"))  # as tfds reads them
    assert set(numbers.index.class_names) == {NFC, "bee"} and np.bincount(numbers.index.labels).max() == 40


def test_every_source_gives_no_examples_for_no_rows(tmp_path):
    """Of a set that is smaller than a batch, a replica reads no whole batches, and a worker maybe nothing."""
    for name in "ab":
        (tmp_path / name).mkdir()
        for number in range(3):
            (tmp_path / name / f"{number}.png").write_bytes(tf.io.encode_png(IMAGES[number]).numpy())
    stream = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS))
    for source in (f"folder:{tmp_path}", "digits", (IMAGES, LABELS), stream):
        data = load_source(source, 0.1)
        whole = data.examples(np.arange(3))
        empty = data.examples(np.arange(0))
        assert empty.element_spec == whole.element_spec
        assert list(empty) == []
