"""The commands as a user types them, from a folder of photos to a report, an export and a service."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import warm
from option_runs import write_photos
from test_mistakes import path_of_hook

import tfl

SMALL = ["--backbone=MobileNet", "--config.backbone.alpha=0.25", "--config.backbone.weights=none", "--image_size=32"]
OPTIONS = [*SMALL, "--epochs=1", "--batch_size=8", "--unfreeze=1", "--seed=3"]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """An empty folder with photos, in which `tfl train photos` has run."""
    folder = tmp_path_factory.mktemp("home")
    write_photos(folder / "photos", (14, 14))
    done = tfl_command(folder, "train", "photos", *OPTIONS)
    assert done.returncode == 0, done.stderr
    return folder


def tfl_command(home, *words):
    return warm.run(["-m", "tfl", *words], os.environ, home)


def test_a_recipe_without_fine_tuning_warns_of_nothing(home):
    words = [*SMALL, "--epochs=0", "--workdir=runs/solved"]
    assert "has no effect" not in tfl_command(home, "train", "photos", *words).stderr
    asked = tfl_command(home, "train", "photos", *words[:-1], "--learning_rate=0.5", "--workdir=runs/asked").stderr
    assert "Warning: finetune.learning_rate=0.5 has no effect, because finetune.epochs is 0." in asked
    assert asked.count("has no effect") == 1


def test_train_needs_a_folder_alone(home):
    config = json.loads((home / "runs" / "photos" / "config.json").read_text())
    assert config["data"]["source"] == f"folder:{home / 'photos'}"
    assert (config["seed"], config["data"]["batch_size"], config["finetune"]["unfreeze"]) == (3, 8, "1")
    assert tfl.load_recipe().finetune.ema == config["finetune"]["ema"] == 0.95 != tfl.FinetuneConfig().ema


def test_command_script_and_python_give_the_same_numbers(home):
    long = ["--config.backbone.name=MobileNet", "--config.data.image_size=32", "--config.finetune.epochs=1"]
    long += ["--config.data.batch_size=8", "--config.finetune.unfreeze=1", "--config.seed=3", *SMALL[1:3]]
    long += [f"--config={ROOT / 'configs' / 'folder.py'}", "--config.data.source=folder:photos"]
    long.sort(key=lambda word: not word.startswith("--config="))
    script = warm.run([ROOT / "scripts" / "train.py", *long, "--workdir=runs/script"], os.environ, home)
    assert script.returncode == 0, script.stderr
    options = {"backbone.name": "MobileNet", "backbone.alpha": 0.25, "backbone.weights": "none", "seed": 3}
    options |= {"data.image_size": 32, "data.batch_size": 8, "finetune.epochs": 1, "finetune.unfreeze": "1"}
    config = tfl.load_recipe("folder", home / "photos", options)
    tfl.transfer(config, home / "runs" / "python")
    command, *others = (read_metrics(home, name) for name in ("photos", "script", "python"))
    assert others == [command, command]


def read_metrics(home, name):
    metrics = json.loads((home / "runs" / name / "metrics.json").read_text())
    return {part: metrics[part] for part in ("test", "validation", "phases")}


def test_the_same_words_again_say_that_the_run_is_finished_without_tensorflow(home, tmp_path):
    places = [str(path_of_hook(tmp_path)), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    command = [sys.executable, "-m", "tfl", "train", "photos", *OPTIONS]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(places)}
    again = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert "this run is finished" in again.stderr and "open runs/photos/report.html" in again.stderr
    other = tfl_command(home, "train", "photos", *OPTIONS[:-1])
    assert other.returncode == 2 and "differs in seed=0 (recorded: 3)" in other.stderr


def test_a_study_trains_once_for_each_seed_as_the_runs_do_alone(home):
    done = tfl_command(home, "train", "photos", *OPTIONS[:-1], "--seeds=3,4", "--workdir=runs/study")
    assert done.returncode == 0, done.stderr
    assert read_metrics(home, "study/seed_3") == read_metrics(home, "photos")
    values = [read_metrics(home, f"study/seed_{seed}")["test"]["accuracy"] for seed in (3, 4)]
    *_, result, page = done.stderr.splitlines()
    assert result.startswith(f"test accuracy {sum(values) / 2:.4f}, 95 % interval over 2 seeds ")
    assert page == "open runs/study/study.html" and (home / "runs" / "study" / "study.html").exists()
    evaluated = tfl_command(home, "evaluate", "runs/study")
    assert evaluated.returncode == 2 and "which is a study with the runs seed_3, seed_4." in evaluated.stderr


def test_quiet_says_nothing_and_verbose_shows_where_an_error_comes_from(home):
    loud, silent = (tfl_command(home, "evaluate", "runs/photos", *words) for words in ([], ["--quiet"]))
    assert (silent.returncode, silent.stderr, silent.stdout) == (0, "", loud.stdout) and loud.stderr
    error = tfl_command(home, "evaluate", "nowhere", "--verbose")
    assert error.returncode == 2 and "Traceback" in error.stderr
    assert error.stderr.splitlines()[-1] == tfl_command(home, "evaluate", "nowhere", "--quiet").stderr.strip()
    wordy = tfl_command(home, "evaluate", "runs/photos", "--verbose").stderr
    assert f"; tfl {tfl.__version__}, tensorflow {tf.__version__}, keras " in wordy and "\ndevices: CPU:0" in wordy
    both = tfl_command(home, "evaluate", "runs/photos", "--quiet", "--verbose")
    assert both.returncode == 2 and "`quiet` must not be given together with `verbose`." in both.stderr


def test_a_run_may_stand_with_its_flag_or_without(home):
    run, flag = "runs/photos", "--workdir=runs/photos"
    test = json.loads((home / run / "metrics.json").read_text())["test"]
    for words in ([run], [flag], [run, "--source=photos/../photos"]):
        evaluated = tfl_command(home, "evaluate", *words)
        assert json.loads(evaluated.stdout) == pytest.approx(test), evaluated.stderr
    for words in ([run], [flag]):
        (home / run / "report.html").unlink()
        reported = tfl_command(home, "report", *words, "--gallery=0")
        assert reported.returncode == 0 and (home / run / "report.html").exists(), reported.stderr


def test_predict_takes_the_model_as_its_first_word_or_by_a_flag(home):
    files = ["photos/class_0/0.png", "photos/class_1"]
    first, *others = (
        tfl_command(home, "predict", *words, *files).stdout
        for words in (["runs/photos"], ["--model=runs/photos"], ["--workdir=runs/photos"])
    )
    rows = list(csv.DictReader(first.splitlines()))
    assert len(rows) == 15 and rows[0]["path"] == files[0]
    assert others == [first, first]


def test_predict_ends_with_code_1_and_a_count_if_files_had_no_answer(home, tmp_path):
    (tmp_path / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n cut")
    for words in ([], ["--quiet"]):
        done = tfl_command(home, "predict", "runs/photos", "photos/class_0", str(tmp_path), "--top=1", *words)
        *warnings, last = done.stderr.splitlines()
        assert (done.returncode, last) == (1, "1 of 15 files had no answer; the warnings say why.")
        assert f"Warning: left out: {tmp_path}/cut.png: " in "\n".join(warnings)
        rows = list(csv.DictReader(done.stdout.splitlines()))
        assert len(rows) == 14
        for row in rows:
            assert row["top_1"] == f"{row['class']} {float(row['probability']):.4f}"
    none = tfl_command(home, "predict", "runs/photos", str(tmp_path))
    assert none.returncode == 2 and none.stdout == ""


def test_export_writes_a_model_that_predicts_alike(home):
    exported = tfl_command(home, "export", "runs/photos", "--formats=keras")
    assert exported.returncode == 0, exported.stderr
    outputs = [
        tfl_command(home, "predict", model, "photos/class_0").stdout
        for model in ("runs/photos", "runs/photos/export/model.keras")
    ]
    assert outputs[0] == outputs[1] != ""


def test_features_of_a_folder_and_a_comparison(home):
    wanted = tfl_command(home, "features", "photos", *SMALL, "--output=features")
    assert wanted.returncode == 0, wanted.stderr
    assert np.load(home / "features" / "features.npy").shape == (28, 256)
    small = [word for word in OPTIONS if not word.startswith("--epochs")]
    assert tfl_command(home, "train", "photos", *small, "--epochs=0", "--workdir=runs/frozen").returncode == 0
    compared = tfl_command(home, "compare", "runs/photos", "runs/frozen")
    assert compared.returncode == 0 and "runs/frozen" in compared.stdout, compared.stderr


def test_launch_passes_words_and_exit_code_on(home):
    again = tfl_command(home, "launch", "--workers=1", "train", "photos", *OPTIONS)
    assert again.returncode == 0 and "this run is finished" in again.stderr
    other = tfl_command(home, "launch", "--workers=1", "--", "train", "photos", "--seed=4", *OPTIONS[:-1])
    assert other.returncode == 2 and "differs in seed=4 (recorded: 3)" in other.stderr
