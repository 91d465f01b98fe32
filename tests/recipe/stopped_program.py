"""Train as scripts/train.py does, on a tiny network, and get a signal at one of its calls: see test_stopped_runs.py.

python stopped_program.py FOLDER STRATEGY [PLACE SIGNAL]
"""

import os
import signal
import sys
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from option_runs import make_config, tiny_networks

import tfl
from tfl import cli

SOURCES = str(Path(tfl.__file__).parent)
OPTIONS = {
    "data.batch_size": 8,
    "data.augmentation": "light",
    "finetune.epochs": 2,
    "finetune.unfreeze": "all",
    "finetune.batch_norm": "train",
    "finetune.learning_rate": 0.01,
    "finetune.ema": 0.9,
    "checkpoint.every_steps": 2,
    "report.gallery": 0,
}


class Counter:
    """Counts the calls of tfl's functions in the main thread, and sends this process a signal at one of them."""

    def __init__(self, place: int, number: int) -> None:
        self.place, self.number, self.calls = place, number, 0
        self._ours: dict[CodeType, bool] = {}

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        if event != "call" or not self._is_ours(frame.f_code):
            return
        self.calls += 1
        if self.calls == self.place:
            os.kill(os.getpid(), self.number)

    def _is_ours(self, code: CodeType) -> bool:
        if code not in self._ours:
            self._ours[code] = code.co_filename.startswith(SOURCES)
        return self._ours[code]


def main(arguments: list[str]) -> None:
    folder, strategy = Path(arguments[1]), arguments[2]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # shells let what runs in the background ignore it
    counter = Counter(*map(int, arguments[3:] or (0, 0)))
    config = make_config(folder.parent / "photos", folder / "store", OPTIONS | {"strategy": strategy})
    with tiny_networks():
        sys.setprofile(counter)
        tfl.transfer(config, folder / "run")
        sys.setprofile(None)
    sys.stdout.write(str(counter.calls))


if __name__ == "__main__":
    cli.run(main, takes_files=True)
