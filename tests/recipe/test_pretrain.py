"""Pre-training with and without labels: a workdir that is a `backbone.weights`, resumable, and plain about collapse."""

import csv
import json
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
import warm
from option_runs import make_config, tiny_networks, write_photos
from pretrain_program import OPTIONS

import tfl
from tfl.backbones import weights_fingerprint
from tfl.errors import InputError
from tfl.recipe import feature_quality, views
from tfl.recipe.feature_quality import Quality, effective_rank, relative_spread

PROGRAM = Path(__file__).with_name("pretrain_program.py")


@pytest.fixture(scope="module", autouse=True)
def networks():
    with tiny_networks():
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pretrain")
    write_photos(folder / "photos", (14, 14))
    return folder


def config_of(folder: Path, options: dict | None = None) -> tfl.TransferConfig:
    return make_config(folder / "photos", folder / "store", OPTIONS | (options or {}))


@pytest.fixture(scope="module")
def done(folder):
    return tfl.pretrain(config_of(folder), folder / "done")


def test_the_run_writes_its_loss_and_the_quality_of_its_features(folder, done):
    with (folder / "done" / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"] and float(rows[-1]["loss"]) == done.metrics["loss"]
    assert 0 < float(rows[-1]["embedding_spread"]) <= 1
    assert done.metrics == json.loads((folder / "done" / "metrics.json").read_text())
    assert done.metrics["num_examples"] == 24 and done.metrics["steps"] == 6  # the 4 of test are left out
    for name in ("before", "after"):
        quality = Quality(**done.metrics[name])
        assert 1 < quality.effective_rank <= 23 and 0 < quality.spread <= 1 and not quality.is_collapsed
        assert quality.low <= quality.accuracy <= quality.high
    assert done.metrics["contract"]["frozen_variables"] == 0


def test_the_examples_of_the_test_split_are_never_read(folder, done):
    rows = list(csv.DictReader((folder / "done" / "splits.csv").open()))
    data = views.load_examples(config_of(folder))
    names = set(data.splits.index.ids[data.rows].tolist())
    assert names == {row["id"] for row in rows if row["split"] != "test"} and len(names) == 24


def test_the_file_says_how_it_was_pre_trained_and_keras_loads_it(folder, done):
    with zipfile.ZipFile(folder / "done" / "model.keras") as archive:
        about = json.loads(archive.read("pretraining.json"))
    assert about == json.loads((folder / "done" / "pretraining.json").read_text())
    assert (about["method"], about["started_from"], about["num_examples"]) == ("barlow_twins", "none", 24)
    model = keras.saving.load_model(folder / "done" / "model.keras")
    assert weights_fingerprint(model) == weights_fingerprint(done.model) and model.output_shape[1:] == (4, 4, 48)


def test_the_workdir_is_the_backbone_of_another_run_and_of_another_pre_training(folder, done):
    start = {"backbone.weights": str(folder / "done")}
    tuned = tfl.transfer(make_config(folder / "photos", folder / "store", start), folder / "transfer")
    (kernel,) = [weight for weight in tuned.model.weights if weight.path == "conv1/kernel"]
    np.testing.assert_array_equal(kernel, next(w for w in done.model.weights if w.path == "conv1/kernel"))
    more = tfl.pretrain(config_of(folder, start | {"pretrain.epochs": 1}), folder / "continued")
    assert more.metrics["before"] == done.metrics["after"]


def test_other_commands_refuse_it_in_one_line_that_says_what_it_is_for(folder, done):
    for command in (tfl.load_run, tfl.evaluate_workdir, tfl.remake_report, tfl.export_workdir):
        with pytest.raises(InputError, match=r"pre-trained without labels\. Did you mean --config\.backbone\.weights="):
            command(folder / "done")
    with pytest.raises(InputError, match="pre-trained without labels"):
        tfl.transfer(config_of(folder), folder / "done")


def test_a_finished_run_is_only_reported(folder, done, capsys):
    again = tfl.pretrain(config_of(folder), folder / "done")
    assert "this run is finished" in capsys.readouterr().err
    assert again.metrics == done.metrics and weights_fingerprint(again.model) == weights_fingerprint(done.model)


class StoppedError(Exception):
    """Stands for a process that ends here."""


def test_a_stopped_run_continues_to_the_same_bits(folder, done, monkeypatch):
    config = config_of(folder)
    config.checkpoint.every_steps = 2

    def stop(self, epoch, logs=None):
        if epoch == 1:
            raise StoppedError

    with monkeypatch.context() as patch:
        patch.setattr(keras.callbacks.TensorBoard, "on_epoch_begin", stop)
        with pytest.raises(StoppedError):
            tfl.pretrain(config, folder / "stopped")
    assert not (folder / "stopped" / "metrics.json").exists()
    resumed = tfl.pretrain(config, folder / "stopped")
    assert weights_fingerprint(resumed.model) == weights_fingerprint(done.model)
    assert (folder / "stopped" / "history.csv").read_text() == (folder / "done" / "history.csv").read_text()
    assert resumed.metrics == done.metrics


def test_two_replicas_train_on_the_same_batches_and_each_compares_its_own_half(folder, done):
    process = warm.Process([PROGRAM, folder, "cpu:2"], folder / "log")
    assert process.wait() == 0, (folder / "log").read_text()[-2000:]
    metrics = json.loads((folder / "cpu2" / "metrics.json").read_text())
    assert metrics["steps"] == done.metrics["steps"] and metrics["skipped_steps"] == 0
    assert metrics["before"]["effective_rank"] == pytest.approx(done.metrics["before"]["effective_rank"], rel=1e-4)
    # By chance alone the square of a correlation is 1 / (n - 1): 1/3 for the 4 examples of a replica, 1/7 for 8.
    assert done.metrics["loss"] + 100 < metrics["loss"] < 512 * (1 + 0.005 * 511)


def test_images_in_any_folders_are_used_without_labels(folder, tmp_path, capsys):
    for number, file in enumerate(sorted((folder / "photos").rglob("*.png"))[:9]):
        place = tmp_path / "photos" / ("" if number < 5 else "more/below")
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}.png").write_bytes(file.read_bytes())
    result = tfl.pretrain(
        make_config(tmp_path / "photos", tmp_path, OPTIONS | {"pretrain.epochs": 1}), tmp_path / "run"
    )
    assert result.metrics["num_examples"] == 9 and result.metrics["after"]["accuracy"] is None
    assert "no class folders: all its 9 images are used, without labels" in capsys.readouterr().err


