"""Segmentation from the config to the masks: a solved head on maps, its metrics, evaluation and prediction."""

import csv
import json
import os
import re
import shutil

import numpy as np
import pytest
import warm
from doc_blocks import ROOT, blocks_of
from masks import VOID, write_masks
from option_runs import make_config, tiny_networks
from PIL import Image

import tfl
from tfl.build import load_splits as splits_of
from tfl.data import load_data
from tfl.errors import InputError
from tfl.export.limits import CertificateError
from tfl.features.positions import rows_of_positions
from tfl.files.mask_pictures import palette
from tfl.models.classifier import logits_layer, split_at_features
from tfl.report import write_report

TASK = {"task.name": "segmentation", "segmentation.ignore_label": VOID, "data.augmentation": "none"}
COUNTS = {"train": 24, "val": 8, "test": 8}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("segmentation")
    photos = write_masks(folder / "squares", COUNTS)
    with tiny_networks():
        config = make_config(photos, folder / "store", TASK | {"data.source": f"masks:{photos}"})
        yield tfl.transfer(config, folder / "run"), photos, config


def masks_of(photos, split):
    files = sorted((photos / f"{split}annot").iterdir(), key=lambda file: int(file.stem))
    return [np.asarray(Image.open(file)) for file in files]


def test_metrics_are_those_of_the_saved_model_on_every_pixel(run):
    result, photos, _ = run
    assert result.metrics["kept"] == "probe"
    images = [np.asarray(Image.open(photos / "test" / f"{number}.png")) for number in range(8)]
    predicted = tfl.load_model(result.workdir)(np.stack(images), training=False).numpy().argmax(axis=-1)
    truth = np.stack(masks_of(photos, "test"))
    counted = truth != VOID
    each = [
        np.sum(counted & (truth == k) & (predicted == k)) / np.sum(counted & ((truth == k) | (predicted == k)))
        for k in range(3)
    ]
    assert result.metrics["test"]["mean_iou"] == pytest.approx(np.mean(each), abs=1e-6)
    assert result.metrics["test"]["pixel_accuracy"] == pytest.approx(np.mean((truth == predicted)[counted]), abs=1e-6)
    assert np.mean(each) > 0.5  # of random masks 0.2
    low, high = result.metrics["intervals"]["mean_iou"]
    assert low < result.metrics["test"]["mean_iou"] < high
    regions = json.loads((result.workdir / "evaluation.json").read_text())["regions"]
    assert [row["class"] for row in regions] == ["ground", "red", "blue"]
    assert [row["iou"] for row in regions] == pytest.approx(each, abs=1e-6)


def test_the_head_is_the_optimum_of_its_objective(run):
    """The gradient of the mean loss of the cells and the penalty is 0, computed again in NumPy."""
    result, photos, _ = run
    probe = result.metrics["phases"]["probe"]
    splits = load_data(f"masks:{photos}", kind=result.model.metadata.input, ignore_label=VOID)
    lower, _ = split_at_features(result.model)
    extractor = tfl.Extractor(lower, splits.source, 32)
    rows = rows_of_positions(extractor(splits.train), splits.source, result.model)
    values, weights = rows.values[:].astype(np.float64), rows.weights / rows.weights.sum()
    layer = logits_layer(result.model)
    frequencies = np.log(weights @ rows.labels)
    bias = layer.bias.numpy() + probe["logit_adjustment"] * (frequencies - frequencies.mean())
    logits = values @ layer.kernel.numpy() + bias
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    slope = values.T @ (weights[:, None] * (shares - rows.labels)) + 2 * probe["l2"] * layer.kernel.numpy()
    assert np.abs(slope).max() < 1e-4
    assert len(rows) == 24 * 16
    assert rows.weights.reshape(24, 4, 4)[:, 0, 0] == pytest.approx(np.full(24, 7 / 8))  # the border does not count


def test_a_finished_run_is_evaluated_again_with_the_same_metrics(run, tmp_path):
    result, _photos, _ = run
    again = tfl.evaluate_workdir(result.workdir)
    assert again["test"] == pytest.approx(result.metrics["test"], rel=1e-5)
    other = write_masks(tmp_path / "other", {"train": 2, "test": 3}, seed=5)
    (other / "classes.txt").write_text("ground\nred\nblue\n")
    elsewhere = tfl.evaluate_workdir(result.workdir, f"masks:{other}")
    assert elsewhere["test"]["num_examples"] == 3
    (other / "classes.txt").write_text("ground\nred\nsky\n")
    with pytest.raises(InputError, match=r"`source` must have classes that the model knows.*'sky'"):
        tfl.evaluate_workdir(result.workdir, f"masks:{other}")


