"""The scripts as a user types them: help, mistakes, and the whole job on real photos."""

import csv
import json
from pathlib import Path

import pytest
from doc_blocks import files_of_a_run, names_in
from scipy.stats import binomtest

ROOT = Path(__file__).resolve().parent.parent
TRAIN = ("scripts/train.py", "--config=configs/folder.py")
SCRIPTS = [
    "train",
    "evaluate",
    "compare_runs",
    "predict",
    "list_backbones",
    "extract_features",
    "preview_data",
    "convert_data",
    "rank_backbones",
    "search",
    "update",
    "measure_value",
    "pretrain",
]


@pytest.mark.parametrize("name", SCRIPTS)
def test_help_is_there_and_loads_no_tensorflow(run_cold, name):
    result = run_cold(f"scripts/{name}.py", "--help")
    assert result.returncode in (0, 1)  # absl ends --help with 1
    assert "python scripts/" in result.stdout


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--config.data.sorce=digits"], "Did you mean 'data.source'?"),
        (["--config.finetune.lr=0.1"], "Did you mean 'finetune.learning_rate'?"),
        (["--config.backbone.name=ResNet5"], "Did you mean 'ResNet50'?"),
        (["--config.backbone.alpha=0.35", "--config.backbone.name=VGG16"], "alpha"),
        (["--config.data.source=flder:x"], "Did you mean 'folder'?"),
        (["--config.data.source=folder:no_such_folder"], "no_such_folder"),
        (["--config.data.batch_size=0"], "`data.batch_size` must be at least 1. Received: data.batch_size=0."),
        (["--config.data.batch_size=ten"], "invalid literal for int()"),
        (["--config.data.split=0.5,0.5"], "three positive fractions"),
        (["--config.data.image_size=8", "--config.data.source=digits"], "`data.image_size`"),
        (["--config.head.pooling=agv"], "Did you mean 'avg'?"),
        (["--config.finetune.unfreeze=stage9", "--config.finetune.epochs=1", "--config.data.source=digits"], "stage"),
        (["--config.probe.l2=-1"], "`probe.l2` must be at least 0."),
        (["--config=configs/foldr.py"], "Did you mean 'configs/folder.py'?"),
        (["--wrkdir=x"], "Did you mean 'workdir'?"),
        (["photos"], "Arguments must be flags"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(run_script, tmp_path, flags, expected):
    result = run_script(*TRAIN, "--config.backbone.weights=none", f"--workdir={tmp_path / 'w'}", *flags)
    assert result.returncode == 2, result.stderr
    assert expected in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "w").exists()  # a mistake leaves nothing behind


def test_an_option_without_the_recipe_leads_to_it(run_script, tmp_path):
    result = run_script("scripts/train.py", "--config.data.source=digits", f"--workdir={tmp_path / 'w'}")
    assert result.returncode == 2
    assert "Received: --config.data.source. Did you mean to give a config file too, as in --config=" in result.stderr


def test_missing_weights_are_one_line_that_says_where_to_put_them(run_script, tmp_path):
    flags = ["--config.data.source=digits", "--config.backbone.name=VGG16", f"--workdir={tmp_path / 'w'}"]
    result = run_script(*TRAIN, *flags, KERAS_HOME=str(tmp_path / "home"), HTTPS_PROXY="http://127.0.0.1:9")
    assert result.returncode == 2
    (line,) = [line for line in result.stderr.splitlines() if "backbone.weights" in line]
    for part in ("vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5", "://", str(tmp_path / "home")):
        assert part in line


def test_listing_and_searching_backbones(run_script):
    everything = run_script("scripts/list_backbones.py").stdout.splitlines()
    some = run_script("scripts/list_backbones.py", "resnet50*").stdout.splitlines()
    assert len(everything) > 35
    assert [line.split()[0] for line in some] == ["name", "ResNet50", "ResNet50V2"]
    wrong = run_script("scripts/list_backbones.py", "resnt*")
    assert wrong.returncode == 2
    assert wrong.stdout == ""


@pytest.fixture(scope="module")
def photos_run(shared, keras_home, tmp_path_factory):
    """One frozen run on the ants and bees, shared by the tests below."""
    import subprocess
    import sys

    workdir = tmp_path_factory.mktemp("runs") / "ants and bees"
    command = [
        sys.executable,
        *TRAIN,
        f"--config.data.source=folder:{shared / 'data' / 'hymenoptera'}",
        "--config.backbone.name=MobileNetV2",
        "--config.backbone.alpha=0.35",
        "--config.finetune.epochs=0",
        f"--workdir={workdir}",
    ]
    first = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert first.returncode == 0, first.stderr
    return workdir, command, first


def test_frozen_ants_and_bees_reach_what_scikit_learn_reaches(photos_run):
    workdir, _, first = photos_run
    metrics = json.loads((workdir / "metrics.json").read_text())
    assert metrics["test"]["accuracy"] >= 0.89
    assert metrics["test"]["num_examples"] == 153
    assert metrics["contract"]
    assert "Traceback" not in first.stderr
    assert f"open '{workdir}'/report.html" in first.stderr


