"""Time until a mistake in a command is answered, against the import of TensorFlow, which all of them would wait for.

python benchmarks/mistakes.py --rounds=5
"""

import subprocess
import sys
import time

from absl import app, flags

_ROUNDS = flags.DEFINE_integer("rounds", 3, "Of each, interleaved; the best counts.")
MISTAKES = (
    "trian photos",
    "train phots",
    "train digits --epoch=3",
    "train digits --lr=0.1",
    "train digits --freeze=2",
    "train digits --backbone=ResNet5",
    "train digits --recipe=foldr",
    "evaluate nowhere",
    "predict nowhere ant.jpg",
    "serve nowhere",
)
PEER = [sys.executable, "-c", "import tensorflow"]


def main(argv: list[str]) -> None:
    del argv
    commands = {words: [sys.executable, "-m", "tfl", *words.split()] for words in MISTAKES}
    best = dict.fromkeys([*commands, "peer"], float("inf"))
    for _ in range(_ROUNDS.value):
        for words, command in [*commands.items(), ("peer", PEER)]:
            best[words] = min(best[words], _seconds(command, 0 if words == "peer" else 2))
    print("| command | answered after | import of TensorFlow / answer |")
    print("|---" * 3 + "|")
    for words in commands:
        print(f"| `tfl {words}` | {best[words]:.2f} s | {best['peer'] / best[words]:.1f} |")


def _seconds(command: list[str], expected: int) -> float:
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != expected:
        raise RuntimeError(f"{command} ended with {done.returncode}: {done.stderr}")
    return time.perf_counter() - start


if __name__ == "__main__":
    app.run(main)
