"""Time until a wrong command is answered, against the import of TensorFlow, which all of them would wait for.

python benchmarks/mistakes.py --rounds=5
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from absl import app, flags
from wrong_commands import FIRST_TEN, HOOK, WITHOUT, WRONG, Wrong, busy_run, write_home

_ROUNDS = flags.DEFINE_integer("rounds", 3, "Of each, interleaved; the best counts.")
_SLOWEST = flags.DEFINE_integer("slowest", 5, "How many of the slowest commands are shown, besides the first ten.")
_MOST = flags.DEFINE_integer("most", len(WRONG), "How many commands are timed.")
PEER = [sys.executable, "-c", "import tensorflow"]
ROOT = Path(__file__).resolve().parents[1]


def main(argv: list[str]) -> None:
    del argv
    asked = WRONG[: _MOST.value]
    with tempfile.TemporaryDirectory() as folder:
        home, hook = Path(folder, "home"), Path(folder, "hook")
        home.mkdir()
        hook.mkdir()
        (hook / "sitecustomize.py").write_text(HOOK)
        write_home(home)
        best = dict.fromkeys(asked, float("inf"))
        peer = float("inf")
        with busy_run(home):
            for _ in range(_ROUNDS.value):
                peer = min(peer, _seconds(PEER, 0, home, dict(os.environ)))
                for wrong in asked:
                    best[wrong] = min(best[wrong], _answer(wrong, home, hook))
    _show(best, peer)


def _show(best: dict[Wrong, float], peer: float) -> None:
    ordered = sorted(best, key=best.__getitem__, reverse=True)
    shown = [*(wrong for wrong in FIRST_TEN if wrong in best), *(w for w in ordered if w not in FIRST_TEN)]
    print(f"{len(best)} wrong commands: the slowest {best[ordered[0]]:.2f} s, the median", end=" ")
    print(f"{statistics.median(best.values()):.2f} s; import of TensorFlow {peer:.2f} s\n")
    print("| command | answered after | import of TensorFlow / answer |")
    print("|---" * 3 + "|")
    for wrong in shown[: len(FIRST_TEN) + _SLOWEST.value] if len(best) > len(FIRST_TEN) else shown[: _SLOWEST.value]:
        print(f"| `tfl {wrong.words}` | {best[wrong]:.2f} s | {peer / best[wrong]:.1f} |")


def _answer(wrong: Wrong, home: Path, hook: Path) -> float:
    """Return the seconds until a wrong command is answered; its interpreter cannot import TensorFlow."""
    places = [str(hook), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(places), WITHOUT: ",".join(wrong.without)}
    return _seconds([sys.executable, "-m", "tfl", *wrong.words.split()], 2, home, environment)


def _seconds(command: list[str], expected: int, home: Path, environment: dict[str, str]) -> float:
    start = time.perf_counter()
    done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != expected:
        raise RuntimeError(f"{command} ended with {done.returncode}: {done.stderr}")
    return time.perf_counter() - start


if __name__ == "__main__":
    app.run(main)