def test_what_cannot_be_trained_on_is_one_line_and_claims_no_folder(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "1.png").write_bytes(next((folder / "photos").rglob("*.png")).read_bytes())
    supervised = {"pretrain.method": "supervised"}
    for options, message in (
        ({"data.source": f"folder:{tmp_path / 'empty'}"}, "`data.source` must have images"),
        ({"data.source": f"folder:{tmp_path / 'one'}"}, "must have at least 2 images for pre-training. Received: 1"),
        ({"data.source": f"folder:{tmp_path / 'nowhere'}"}, "must name a folder that exists"),
        ({"pretrain.augmentation": "none"}, "`pretrain.augmentation` must be one of light, "),
        ({"data.batch_size": 1}, "`data.batch_size` must be a multiple of the 1 replicas, with at least 2 examples"),
        (supervised | {"task.name": "regression"}, "`task.name` must fit the labels"),
        (supervised | {"data.source": f"folder:{tmp_path / 'one'}"}, "`data.source` must"),
    ):
        with pytest.raises(InputError, match=message) as caught:
            tfl.pretrain(config_of(folder, options), tmp_path / "run")
        assert "\n" not in str(caught.value) and not (tmp_path / "run" / "config.json").exists()


def test_options_without_effect_are_named(folder, done, tmp_path, capsys):
    with pytest.raises(InputError):
        tfl.pretrain(config_of(folder, {"finetune.mixup": 0.2, "data.source": f"folder:{tmp_path / 'no'}"}), tmp_path)
    with pytest.raises(InputError):
        tfl.pretrain(config_of(folder, {"finetune.mixup": 0.2, "data.batch_size": 1}), tmp_path / "run")
    assert "Warning: finetune.mixup has no effect" in capsys.readouterr().err


