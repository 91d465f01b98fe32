"""Labels and groups from the names of files: the same index as a table with the same labels, and clear refusals."""

import re

import pytest
from option_runs import write_photos

import tfl
from tfl.checks import check_data
from tfl.config.values import compile_pattern
from tfl.data import load_data, load_source
from tfl.data.label_formats import ValueLabels
from tfl.errors import InputError

PHOTOS = 12  # of each of two classes


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of 24 images, named `a_p0_0.png`: a class, a person and a number."""
    folder = tmp_path_factory.mktemp("names")
    write_photos(folder / "photos", (PHOTOS, PHOTOS))
    (folder / "flat").mkdir()
    for number, file in enumerate(sorted((folder / "photos").glob("*/*"))):
        file.rename(folder / "flat" / f"{'ab'[number // PHOTOS]}_p{number // 3}_{number}.png")
    return folder


def columns(source):
    return {
        name: (label, split, digest)
        for name, label, split, digest in zip(
            source.index.ids, source.index.label_texts(), source.index.splits, source.index.sha256, strict=True
        )
    }


def test_a_pattern_gives_the_index_of_a_table_with_the_same_labels(folder):
    files = sorted(path.name for path in (folder / "flat").iterdir())
    lines = [f"flat/{name},{name[0]},{name.split('_')[1]}" for name in files]
    (folder / "full.csv").write_text("\n".join(["path,label,group", *lines]))
    (folder / "paths.csv").write_text("\n".join(["path", *(f"flat/{name}" for name in files)]))
    patterns = {"label_pattern": r"(?P<label>[ab])_p\d+", "group_pattern": r"_(p\d+)_"}
    table, names = load_source(f"csv:{folder}/full.csv"), load_source(f"csv:{folder}/paths.csv", **patterns)
    read = load_source(f"folder:{folder}/flat", **patterns)
    assert columns(names) == columns(table)
    assert columns(read) == {name.removeprefix("flat/"): row for name, row in columns(table).items()}
    assert read.index.groups.tolist() == names.index.groups.tolist() == table.index.groups.tolist()


def test_the_label_may_be_a_number_and_any_group_of_the_name_label(folder):
    pattern = r"_(\w)(?P<label>\d+)_"
    index = load_source(f"folder:{folder}/flat", label_pattern=pattern, labels=ValueLabels()).index
    assert all(label == int(name.split("_")[1][1:]) for name, label in zip(index.ids, index.labels, strict=True))


def test_groups_of_class_folders_stay_together(folder, tmp_path):
    for file in (folder / "flat").iterdir():
        target = tmp_path / "photos" / file.name[0] / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    splits = load_data(f"folder:{tmp_path}/photos", group_pattern=r"_(p\d+)_", split=(0.5, 0.25, 0.25))
    parts = [set(splits.index.groups[rows]) for rows in (splits.train, splits.validation, splits.test)]
    assert all(parts) and sum(map(len, parts)) == 8


def test_split_folders_keep_their_splits(folder, tmp_path):
    for number, file in enumerate(sorted((folder / "flat").iterdir())):
        target = tmp_path / "photos" / ("train", "val", "test")[number % 3] / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    index = load_source(f"folder:{tmp_path}/photos", label_pattern="/([ab])_").index
    means = {"train": "train", "val": "validation", "test": "test"}
    assert [means[name.split("/")[0]] for name in index.ids] == index.splits.tolist()


def test_files_that_do_not_match_are_named(folder, tmp_path, capsys):
    for file in (folder / "flat").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "other.png").write_bytes(file.read_bytes())
    (tmp_path / "notes.md").write_text("notes")
    source = load_source(f"folder:{tmp_path}", label_pattern="([ab])_p", group_pattern="p([0-6])_")
    assert source.quarantine == (("other.png", "no label in the name"),) and len(source.index) == 2 * PHOTOS
    said = "".join(capsys.readouterr())
    assert "1 of 25 files cannot be used" in said and "1 files that `data.label_pattern` does not match" in said
    assert "`data.group_pattern` does not match 4 of 25 files" in said


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("([ab]", r"must be a regular expression with a group.*Received: '\(\[ab\]' \(missing \)"),
        ("[ab]", r"Received: '\[ab\]' with no group. Did you mean '\(\[ab\]\)'\?"),
        ("(?P<class>[ab])", r"the group 'class'. Did you mean \(\?P<label>\.\.\.\)\?"),
    ],
)
def test_a_bad_pattern_is_one_line_before_anything_is_read(pattern, message):
    with pytest.raises(InputError, match=message):
        tfl.TransferConfig(data=tfl.DataConfig(label_pattern=pattern)).validate()
    with pytest.raises(InputError, match=message):
        compile_pattern(pattern, "data.label_pattern", "label")


def test_patterns_that_find_nothing_or_have_no_files_are_refused(folder):
    nothing = re.escape("`data.label_pattern` must match the path of at least one file")
    with pytest.raises(InputError, match=nothing):
        load_source(f"folder:{folder}/flat", label_pattern="(cat)")
    with pytest.raises(InputError, match=nothing):
        check_data(tfl.TransferConfig(data=tfl.DataConfig(source=f"folder:{folder}/flat", label_pattern="(cat)")))
    with pytest.raises(InputError, match=r"`data\.group_pattern` must match"):
        load_source(f"folder:{folder}/flat", label_pattern="([ab])", group_pattern="(cat)")
    with pytest.raises(InputError, match=r"`data\.label_pattern` must be empty for a source without files"):
        load_source("digits", label_pattern="(cat)")
    (folder / "both.csv").write_text("path,kind\nflat/a_p0_0.png,a\n")
    with pytest.raises(InputError, match=r"must be empty if `data\.columns` names a column of the label"):
        load_source(f"csv:{folder}/both.csv", columns="label=kind", label_pattern="([ab])")