def test_classes_in_another_order_are_matched_by_name(run, tmp_path):
    result, _, _ = run
    first = write_masks(tmp_path / "first", {"train": 1, "test": 3}, seed=6)
    second = write_masks(tmp_path / "second", {"train": 1, "test": 3}, seed=6)
    (second / "classes.txt").write_text("blue\nground\nred\n")
    for file in [*(second / "testannot").iterdir(), *(second / "trainannot").iterdir()]:
        mask = np.asarray(Image.open(file))
        Image.fromarray(np.where(mask == VOID, VOID, (mask + 1) % 3).astype(np.uint8)).save(file)
    one, other = (tfl.evaluate_workdir(result.workdir, f"masks:{folder}")["test"] for folder in (first, second))
    assert one == other


def test_predictions_are_masks_of_the_size_of_the_photo(run, tmp_path):
    result, photos, _ = run
    large = Image.open(photos / "test" / "0.png").resize((50, 40), Image.Resampling.NEAREST)
    (tmp_path / "more").mkdir()
    large.save(tmp_path / "more" / "large.jpg", quality=95)
    files = [str(photos / "test" / "0.png"), str(tmp_path / "more")]
    rows = tfl.predict_files(result.workdir, files, str(tmp_path / "areas.csv"), masks=str(tmp_path / "masks"))
    written = sorted((tmp_path / "masks").rglob("*.png"))
    assert {file.name: Image.open(file).size for file in written} == {"0.png": (32, 32), "large.png": (50, 40)}
    mask = Image.open(next(file for file in written if file.name == "0.png"))
    pixels = np.asarray(Image.open(photos / "test" / "0.png"))[None]
    np.testing.assert_array_equal(np.asarray(mask), result.model(pixels, training=False).numpy()[0].argmax(axis=-1))
    assert mask.getpalette()[:9] == palette()[:3].ravel().tolist()
    with (tmp_path / "areas.csv").open() as file:
        header, first, _ = list(csv.reader(file))
    assert header == ["path", "ground", "red", "blue"]
    assert first == rows[0]
    assert [float(share) for share in first[1:]] == pytest.approx(
        [np.mean(np.asarray(mask) == number) for number in range(3)], abs=1e-6
    )
    (answer,) = result.predict(files[0])
    assert {area["class"] for area in answer["areas"]} <= {"ground", "red", "blue"}


