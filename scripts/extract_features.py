"""Write the features that a frozen backbone computes for every image of a source.

    python scripts/extract_features.py --config=configs/folder.py --config.data.source=folder:PATH --output=FOLDER

Each row has id, label, split and features. `--format=npy` writes a folder; other formats write one file.
"""

from absl import flags
from ml_collections import config_flags

import tfl
from tfl import cli

_CONFIG = config_flags.DEFINE_config_file("config", "configs/folder.py", "The config file; examples are in configs/.")
_OUTPUT = flags.DEFINE_string("output", None, "A folder (npy) or a file (parquet, tfrecord).", required=True)
_FORMAT = flags.DEFINE_string("format", "npy", "npy, parquet or tfrecord.")


def main(argv: list[str]) -> None:
    del argv
    tfl.extract_features(_CONFIG.value, _OUTPUT.value, _FORMAT.value)


if __name__ == "__main__":
    cli.run(main)
