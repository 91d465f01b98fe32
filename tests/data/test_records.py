"""`tfrecord:GLOB`: the index is that of the same files in folders, and each broken record is named."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from option_runs import write_photos
from records import HEAD, make_example, usual, write_records

import tfl
from tfl.checks import check_data
from tfl.data import load_data, load_source, make_dataset, reading_explained
from tfl.data.label_formats import ClassLabels, SetLabels, ValueLabels
from tfl.data.records.examples import parse_example, serialize_example
from tfl.data.records.files import splits_of_files
from tfl.data.records.framing import find_records
from tfl.errors import InputError

PHOTOS = 12  # of each of two classes
NAMES = ["class_0", "class_1"]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder with 2 x 12 images, and the content and the class of each, by its path."""
    folder = tmp_path_factory.mktemp("records") / "photos"
    write_photos(folder, (PHOTOS, PHOTOS))
    files = sorted(folder.glob("*/*"))
    return folder, {path.relative_to(folder).as_posix(): (path.read_bytes(), path.parent.name) for path in files}


@pytest.fixture(scope="module")
def examples(photos):
    return [usual(content, name, NAMES) for content, name in photos[1].values()]


def pixels_of(source, rows):
    batches = make_dataset(source, rows, image_size=16, batch_size=5)
    return np.concatenate([batch["input"] for batch in batches.as_numpy_iterator()])


def test_the_index_and_the_pixels_are_those_of_the_folder(photos, examples, tmp_path):
    with_ids = [example | {"id": name} for example, name in zip(examples, photos[1], strict=True)]
    write_records(tmp_path / "a.tfrecord", with_ids[::2])
    write_records(tmp_path / "b.tfrecord", with_ids[1::2])
    here, there = load_data(f"tfrecord:{tmp_path}"), load_data(f"folder:{photos[0]}")
    assert here.class_names == there.class_names
    for column in ("ids", "labels", "splits", "sha256", "seeds"):
        np.testing.assert_array_equal(getattr(here.index, column), getattr(there.index, column), column)
    for name in there.index.facts:
        np.testing.assert_array_equal(here.index.facts[name], there.index.facts[name])
    rows = np.random.default_rng(0).permutation(len(there.index))
    np.testing.assert_array_equal(pixels_of(here.source, rows), pixels_of(there.source, rows))


def test_ids_are_file_and_number(examples, tmp_path):
    write_records(tmp_path / "x" / "part-0", examples[:20])
    write_records(tmp_path / "y" / "part-0", examples[20:])
    ids = load_source(f"tfrecord:{tmp_path}/*/part-*").index.ids.tolist()
    assert {*ids} == {f"x/part-0:{n}" for n in range(20)} | {f"y/part-0:{n}" for n in range(4)}
    assert ids[:2] == ["x/part-0:0", "x/part-0:1"]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("train-00000-of-00002", "train-00001-of-00002", "validation-00000-of-00001", "test-0-of-1"), "ttve"),
        (("mnist-train.tfrecord-00000-of-00001", "mnist-test.tfrecord-00000-of-00001"), "te"),
        (("train.tfrecord", "val.tfrecords"), "tv"),
        (("data-00000-of-00002", "data-00001-of-00002"), "--"),
        (("train_station-0.tfrecord", "bus-0.tfrecord"), "--"),
    ],
)
def test_splits_by_file_name(names, expected):
    words = {"t": "train", "v": "validation", "e": "test", "-": ""}
    assert [*splits_of_files([Path(name) for name in names]).values()] == [words[letter] for letter in expected]


def test_own_splits_groups_and_times(photos, examples, tmp_path):
    parts = [["train", "val", "test"][n % 3] for n in range(len(examples))]
    extra = [
        example | {"split": part, "patient_id": f"p{n // 3}", "taken_at": 2000 + n}
        for n, (example, part) in enumerate(zip(examples, parts, strict=True))
    ]
    write_records(tmp_path / "a.tfrecord", extra)
    index = load_source(f"tfrecord:{tmp_path}").index
    numbers = [int(name.split(":")[1]) for name in index.ids]
    assert index.splits.tolist() == [{"val": "validation"}.get(parts[n], parts[n]) for n in numbers]
    assert index.groups.tolist() == [f"p{n // 3}" for n in numbers]
    assert index.times.tolist() == [str(2000 + n) for n in numbers]


