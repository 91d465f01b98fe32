"""The evaluation that a run writes, and the same one made again from its workdir."""

import csv
import dataclasses
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tfl
from tfl.config import ReportConfig
from tfl.data import load_source
from tfl.data.arrays import load_arrays
from tfl.errors import InputError
from tfl.evaluation import describe_calibration, fit_temperature, read_predictions
from tfl.files.reading import read_csv
from tfl.inputs import ImageInput
from tfl.runs.compare import compare_runs
from tfl.runs.evaluate import evaluate_workdir, show_evaluation
from tfl.runs.predict import predict_files
from tfl.runs.recorded import held_out_rows

PLAIN = tfl.TransferConfig(
    data=tfl.DataConfig(source="digits:0-2", image_size=32, train_examples_per_class=60),
    backbone=tfl.BackboneConfig(alpha=0.35),
    finetune=tfl.FinetuneConfig(epochs=0),
)


@pytest.fixture(scope="module")
def run(tmp_path_factory, keras_home):
    return tfl.transfer(PLAIN, tmp_path_factory.mktemp("run") / "w")


def read(run, name="evaluation.json"):
    return json.loads((run.workdir / name).read_text())


def test_the_whole_evaluation_is_written_and_the_lean_one_agrees(run):
    evaluation, metrics = read(run), read(run, "metrics.json")
    assert evaluation["test"] == metrics["test"]
    low, high = metrics["intervals"]["accuracy"]
    assert low < metrics["test"]["accuracy"] < high
    assert metrics["calibration"]["temperature"] == evaluation["temperature"]
    assert np.sum(evaluation["confusion_matrix"]) == metrics["num_examples"]["test"]
    assert "brightness" in evaluation["slices"]
    for rows in evaluation["slices"].values():
        assert sum(row["num_examples"] for row in rows) == metrics["num_examples"]["test"]


def test_the_temperature_is_that_of_validation_and_travels_with_the_model(run):
    table, names = read_predictions(run.workdir / "validation_predictions.csv")
    assert names == ("0", "1", "2")
    assert len(table) == run.metrics["num_examples"]["validation"]
    assert table.metrics()["loss"] == pytest.approx(run.metrics["validation"]["loss"], rel=1e-4)
    fit = fit_temperature(table)
    assert fit.temperature != 1.0
    assert read(run)["temperature"] == pytest.approx(fit.temperature, rel=1e-3)
    assert tfl.load_model(run.workdir).metadata.temperature == read(run)["temperature"]
    test, _ = read_predictions(run.workdir / "predictions.csv")  # at temperature 1
    before, after = (describe_calibration(test.at(t)).ece for t in (1.0, fit.temperature))
    assert run.metrics["calibration"]["ece_before"] == pytest.approx(before, abs=1e-3)
    assert run.metrics["calibration"]["ece_after"] == pytest.approx(after, abs=1e-3)


def test_evaluating_again_gives_the_whole_evaluation_again(run, tmp_path, capsys):
    file = tmp_path / "groups.csv"
    ids = read_predictions(run.workdir / "predictions.csv")[0].ids
    file.write_text("id,group\n" + "".join(f"{name},{'even' if int(name) % 2 == 0 else 'odd'}\n" for name in ids))
    again, first = evaluate_workdir(run.workdir, slices=f"{file}:group"), read(run)
    assert again.keys() == first.keys()
    for name in ("test", "intervals"):
        assert again[name] == {key: pytest.approx(value, rel=1e-4) for key, value in first[name].items()}
    assert again["confusion_matrix"] == first["confusion_matrix"]
    for before, after in zip(first["decisions"]["conformal"], again["decisions"]["conformal"], strict=True):
        assert after == pytest.approx(before, rel=1e-4)
    groups = again["slices"].pop("group")
    assert [row["slice"] for row in groups] == ["even", "odd"]
    assert again["slices"].keys() == first["slices"].keys()
    show_evaluation(again | {"slices": {"group": groups}}, str(tmp_path / "out.json"))
    said = capsys.readouterr().err
    assert f"accuracy {first['test']['accuracy']:.4g}, 95 % interval" in said
    assert "  even " in said
    assert json.loads((tmp_path / "out.json").read_text())["test"] == again["test"]
    with pytest.raises(InputError, match="`slices` must name a CSV file"):
        evaluate_workdir(run.workdir, slices=f"{file}:grup")