def test_the_same_command_again_says_that_it_is_finished(photos_run, run_script):
    workdir, command, _ = photos_run
    before = {path.name: path.stat().st_mtime_ns for path in workdir.iterdir()}
    again = run_script(*command[1:])
    assert again.returncode == 0
    assert "this run is finished" in again.stderr
    assert {path.name: path.stat().st_mtime_ns for path in workdir.iterdir()} == before


def test_another_config_is_refused_by_naming_what_differs(photos_run, run_script):
    _, command, _ = photos_run
    other = run_script(*command[1:], "--config.seed=7", "--config.probe.l2=0.5")
    assert other.returncode == 2
    assert "differs in probe.l2=0.5 (recorded: 0.0), seed=7 (recorded: 0)" in other.stderr


def test_evaluate_gives_the_figures_of_the_run(photos_run, run_script, shared):
    workdir, _, _ = photos_run
    metrics = json.loads((workdir / "metrics.json").read_text())["test"]
    own = run_script("scripts/evaluate.py", f"--workdir={workdir}")
    assert json.loads(own.stdout) == pytest.approx(metrics)
    val = shared / "data" / "hymenoptera" / "val"
    elsewhere = run_script("scripts/evaluate.py", f"--workdir={workdir}", f"--source=folder:{val}")
    assert json.loads(elsewhere.stdout) == pytest.approx(metrics)
    foreign = shared / "data" / "dogs_cats_small"
    wrong = run_script("scripts/evaluate.py", f"--workdir={workdir}", f"--source=folder:{foreign}")
    assert wrong.returncode == 2
    assert "classes that the model knows: 'ants', 'bees'. Received: 'cat', 'dog'." in wrong.stderr


def test_predict_agrees_with_the_predictions_of_the_run(photos_run, run_script, shared, tmp_path):
    workdir, _, _ = photos_run
    val = shared / "data" / "hymenoptera" / "val"
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut")
    output = tmp_path / "out.csv"
    result = run_script(
        "scripts/predict.py", f"--workdir={workdir}", f"--output={output}", val / "bees", tmp_path / "broken.jpg"
    )
    assert result.returncode == 1, result.stderr
    assert "left out: " in result.stderr and "1 of 84 files had no answer" in result.stderr
    with output.open() as file:
        predicted = {row["path"].split("/")[-1]: row for row in csv.DictReader(file)}
    with (workdir / "predictions.csv").open() as file:
        expected = {row["id"].split("/")[-1]: row for row in csv.DictReader(file) if row["label"] == "bees"}
    assert predicted.keys() == expected.keys()
    temperature = json.loads((workdir / "evaluation.json").read_text())["temperature"]
    for name, row in predicted.items():
        assert row["class"] == expected[name]["predicted"]
        powers = {key: float(expected[name][f"p_{key}"]) ** (1 / temperature) for key in ("ants", "bees")}
        assert float(row["probability"]) == pytest.approx(powers[row["class"]] / sum(powers.values()), abs=1e-5)
    screen = run_script("scripts/predict.py", f"--workdir={workdir}", next((val / "ants").iterdir()))
    assert screen.stdout.startswith("path,class,probability,top_5\n")
    assert len(screen.stdout.splitlines()) == 2


@pytest.mark.parametrize("script", ["evaluate", "predict"])
def test_a_folder_that_is_no_run_is_one_line(run_script, tmp_path, script):
    result = run_script(f"scripts/{script}.py", f"--workdir={tmp_path}", *(["x.jpg"] if script == "predict" else []))
    assert result.returncode == 2
    assert "must be" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_quickstart_runs_both_stages_and_compares(run_script, tmp_path):
    short = ["--config.pretrain.epochs=1", "--config.finetune.epochs=1", "--config.scratch.epochs=1"]
    small = ["--config.backbone.name=MobileNet", "--config.backbone.alpha=0.25"]  # half as many layers
    result = run_script(
        "scripts/train.py",
        "--config=configs/quickstart.py",
        "--config.data.image_size=32",
        *short,
        *small,
        f"--workdir={tmp_path / 'w'}",
    )
    assert result.returncode == 0, result.stderr
    metrics = json.loads((tmp_path / "w" / "metrics.json").read_text())
    assert set(metrics["comparison"]) == {"from_scratch", "frozen", "fine_tuned"}
    for name, values in metrics["comparison"].items():
        accuracy, count = values["accuracy"], values["num_examples"]
        low, high = binomtest(round(accuracy * count), count).proportion_ci(method="wilson")
        line = f"test accuracy {accuracy:.4f} (95 % interval {low:.4f} to {high:.4f}) on {count} images"
        assert f"{name.replace('_', ' ') + ':':<14} {line}\n" in result.stderr
        assert values["num_examples"] == metrics["test"]["num_examples"]
    assert f"open {tmp_path / 'w'}/report.html" in result.stderr
    assert names_in(tmp_path / "w") == files_of_a_run() - {"export/"}
