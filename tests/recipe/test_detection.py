"""Detection from the config to the boxes: a solved head, its metrics, evaluation and prediction."""

import csv
import json
import os
import shutil

import numpy as np
import pytest
import warm
from doc_blocks import ROOT, blocks_of
from drawn_boxes import SIDE, write_boxes
from option_runs import make_config, tiny_networks
from PIL import Image

import tfl
from tfl.build import load_splits as splits_of
from tfl.data import load_data
from tfl.errors import InputError
from tfl.features.cells import rows_of_cells
from tfl.models.classifier import logits_layer, split_at_features
from tfl.report import write_report
from tfl.tasks import get_task
from tfl.tasks.boxes.matching import match
from tfl.tasks.boxes.precision import figures
from tfl.tasks.boxes.values import Boxes
from tfl.tasks.detections import SURE

TASK = {"task.name": "detection", "data.augmentation": "none", "data.image_size": SIDE}
COUNTS = {"train": 24, "val": 8, "test": 8}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("detection")
    photos = write_boxes(folder / "squares", COUNTS)
    with tiny_networks():
        config = make_config(photos, folder / "store", TASK | {"data.source": f"boxes:{photos}"})
        yield tfl.transfer(config, folder / "run"), photos, config


def test_metrics_are_those_of_the_saved_model(run):
    result, _, config = run
    assert result.metrics["kept"] == "probe"
    model, splits = tfl.load_model(result.workdir), splits_of(config)
    images = np.stack([np.asarray(Image.open(path)) for path in splits.index.paths[splits.test]])
    found = get_task("detection").scores(model(images, training=False))
    truth = [Boxes.of(rows) for rows in splits.source.boxes(splits.test)]
    expected = figures(match(truth, [Boxes.of(rows) for rows in found], 2), np.ones((1, 8)))
    test = result.metrics["test"]
    for name in ("ap", "ap50", "ap75"):
        assert test[name] == pytest.approx(expected[name][0], abs=1e-4)
        low, high = result.metrics["intervals"][name]
        assert low <= test[name] <= high
    assert test["ap50"] > 0.5
    boxes = json.loads((result.workdir / "evaluation.json").read_text())["boxes"]
    assert [row["class"] for row in boxes["classes"]] == ["blue", "red"]
    assert np.mean([row["ap"] for row in boxes["classes"]]) == pytest.approx(test["ap"])
    assert sum(row["num_objects"] for row in boxes["classes"]) == sum(map(len, truth))
    assert boxes["errors"]["right"] > 0


def test_the_head_is_the_optimum_of_both_objectives(run):
    """The gradients of the mean loss of the cells and the penalty are 0, computed again in NumPy."""
    result, photos, _ = run
    probe = result.metrics["phases"]["probe"]
    splits = load_data(f"boxes:{photos}", kind=result.model.metadata.input, labels=get_task("detection").labels)
    extractor = tfl.Extractor(split_at_features(result.model)[0], splits.source, SIDE)
    rows = rows_of_cells(extractor(splits.train), splits.source, result.model)
    layer = logits_layer(result.model)
    kernel, bias = layer.kernel.numpy().astype(np.float64), layer.bias.numpy()
    values = rows.classes.values[:].astype(np.float64)
    weights = rows.classes.weights / rows.classes.weights.sum()
    logits = values @ kernel[:, :3] + bias[:3]
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    residual = shares / shares.sum(axis=1, keepdims=True) - np.eye(3)[rows.classes.labels]
    slope = values.T @ (weights[:, None] * residual) + 2 * probe["l2"] * kernel[:, :3]
    assert np.abs(slope).max() < 1e-4
    assert len(rows.classes) == 24 * 64  # all cells
    values, weights = rows.distances.values[:].astype(np.float64), rows.distances.weights
    residual = (values @ kernel[:, 3:] + bias[3:] - rows.distances.labels) * (weights / weights.sum())[:, None] / 2
    slope = values.T @ residual + 2 * probe["distances"]["l2"] * kernel[:, 3:]
    assert np.abs(slope).max() < 1e-4
    assert np.abs(residual.sum(axis=0)).max() < 1e-4


def test_a_finished_run_is_evaluated_again_with_the_same_metrics(run, tmp_path):
    result, _photos, _ = run
    again = tfl.evaluate_workdir(result.workdir)
    assert again["test"] == pytest.approx(result.metrics["test"], rel=1e-4)
    assert again["boxes"]["errors"] == json.loads((result.workdir / "evaluation.json").read_text())["boxes"]["errors"]
    other = write_boxes(tmp_path / "other", {"train": 2, "test": 3}, seed=5)
    assert tfl.evaluate_workdir(result.workdir, f"boxes:{other}")["test"]["num_examples"] == 3
    for file in other.rglob("*.xml"):
        file.write_text(file.read_text().replace(">blue<", ">sky<"))
    with pytest.raises(InputError, match=r"`source` must have classes that the model knows.*'sky'"):
        tfl.evaluate_workdir(result.workdir, f"boxes:{other}")


def test_runs_are_compared_by_all_images_together(run, tmp_path, capsys):
    result, _, _ = run
    shutil.copytree(result.workdir, tmp_path / "again")
    first, second = tfl.compare_runs([str(result.workdir), str(tmp_path / "again")])
    assert first["ap"] == pytest.approx(result.metrics["test"]["ap"], abs=1e-4)
    assert (second["difference"], second["difference_low"], second["difference_high"]) == (0.0, 0.0, 0.0)
    capsys.readouterr()


