"""A signal at any place of a whole run, and the same command again: the results of a run that was left alone."""

import json
import os
import signal
from pathlib import Path

import pytest
import warm
from option_runs import write_photos

from tfl.backbones import weights_fingerprint
from tfl.models.classifier import load_model

PROGRAM = Path(__file__).with_name("stopped_program.py")
PLACES = 15


def start(folder: Path, strategy: str, *aim: int) -> tuple[int, str, str]:
    done = warm.run([PROGRAM, folder, strategy, *aim])
    return done.returncode, done.stdout, done.stderr


def results(folder: Path) -> dict[str, object]:
    """Return what a run has found: weights, tables, figures, and which files it wrote; times and logs are left out."""
    run = folder / "run"
    metrics = json.loads((run / "metrics.json").read_text())
    found: dict[str, object] = {name: metrics[name] for name in ("test", "validation", "kept", "choice")}
    found |= {path.name: path.read_bytes() for path in run.glob("*.csv")}
    found["evaluation"] = json.loads((run / "evaluation.json").read_text())
    found["weights"] = weights_fingerprint(load_model(run))
    found["pictures"] = (run / "report.html").read_text().count("<img")
    found["files"] = sorted(path.name for path in run.iterdir())
    return found


@pytest.mark.slow
@pytest.mark.skipif("TFL_SOAK" not in os.environ, reason="60 runs take 20 processor minutes: set TFL_SOAK=1")
@pytest.mark.parametrize("strategy", ["one", "cpu:2"])
def test_a_stop_at_any_of_15_places_of_a_whole_run_changes_no_bit(tmp_path: Path, strategy: str) -> None:
    write_photos(tmp_path / "photos", (24, 20, 16))
    code, calls, said = start(tmp_path / "alone", strategy)
    assert code == 0, said
    alone = results(tmp_path / "alone")
    for place in range(PLACES):
        folder = tmp_path / str(place)
        at, number = int(int(calls) * (place + 0.5) / PLACES), (signal.SIGTERM, signal.SIGINT)[place % 2]
        code, _, said = start(folder, strategy, at, number)
        assert code in (128 + number, -number), f"call {at} of {calls}: {said}"
        code, _, said = start(folder, strategy)
        assert code == 0, f"call {at} of {calls}: {said}"
        assert results(folder) == alone, f"call {at} of {calls}: {said}"
