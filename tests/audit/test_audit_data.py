"""An audit from a folder of photos to its page, decisions on it, and a run that uses them."""

import csv
import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from audit_pictures import picture
from browser import needs_browser, open_browser
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from option_runs import make_config, tiny_networks

import tfl
from tfl.audit import Audit, Finding
from tfl.audit.duplicates import Duplicates
from tfl.build import load_splits
from tfl.data.decisions import read_decisions
from tfl.errors import InputError
from tfl.files.reading import read_csv
from tfl.report.audit_page import render_audit
from tfl.runs.evaluate import evaluate_workdir

COLUMNS = ["id", "kind", "score", "evidence", "suggestion"]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Two classes of 20 photos in two splits; one photo of test is a copy of one of train, in another file format."""
    folder, rng = tmp_path_factory.mktemp("audit") / "photos", np.random.default_rng(0)
    for split, count in (("train", 15), ("test", 5)):
        for label in range(2):
            (folder / split / f"class_{label}").mkdir(parents=True)
            for number in range(count):
                image = picture(rng) // 2 + 60 * label
                Image.fromarray(image.astype(np.uint8)).save(folder / split / f"class_{label}" / f"{number}.png")
    Image.open(folder / "train" / "class_0" / "3.png").save(folder / "test" / "class_0" / "leak.jpg", quality=60)
    return folder


@pytest.fixture(scope="module")
def run(photos, tmp_path_factory):
    """A run on these photos, and its config."""
    folder = tmp_path_factory.mktemp("audited")
    config = make_config(photos, folder / "store", {})
    with tiny_networks():
        tfl.transfer(config, folder / "run")
        yield config, folder / "run"


def rows_of(file):
    with file.open(newline="") as opened:
        return list(csv.DictReader(opened))


def test_a_run_and_a_config_give_the_same_audit_and_its_files(run, tmp_path, capsys, monkeypatch):
    config, workdir = run
    found = tfl.audit_data(workdir, tmp_path / "audit")
    said = capsys.readouterr().err
    assert "audit: 1 x leak" in said and "computing" not in said  # the features come from the store
    rows = rows_of(tmp_path / "audit" / "audit.csv")
    assert list(rows[0]) == COLUMNS and len(rows) == len(found.findings)
    (leak,) = [row for row in rows if row["kind"] == "leak"]
    assert leak["id"] == "train/class_0/3.png" and "test/class_0/leak.jpg" in leak["evidence"]
    values = json.loads((tmp_path / "audit" / "audit.json").read_text())
    assert values["counts"] == found.counts and values["num_examples"] == 41
    groups = {row["id"]: row["group"] for row in rows_of(tmp_path / "audit" / "near_duplicates.csv")}
    assert set(groups) == {"train/class_0/3.png", "test/class_0/leak.jpg"} and len(set(groups.values())) == 1
    page = (tmp_path / "audit" / "audit.html").read_text()
    assert "--config.data.groups=near_duplicates.csv" in page
    assert page.count("<article") == len(rows) and "leak.jpg" in page and "http" not in page.replace("http-equiv", "")
    again = tfl.audit_data(config, tmp_path / "again")
    assert [finding.row for finding in again.findings] == [finding.row for finding in found.findings]


def test_the_report_of_a_run_names_the_leak(run):
    _, workdir = run
    kinds = {row["kind"] for row in read_csv(workdir / "audit.csv", COLUMNS)}
    page = (workdir / "report.html").read_text()
    assert "leak" in kinds and "Audit of the data" in page
    assert "1 image is a near duplicate of images in another split, the first: train/class_0/3.png." in page


def test_decisions_change_a_second_run_and_are_recorded(run, tmp_path):
    config, workdir = run
    path = tmp_path / "decisions.csv"
    path.write_text(
        "id,decision,label\ntrain/class_0/3.png,exclude,\ntest/class_0/1.png,relabel,class_1\n"
        "test/class_0/2.png,keep,\n"
    )
    decided = make_config(config.data.source.partition(":")[2], tmp_path / "store", {"data.decisions": str(path)})
    result = tfl.transfer(decided, tmp_path / "run")
    changes = read_csv(tmp_path / "run" / "decisions.csv")
    assert [(row["id"], row["decision"], row["split_before"]) for row in changes] == [
        ("test/class_0/1.png", "relabel", "test"),
        ("train/class_0/3.png", "exclude", "train"),
    ]
    assert json.loads((tmp_path / "run" / "config.json").read_text())["data"]["decisions"] == str(path)
    before = {row["id"]: row for row in read_csv(workdir / "splits.csv")}
    after = {row["id"]: row for row in read_csv(tmp_path / "run" / "splits.csv")}
    changed = {name for name, row in after.items() if row != before[name]}
    assert changed == {"train/class_0/3.png", "test/class_0/1.png"}  # all others stay in their split
    assert after["train/class_0/3.png"]["split"] == "excluded" and after["test/class_0/1.png"]["label"] == "class_1"
    assert not [row for row in read_csv(tmp_path / "run" / "audit.csv", COLUMNS) if row["kind"] == "leak"]
    path.unlink()  # a later evaluation needs only what the run recorded
    shutil.copytree(config.data.source.partition(":")[2], tmp_path / "moved")
    assert evaluate_workdir(tmp_path / "run", f"folder:{tmp_path / 'moved'}")["test"] == pytest.approx(
        result.metrics["test"], rel=1e-4
    )


def test_mistakes_are_one_line_before_anything_slow(run, tmp_path, monkeypatch):
    config, workdir = run
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="`output` must be a folder"):
        tfl.audit_data(config, tmp_path / "file")
    with pytest.raises(InputError, match="must be the folder of a run"):
        tfl.audit_data(tmp_path / "nowhere", tmp_path / "audit")
    missing = make_config("photos", tmp_path, {"data.decisions": str(tmp_path / "fil")})
    with pytest.raises(InputError, match=r"`data.decisions` must name a file that exists.*Did you mean .*file"):
        missing.data.source = config.data.source
        tfl.transfer(missing, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    monkeypatch.setattr("tfl.extras.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"cleanlab, which is not installed. Did you mean to run pip install .*audit"):
        tfl.audit_data(workdir, tmp_path / "audit")


@needs_browser
def test_keys_and_buttons_of_the_page_write_decisions_that_a_run_uses(run, tmp_path):
    config, _ = run
    ids = [f"train/class_{label}/{number}.png" for label in (0, 1) for number in (0, 1, 2)]
    wrong = [Finding("label error", name, 0.9, "", "", decision="relabel", label="class_1") for name in ids[:3]]
    others = [Finding("outlier", name, 0.9, "", "", decision="exclude") for name in ids[3:]]
    found = Audit([*wrong, *others], Duplicates(np.zeros((0, 2), int), (), np.zeros(0), np.arange(41)))
    (tmp_path / "audit.html").write_text(render_audit(found, load_splits(config), "photos"), "utf-8")
    with open_browser(tmp_path / "profile") as browser:
        browser.save_to(tmp_path)
        browser.open(tmp_path / "audit.html")
        browser.press("j", "a", "r", "x")  # the first three findings: accept, reject, exclude
        browser.press("u", "l", "ArrowDown", "ArrowDown")  # the fourth: nothing to undo, then the second class
        browser.click(f"[data-id='{ids[4]}'] [data-do=accept]")
        browser.click(f"[data-id='{ids[5]}'] [data-do=accept]")
        browser.press("u")  # a key is about the finding that was clicked last
        assert browser.look("document.getElementById('progress').textContent") == "5 of 6 decided"
        browser.click("#save")
        browser.wait_for("Browser.downloadProgress", state="completed")
    decided = [("relabel", "class_1"), ("keep", ""), ("exclude", ""), ("relabel", "class_1"), ("exclude", "")]
    assert read_decisions(tmp_path / "decisions.csv") == dict(zip(ids, decided, strict=False))


@pytest.mark.slow  # a real network
@needs_browser
def test_ants_and_bees_are_audited_decided_and_trained_again(shared, keras_home, tmp_path):
    """TFL_SCREENSHOTS=docs/images makes the picture of docs/explanation/audit.md."""
    config = tfl.TransferConfig(
        data=tfl.DataConfig(source=f"folder:{shared / 'data' / 'hymenoptera'}"), backbone=tfl.BackboneConfig(alpha=0.35)
    )
    found = tfl.audit_data(config, tmp_path / "audit")
    asked = [finding for finding in found.findings if finding.decision]
    assert asked[0].id == "train/ants/imageNotFound.gif"
    with open_browser(tmp_path / "profile") as browser:
        browser.resize(1280, 1000)
        browser.save_to(tmp_path)
        browser.open(tmp_path / "audit" / "audit.html")
        browser.press("j", "a", "r", "a", "x", "k")
        picture = browser.picture()
        browser.click("#save")
        browser.wait_for("Browser.downloadProgress", state="completed")
    pixels = np.asarray(picture, np.float32)
    assert pixels.shape == (1000, 1280, 3) and 0.1 < (np.abs(pixels - pixels[2, 2]).max(axis=-1) > 60).mean() < 0.6
    if folder := os.environ.get("TFL_SCREENSHOTS"):
        picture.quantize(128).save(Path(folder) / "audit.png", optimize=True)
    config.data.decisions = str(tmp_path / "decisions.csv")
    tfl.transfer(config, tmp_path / "run")
    changed = {row["id"]: (row["decision"], row["label"]) for row in read_csv(tmp_path / "run" / "decisions.csv")}
    first, _, third, fourth = asked[:4]
    assert changed == {
        first.id: ("exclude", "ants"),
        third.id: ("relabel", third.label),
        fourth.id: ("exclude", "ants"),
    }
