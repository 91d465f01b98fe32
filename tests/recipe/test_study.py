"""A study over seeds: its figures are those of its runs, it goes on after a stop, and its folder is no run's."""

import csv
import dataclasses
import json
import shutil

import numpy as np
import pytest
import scipy.stats
from option_runs import tiny_networks

import tfl
from tfl.commands import places
from tfl.errors import InputError
from tfl.export.model_files import find_format
from tfl.recipe import study as recipe
from tfl.serving import ServeOptions
from tfl.workdir import Workdir

SEEDS = (0, 1, 7)


@pytest.fixture(scope="module", autouse=True)
def tiny():
    with tiny_networks():
        yield


def config_of(**options):
    return tfl.TransferConfig(
        data=tfl.DataConfig(source="digits:0-2", image_size=32, train_examples_per_class=8),
        backbone=tfl.BackboneConfig(name="MobileNet", alpha=0.25, weights="none"),
        report=tfl.ReportConfig(gallery=0),
        **options,
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A study of three seeds on digits: its folder."""
    folder = tmp_path_factory.mktemp("study") / "digits"
    tfl.run_study(config_of(), folder, SEEDS)
    return folder


@pytest.fixture
def copy(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "digits")


@pytest.fixture
def ran(monkeypatch):
    """The seeds that `transfer` is called with from now on; a seed in `stops` is stopped."""
    seeds, stops = [], []

    def transfer(config, workdir, data=None):
        seeds.append(config.seed)
        if config.seed in stops:
            raise KeyboardInterrupt
        return tfl.transfer(config, workdir, data)

    monkeypatch.setattr(recipe, "transfer", transfer)
    return seeds, stops


def test_the_mean_and_its_interval_are_those_of_the_runs(finished):
    runs = [json.loads((finished / f"seed_{seed}" / "metrics.json").read_text()) for seed in SEEDS]
    values = [run["test"]["accuracy"] for run in runs]
    expected = scipy.stats.ttest_1samp(values, 0).confidence_interval()
    study = json.loads((finished / "study.json").read_text())
    assert (study["mean"], study["low"], study["high"]) == pytest.approx((np.mean(values), expected.low, expected.high))
    assert study["metrics"]["loss"]["standard_deviation"] == pytest.approx(
        np.std([run["test"]["loss"] for run in runs], ddof=1)
    )
    with (finished / "study.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["seed"]) for row in rows] == list(SEEDS)
    assert [float(row["accuracy"]) for row in rows] == values
    for row, value, run in zip(rows, values, runs, strict=True):
        count = run["test"]["num_examples"]
        wilson = scipy.stats.binomtest(round(value * count), count).proportion_ci(method="wilson")
        assert (float(row["low"]), float(row["high"])) == pytest.approx((wilson.low, wilson.high))
        assert json.loads((finished / row["folder"] / "config.json").read_text())["seed"] == int(row["seed"])


def test_the_result_is_opened_again_and_shows_itself(finished, ran):
    study = tfl.run_study(config_of(), finished, SEEDS)
    assert ran[0] == [] and study == tfl.load_study(finished)
    low, high = study.interval
    text = f"test accuracy {study.mean:.4f}, 95 % interval over 3 seeds {low:.4f} to {high:.4f}"
    assert repr(study) == f"StudyResult('{finished}': {text})"
    html = study._repr_html_()
    assert text in html and all(f"<td>{seed}</td>" in html for seed in SEEDS)


def test_different_test_images_are_seen_in_splits_csv(finished, copy, capsys):
    """Digits have no splits of their own, so every seed divides them; equal tables are equal test images."""
    assert tfl.load_study(finished).same_examples == {"train": False, "validation": False, "test": False}
    for seed in SEEDS[1:]:
        shutil.copy(copy / "seed_0" / "splits.csv", copy / f"seed_{seed}" / "splits.csv")
    study = tfl.run_study(config_of(), copy, SEEDS)
    assert study.same_examples == {"train": True, "validation": True, "test": True}
    assert "All seeds have the same" in capsys.readouterr().err
    (copy / "seed_7" / "splits.csv").unlink()
    assert tfl.run_study(config_of(), copy, SEEDS).same_examples == {}


def test_a_stop_keeps_what_is_done_and_the_same_command_goes_on(tmp_path, ran):
    seeds, stops = ran
    stops.append(1)
    with pytest.raises(KeyboardInterrupt):
        tfl.run_study(config_of(), tmp_path / "study", (0, 1))
    stopped = tfl.load_study(tmp_path / "study")
    assert [run.seed for run in stopped.runs] == [0] and stopped.seeds == (0, 1) and stopped.interval is None
    assert "1 of 2 runs are finished (missing: 1)" in (tmp_path / "study" / "study.html").read_text()
    stops.clear()
    study = tfl.run_study(config_of(), tmp_path / "study", (0, 1))
    assert seeds == [0, 1, 1] and study.runs[0] == stopped.runs[0] and len(study.runs) == 2


def test_seeds_are_added_but_none_is_left_out(copy, ran):
    with pytest.raises(InputError, match=r"`seeds` must include the seeds of the runs that .* has: 0,1,7"):
        tfl.run_study(config_of(), copy, (0, 1))
    study = tfl.run_study(config_of(), copy, (9, *SEEDS))
    assert ran[0] == [9] and [run.seed for run in study.runs] == [9, *SEEDS]


def test_a_regression_on_arrays_has_its_own_main_metric(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3)).astype(np.uint8)
    labels = images.mean(axis=(1, 2, 3)).astype(np.float32)
    config = config_of(task=tfl.TaskConfig(name="regression"))
    study = tfl.run_study(config, tmp_path / "study", 2, data=(images, labels))
    errors = [run.test["mean_absolute_error"] for run in study.runs]
    assert study.values == errors and study.mean == pytest.approx(np.mean(errors))
    recorded = json.loads((tmp_path / "study" / "seed_1" / "metrics.json").read_text())["intervals"]
    assert list(study.runs[1].interval) == recorded["mean_absolute_error"]
    assert repr(study).startswith(f"StudyResult('{tmp_path / 'study'}': test mean absolute error ")


def test_another_config_is_refused_and_a_mistake_leaves_no_folder(finished, tmp_path):
    other = config_of(probe=tfl.ProbeConfig(l2=0.5))
    with pytest.raises(InputError, match=r"seed_0', which differs in probe.l2=0.5"):
        tfl.run_study(other, finished, SEEDS)
    with pytest.raises(InputError, match="`seeds` must be"):
        tfl.run_study(config_of(), tmp_path / "study", 1)
    wrong = config_of()
    wrong.data = dataclasses.replace(wrong.data, source=f"folder:{tmp_path / 'nowhere'}")
    with pytest.raises(InputError, match="nowhere"):
        tfl.run_study(wrong, tmp_path / "study", 2)
    assert not (tmp_path / "study").exists()


def test_the_folder_of_one_run_or_of_other_files_gets_no_study(finished, tmp_path):
    with pytest.raises(InputError, match=r"which is the folder of one run. Did you mean '.*seed_0-seeds'"):
        tfl.run_study(config_of(), finished / "seed_0", SEEDS)
    (tmp_path / "letter.txt").write_text("")
    with pytest.raises(InputError, match=r"which has 'letter.txt'"):
        tfl.run_study(config_of(), tmp_path, SEEDS)


@pytest.mark.parametrize(
    "use",
    [
        tfl.load_run,
        tfl.load_model,
        tfl.load_artefact,
        tfl.evaluate_workdir,
        tfl.export_workdir,
        tfl.remake_report,
        lambda folder: tfl.compare_runs([str(folder), str(folder / "seed_0")]),
        lambda folder: tfl.predict_files(folder, ["photo.jpg"], ""),
        lambda folder: tfl.transfer(config_of(), folder),
        lambda folder: tfl.build_backbone("MobileNet", alpha=0.25, image_size=32, weights=str(folder)),
        lambda folder: Workdir.open(folder, config_of().to_dict()),
        lambda folder: places.finished_run([str(folder)], None),
        lambda folder: find_format(str(folder)),
        lambda folder: ServeOptions(str(folder)).check(),
    ],
)
def test_where_a_run_is_needed_the_runs_of_the_study_are_named(finished, use):
    with pytest.raises(InputError) as caught:
        use(finished)
    assert "which is a study with the runs seed_0, seed_1, seed_7. Did you mean " in str(caught.value)


@pytest.mark.parametrize(
    ("path", "value", "rule"),
    [
        (("seeds",), [0], r"seeds: \[0\] is too short"),
        (("seeds",), [0, 1], "`runs` must have different seeds out of"),
        (("runs",), [], "runs: "),
        (("runs", 0, "seed"), 1, "`runs` must have different seeds"),
        (("runs", 0, "test", "accuracy"), 1.5, "runs.0.test.accuracy: 1.5"),
        (("runs", 0, "test"), {"loss": 1.0, "num_examples": 3}, "`runs` must have the metric 'accuracy'"),
        (("config", "task", "name"), "multiclas", "`task.name` must be a known name"),
        (("config",), 3, "config: 3"),
    ],
)
def test_an_edited_file_is_refused_in_one_line(copy, path, value, rule):
    values = inner = json.loads((copy / "study.json").read_text())
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    (copy / "study.json").write_text(json.dumps(values))
    with pytest.raises(InputError, match=rule) as caught:
        tfl.load_study(copy)
    assert "study.json" in str(caught.value) and "\n" not in str(caught.value)


def test_what_is_no_study_is_not_opened_as_one(finished):
    with pytest.raises(InputError, match=r"has no study.json"):
        tfl.load_study(finished / "seed_0")
