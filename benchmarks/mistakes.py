"""Time until a wrong command is answered, against the import of TensorFlow, which all of them would wait for.

The processor time hardly depends on what else the machine does; on an idle machine both are about equal.

python benchmarks/mistakes.py --rounds=5
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

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
        never = Seconds(float("inf"), float("inf"))
        best, peer = dict.fromkeys(asked, never), never
        with busy_run(home):
            for _ in range(_ROUNDS.value):
                peer = peer.least(_run(PEER, 0, home, dict(os.environ)))
                for wrong in asked:
                    best[wrong] = best[wrong].least(_answer(wrong, home, hook))
    _show(best, peer)


class Seconds(NamedTuple):
    """The time of a command on the clock, and that of the processor."""

    clock: float
    processor: float

    def least(self, other: "Seconds") -> "Seconds":
        """Return the smaller of both times."""
        return Seconds(min(self.clock, other.clock), min(self.processor, other.processor))


def _show(best: dict[Wrong, Seconds], peer: Seconds) -> None:
    ordered = sorted(best, key=lambda wrong: best[wrong].processor, reverse=True)
    shown = [*(wrong for wrong in FIRST_TEN if wrong in best), *(w for w in ordered if w not in FIRST_TEN)]
    for kind, name in enumerate(("on the clock", "of the processor")):
        seconds = [each[kind] for each in best.values()]
        print(f"{len(best)} wrong commands, seconds {name}: at most {max(seconds):.2f}, the median", end=" ")
        print(f"{statistics.median(seconds):.2f}; import of TensorFlow {peer[kind]:.2f}")
    print("\n| command | answered after | processor | import of TensorFlow / answer, processor |")
    print("|---" * 4 + "|")
    for wrong in shown[: len(FIRST_TEN) + _SLOWEST.value] if len(best) > len(FIRST_TEN) else shown[: _SLOWEST.value]:
        clock, processor = best[wrong]
        print(f"| `tfl {wrong.words}` | {clock:.2f} s | {processor:.2f} s | {peer.processor / processor:.1f} |")


def _answer(wrong: Wrong, home: Path, hook: Path) -> Seconds:
    """Return the time until a wrong command is answered; its interpreter cannot import TensorFlow."""
    places = [str(hook), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(places), WITHOUT: ",".join(wrong.without)}
    return _run([sys.executable, "-m", "tfl", *wrong.words.split()], 2, home, environment)


def _run(command: list[str], expected: int, home: Path, environment: dict[str, str]) -> Seconds:
    start, used = time.perf_counter(), _processor_seconds()
    done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != expected:
        raise RuntimeError(f"{command} ended with {done.returncode}: {done.stderr}")
    return Seconds(time.perf_counter() - start, _processor_seconds() - used)


def _processor_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    app.run(main)