def test_with_folds_decisions_are_made_on_what_was_left_out(tmp_path, keras_home):
    config = dataclasses.replace(PLAIN, probe=tfl.ProbeConfig(folds=2))
    result = tfl.transfer(config, tmp_path / "w")
    held_out, _ = read_predictions(result.workdir / "validation_predictions.csv", "multiclass")
    assert len(held_out) == sum(result.metrics["num_examples"][name] for name in ("train", "validation"))
    assert result.metrics["validation"] == pytest.approx(held_out.metrics(), rel=1e-4)
    fitted = fit_temperature(held_out).temperature
    assert result.model.metadata.temperature == read(result)["temperature"] == pytest.approx(fitted, rel=1e-3) != 1.0
    again = evaluate_workdir(result.workdir)["decisions"]
    for name in ("selective", "precision_thresholds", "conformal"):
        rows = read(result)["decisions"][name]
        assert rows and [row["threshold"] for row in again[name]] == pytest.approx([row["threshold"] for row in rows])
    assert read(result)["decisions"].keys() >= {"selective", "precision_thresholds", "conformal"}
    # Older versions wrote what the final head says of validation images, which it was solved on: of no use here.
    file = result.workdir / "validation_predictions.csv"
    header, *lines = file.read_text().splitlines()
    with (result.workdir / "splits.csv").open() as table:
        validation = {row["id"] for row in csv.DictReader(table) if row["split"] == "validation"}
    file.write_text("\n".join([header, *(line for line in lines if line.split(",")[0] in validation)]) + "\n")
    assert evaluate_workdir(result.workdir)["decisions"] == {}


@pytest.mark.parametrize("target", ["binary", "multilabel", "regression"])
def test_every_target_has_its_evaluation(tmp_path, target, keras_home, monkeypatch):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (90, 16, 16, 3)).astype(np.uint8)
    labels = {
        "binary": np.arange(90) % 2,
        "multilabel": rng.integers(0, 2, (90, 3)).astype(np.float32),
        "regression": images.mean(axis=(1, 2, 3)).astype(np.float32) / 255,
    }[target]
    config = dataclasses.replace(PLAIN, data=tfl.DataConfig(image_size=32), task=tfl.TaskConfig(name=target))
    result = tfl.transfer(config, tmp_path / "w", data=(images, labels))
    evaluation = read(result)
    assert evaluation["test"] == result.metrics["test"]
    assert ("calibration" in evaluation) == (target != "regression")
    table, _ = read_predictions(result.workdir / "predictions.csv", target)
    assert table.metrics() == pytest.approx(result.metrics["test"], rel=1e-4)
    check_labels_of_another_source(monkeypatch, result, images, labels)