def test_the_report_shows_the_overlap_of_each_class(run):
    result, _, config = run
    text = (result.workdir / "report.html").read_text()
    assert "mean iou" in text.lower()
    assert "dice" in text
    write_report(result.workdir, result.model, splits_of(config), gallery=2)
    text = (result.workdir / "report.html").read_text()
    assert "pipeline_tag: image-segmentation" in (result.workdir / "MODEL_CARD.md").read_text()
    assert text.count("with its true mask") == text.count("with the predicted mask") == 6
    assert "Photos with the smallest overlap" in text
    assert '<i style="background: #800000"></i>red' in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"data.source": "digits"},
            r"`data\.source` must be masks:PATH, or csv:FILE with a column of masks, for segmentation",
        ),
        ({"finetune.epochs": 1, "finetune.mixup": 0.2}, r"`finetune\.mixup` must be 0\.0 for segmentation"),
        ({"finetune.epochs": 1, "finetune.cutmix": 0.2}, r"`finetune\.cutmix` must be 0\.0 for segmentation"),
        ({"finetune.class_weight": "balanced"}, r"`finetune\.class_weight` must be 'none'"),
        ({"finetune.sampling": "balanced"}, r"`finetune\.sampling` must be 'uniform'"),
        ({"probe.folds": 3}, r"`probe\.folds` must be 0 for segmentation"),
        ({"head.hidden_units": (4,)}, r"`head\.hidden_units` must be \(\) for segmentation"),
        ({"probe.solver": "ridge"}, r"`probe\.solver` must be 'lbfgs'"),
        ({"task.name": "multiclass"}, r"`task\.name` must fit the labels.*masks\. Did you mean the target 'segm"),
    ],
)
def test_what_a_head_on_maps_does_not_have_is_refused_in_one_line(options, message, run, tmp_path):
    _, photos, _ = run
    config = make_config(photos, tmp_path / "store", TASK | {"data.source": f"masks:{photos}"} | options)
    with pytest.raises(InputError, match=message):
        tfl.transfer(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_exported_file_predicts_the_masks_of_the_run(run, tmp_path, monkeypatch, capsys):
    result, photos, _ = run
    monkeypatch.setattr("tfl.runs.export.MOST_NUMBERS", 3 * 32 * 32 * 3)
    options = tfl.ExportOptions(["litert"])
    certificate = tfl.export_workdir(result.workdir, options)
    said = capsys.readouterr().err
    assert "export: 3 of 8 test images are compared, because their outputs are large" in said
    entry = certificate["artefacts"]["model.tflite"]
    assert (entry["failures"], entry["num_images"]) == ([], 3)
    assert set(tfl.verify_workdir(result.workdir)) == {"model.tflite"}
    files = [str(photos / "test" / f"{number}.png") for number in range(3)]
    for name, model in (("run", result.workdir), ("file", result.workdir / "export" / "model.tflite")):
        rows = tfl.predict_files(model, files, str(tmp_path / f"{name}.csv"), masks=str(tmp_path / name))
        assert [row[0] for row in rows] == files
    masks = [
        [np.asarray(Image.open(tmp_path / name / f"{number}.png")) for number in range(3)] for name in ("run", "file")
    ]
    assert np.mean(np.equal(*map(np.stack, masks))) > 0.999


def test_a_run_whose_predictions_are_of_other_masks_is_not_exported(run, tmp_path):
    result, _, _ = run
    other = tmp_path / "run"
    shutil.copytree(result.workdir, other, ignore=shutil.ignore_patterns("export"))
    file = other / "predictions.csv"
    lines = file.read_text().splitlines()
    assert "0>0:" in lines[1]
    lines[1] = re.sub(
        r"0>0:(\d+)", lambda found: f"0>0:{int(found[1]) - 100} 0>1:100", lines[1].replace(" 0>1:", " 2>0:")
    )
    file.write_text("\n".join(lines) + "\n")
    with pytest.raises(CertificateError, match=r"must have the model that was evaluated.*different .* for test/0\.png"):
        tfl.export_workdir(other, tfl.ExportOptions(["litert"]))


def test_what_is_not_there_yet_for_maps_is_refused_in_one_line(run):
    result, _, config = run
    with pytest.raises(InputError, match=r"`data\.source` must have labels that records hold"):
        tfl.convert_data(config, result.workdir / "records")


def test_masks_are_refused_for_a_model_that_gives_none(tmp_path):
    from finished_run import write_finished_run

    with pytest.raises(InputError, match=r"`masks` must be empty for a model that gives no masks"):
        tfl.predict_files(write_finished_run(tmp_path), ["x.png"], masks="masks")


def test_the_commands_of_the_page_run_and_the_same_command_continues(tmp_path):
    """Those of docs/how-to/segmentation.md, with a network of three layers."""
    page = ROOT / "docs" / "how-to" / "segmentation.md"
    home = write_masks(tmp_path / "streets", COUNTS).parent
    Image.open(home / "streets" / "test" / "0.png").save(home / "street.jpg")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    block = next(block for block in blocks_of(page) if block.language == "sh")
    printed = []
    for line in [*block.lines, block.lines[0]]:
        done = warm.run([ROOT / "tests" / "doc_program.py", *line.split()], environment, home)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        printed.append(done.stdout + done.stderr)
    metrics = json.loads((home / "runs" / "streets" / "metrics.json").read_text())
    assert f"{metrics['test']['mean_iou']:.4f}" in printed[0]
    assert f"{metrics['test']['mean_iou']:.4g}" in printed[2]
    assert "this run is finished" in printed[3]
    assert Image.open(home / "masks" / "street.png").size == (32, 32)


def test_a_ranking_is_refused_before_anything_slow(run):
    _, photos, config = run
    with pytest.raises(InputError, match=r"must be a task whose head can be solved.*'segmentation'"):
        tfl.rank_backbones(config, ["MobileNet"])
    assert photos.exists()