def renamed(examples, **keys):
    """Return the examples with other keys: `renamed(examples, image="image/encoded")`."""
    return [{new: example[old] for new, old in keys.items()} for example in examples]


def test_names_of_class_numbers(examples, tmp_path):
    as_tfds = renamed(examples, image="image/encoded", label="image/class/label")
    write_records(tmp_path / "a.tfrecord", as_tfds)
    assert load_source(f"tfrecord:{tmp_path}").index.class_names == ("0", "1")
    (tmp_path / "labels.txt").write_text("0:wasp\n1:bee\n")
    index = load_source(f"tfrecord:{tmp_path}").index
    assert index.class_names == ("bee", "wasp") and index.ids[0] == "a.tfrecord:12"
    (tmp_path / "labels.txt").write_text("wasp\nbee\n")
    assert load_source(f"tfrecord:{tmp_path}").index.label_texts() == index.label_texts()
    (tmp_path / "labels.txt").write_text("wasp\n")
    with pytest.raises(InputError, match=r"a name for every number of label.*Received: 1 at a.tfrecord:12"):
        load_source(f"tfrecord:{tmp_path}")


def test_text_labels_other_keys_and_names_that_two_numbers_have(examples, tmp_path, capsys):
    write_records(tmp_path / "a.tfrecord", renamed(examples, jpeg="image/encoded", kind="image/class/text"))
    index = load_source(f"tfrecord:{tmp_path}/a.*", columns="path=jpeg,label=kind").index
    assert index.class_names == ("class_0", "class_1")
    cranes = [example | {"image/class/text": "crane"} for example in examples]
    write_records(tmp_path / "b.tfrecord", cranes)
    assert load_source(f"tfrecord:{tmp_path}/b.*").index.class_names == ("crane (0)", "crane (1)")
    assert "1 names belong to several numbers" in capsys.readouterr().err
    both = [cranes[0], examples[0]]
    with pytest.raises(InputError, match=r"one name for each number of image/class/label. Received: 0 with the names"):
        load_source(f"tfrecord:{write_records(tmp_path / 'c.tfrecord', both)}")


def test_several_labels_and_values(examples, tmp_path):
    images = [example["image/encoded"] for example in examples]
    sets = [(["red", "big"], [], ["red"])[n % 3] for n in range(len(images))]
    rows = [{"image": image, "label": tags} for image, tags in zip(images, sets, strict=True)]
    write_records(tmp_path / "sets.tfrecord", rows)
    index = load_source(f"tfrecord:{tmp_path}/sets.tfrecord", labels=SetLabels()).index
    assert index.class_names == ("big", "red") and index.labels.tolist()[:3] == [[1, 1], [0, 0], [0, 1]]
    hot = [{"image": image, "label": [n % 2, 1, 0]} for n, image in enumerate(images)]
    write_records(tmp_path / "hot.tfrecord", hot)
    index = load_source(f"tfrecord:{tmp_path}/hot.tfrecord").index
    assert index.class_names == ("0", "1", "2") and index.labels.tolist()[:2] == [[0, 1, 0], [1, 1, 0]]
    values = [{"image": image, "label": [n / 2, -n / 4], "price": float(n)} for n, image in enumerate(images)]
    write_records(tmp_path / "values.tfrecord", values)
    index = load_source(f"tfrecord:{tmp_path}/values.tfrecord", labels=ValueLabels()).index
    assert index.value_names == ("label_0", "label_1") and index.labels.tolist()[:2] == [[0, 0], [0.5, -0.25]]
    index = load_source(f"tfrecord:{tmp_path}/values.tfrecord", columns="label=price", labels=ValueLabels()).index
    assert index.labels.tolist() == list(range(len(images)))