def check_labels_of_another_source(monkeypatch, result, images, labels):
    """Columns come into the model's order by their names; labels of another kind are one line."""

    def evaluate(labels, names=()):
        other = load_arrays({"": (255 - images, labels)}, ImageInput(), names)
        monkeypatch.setattr("tfl.runs.recorded.load_source", lambda *arguments, **options: other)
        return evaluate_workdir(result.workdir, "tfds:other")["test"]

    target = result.model.metadata.target
    expected = evaluate(labels)
    if target == "multilabel":
        assert evaluate(labels[:, [2, 0, 1]], ("2", "0", "1")) == pytest.approx(expected, rel=1e-6)
        assert evaluate(labels[:, [2, 0, 1]]) != expected
        wrong = {
            "column for every label of the model. Received: no column for '1'": (labels[:, [2, 0]], ("2", "0")),
            "classes that the model knows: '0', '1', '2'. Received: 'a'": (labels, ("0", "1", "a")),
            "Received: class numbers. Did you mean rows of 0 and 1": (np.arange(90) % 3,),
            "`dataset` must be 0 or 1 for multilabel and 3 outputs. Received: ": (2 * labels,),
        }
    elif target == "regression":
        wrong = {
            "Received: class numbers. Did you mean values as float": (np.arange(90) % 3,),
            "1 values for each example, as the model has. Received: 2": (np.stack([labels, labels], axis=1),),
        }
    else:
        wrong = {
            "classes that the model knows: '0', '1'. Received: '2'": (np.arange(90) % 3,),
            "Received: one value for each example. Did you mean the target 'regression'": (np.arange(90) / 90,),
            "Received: one value for each example. Did you mean labels.astype": (np.arange(90) % 2 * 1.0,),
            "Received: rows of 2 values. Did you mean np.argmax": (np.eye(2)[np.arange(90) % 2],),
        }
    for line, arguments in wrong.items():
        with pytest.raises(InputError, match=re.escape(line)):
            evaluate(*arguments)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of three classes of small pictures, which differ in colour."""
    folder = tmp_path_factory.mktemp("photos") / "photos"
    for number, name in enumerate(("ant", "bee", "cat")):
        (folder / name).mkdir(parents=True)
        for i in range(12):
            pixels = np.random.default_rng(100 * number + i).integers(0, 120, (16, 16, 3), dtype=np.uint8)
            pixels[..., number] += 100
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def photo_run(photos, tmp_path_factory, keras_home):
    data = tfl.DataConfig(source=f"folder:{os.path.relpath(photos)}", image_size=32)
    config = dataclasses.replace(PLAIN, data=data, report=ReportConfig(gallery=0))
    return tfl.transfer(config, tmp_path_factory.mktemp("photo_run") / "w")


def test_a_run_records_absolute_paths(photo_run, photos):
    assert read(photo_run, "config.json")["data"]["source"] == f"folder:{photos}"


def test_moved_photos_are_the_runs_own_test_images(photo_run, photos, tmp_path, capsys):
    first = read(photo_run)
    moved = tmp_path / "moved"
    shutil.copytree(photos, moved)
    again = evaluate_workdir(photo_run.workdir, f"folder:{moved}")
    said = capsys.readouterr().err
    assert again["test"] == pytest.approx(first["test"], rel=1e-4)
    assert f"all {first['test']['num_examples']} test images of the run" in said
    assert "Warning" not in said
    name = read_predictions(photo_run.workdir / "predictions.csv")[0].ids[0]
    (moved / name).write_bytes((moved / "cat" / "1.png").read_bytes() + b" ")  # one is another image now
    evaluate_workdir(photo_run.workdir, f"folder:{moved}")
    assert re.search(r"Warning: the model was trained on \d+ and chosen on \d+ of these", capsys.readouterr().err)
    shutil.rmtree(moved)
    photos.rename(moved)
    try:
        with pytest.raises(
            InputError, match=r"`data.source` must name a folder that exists.* give their new place as `source`"
        ):
            evaluate_workdir(photo_run.workdir)
        options = tfl.ExportOptions(formats=["keras"])
        certificate = tfl.export_workdir(photo_run.workdir, options, tmp_path / "export", source=f"folder:{moved}")
        assert certificate["reference"]["num_images"] == first["test"]["num_examples"]
    finally:
        moved.rename(photos)


def test_photos_that_the_graph_cannot_decode_are_evaluated_and_predicted(photo_run, photos, tmp_path, monkeypatch):
    monkeypatch.setenv("TFL_CACHE", str(tmp_path / "cache"))
    tiffs = tmp_path / "tiffs"
    for png in photos.rglob("*.png"):
        (tiffs / png.parent.name).mkdir(parents=True, exist_ok=True)
        Image.open(png).save(tiffs / png.parent.name / png.name, "TIFF")  # the same pixels, under the same names
    rows = predict_files(photo_run.workdir, [str(tiffs), str(photos)], str(tmp_path / "rows.csv"))
    for ours, theirs in zip(rows[:36], rows[36:], strict=True):
        assert ours[1] == theirs[1] and float(ours[2]) == pytest.approx(float(theirs[2]), abs=1e-5)
    accuracy = np.mean([Path(path).parent.name == name for path, name, *_ in rows[36:]])
    assert evaluate_workdir(photo_run.workdir, f"folder:{tiffs}")["test"]["accuracy"] == pytest.approx(accuracy)


def test_a_folder_of_some_classes_is_a_fair_question(photo_run, photos, tmp_path, capsys):
    other = tmp_path / "other"
    shutil.copytree(photos / "bee", other / "bee")
    (other / "cat").mkdir()
    evaluation = evaluate_workdir(photo_run.workdir, f"folder:{other}", predictions=str(tmp_path / "one.csv"))
    assert evaluation["absent_classes"] == ["ant", "cat"]
    assert evaluation["test"]["num_examples"] == 12
    table, names = read_predictions(tmp_path / "one.csv")
    assert names == ("ant", "bee", "cat")
    assert set(table.labels) == {1}
    accuracy = evaluation["test"]["accuracy"]
    assert evaluation["test"]["macro_f1"] == pytest.approx(2 * accuracy / (1 + accuracy))  # of the one that occurs
    show_evaluation(evaluation)
    assert "no example of: ant, cat; means over classes are of the others" in capsys.readouterr().err
    evaluate_workdir(photo_run.workdir, f"folder:{other}", predictions=str(tmp_path / "other.csv"))
    rows = compare_runs([str(tmp_path / "one.csv"), str(tmp_path / "other.csv")])
    assert rows[0]["accuracy"] == rows[1]["accuracy"] == accuracy
    changed = (tmp_path / "other.csv").read_text().replace(table.ids[0], "bee/99.png")
    (tmp_path / "other.csv").write_text(changed)
    with pytest.raises(InputError, match=r"`workdirs` must be of the same test images.*bee"):
        compare_runs([str(tmp_path / "one.csv"), str(tmp_path / "other.csv")])


def test_images_that_a_head_was_solved_on_in_folds_are_said(photo_run, photos, capsys):
    source = load_source(f"folder:{photos}")
    recorded = read_csv(photo_run.workdir / "splits.csv")
    others = [row | ({"sha256": "gone"} if row["split"] == "test" else {}) for row in recorded]
    seen = sum(row["split"] != "test" for row in recorded)
    held_out_rows(source, others, folds=True)
    assert f"Warning: the model was trained on {seen} of these 36 images" in capsys.readouterr().err


def test_a_run_on_python_data_is_evaluated_on_the_same_data(tmp_path, keras_home):
    rng = np.random.default_rng(0)
    data = rng.integers(0, 256, (40, 16, 16, 3)).astype(np.uint8), np.arange(40) % 2
    config = dataclasses.replace(PLAIN, data=tfl.DataConfig(image_size=32), report=ReportConfig(gallery=0))
    result = tfl.transfer(config, tmp_path / "w", data=data)
    assert evaluate_workdir(tmp_path / "w", data=data)["test"] == pytest.approx(result.metrics["test"], rel=1e-4)
    with pytest.raises(InputError, match="trained on Python data"):
        evaluate_workdir(tmp_path / "w")
    with pytest.raises(InputError, match="missing or changed"):
        evaluate_workdir(tmp_path / "w", data=(255 - data[0], data[1]))
    with pytest.raises(InputError, match="`source` must be empty if `data` is given"):
        evaluate_workdir(tmp_path / "w", "digits", data=data)
