"""Several sources as one: every example once, with its own pixels, label and name, in every order and batch."""

import re
import shutil

import numpy as np
import pytest
import tensorflow as tf
from option_runs import make_config, tiny_networks, write_photos

import tfl
from tfl.checks import check_data
from tfl.config.values import split_source
from tfl.data import load_data, load_source, make_dataset
from tfl.data.joined import join
from tfl.data.label_formats import ValueLabels
from tfl.data.stream import load_streams
from tfl.errors import InputError
from tfl.inputs import get_input
from tfl.recipe.transfer import transfer
from tfl.report.reading import read_facts
from tfl.runs.evaluate import evaluate_workdir


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Two folders with the same file names, and a table of one of them with another class beside it."""
    root = tmp_path_factory.mktemp("joined")
    write_photos(root / "one" / "photos", (12, 12), 0)
    write_photos(root / "two" / "photos", (9, 9), 1)
    files = sorted(path.relative_to(root) for path in (root / "two" / "photos").rglob("*.png"))
    lines = [f"{file},{'class_1' if number > 8 else 'other'},p{number // 3}" for number, file in enumerate(files)]
    (root / "table.csv").write_text("\n".join(["path,label,group", *lines]) + "\n")
    return root


def sources_of(root):
    return {
        "folders": f"folder:{root}/one/photos,folder:{root}/two/photos",
        "folder and table": f"Folder:{root}/one/photos, csv:{root}/table.csv",
    }


@pytest.mark.parametrize("name", ["folders", "folder and table"])
def test_every_example_keeps_its_pixels_label_and_content(places, name):
    text = sources_of(places)[name]
    joined, parts = load_source(text), [load_source(part) for part in split_source(text)]
    expected = {}
    for source in parts:
        for batch in make_dataset(source, np.arange(len(source.index)), image_size=32, batch_size=7):
            for row, pixels in zip(batch["id"].numpy(), batch["input"].numpy(), strict=True):
                label = source.index.class_names[source.index.labels[row]]
                expected[source.index.paths[row]] = (label, source.index.sha256[row], pixels.tobytes())
    assert len(joined.index) == len(expected) == sum(len(source.index) for source in parts)
    rows = np.random.default_rng(0).permutation(len(joined.index))
    dataset = make_dataset(joined, rows, image_size=32, batch_size=7)
    found, order = {}, []
    for batch in dataset:
        for row, label, pixels in zip(*(batch[key].numpy() for key in ("id", "label", "input")), strict=True):
            order.append(row)
            name_of_class = joined.index.class_names[label]
            assert label == joined.index.labels[row]
            found[joined.index.paths[row]] = (name_of_class, joined.index.sha256[row], pixels.tobytes())
    assert order == rows.tolist() and found == expected


def test_names_begin_with_the_source_and_are_unique(places):
    index = load_source(sources_of(places)["folders"]).index
    assert len(set(index.ids.tolist())) == len(index)
    assert {name.partition("/")[0] for name in index.ids} == {"photos", "photos-2"}
    index = load_source(sources_of(places)["folder and table"]).index
    assert index.class_names == ("class_0", "class_1", "other")
    assert set(index.groups) == {
        "",
        *(f"p{n}" for n in range(6)),
    }


def test_a_copy_in_another_source_is_in_the_same_split(places, tmp_path):
    shutil.copytree(places / "one" / "photos", tmp_path / "copy")
    splits = load_data(f"folder:{places}/one/photos,folder:{tmp_path}/copy", split=(0.5, 0.25, 0.25))
    digests = [set(splits.index.sha256[rows]) for rows in (splits.train, splits.validation, splits.test)]
    assert sum(map(len, digests)) == len(set(splits.index.sha256.tolist()))


def test_streams_are_read_one_after_the_other():
    images = np.random.default_rng(0).integers(0, 255, (2, 10, 8, 8, 3), np.uint8)
    kind = get_input("image")
    labels = np.arange(10) % 2
    parts = [load_streams({"": tf.data.Dataset.from_tensor_slices((own, labels))}, kind) for own in images]
    joined = join(["tfds:a", "tfds:b"], parts)
    assert not joined.has_random_access
    batches = list(make_dataset(joined, np.arange(20), image_size=8, batch_size=6))
    ids = np.concatenate([batch["id"] for batch in batches])
    assert sorted(ids) == list(range(20))
    pixels = dict(zip(ids, np.concatenate([batch["input"] for batch in batches]), strict=True))
    for row, name in enumerate(joined.index.ids):
        part, number = name.split("/")
        assert np.array_equal(pixels[row], images["ab".index(part[-1]), int(number)])


def test_a_run_on_joined_sources_is_evaluated_again(places, tmp_path):
    options = {"data.source": sources_of(places)["folder and table"], "finetune.epochs": 0}
    with tiny_networks():
        result = transfer(make_config(places, tmp_path / "store", options), tmp_path / "run")
        again = evaluate_workdir(tmp_path / "run")
    assert again["test"]["loss"] == pytest.approx(result.metrics["test"]["loss"], rel=1e-4)
    facts = read_facts(tmp_path / "run")
    assert facts.data_name == "photos, table.csv"
    facts.config.data.source = "tfrecord:/home/me/records/train-*,digits:0-4"
    assert facts.data_name == "records, digits:0-4"  # nothing that is published says where the data are


def refused(**options):
    with pytest.raises(InputError) as found:
        load_source(**options)
    return str(found.value)


def test_sources_that_do_not_fit_are_refused(places, tmp_path):
    shutil.copytree(places / "one" / "photos", tmp_path / "splits" / "train")
    shutil.copytree(places / "two" / "photos", tmp_path / "splits" / "test")
    plain = f"folder:{places}/one/photos"
    assert "that all have splits of their own, or none" in refused(source=f"{plain},folder:{tmp_path}/splits")
    assert "with examples in the same form" in refused(source=f"{plain},digits:")
    assert "`data.columns` must be empty" in refused(source=f"{plain},{plain}", columns="label=x")
    assert "must name what to read, as in folder:NAME" in refused(source=f"{plain},folder:")
    prices = places / "prices.csv"
    lines = [f"one/photos/class_0/{number}.png,{number / 2}" for number in range(12)]
    prices.write_text("\n".join(["path,price", *lines]))
    message = refused(source=f"csv:{prices},{plain}", columns="label=price", labels=ValueLabels())
    assert "labels of the same form" in message
    config = tfl.TransferConfig(data=tfl.DataConfig(source=f"{plain},{plain}", split_by="time"))
    with pytest.raises(InputError, match=re.escape("`data.split_by` must be 'class', 'content'")):
        check_data(config)