def test_collapsed_features_are_said_plainly(folder, tmp_path, capsys, monkeypatch):
    def flat(features):
        return np.ones_like(features)

    extract = feature_quality.make_extractor
    monkeypatch.setattr(
        feature_quality,
        "make_extractor",
        lambda *arguments: lambda rows, **options: Flat(extract(*arguments)(rows, **options)),
    )

    class Flat:
        def __init__(self, outputs):
            self.values = flat(np.asarray(outputs.values[:]))

    result = tfl.pretrain(config_of(folder, {"pretrain.epochs": 1}), tmp_path / "run")
    assert result.metrics["collapsed"] and result.metrics["after"]["effective_rank"] == 0
    assert "Warning: the features are collapsed" in capsys.readouterr().err


def test_the_effective_rank_is_that_of_the_singular_values():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(50, 8)) @ np.diag([9, 3, 1, 0.1, 0, 0, 0, 0])
    singular = np.linalg.svd(values - values.mean(0), compute_uv=False)[:4]
    shares = singular / singular.sum()
    assert effective_rank(values) == pytest.approx(float(np.prod(shares**-shares)))
    assert effective_rank(np.full((9, 3), 0.1)) == 0.0 and relative_spread(np.zeros((9, 3))) == 0.0
    assert effective_rank(np.outer(np.arange(9.0), np.ones(3))) == pytest.approx(1.0)
    distances = np.linalg.norm(values - values.mean(0), axis=1)
    expected = np.sqrt(np.mean(distances**2) / np.mean(np.linalg.norm(values, axis=1) ** 2))
    assert relative_spread(values) == pytest.approx(float(expected))
    assert Quality(9, 3, 1.5, 0.5).is_collapsed and Quality(9, 3, 9.0, 1e-4).is_collapsed


def test_the_scale_of_the_features_does_not_decide_which_network_is_better():
    values = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32) * np.float32([1, 0, 1])
    scaled = feature_quality.standardized(values * 1e-6 + 0.5)
    np.testing.assert_allclose(scaled, feature_quality.standardized(values), atol=0.2)  # of 24 bits few are left
    assert not scaled[:, 1].any() and scaled[:, 0].std() == pytest.approx(1, abs=1e-5)


def test_labels_are_learned_and_published_weights_can_be_continued(folder, done, tmp_path):
    options = {"pretrain.method": "supervised", "pretrain.epochs": 1, "backbone.weights": str(folder / "done")}
    result = tfl.pretrain(config_of(folder, options), tmp_path / "labels")
    config = tfl.TransferConfig.from_dict(json.loads((tmp_path / "labels" / "config.json").read_text()))
    assert config.finetune.unfreeze == "all" and config.finetune.epochs == 1 and config.data.augmentation == "light"
    assert config.backbone.weights == str(folder / "done") and result.metrics["kept"] in ("finetune", "random weights")
    start = {"backbone.weights": str(tmp_path / "labels")}
    later = tfl.transfer(make_config(folder / "photos", folder / "store", start), tmp_path / "transfer")
    kernels = [next(w for w in model.weights if w.path == "conv1/kernel") for model in (result.model, later.model)]
    np.testing.assert_array_equal(*kernels)


def test_a_run_can_pre_train_without_labels_before_it(folder, tmp_path):
    options = {
        "pretrain.source": f"folder:{folder / 'photos'}",
        "pretrain.method": "barlow_twins",
        "pretrain.epochs": 1,
    }
    result = tfl.transfer(make_config(folder / "photos", folder / "store", options), tmp_path / "run")
    assert result.metrics["kept"] == "probe" and (tmp_path / "run" / "pretrain" / "pretraining.json").exists()
    with pytest.raises(InputError, match=r"`pretrain\.source` must name a folder"):
        tfl.transfer(
            make_config(folder / "photos", tmp_path, options | {"pretrain.source": "folder:no"}), tmp_path / "x"
        )