def test_every_broken_record_is_named_and_the_others_are_used(examples, tmp_path, capsys):
    good = [example | {"split": ("train", "test")[n % 2], "weight": 1.0} for n, example in enumerate(examples)]
    broken = {
        "not an image": good[0] | {"image/encoded": b"hello"},
        "no image/encoded": {"image/class/label": 0, "image/class/text": "class_0", "split": "train"},
        "is not the bytes of one file": good[0] | {"image/encoded": [good[0]["image/encoded"]] * 2},
        "no image/class/label": {"image/encoded": good[0]["image/encoded"], "split": "train"},
        "2 values of image/class/label": good[0] | {"image/class/label": [0, 1]},
        "the weight '-1.0'": good[0] | {"weight": -1.0},
        "the split 'trian'": good[0] | {"split": "trian"},
        "no tf.train.Example": b"\xff\xff\xff",
        "its checksum does not match": good[0],
        "the length of the record": good[0],
    }
    file = write_records(tmp_path / "a.tfrecord", [*good, *(value for value in broken.values()), good[0]])
    content, starts = bytearray(file.read_bytes()), find_records(file).starts
    content[starts[len(good) + 8] + HEAD + 30] ^= 1
    content[starts[len(good) + 9] + 3] ^= 1
    file.write_bytes(content)
    source = load_source(f"tfrecord:{file}", max_bad_fraction=0.5, labels=ClassLabels())
    assert {name for name, _ in source.quarantine} == {f"a.tfrecord:{len(good) + n}" for n in range(len(broken))}
    found = dict(source.quarantine)
    for number, reason in enumerate(broken):
        assert reason in found[f"a.tfrecord:{len(good) + number}"]
    assert source.index.ids.tolist() == [f"a.tfrecord:{n}" for n in range(len(good))]
    with pytest.raises(InputError, match=r"`data.max_bad_fraction`.*10 of 34"):
        load_source(f"tfrecord:{file}", labels=ClassLabels())


def refused(pattern, match, **options):
    with pytest.raises(InputError, match=match) as caught:
        load_source(f"tfrecord:{pattern}", **options)
    assert "\n" not in str(caught.value)


def test_what_cannot_be_read_is_one_line(examples, tmp_path):
    file = write_records(tmp_path / "good" / "train.tfrecord", examples)
    refused(tmp_path / "god" / "*", r"which matches none. Did you mean .*good")
    refused(tmp_path / "good" / "trian.tfrecord", r"which matches none. Did you mean .*train.tfrecord")
    refused(file, "`data.columns` must name columns of .*image/encoded. Received: 'name'", columns="label=name")
    sound = write_records(tmp_path / "sound.tfrecord", [{"audio": b"x", "label": 1}])
    refused(sound, r"which key has the image, as in path=KEY.*the keys audio, label")
    write_records(tmp_path / "mixed" / "a", examples[:3])
    write_records(tmp_path / "mixed" / "b", renamed(examples, image="image/encoded", label="image/class/label"))
    refused(
        tmp_path / "mixed" / "*", "same keys in all files. Received: image/encoded in .*a, but not in .*b: image, l"
    )
    with tf.io.TFRecordWriter(str(tmp_path / "zipped"), "GZIP") as writer:
        writer.write(make_example(examples[0]))
    refused(tmp_path / "zipped", "compressed with gzip. Did you mean to run gunzip zipped")
    (tmp_path / "text").write_text("no records are in here")
    refused(tmp_path / "text", "it is no TFRecord file")
    (tmp_path / "nothing").touch()
    refused(tmp_path / "nothing", "at least one record")
    write_records(tmp_path / "splits" / "train-0", examples)
    write_records(tmp_path / "splits" / "more-0", examples)
    refused(tmp_path / "splits" / "*", "all name a split.*Received: train-0 and more-0")
    write_records(tmp_path / "ids", [example | {"id": "same"} for example in examples])
    refused(tmp_path / "ids", "different ids in the key 'id'. Received: 'same' twice")


def test_a_split_by_time_needs_a_key_of_times_before_anything_is_read(examples, tmp_path):
    config = tfl.TransferConfig(data=tfl.DataConfig(source=f"tfrecord:{tmp_path}", split_by="time"))
    write_records(tmp_path / "a.tfrecord", [example | {"taken_at": n} for n, example in enumerate(examples)])
    check_data(config)
    write_records(tmp_path / "a.tfrecord", examples)
    with pytest.raises(InputError, match="for a source without a column of times"):
        check_data(config)


