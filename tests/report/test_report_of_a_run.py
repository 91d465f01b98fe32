"""Every finished run has its report; a run is not lost with it."""

import numpy as np
import pytest

import tfl
from tfl.config import BackboneConfig, DataConfig, ReportConfig, TransferConfig
from tfl.errors import InputError
from tfl.recipe import transfer as recipe
from tfl.workdir import Workdir


@pytest.fixture(scope="module")
def config():
    return TransferConfig(
        data=DataConfig(source="digits:0-2", image_size=32),
        backbone=BackboneConfig(name="MobileNet", alpha=0.25, weights="none"),
        report=ReportConfig(gallery=2),
    )


@pytest.fixture(scope="module")
def workdir(config, tmp_path_factory):
    """A run on embedded digits."""
    folder = tmp_path_factory.mktemp("run") / "digits"
    tfl.transfer(config, folder)
    return folder


def test_a_run_ends_with_its_report(workdir):
    text = (workdir / "report.html").read_text("utf-8")
    assert "Errors with the highest confidence" in text or "Correct predictions with the lowest confidence" in text
    assert text.count('<li class="card"') <= 2 + 2 + 4
    assert (workdir / "MODEL_CARD.md").read_text("utf-8").startswith("---\nlibrary_name: keras")


def test_a_finished_run_without_a_report_gets_it_by_the_same_command(workdir, config):
    """As after a kill between the last result and the page: the metrics stand, the report does not."""
    before = (workdir / "metrics.json").read_bytes()
    for name in ("report.html", "MODEL_CARD.md"):
        (workdir / name).unlink()
    tfl.transfer(config, workdir)
    assert (workdir / "report.html").exists() and (workdir / "MODEL_CARD.md").exists()
    assert (workdir / "metrics.json").read_bytes() == before


def test_a_report_that_stands_is_left_alone(workdir, config):
    (workdir / "report.html").write_text("mine")
    tfl.transfer(config, workdir)
    assert (workdir / "report.html").read_text() == "mine"


def test_another_gallery_is_no_other_run(workdir, config):
    (workdir / "report.html").unlink()
    changed = TransferConfig.from_dict({**config.to_dict(), "report": {"gallery": 0}})
    tfl.transfer(changed, workdir)
    assert '<li class="card"' not in (workdir / "report.html").read_text("utf-8")


def test_a_run_outlives_a_report_that_cannot_be_written(config, tmp_path, monkeypatch, capsys):
    def fail(*arguments, **options):
        raise InputError(
            "`workdir` must be on a disk with free space. Received: ...: no space left; nothing was changed."
        )

    monkeypatch.setattr(recipe, "write_report", fail)
    result = tfl.transfer(config, tmp_path / "run")
    assert result.metrics["test"]["num_examples"] > 0
    assert "report.html was not written: `workdir` must be on a disk with free space." in capsys.readouterr().err
    assert Workdir(tmp_path / "run").read_metrics() is not None


def test_the_script_writes_it_again(workdir, run_script):
    (workdir / "report.html").unlink(missing_ok=True)
    result = run_script("scripts/report.py", f"--workdir={workdir}", "--gallery=1")
    assert result.returncode == 0, result.stderr
    assert 1 <= (workdir / "report.html").read_text("utf-8").count('<li class="card"') <= 4


def test_the_script_names_a_mistake_in_one_line(tmp_path, run_script):
    result = run_script("scripts/report.py", f"--workdir={tmp_path}")
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1 and "folder of a run" in result.stderr


def test_where_the_images_are_others_the_report_has_none(config, tmp_path, capsys):
    """A run on arrays: its config says `digits`, which are other images."""
    from tfl.report import remake_report

    rng = np.random.default_rng(0)
    data = (rng.integers(0, 256, (60, 8, 8, 3)).astype(np.uint8), np.arange(60) % 3)
    tfl.transfer(config, tmp_path / "run", data)
    assert '<li class="card"' in (tmp_path / "run" / "report.html").read_text("utf-8")
    remake_report(tmp_path / "run")
    text = (tmp_path / "run" / "report.html").read_text("utf-8")
    assert '<li class="card"' not in text and "not available" in text
    assert "report: without images" in capsys.readouterr().err
