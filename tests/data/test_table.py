"""Tables of files: every format gives the same index, every broken row is named, groups stay together."""

import json

import numpy as np
import pandas as pd
import pytest
from option_runs import write_photos

import tfl
from tfl.data import load_data, load_source
from tfl.data.label_formats import ClassLabels, SetLabels, ValueLabels
from tfl.errors import InputError
from tfl.registry import natural_key

PHOTOS = 12  # of each of two classes


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder with 2 x 12 images, and their paths within it."""
    folder = tmp_path_factory.mktemp("table")
    write_photos(folder / "photos", (PHOTOS, PHOTOS))
    files = (path.relative_to(folder).as_posix() for path in (folder / "photos").glob("*/*"))
    return folder, sorted(files, key=natural_key)


def write(folder, name, header, rows, delimiter=","):
    lines = [delimiter.join(map(str, row)) for row in [header, *rows]]
    (folder / name).write_text("\n".join(lines) + "\n")
    return f"csv:{folder / name}"


def rows_of(files):
    return [(file, file.split("/")[1], ("train", "val", "test")[number % 3]) for number, file in enumerate(files)]


def as_table(source):
    index = source.index
    return [index.ids.tolist(), index.label_texts(), index.splits.tolist(), index.sha256.tolist()]


def test_every_format_gives_the_same_index(photos):
    folder, files = photos
    rows, names = rows_of(files), ("file_name", "Class", "subset")
    sources = {
        "csv": write(folder, "a.csv", names, rows),
        "semicolons": write(folder, "b.csv", names, rows, ";"),
        "tsv": write(folder, "c.tsv", names, rows, "\t"),
    }
    dicts = [dict(zip(names, row, strict=True)) for row in rows]
    (folder / "d.jsonl").write_text("\n".join(map(json.dumps, dicts)))
    (folder / "e.csv").write_text((folder / "a.csv").read_text(), "utf-16")
    frame = pd.DataFrame(dicts)
    frame.to_parquet(folder / "f.parquet")
    sources |= {name: f"csv:{folder / name}" for name in ("d.jsonl", "e.csv", "f.parquet")}
    sources["frame"] = frame.assign(file_name=[str(folder / file) for file in files])
    tables = {name: as_table(load_source(source)) for name, source in sources.items()}
    ids, labels, splits, _ = tables["csv"]
    assert ids == files and labels == [row[1] for row in rows]
    assert splits == [{"val": "validation"}.get(row[2], row[2]) for row in rows]
    assert all(table[1:] == tables["csv"][1:] for table in tables.values())
    assert load_data(sources["csv"]).class_names == ("class_0", "class_1")


def test_labels_are_read_in_the_format_that_is_asked_or_seen(photos):
    folder, files = photos
    tags = [(file, ("red|big", "", "red")[n % 3]) for n, file in enumerate(files)]
    sets = write(folder, "sets.csv", ("path", "tags"), tags)
    flags = write(folder, "flags.csv", ("path", "red", "big"), [(file, n % 2, 1) for n, file in enumerate(files)])
    prices = write(folder, "prices.csv", ("path", "price", "age"), [(file, n / 2, n) for n, file in enumerate(files)])
    index = load_source(sets).index
    assert index.class_names == ("big", "red") and index.labels.tolist()[:3] == [[1, 1], [0, 0], [0, 1]]
    index = load_source(flags, columns="label=red+big").index
    assert index.class_names == ("red", "big") and index.labels.tolist()[:2] == [[0, 1], [1, 1]]
    assert load_source(prices, columns="label=price").index.labels.tolist() == [n / 2 for n in range(2 * PHOTOS)]
    index = load_source(prices, columns="label=price+age", labels=ValueLabels()).index
    assert index.labels.tolist() == [[n / 2, n] for n in range(2 * PHOTOS)] and index.class_names == ()
    assert load_source(prices, columns="label=age").index.is_multiclass  # whole numbers
    assert load_source(prices, columns="label=age", labels=ValueLabels()).index.labels.dtype == np.float32


def test_the_examples_of_a_group_stay_together(photos):
    folder, files = photos
    patients = [f"p{number // 3}" for number in range(2 * PHOTOS)]
    source = write(
        folder,
        "groups.csv",
        ("path", "label", "patient"),
        [(f, f.split("/")[1], p) for f, p in zip(files, patients, strict=True)],
    )
    for seed in range(5):
        index = load_data(source, seed=seed, split=(0.5, 0.25, 0.25)).index
        parts = [set(index.groups[index.rows(name)]) for name in ("train", "validation", "test")]
        assert all(parts) and sum(map(len, parts)) == len(set(patients))


def test_groups_and_copies_are_joined_by_way_of_others(photos):
    folder, files = photos
    index = load_source(write(folder, "plain.csv", ("path", "label"), [(f, f.split("/")[1]) for f in files])).index
    groups = np.array(["", "a", "a", "b", "b", *[""] * (len(index) - 5)])
    digests = index.sha256.copy()
    digests[4] = digests[6]  # a copy joins an example without a group to group b
    together = type(index)(**{**vars(index), "groups": groups, "sha256": digests}).together()
    assert together[1] == together[2] and together[3] == together[4] == together[6]
    assert len(set(together.tolist())) == len(index) - 3


BROKEN = {  # a line for a table path,label,split,group; and what is said of it
    "nowhere.png,class_0,train,": "there is no such file",
    "photos,class_0,train,": "a folder",
    ",class_0,train,": "no file",
    "text.png,class_0,train,": "not an image",
    "{0},,train,": "no label",
    "{0},nan,train,": "no label",
    "{0},<NA>,train,": "no label",
    "{0},class_0,trian,": "the split 'trian' is not train, validation or test",
    "{0},class_0,,": "no split",
    "{1},class_1,train,": "stands also in",
    "{0},class_0": "2 cells, but the header has 4",
    "{0},class_0,train,,,": "6 cells, but the header has 4",
    '"{0},class_0,train,': "a quotation mark that is not closed",
    "=HYPERLINK(1),class_0,train,": "there is no such file",
    "https://host/a.png,class_0,train,": "an address on the web",
    "caf\udce9.png,class_0,train,": "is not UTF-8",
    "{0},class\0_0,train,": "NUL characters",
    "/etc/hosts,class_0,train,": "not an image",
    "cut.png,class_0,train,": "cut.png",
    "empty.png,class_0,train,": "empty.png",
}


def test_every_broken_row_is_named_and_the_others_are_used(photos, capsys):
    folder, files = photos
    spare, *good = files
    (folder / "text.png").write_text("hello")
    (folder / "empty.png").touch()
    (folder / "cut.png").write_bytes((folder / good[0]).read_bytes()[:40])
    lines = [f"{file},{file.split('/')[1]},{('train', 'val', 'test')[n % 3]},g{n}" for n, file in enumerate(good)]
    expected = {}
    rng = np.random.default_rng(0)
    for number in range(1000):
        line = list(BROKEN)[number % len(BROKEN)]
        lines.insert(int(rng.integers(len(good), len(lines) + 1)), line.format(spare, good[0]))
    text = "\n".join(["path,label,split,group", *lines]) + "\n"
    (folder / "broken.csv").write_bytes(text.encode("utf-8", "surrogateescape"))
    source = load_source(f"csv:{folder / 'broken.csv'}", max_bad_fraction=1)
    assert sorted(source.index.ids) == sorted(good)
    said = dict(source.quarantine)
    meanings = {line.format(spare, good[0]): meaning for line, meaning in BROKEN.items()}
    for number, line in enumerate(text.splitlines()[1:], start=2):
        if line in meanings:
            reason = said[f"broken.csv:{number}"]
            assert meanings[line] in reason or "stands also in" in reason, line
            expected[f"broken.csv:{number}"] = reason
    assert said.keys() == expected.keys() and len(said) == 1000
    assert all(any(meaning in reason for reason in expected.values()) for meaning in BROKEN.values())


@pytest.mark.parametrize(
    ("columns", "labels", "message"),
    [
        ("label=prise", None, "`data.columns` must name columns of .*Received: 'prise'. Did you mean 'price'?"),
        ("lable=price", None, "Received: 'lable=price'. Did you mean 'label'?"),
        ("", None, "must say which column is the label, as in label=NAME or label=NAME.NAME,"),
        ("label=price+age", ClassLabels(), "must name one column of labels.*task.name=regression?"),
        (
            "label=price",
            ClassLabels(),
            "24 different numbers in 24 rows, such as 0.0. Did you mean task.name=regression?",
        ),
        ("label=age", SetLabels(), "at least two labels|Warning"),
    ],
)
def test_wrong_columns_are_answered(photos, columns, labels, message):
    folder, files = photos
    source = write(folder, "wrong.csv", ("path", "price", "age"), [(file, n / 2, 3) for n, file in enumerate(files)])
    with pytest.raises(InputError, match=message):
        load_source(source, columns=columns, labels=labels)


@pytest.mark.parametrize("columns", ["label=price", "label=price+age"])
def test_values_are_called_as_their_columns(photos, columns):
    folder, files = photos
    names = tuple(columns.removeprefix("label=").split("+"))
    rows = [(file, n / 2, n % 2) for n, file in enumerate(files)]
    table = write(folder, "named.csv", ("path", "price", "age"), rows)
    index = load_source(table, columns=columns, labels=ValueLabels()).index
    assert (index.class_names, index.value_names, index.label_names) == ((), names, names)
    assert ValueLabels().output_names(index.labels, index.label_names) == names


def test_values_are_matched_by_their_names():
    labels, match = np.zeros((3, 2), np.float32), ValueLabels().match
    assert match(labels, ("age", "price"), ("price", "age")).tolist() == [1, 0]
    for names, known in (((), ("price", "age")), (("price", "age"), ("value_0", "value_1"))):
        assert match(labels, names, known).tolist() == [0, 1]
    assert match(labels[:, 0], ("years",), ("age",)).tolist() == [0]
    with pytest.raises(InputError, match=r"must have columns that the model knows: 'price', 'age'\. Received: 'years'"):
        match(labels, ("price", "years"), ("price", "age"))


def test_a_table_needs_a_file_a_header_and_columns_only_a_table(photos, tmp_path):
    with pytest.raises(InputError, match="must name a table that exists"):
        load_source(f"csv:{tmp_path / 'none.csv'}")
    (tmp_path / "empty.csv").touch()
    with pytest.raises(InputError, match="must have a header and at least one row"):
        load_source(f"csv:{tmp_path / 'empty.csv'}")
    with pytest.raises(InputError, match="must be empty for a source without columns"):
        tfl.load_data("digits", columns="label=x")


def test_a_column_of_times_decides_the_split(photos):
    """The column is found by its usual name or is given; the rows of an index are in another order than the table."""
    folder, files = photos
    days = {file: f"2024-05-{1 + (7 * number) % len(files):02d}" for number, file in enumerate(files)}
    rows = [(file, file.split("/")[1], days[file]) for file in reversed(files)]
    source = write(folder, "times.csv", ("path", "label", "date"), rows)
    index = load_data(source, split=(0.5, 0.25, 0.25), split_by="time").index
    assert dict(zip(index.ids.tolist(), index.times.tolist(), strict=True)) == days
    train, validation, test = (index.times[index.rows(name)] for name in ("train", "validation", "test"))
    assert max(train) < min(validation) and max(validation) < min(test)
    assert (len(train), len(validation), len(test)) == (12, 6, 6)
    other = write(folder, "shot.csv", ("path", "label", "shot"), rows)
    given = load_data(other, split=(0.5, 0.25, 0.25), split_by="time", columns="time=shot").index
    assert given.splits.tolist() == index.splits.tolist()
    with pytest.raises(InputError, match=r"Did you mean a table csv:FILE with data\.columns=time=NAME\?"):
        load_data(other, split_by="time")
