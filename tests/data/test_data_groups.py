"""Groups from a file: the split keeps them together, the run records them, and mistakes are one line."""

import numpy as np
import pytest
from option_runs import make_config, tiny_networks, write_photos

import tfl
from tfl.data import load_data
from tfl.data.groups import grouped, read_groups, with_recorded_groups, write_groups
from tfl.errors import InputError
from tfl.files.reading import read_csv
from tfl.runs.evaluate import evaluate_workdir


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return write_photos(tmp_path_factory.mktemp("groups") / "photos", (14, 14))


@pytest.fixture
def table(tmp_path):
    """Two groups, one of both classes."""
    path = tmp_path / "near_duplicates.csv"
    rows = ["0/0.png,7", "0/1.png,7", "1/3.png,7", "1/4.png,9", "1/5.png,9", "1/6.png,"]
    path.write_text("\n".join(["id,group", *(f"class_{row}" for row in rows)]) + "\n")
    return path


def splits_of(index, *names):
    return {str(index.splits[index.ids.tolist().index(name)]) for name in names}


def test_no_seed_divides_a_group(photos, table):
    parts = set()
    for seed in range(12):
        index = load_data(f"folder:{photos}", seed=seed, groups=str(table)).index
        part = splits_of(index, "class_0/0.png", "class_0/1.png", "class_1/3.png")
        assert len(part) == 1 and len(splits_of(index, "class_1/4.png", "class_1/5.png")) == 1
        parts |= part
    assert len(parts) > 1
    assert np.count_nonzero(index.groups) == 5
    alone = [load_data(f"folder:{photos}", seed=seed).index for seed in range(12)]
    assert any(len(splits_of(index, "class_0/0.png", "class_0/1.png", "class_1/3.png")) > 1 for index in alone)


def test_written_groups_are_read_again_also_where_examples_are_gone(photos, table, tmp_path):
    index = load_data(f"folder:{photos}").index
    once = grouped(index, str(table))
    write_groups(tmp_path / "groups.csv", once)
    np.testing.assert_array_equal(with_recorded_groups(index, tmp_path / "groups.csv").together(), once.together())
    assert sorted(map(sorted, read_groups(tmp_path / "groups.csv").values())) == [
        ["class_0/0.png", "class_0/1.png", "class_1/3.png"],
        ["class_1/4.png", "class_1/5.png"],
    ]
    (tmp_path / "groups.csv").write_text("id,group\nclass_0/0.png,a\nclass_0/1.png,a\ngone.png,a\n")
    assert np.count_nonzero(with_recorded_groups(index, tmp_path / "groups.csv").groups) == 2


def test_a_file_without_groups_changes_nothing(photos, tmp_path):
    (tmp_path / "none.csv").write_text("id,group\n")
    index = load_data(f"folder:{photos}").index
    assert grouped(index, str(tmp_path / "none.csv")) is index and grouped(index, "") is index


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("id,grp\nclass_0/0.png,1\n", "which has no column 'group'"),
        ("name,group\nclass_0/0.png,1\n", "id"),
        (
            "id,group\nclass_0/99.png,1\n",
            "'class_0/99.png', which the data do not have. Did you mean 'class_0/9",
        ),
        ("id,group\nclass_0/0.png,1\nclass_0/0.png,2\n", "class_0/0.png"),
    ],
)
def test_a_wrong_file_is_one_line(photos, tmp_path, content, message):
    (tmp_path / "wrong.csv").write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        load_data(f"folder:{photos}", groups=str(tmp_path / "wrong.csv"))
    assert "`data.groups`" in str(caught.value) and "\n" not in str(caught.value)


def test_a_run_records_its_groups_and_evaluates_with_them(photos, table, tmp_path):
    config = make_config(photos, tmp_path / "store", {"data.groups": str(table)})
    with tiny_networks():
        result = tfl.transfer(config, tmp_path / "run")
        table.unlink()  # a later evaluation needs only what the run recorded
        again = evaluate_workdir(tmp_path / "run")
    assert len(read_csv(tmp_path / "run" / "groups.csv")) == 5
    assert again["test"] == pytest.approx(result.metrics["test"], rel=1e-4)
    assert again["num_groups"] == result.metrics["num_groups"] > 0
