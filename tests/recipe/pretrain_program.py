"""Pre-train a tiny network without labels under a strategy: see test_pretrain.py.

python pretrain_program.py FOLDER STRATEGY
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from option_runs import make_config, tiny_networks

import tfl

OPTIONS = {
    "pretrain.method": "barlow_twins",
    "pretrain.epochs": 2,
    "pretrain.augmentation": "light",
    "data.batch_size": 8,
}


def main(arguments: list[str]) -> None:
    folder, strategy = Path(arguments[1]), arguments[2]
    config = make_config(folder / "photos", folder / "store", OPTIONS | {"strategy": strategy})
    with tiny_networks():
        tfl.pretrain(config, folder / strategy.replace(":", ""))


if __name__ == "__main__":
    main(sys.argv)