def test_predictions_are_boxes_in_the_pixels_of_the_photo(run, tmp_path):
    result, photos, _ = run
    large = Image.open(photos / "test" / "test0.png").resize((128, 96), Image.Resampling.NEAREST)
    (tmp_path / "more").mkdir()
    large.save(tmp_path / "more" / "large.png")
    files = [str(photos / "test" / "test0.png"), str(tmp_path / "more")]
    rows = tfl.predict_files(result.workdir, files, str(tmp_path / "b.csv"), coco=str(tmp_path / "b.json"))
    pixels = np.asarray(Image.open(photos / "test" / "test0.png"))[None]
    (expected,) = get_task("detection").scores(result.model(pixels, training=False))
    sure = expected[(expected[:, 4] >= SURE) & (expected[:, 5] >= 0)]
    with (tmp_path / "b.csv").open() as file:
        header, *lines = list(csv.reader(file))
    assert header == ["path", "class", "confidence", "x1", "y1", "x2", "y2"]
    assert lines == [[str(cell) for cell in row] for row in rows]
    small = [row for row in rows if row[0].endswith("test0.png")]
    assert [row[1] for row in small] == [("blue", "red")[int(number)] for number in sure[:, 5]]
    np.testing.assert_allclose([[float(v) for v in row[3:]] for row in small], sure[:, :4], atol=0.06)
    coco = json.loads((tmp_path / "b.json").read_text())
    assert [(image["width"], image["height"]) for image in coco["images"]] == [(64, 64), (128, 96)]
    assert coco["categories"] == [{"id": 1, "name": "blue"}, {"id": 2, "name": "red"}]
    first, second = (next(a for a in coco["annotations"] if a["image_id"] == number) for number in (1, 2))
    np.testing.assert_allclose(np.array(first["bbox"]) * [2, 1.5, 2, 1.5], second["bbox"], atol=4)
    assert len([a for a in coco["annotations"] if a["image_id"] == 1]) == np.sum(expected[:, 5] >= 0)
    (answer,) = result.predict(files[0])
    assert [box["class"] for box in answer["boxes"]] == [row[1] for row in small]


def test_the_report_shows_boxes_errors_and_each_class(run):
    result, _, config = run
    write_report(result.workdir, result.model, splits_of(config), gallery=2)
    text = (result.workdir / "report.html").read_text()
    assert "Kinds of errors" in text
    assert "Average precision of the boxes of each class" in text
    assert "precision over recall" in text
    assert text.count("with its true boxes") == text.count("with the predicted boxes") > 0
    assert "pipeline_tag: object-detection" in (result.workdir / "MODEL_CARD.md").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"data.source": "digits"}, r"`data\.source` must be boxes:PATH, for detection"),
        ({"finetune.mixup": 0.2, "finetune.epochs": 1}, r"`finetune\.mixup` must be 0\.0 for detection.*not mixed"),
        ({"probe.folds": 3}, r"`probe\.folds` must be 0 for detection"),
        ({"probe.solver": "ridge"}, r"`probe\.solver` must be 'lbfgs'"),
        ({"task.name": "multiclass"}, r"`task\.name` must fit the labels.*boxes\. Did you mean the target 'detection'"),
    ],
)
def test_what_a_head_for_boxes_does_not_have_is_refused_in_one_line(options, message, run, tmp_path):
    _, photos, _ = run
    config = make_config(photos, tmp_path / "store", TASK | {"data.source": f"boxes:{photos}"} | options)
    with pytest.raises(InputError, match=message):
        tfl.transfer(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_what_a_model_for_boxes_does_not_give_is_refused_in_one_line(run):
    result, photos, config = run
    with pytest.raises(InputError, match=r"`masks` must be empty for a model that gives no masks"):
        tfl.predict_files(result.workdir, [str(photos / "test")], masks="masks")
    with pytest.raises(InputError, match=r"must be a task whose head can be solved.*'detection'"):
        tfl.rank_backbones(config, ["MobileNet"])


def test_a_split_without_boxes_is_refused(tmp_path):
    photos = write_boxes(tmp_path / "squares", {"train": 3, "val": 2, "test": 2})
    for file in (photos / "val").glob("*.xml"):
        file.write_text(file.read_text()[: file.read_text().index("<object>")] + "</annotation>")
    config = make_config(photos, tmp_path / "store", TASK | {"data.source": f"boxes:{photos}"})
    with tiny_networks(), pytest.raises(InputError, match=r"must have boxes in every split.*validation"):
        tfl.transfer(config, tmp_path / "run")


def test_the_commands_of_the_page_run(tmp_path):
    """Those of docs/how-to/detection.md, with a network of three layers."""
    page = ROOT / "docs" / "how-to" / "detection.md"
    home = write_boxes(tmp_path / "objects", COUNTS).parent
    (home / "photos").mkdir()
    Image.open(home / "objects" / "test" / "test0.png").save(home / "photos" / "photo.png")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    block, *_ = (block for block in blocks_of(page) if block.language == "sh")
    printed = []
    for line in block.lines:
        done = warm.run([ROOT / "tests" / "doc_program.py", *line.split()], environment, home)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        printed.append(done.stdout + done.stderr)
    metrics = json.loads((home / "runs" / "objects" / "metrics.json").read_text())
    assert f"{metrics['test']['ap']:.4f}" in printed[0]
    assert printed[1].count("written: boxes.") == 2  # .csv and .json
    assert f"{metrics['test']['ap']:.4g}" in printed[2]
    assert json.loads((home / "boxes.json").read_text())["images"][0]["file_name"].endswith("photo.png")