def test_a_truncated_file_is_named_and_its_whole_records_are_used(examples, tmp_path):
    file = write_records(tmp_path / "a.tfrecord", examples)
    file.write_bytes(file.read_bytes()[:-10])
    source = load_source(f"tfrecord:{file}")
    assert len(source.index) == len(examples) - 1
    assert source.quarantine[0][0] == f"a.tfrecord:{len(examples) - 1}" and "truncated" in source.quarantine[0][1]


@pytest.mark.parametrize("damage", ["a byte", "another file", "a truncated file"])
def test_a_file_that_changes_after_the_check_is_one_line(examples, tmp_path, damage):
    file = write_records(tmp_path / "a.tfrecord", examples)
    source = load_source(f"tfrecord:{file}")
    content = bytearray(file.read_bytes())
    content[HEAD + 200] ^= 1
    if damage == "another file":
        write_records(file, [*reversed(examples)])
    else:
        file.write_bytes(content if damage == "a byte" else content[:5000])
    with pytest.raises(InputError, match="`data` must stay as it is while it is read") as caught, reading_explained():
        pixels_of(source, np.arange(len(source.index)))
    assert "a.tfrecord" in str(caught.value)


def test_lengths_are_those_that_tensorflow_wrote(examples, tmp_path):
    file = write_records(tmp_path / "a.tfrecord", examples)
    contents = [*tf.data.TFRecordDataset(str(file)).as_numpy_iterator()]
    framing = find_records(file)
    assert framing.lengths == [len(content) for content in contents] and not framing.damage
    whole = file.read_bytes()
    assert [whole[s + HEAD : s + HEAD + n] for s, n in zip(framing.starts, framing.lengths, strict=True)] == contents


def test_examples_are_those_of_tensorflow(examples):
    features = {"b": [b"x", b""], "i": [-3, 2**40], "f": [0.5, -2.0], "none": []}
    for values in (features, *examples):
        assert parse_example(make_example(values)) == {
            key: [item.encode() if isinstance(item, str) else item for item in (v if isinstance(v, list) else [v])]
            for key, v in values.items()
        }
    made = tf.train.Example.FromString(serialize_example(features)).features.feature
    assert made["i"].int64_list.value == features["i"] and made["b"].bytes_list.value == features["b"]
    assert made["f"].float_list.value == features["f"] and made["none"].WhichOneof("kind") == "bytes_list"
    with pytest.raises(ValueError, match=r"no tf.train.Example"):
        parse_example(b"\xff\xff\xff")


@pytest.mark.parametrize("seed", range(20))
def test_a_mutated_file_gives_its_whole_records_or_one_line(examples, tmp_path, seed):
    """Bytes are changed, cut out and doubled; what is then read is always an example that was written."""
    rng = np.random.default_rng(seed)
    file = write_records(tmp_path / "a.tfrecord", [example | {"id": str(n)} for n, example in enumerate(examples)])
    whole = load_source(f"tfrecord:{file}").index
    content = bytearray(file.read_bytes())
    for start in rng.integers(0, len(content), 1 + seed % 3).tolist():
        length = int(rng.integers(1, 3000))
        part = content[start : start + length]
        content[start : start + length] = (rng.bytes(len(part)), b"", part * 2)[int(rng.integers(3))]
    file.write_bytes(content)
    try:
        source = load_source(f"tfrecord:{file}", max_bad_fraction=1.0)
    except InputError as error:
        assert "\n" not in str(error)
        return
    written = dict(zip(whole.ids, zip(whole.sha256, whole.label_texts(), strict=True), strict=True))
    index = source.index
    assert all(written[n] == (d, t) for n, d, t in zip(index.ids, index.sha256, index.label_texts(), strict=True))
    assert len(index) == len(whole) or source.quarantine
    assert len(pixels_of(source, np.arange(len(index)))) == len(index)
