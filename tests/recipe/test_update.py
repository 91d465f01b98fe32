"""`update_run`: photos come and go, and the result is that of training on all that remain."""

import csv
import dataclasses
import json
import shutil

import numpy as np
import pytest
from option_runs import make_config, tiny_networks, write_photos

import tfl
from tfl.errors import InputError
from tfl.features import Extractor
from tfl.features.statistics_file import read_statistics
from tfl.recipe import update
from tfl.workdir import read_config

RIDGE = {"probe.solver": "ridge", "finetune.epochs": 0}


@pytest.fixture(autouse=True)
def networks():
    with tiny_networks():
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run on two classes, and new photos: of both, of a third class, and copies of two that the run has."""
    folder = tmp_path_factory.mktemp("update")
    write_photos(folder / "photos", (24, 24))
    with tiny_networks():
        tfl.transfer(make_config(folder / "photos", folder / "store", RIDGE), folder / "run")
    write_photos(folder / "new", (6, 2, 12), seed=1)
    by_split = {row["split"]: row for row in splits_of(folder / "run")}
    for split in ("train", "test"):
        shutil.copy(by_split[split]["path"], folder / "new" / by_split[split]["label"] / f"copy_of_{split}.png")
    return folder


def splits_of(run):
    with (run / "splits.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def same_results(first, second):
    """Check that two runs have the same splits, head and predictions."""
    one, two = (read.metrics["phases"]["probe"] for read in (first, second))
    assert abs(one["objective"] - two["objective"]) < 1e-8 and one["l2"] == pytest.approx(two["l2"], rel=1e-9)
    assert splits_of(first.workdir) == splits_of(second.workdir)
    for name, other in zip(first.model.get_weights(), second.model.get_weights(), strict=True):
        np.testing.assert_allclose(name, other, atol=1e-6)
    tables = [tfl.read_predictions(run.workdir / "predictions.csv")[0] for run in (first, second)]
    assert tables[0].ids.tolist() == tables[1].ids.tolist()
    np.testing.assert_allclose(tables[0].logits, tables[1].logits, atol=1e-6)


def train_anew(updated, folder):
    """Train on the whole data of an updated run: the same table, and no statistics to begin with."""
    config = read_config(updated.workdir)
    return tfl.transfer(config, folder)


@pytest.fixture(scope="module")
def updated(folder):
    run = splits_of(folder / "run")
    gone = [next(row["id"] for row in run if row["split"] == split) for split in ("train", "validation", "test")]
    counted = []

    def count(self, rows, view, description, call=Extractor._compute):
        counted.append(len(rows))
        return call(self, rows, view, description)

    with tiny_networks(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(Extractor, "_compute", count)
        result = tfl.update_run(folder / "run", folder / "updated", add=folder / "new", remove=gone)
    return result, gone, counted


def test_an_update_is_training_on_the_whole_data(folder, updated, capsys):
    result, _, counted = updated
    assert sum(counted) == 20  # the network ran over the new photos alone, without the copies
    anew = train_anew(result, folder / "anew")
    same_results(result, anew)
    assert "examples, and" not in capsys.readouterr().err
    stored = [read_statistics(run.workdir / "statistics.npz") for run in (result, anew)]
    assert stored[0].statistics.names == ("class_0", "class_1", "class_2")
    np.testing.assert_allclose(stored[0].statistics.products, stored[1].statistics.from_origin(
        stored[0].statistics.origin).products, rtol=1e-9, atol=1e-9)  # fmt: skip


def test_no_old_photo_changes_its_split_and_each_class_is_tested(folder, updated):
    result, gone, _ = updated
    before = {row["path"]: row["split"] for row in splits_of(folder / "run") if row["id"] not in gone}
    after = {row["path"]: row for row in splits_of(result.workdir)}
    assert {path: after[path]["split"] for path in before} == before
    assert len(after) == len(before) + 20
    assert not any("copy_of" in path for path in after)
    new = [row for path, row in after.items() if path not in before]
    counts = {(row["label"], row["split"]): 0 for row in new}
    for row in new:
        counts[row["label"], row["split"]] += 1
    assert {split for label, split in counts if label == "class_2"} == {"train", "validation", "test"}
    assert {split for label, split in counts if label == "class_1"} == {"train"}  # two photos are too few to divide
    assert result.metrics["num_examples"]["test"] == sum(row["split"] == "test" for row in after.values())


def test_the_updated_run_is_a_run_like_any_other(folder, updated):
    result, *_ = updated
    assert {path.name for path in result.workdir.iterdir()} >= {
        *("model.keras", "splits.csv", "metrics.json", "evaluation.json", "report.html"),
        *("statistics.npz", "examples.csv", "validation_predictions.csv"),
    }
    again = tfl.evaluate_workdir(result.workdir)["test"]
    assert again == pytest.approx(result.metrics["test"], rel=1e-4)  # the whole network, and not its two parts
    assert json.loads((result.workdir / "evaluation.json").read_text())["temperature"] == pytest.approx(1, abs=0.05)
    path = next(row["path"] for row in splits_of(result.workdir) if row["label"] == "class_2")
    again = tfl.update_run(result.workdir, folder / "again", remove=path)
    same_results(again, train_anew(again, folder / "again_anew"))


def test_copies_of_test_photos_are_named_and_a_removed_photo_may_be_gone_from_disk(folder, tmp_path, capsys):
    shutil.copytree(folder / "photos", tmp_path / "photos")
    config = make_config(tmp_path / "photos", folder / "store", RIDGE)
    tfl.transfer(config, tmp_path / "run")
    gone = [row for row in splits_of(tmp_path / "run") if row["split"] == "train"][:2]
    for row in gone:
        shutil.os.remove(row["path"])
    names = tmp_path / "wrong.txt"
    names.write_text(f"{gone[0]['id']}\n\n{gone[1]['path']}\n")
    capsys.readouterr()
    result = tfl.update_run(tmp_path / "run", tmp_path / "updated", add=folder / "new", remove=names)
    said = capsys.readouterr().err
    assert "added images that the run has in test, left out of training: 1" in said and "copy_of_test.png" in said
    assert "remove 2 (train 2)" in said and "made anew" not in said
    same_results(result, train_anew(result, tmp_path / "anew"))
    with pytest.raises(InputError, match="files are still there and unchanged"):
        tfl.update_run(tmp_path / "run", tmp_path / "other", remove=gone[0]["id"])
    assert not (tmp_path / "other").exists()


def test_one_new_class_in_a_folder_of_its_own(folder, tmp_path):
    shutil.copytree(folder / "new" / "class_2", tmp_path / "wasps" / "wasp")
    result = tfl.update_run(folder / "run", tmp_path / "updated", add=tmp_path / "wasps")
    assert result.model.metadata.class_names == ("class_0", "class_1", "wasp")


@pytest.mark.parametrize("option", [{"finetune.class_weight": "balanced"}, {"features.store": "none"}])
def test_what_cannot_be_subtracted_is_summed_anew(folder, tmp_path, option, capsys):
    config = make_config(folder / "photos", folder / "store", RIDGE | option)
    tfl.transfer(config, tmp_path / "run")
    name = next(row["id"] for row in splits_of(tmp_path / "run") if row["split"] == "train")
    result = tfl.update_run(tmp_path / "run", tmp_path / "updated", add=folder / "new", remove=name)
    assert "statistics.npz: made anew, because" in capsys.readouterr().err
    same_results(result, train_anew(result, tmp_path / "anew"))


def table_of(folder, path, rows, header):
    """Write a table of photos with random labels of one kind."""
    photos = sorted(folder.glob("photos/*/*.png"))
    with path.open("w", encoding="utf-8") as file:
        file.write(header + "\n")
        for number in rows:
            file.write(f"{photos[number]},{LABELS[header](number)}\n")
    return path


LABELS = {
    "path,small,bright": lambda number: f"{number % 2},{int(number > 24)}",
    "path,length,age": lambda number: f"{number / 7:.3f},{(number % 5) - 2.5}",
    "path,label": lambda number: f"class_{int(number >= 24)}",
}
TABLES = [
    ("multilabel", "path,small,bright", "path=path,label=small+bright"),
    ("regression", "path,length,age", "path=path,label=length+age"),
    ("binary", "path,label", ""),
]


@pytest.mark.parametrize(("task", "header", "columns"), TABLES, ids=[case[0] for case in TABLES])
def test_every_task_can_be_updated(folder, tmp_path, task, header, columns):
    old = table_of(folder, tmp_path / "old.csv", [*range(19), *range(25, 46)], header)
    new = table_of(folder, tmp_path / "new.csv", [20, 21, 22, 23, 46, 47], header)
    options = RIDGE | {"task.name": task, "data.source": f"csv:{old}", "data.columns": columns}
    before = tfl.transfer(make_config(folder / "photos", folder / "store", options), tmp_path / "run")
    gone = [row["id"] for row in splits_of(tmp_path / "run") if row["split"] == "train"][:2]
    result = tfl.update_run(tmp_path / "run", tmp_path / "updated", add=f"csv:{new}", remove=gone)
    assert result.model.metadata.class_names == before.model.metadata.class_names
    assert len(splits_of(result.workdir)) == 40 + 6 - 2
    same_results(result, train_anew(result, tmp_path / "anew"))
    more = table_of(folder, tmp_path / "more.csv", [19, 24], header)  # without the column of splits that the run has
    again = tfl.update_run(result.workdir, tmp_path / "again", add=more)
    assert len(splits_of(again.workdir)) == 40 + 6 - 2 + 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"remove": "ants/7.jpg"}, "`remove` must name examples of the run"),
        ({"remove": "class_0/1.pgn"}, "Did you mean 'class_0/1.png'"),
        ({}, "`add` must have an example that the run does not have"),
        ({"add": "nowhere"}, "`source` must be a folder"),
        ({"output": "run", "remove": "class_0/1.png"}, "`output` must be a new folder"),
        ({"output": "photos/run", "remove": "class_0/1.png"}, "`output` must be outside the folder of the photos"),
        ({"output": "new/run", "add": "new"}, "`output` must be outside the folder of the photos"),
    ],
)
def test_a_wrong_update_is_one_line_and_leaves_nothing(folder, tmp_path, change, message):
    options = {"output": tmp_path / "updated"} | change
    output = folder / options.pop("output")
    if options.get("add") == "new":
        options["add"] = folder / "new"
    with pytest.raises(InputError, match=message):
        tfl.update_run(folder / "run", output, **options)
    assert not (tmp_path / "updated").exists()


def test_a_class_keeps_an_example_in_train_and_test_or_leaves(folder, tmp_path):
    rows = splits_of(folder / "updated")
    tested = [row["id"] for row in rows if row["label"] == "class_2" and row["split"] == "test"]
    with pytest.raises(InputError, match="no example of 'class_2' for test"):
        tfl.update_run(folder / "updated", tmp_path / "x", remove=tested)
    every = [row["id"] for row in rows if row["label"] == "class_2"]
    result = tfl.update_run(folder / "updated", tmp_path / "two", remove=every)
    assert result.model.metadata.class_names == ("class_0", "class_1")
    assert read_statistics(result.workdir / "statistics.npz").statistics.names == ("class_0", "class_1")
    same_results(result, train_anew(result, tmp_path / "anew"))


def test_other_runs_are_refused_with_how_to_train_one(folder, tmp_path):
    config = make_config(folder / "photos", folder / "store", {})
    tfl.transfer(config, tmp_path / "run")
    with pytest.raises(InputError, match=r"train it with --config\.probe\.solver=ridge"):
        tfl.update_run(tmp_path / "run", tmp_path / "x", remove="class_0/1.png")
    digits = dataclasses.replace(config, data=tfl.DataConfig("digits:0-1", image_size=32, train_examples_per_class=9))
    tfl.transfer(dataclasses.replace(digits, probe=tfl.ProbeConfig("ridge")), tmp_path / "digits")
    with pytest.raises(InputError, match="must be a run on files"):
        tfl.update_run(tmp_path / "digits", tmp_path / "x", remove="1")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"probe.folds": 3}, "must be 'lbfgs' if probe.folds is set"),
        ({"features.views": 2}, "must be 'lbfgs' if features.views is set"),
        ({"finetune.epochs": 1}, "must be 'lbfgs' if finetune.epochs is set"),
        ({"head.hidden_units": (4,)}, "must be 'lbfgs' if head.hidden_units is set"),
        ({"scratch.epochs": 1}, "must be 'lbfgs' if scratch.epochs is set"),
        ({"finetune.logit_adjustment": 1.0}, "must be 'lbfgs' if finetune.logit_adjustment is set"),
        ({"task.name": "multilabel", "finetune.class_weight": "balanced"}, "`finetune.class_weight` must be 'none'"),
    ],
)
def test_what_ridge_cannot_do_is_refused_at_once(folder, tmp_path, option, message):
    config = make_config(folder / "photos", folder / "store", RIDGE | option)
    with pytest.raises(InputError, match=message):
        tfl.transfer(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_interrupted_update_continues_and_another_one_is_refused(folder, tmp_path, monkeypatch):
    class StopError(Exception):
        pass

    def stop(*_):
        raise StopError

    monkeypatch.setattr(update, "transfer", stop)
    options = {"add": folder / "new", "remove": "class_0/1.png"}
    with pytest.raises(StopError):
        tfl.update_run(folder / "run", tmp_path / "updated", **options)
    monkeypatch.undo()
    with pytest.raises(InputError, match="`output` must be a new folder"):
        tfl.update_run(folder / "run", tmp_path / "updated", remove="class_0/1.png")
    result = tfl.update_run(folder / "run", tmp_path / "updated", **options)
    assert result.metrics["kept"] == "probe"
