"""Which unlabelled photos to label next, from folders to a table, a page and the answer in Python."""

import csv
import shutil

import numpy as np
import pytest
from option_runs import make_config, tiny_networks, write_photos

import tfl
from tfl.build import input_of_config, load_splits
from tfl.data.unlabelled import load_unlabelled
from tfl.errors import InputError
from tfl.recipe.extraction import frozen_features

pytest.importorskip("skactiveml", reason="the extra `label` is not installed")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Labelled photos, and a folder `more` of others in no order, with copies of one of them and of a labelled one."""
    folder = tmp_path_factory.mktemp("next")
    write_photos(folder / "photos", (14, 14))
    write_photos(folder / "others", (6, 6), seed=1)
    (folder / "more" / "deep").mkdir(parents=True)
    for number, path in enumerate(sorted((folder / "others").rglob("*.png"))):
        shutil.copy(path, folder / "more" / "deep" / f"{number}.png")
    shutil.copy(folder / "more" / "deep" / "3.png", folder / "more" / "again.png")
    shutil.copy(folder / "photos" / "class_1" / "0.png", folder / "more" / "labelled.png")
    shutil.copytree(folder / "photos", folder / "copies")
    return folder


@pytest.fixture(autouse=True)
def networks():
    with tiny_networks():
        yield


def config_of(folder, source="photos", **options):
    return make_config(folder / source, folder / "store", options)


def test_margin_orders_the_new_photos_by_the_solved_head(folder):
    config = config_of(folder, **{"probe.l2": 0.03})
    found = tfl.choose_next_labels(config, str(folder / "more"), folder / "out", next_count=50, next_method="Margin")
    assert found.method == "margin" and found.num_candidates == 12 == len(set(found.paths))  # of copies one
    assert not any(path.endswith("/labelled.png") for path in found.paths)
    with (folder / "out" / "next_labels.csv").open() as file:
        rows = list(csv.reader(file))
    assert rows == [list(found.header), *[[str(cell) for cell in row] for row in found.rows]]

    splits, pool = load_splits(config), load_unlabelled(str(folder / "more"), input_of_config(config))
    rows, labels = splits.outside_of_test, splits.index.labels
    head = tfl.solve_head(frozen_features(config, splits).values[:][rows], labels[rows], l2=0.03)
    logits = frozen_features(config, tfl.Splits(pool)).values[:] @ head.kernel + head.bias
    margin = dict(zip(pool.index.paths, np.abs(logits[:, 0] - logits[:, 1]), strict=True))
    assert [margin[path] for path in found.paths] == sorted(margin[path] for path in found.paths)


def test_nothing_labelled_and_few_labels_ask_no_head(folder):
    config = config_of(folder, "more")
    found = tfl.choose_next_labels(config, str(folder / "more"), next_count=4)
    assert (found.method, found.header, len(found.paths)) == ("typiclust", ("place", "path"), 4)
    assert found.num_candidates == 13 and [row[0] for row in found.rows] == [1, 2, 3, 4]
    with pytest.raises(InputError, match="`next_method` must be 'typiclust' if nothing is labelled yet"):
        tfl.choose_next_labels(config, str(folder / "more"), next_method="margin")


def test_the_measurement_of_worth_has_them_in_its_folder_and_on_its_page(folder):
    more = f"folder:{folder / 'more'}"
    result = tfl.measure_value(
        config_of(folder, **{"backbone.weights": "imagenet"}),
        folder / "value",
        sizes=[2],
        seeds=2,
        ways=["frozen"],
        unlabelled=more,
        next_count=3,
    )
    page = (folder / "value" / "value.html").read_text()
    assert result.next_labels is not None and len(result.next_labels.paths) == 3
    assert "Which images to label next" in page and all(path in page for path in result.next_labels.paths)
    assert len((folder / "value" / "next_labels.csv").read_text().splitlines()) == 4


@pytest.mark.parametrize(
    ("unlabelled", "options", "message"),
    [
        ("mor", {}, "`unlabelled` must name a folder that exists.*Did you mean"),
        ("empty", {}, "`unlabelled` must have images"),
        ("copies", {}, "`unlabelled` must have images that are not labelled yet.*28 images"),
        ("more", {"task.name": "multilabel"}, "`task.name` must be a task with one class"),
    ],
)
def test_what_cannot_be_used_is_one_line(folder, unlabelled, options, message):
    (folder / "empty").mkdir(exist_ok=True)
    with pytest.raises(InputError, match=message):
        tfl.choose_next_labels(config_of(folder, **options), str(folder / unlabelled), folder / "refused")
    assert not (folder / "refused").exists()
