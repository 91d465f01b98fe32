"""What people hand to tfl by mistake: one line, exit code 2, nothing lost; and the files of real folders."""

import csv
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import unicodedata
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfl
from tfl.build import validate_config
from tfl.data import load_source, make_prediction_dataset
from tfl.errors import InputError
from tfl.files.reading import read_json
from tfl.inputs import ImageInput
from tfl.models.classifier import load_model, save_model
from tfl.runs.evaluate import evaluate_workdir
from tfl.runs.predict import predict_files
from tfl.workdir import Workdir

ROOT = Path(__file__).resolve().parent.parent


def write_images(folder: Path, count: int, seed: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, pixels in enumerate(np.random.default_rng(seed).integers(0, 256, (count, 40, 40, 3), np.uint8)):
        (folder / f"{number}.png").write_bytes(tf.io.encode_png(pixels).numpy())


def config_of(photos: Path, **data) -> tfl.TransferConfig:
    return tfl.TransferConfig(
        data=tfl.DataConfig(source=f"folder:{photos}", image_size=32, **data),
        backbone=tfl.BackboneConfig(alpha=0.35, weights="none"),
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> tuple[Path, Path]:
    """A finished run on noise: (photos, workdir). Tests copy what they damage."""
    folder = tmp_path_factory.mktemp("bad_input")
    write_images(folder / "photos" / "cats", 8, seed=1)
    write_images(folder / "photos" / "dogs", 8, seed=2)
    tfl.transfer(config_of(folder / "photos"), folder / "run")
    return folder / "photos", folder / "run"


@pytest.fixture
def copy(run, tmp_path) -> tuple[Path, Path]:
    photos, workdir = tmp_path / "photos", tmp_path / "run"
    shutil.copytree(run[0], photos)
    shutil.copytree(run[1], workdir)
    config = json.loads((workdir / "config.json").read_text())
    config["data"]["source"] = f"folder:{photos}"
    (workdir / "config.json").write_text(json.dumps(config))
    return photos, workdir


def assert_one_line(result: subprocess.CompletedProcess, expected: str) -> None:
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    lines = [line for line in result.stderr.replace("\r", "\n").splitlines() if expected in line]
    assert len(lines) == 1, result.stderr


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        ({}, "no class folders"),
        ({"cats": 4}, "only the class folder cats"),
        ({"cats": 4, "dogs": 0}, "dogs is empty"),
        ({"cats": 4, "dogs": 2}, "Class 'dogs' of `data.source` must have at least 3 usable images"),
        ({"train/cats": 4, "train/dogs": 4, "val/cats": 4}, "same classes in every split"),
    ],
)
def test_a_folder_that_cannot_be_learnt_from_leaves_no_workdir(tmp_path, classes, expected):
    (tmp_path / "photos").mkdir()
    for name, count in classes.items():
        write_images(tmp_path / "photos" / name, count)
    with pytest.raises(InputError, match=expected):
        tfl.transfer(config_of(tmp_path / "photos"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["empty", "a file", "below a file", "read-only"])
def test_a_workdir_that_cannot_be_written_is_refused_before_anything_is_read(tmp_path, name, monkeypatch):
    (tmp_path / "file").write_text("kept")
    (tmp_path / "no photos").mkdir()  # it would be refused if it was read
    if name == "read-only":  # for root every folder is writable
        monkeypatch.setattr(os, "access", lambda path, mode: False)
    path = {"empty": "", "a file": tmp_path / "file", "below a file": tmp_path / "file" / "run"}.get(
        name, tmp_path / "x"
    )
    with pytest.raises(InputError, match="`workdir` must") as caught:
        tfl.transfer(config_of(tmp_path / "no photos"), path)
    assert "\n" not in str(caught.value)
    assert (tmp_path / "file").read_text() == "kept"
    assert {path.name for path in tmp_path.iterdir()} == {"file", "no photos"}


@pytest.mark.parametrize("content", ["", '{"seed": 0,', "[1]", "\x00\xff"])
@pytest.mark.parametrize("name", ["config.json", "metrics.json"])
def test_a_damaged_json_file_is_named(copy, name, content):
    photos, workdir = copy
    (workdir / name).write_text(content)
    with pytest.raises(InputError, match=f"`workdir` must have only complete, readable files. Received: .*{name}"):
        tfl.transfer(config_of(photos), workdir)
    with pytest.raises(InputError, match="must have only complete, readable files"):
        read_json(workdir / name)


@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied"])
def test_a_damaged_model_is_named(copy, damage):
    _, workdir = copy
    file = workdir / "model.keras"
    content = bytearray(file.read_bytes())
    if damage == "flipped":
        content[len(content) // 2 : len(content) // 2 + 64] = bytes(64)
    file.write_bytes({"cut": content[: len(content) // 2], "flipped": content, "emptied": b""}[damage])
    with pytest.raises(InputError, match=r"must be an? (undamaged )?\.keras file. Received: .*model\.keras"):
        load_model(workdir)


def test_a_model_of_others_has_no_class_names(copy, tmp_path):
    photos, workdir = copy
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(workdir / "model.keras")
    for use in (lambda: evaluate_workdir(workdir), lambda: predict_files(workdir, [str(photos)])):
        with pytest.raises(InputError, match="a model that tfl saved"):
            use()


def test_a_home_folder_is_found(run, monkeypatch):
    monkeypatch.setenv("HOME", str(run[1].parent))
    assert load_model("~/run").metadata.class_names == ("cats", "dogs")
    with pytest.raises(InputError, match="gone', which does not exist"):
        load_model("~/gone")


def test_only_one_process_works_in_a_workdir(tmp_path):
    first = Workdir.open(tmp_path / "run", {"seed": 0})
    first.begin({"seed": 0})
    code = (
        f"from tfl.workdir import Workdir; Workdir.open({str(tmp_path / 'run')!r}, {{'seed': 0}}).begin({{'seed': 0}})"
    )
    (tmp_path / "run" / ".lock").open("a").close()  # `lockf` would be lost with any handle
    second = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "InputError: `workdir` must be used by one run at a time" in second.stderr
    del first  # as when a process ends
    third = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert third.returncode == 0, third.stderr


def test_evaluation_keeps_to_the_images_that_the_run_was_tested_on(copy):
    photos, workdir = copy
    metrics = json.loads((workdir / "metrics.json").read_text())["test"]
    for seed, name in enumerate(("cats", "dogs")):
        write_images(photos / "more", 30, seed + 7)
        for file in (photos / "more").iterdir():
            file.rename(photos / name / f"later_{file.name}")
        (photos / "more").rmdir()
    assert evaluate_workdir(workdir)["test"] == pytest.approx(metrics)
    with (workdir / "splits.csv").open() as file:
        tested = [row["path"] for row in csv.DictReader(file) if row["split"] == "test"]
    shutil.copy(
        next((photos / "cats").glob("later_*")), photos / Path(tested[0]).relative_to(Path(tested[0]).parents[1])
    )
    with pytest.raises(InputError, match=f"1 of {len(tested)} missing or changed"):
        evaluate_workdir(workdir)


def rename_files(photos: Path) -> None:
    """Give each photo another name: for a run it is then another source, not its own."""
    for file in sorted(photos.rglob("*.png")):
        file.rename(file.with_name(f"renamed_{file.name}"))


def test_evaluation_says_where_it_sees_what_was_trained_on(copy, capsys):
    photos, workdir = copy
    rename_files(photos)
    metrics = evaluate_workdir(workdir, f"folder:{photos}")["test"]
    trained = json.loads((workdir / "metrics.json").read_text())["num_examples"]["train"]
    assert metrics["num_examples"] == 16
    assert f"trained on {trained} and chosen on 2 of these 16 images" in capsys.readouterr().err


def test_evaluation_of_a_source_with_two_splits_takes_the_second(run, tmp_path):
    for seed, name in enumerate(("train/cats", "train/dogs", "val/cats", "val/dogs")):
        write_images(tmp_path / name, 4 if "val" in name else 9, seed + 20)
    assert evaluate_workdir(run[1], f"folder:{tmp_path}")["test"]["num_examples"] == 8


def test_pipes_folders_and_other_files_are_passed_over(tmp_path):
    for seed, name in enumerate(("cats", "dogs")):
        write_images(tmp_path / name, 4, seed)
    os.mkfifo(tmp_path / "cats" / "pipe.jpg")  # to read it would wait for ever
    (tmp_path / "cats" / "gone.jpg").symlink_to(tmp_path / "nowhere")
    (tmp_path / "dogs" / "link.png").symlink_to(tmp_path / "dogs" / "0.png")
    (tmp_path / "dogs" / "around").symlink_to(tmp_path / "dogs")
    with (tmp_path / "dogs" / "video.mp4").open("wb") as file:
        file.write(b"\0\0\0 ftypmp42")
        file.truncate(2**43)  # more than any memory, and nothing on the disk
    source = load_source(f"folder:{tmp_path}", 0.5)
    assert {Path(path).name: reason.split(",")[0] for path, reason in source.quarantine} == {
        "pipe.jpg": "not a regular file",
        "gone.jpg": "cannot be read: No such file or directory",
        "video.mp4": "not an image of a known format (JPEG",
    }
    assert len(source.index) == 9


ODD_NAMES = {
    "a b 'q' \"dq\", comma; semi|pipe",
    "fourmi e\u0301",  # as macOS writes it
    "line\nbreak",
    "$(x) %s {y} \\b",
    "9",
    "10",
}


def test_names_as_odd_as_the_file_system_admits(tmp_path, capsys):
    photos = tmp_path / "photos"
    for seed, name in enumerate(sorted(ODD_NAMES)):
        write_images(photos / name, 4, seed)
        (photos / name / "0.png").rename(photos / name / os.fsdecode(b"\xff, 0\n.png"))
    result = tfl.transfer(config_of(photos), tmp_path / "run")
    assert "Classes are numbered in natural order: number 0 is '9', but" in capsys.readouterr().err
    names = {unicodedata.normalize("NFC", name) for name in ODD_NAMES}
    assert set(load_model(tmp_path / "run").metadata.class_names) == names
    with (tmp_path / "run" / "predictions.csv").open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        assert {row["label"] for row in csv.DictReader(file)} == names
    assert evaluate_workdir(tmp_path / "run")["test"] == pytest.approx(result.metrics["test"])
    screen = subprocess.run(
        [sys.executable, "scripts/predict.py", f"--workdir={tmp_path / 'run'}", str(photos)],
        cwd=ROOT, capture_output=True, check=True,
    ).stdout.decode("utf-8", "surrogateescape")  # fmt: skip
    assert len(list(csv.DictReader(screen.splitlines(keepends=True)))) == 24


def test_predict_says_what_it_was_given(run, tmp_path):
    photos, workdir = run
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("no image")
    for files, expected in (
        ([], "Received: no file"),
        ([str(tmp_path / "empty")], "Received: no file"),
        ([str(tmp_path / "notes.txt")], "not an image of a known format"),
        ([str(tmp_path / "gone.jpg")], "No such file"),
    ):
        with pytest.raises(InputError, match=expected):
            make_prediction_dataset(files, ImageInput(32), 8)
    with pytest.raises(InputError, match="`output` must be writable"):
        predict_files(workdir, [str(photos)], str(tmp_path / "empty"))
    assert not list((tmp_path / "empty").iterdir())


def test_predict_lists_a_file_that_goes_away_and_goes_on(run, tmp_path, monkeypatch, capsys):
    _, workdir = run
    write_images(tmp_path / "photos", 4, seed=5)
    rows = predict_files(workdir, [str(tmp_path / "photos")])
    files = [Path(row[0]) for row in rows]

    def check_and_lose(*args):
        checked = make_prediction_dataset(*args)
        for file in lost:
            file.unlink()
        return checked

    monkeypatch.setattr("tfl.runs.predict.make_prediction_dataset", check_and_lose)
    lost = files[1:2]
    capsys.readouterr()
    left = predict_files(workdir, [str(tmp_path / "photos")], str(tmp_path / "x.csv"))
    assert [row[:2] for row in left] == [row[:2] for row in (rows[0], *rows[2:])]
    assert f"left out: {files[1]}: cannot be read: No such file" in capsys.readouterr().err
    assert len((tmp_path / "x.csv").read_text().splitlines()) == 4
    lost = [files[0], *files[2:]]
    with pytest.raises(InputError, match=r"`files` must stay as they are.*Received: .*No such file"):
        predict_files(workdir, [str(tmp_path / "photos")])


@pytest.mark.parametrize("script", ["predict", "evaluate"])
def test_a_full_screen_is_one_line(run, script):
    photos, workdir = run
    files = [str(photos)] if script == "predict" else []
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [sys.executable, f"scripts/{script}.py", f"--workdir={workdir}", *files],
            cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert_one_line(result, "The disk must have room for the output")


def test_a_full_disk_loses_nothing_and_the_same_command_goes_on(run, tmp_path):
    """A limit on the size of files stands for a full disk: the model does not fit, the small files do."""
    flags = [f"--config.data.source=folder:{run[0]}", f"--workdir={tmp_path / 'run'}", "--config.finetune.epochs=0"]
    flags += ["--config.backbone.alpha=0.35", "--config.backbone.weights=none", "--config.data.image_size=32"]
    command = [sys.executable, "scripts/train.py", "--config=configs/folder.py", *flags]
    small = ["bash", "-c", 'ulimit -f 200; exec "$@"', "bash"]
    full = subprocess.run([*small, *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert_one_line(full, "`workdir` must be on a disk with free space. Received: ")
    written = {path.name for path in (tmp_path / "run").iterdir()}
    assert not written & {"model.keras", "metrics.json"}
    assert not [name for name in written if name.startswith(".writing")]
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    expected = json.loads((run[1] / "metrics.json").read_text())["test"]
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["test"] == pytest.approx(expected)
    assert zipfile.is_zipfile(tmp_path / "run" / "model.keras")


def test_weights_that_are_no_numbers_are_refused(tmp_path):
    model = tfl.build_backbone("MobileNetV2", image_size=32, alpha=0.35, weights="none")
    model.weights[5].assign(model.weights[5] * np.nan)
    model.save(tmp_path / "damaged.keras")
    with pytest.raises(InputError, match=r"`backbone\.weights` must be finite"):
        tfl.build_backbone("MobileNetV2", image_size=32, alpha=0.35, weights=str(tmp_path / "damaged.keras"))


@pytest.mark.parametrize(
    ("target", "option"),
    [
        ("regression", {"class_weight": "balanced"}),
        ("regression", {"class_weight": "effective"}),
        ("regression", {"sampling": "balanced"}),
        ("multilabel", {"sampling": "balanced"}),
        ("regression", {"loss": "focal"}),
        ("regression", {"logit_adjustment": 1.0}),
        ("regression", {"label_smoothing": 0.1}),
    ],
)
def test_options_that_the_target_has_no_use_for_are_refused(target, option):
    config = tfl.TransferConfig(task=tfl.TaskConfig(name=target), finetune=tfl.FinetuneConfig(epochs=1, **option))
    with pytest.raises(InputError, match=f"`finetune.{next(iter(option))}` must be"):
        validate_config(config)


@pytest.mark.parametrize("damage", ["deleted", "changed"])
def test_a_photo_that_is_lost_during_the_run_is_named(copy, monkeypatch, damage):
    photos, workdir = copy
    shutil.rmtree(workdir)
    begin = Workdir.begin

    def lose(self, config):
        begin(self, config)
        file = photos / "cats" / "3.png"
        file.unlink() if damage == "deleted" else shutil.copy(photos / "dogs" / "3.png", file)

    monkeypatch.setattr(Workdir, "begin", lose)
    config = config_of(photos)
    config.features = tfl.FeaturesConfig(store="none")  # or the photo need not be read again
    with pytest.raises(InputError, match=r"`data` must stay as it is while it is read. Received: /\S+/cats/3.png: "):
        tfl.transfer(config, workdir)


def test_a_workdir_among_the_photos_is_refused(run):
    photos, _ = run
    for workdir in (photos / "run", photos / "cats" / "run"):
        with pytest.raises(InputError, match="`workdir` must be outside the folder of the photos"):
            tfl.transfer(config_of(photos), workdir)
        assert not workdir.exists()


def test_metrics_that_are_none_are_named(copy):
    photos, workdir = copy
    (workdir / "metrics.json").write_text("{}")
    with pytest.raises(
        InputError, match=r"`workdir` must have only complete, readable files. Received: .*is a required property"
    ):
        tfl.transfer(config_of(photos), workdir)


def test_a_pattern_without_its_prefix_is_told_of_it(run, tmp_path):
    config = config_of(run[0])
    config.finetune = tfl.FinetuneConfig(epochs=1, unfreeze="block_1[56].*")
    with pytest.raises(InputError, match=r"`finetune\.unfreeze` must be a known name.*'re:PATTERN'"):
        tfl.transfer(config, tmp_path / "w")


@pytest.mark.parametrize(("model_has", "photos_have"), [("Ka\u0308fer", "K\xe4fer"), ("K\xe4fer", "Ka\u0308fer")])
def test_classes_are_known_in_either_unicode_form(copy, model_has, photos_have):
    photos, workdir = copy
    rename_files(photos)
    expected = evaluate_workdir(workdir, f"folder:{photos}")["test"]
    model = load_model(workdir)
    model.metadata = dataclasses.replace(model.metadata, class_names=(model_has, "dogs"))
    save_model(model, workdir / "model.keras")
    (workdir / "validation_predictions.csv").unlink()  # speaks of cats
    (photos / "cats").rename(photos / photos_have)
    assert evaluate_workdir(workdir, f"folder:{photos}")["test"] == pytest.approx(expected)


@pytest.mark.parametrize("name", ["Dogs", "dogs ", "dogs\u200b"])
def test_classes_that_look_like_one_of_the_model_are_refused_by_name(copy, name):
    photos, workdir = copy
    (photos / "dogs").rename(photos / name)
    with pytest.raises(InputError, match="The model has 'dogs'") as caught:
        evaluate_workdir(workdir, f"folder:{photos}")
    assert f"Received: {name!r}." in str(caught.value)
