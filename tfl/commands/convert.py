"""Write the examples of a source into TFRecord or ArrayRecord files, with their labels and splits.

tfl convert photos --output=records
tfl convert photos --output=records --format=array_record --shards=16
tfl convert --output=records --verify

`tfl train records` reads the TFRecord files. If the command is killed, the same command goes on. `--verify` compares
every file with its checksum in manifest.json.
"""

from pathlib import Path

from absl import flags

import tfl
from tfl import cli
from tfl.checks import check_config, check_data
from tfl.commands import recipes
from tfl.data.records.manifest import existing_manifest, verify_conversion
from tfl.data.records.output import SUFFIXES, check_conversion
from tfl.errors import InputError
from tfl.progress import say

_CONFIG = recipes.define("seed")
_OUTPUT = flags.DEFINE_string("output", None, "The folder for the files.", required=True)
_FORMAT = flags.DEFINE_string("format", "tfrecord", f"The format of the files: {', '.join(SUFFIXES)}.")
_SHARDS = flags.DEFINE_integer("shards", 0, "Number of files; 0: one for about 1,024 examples.")
_VERIFY = flags.DEFINE_bool("verify", False, "Compare the files with their checksums; write nothing.")


def check(argv: list[str]) -> None:
    """Refuse a source or an output that cannot be used, before TensorFlow is imported."""
    if _VERIFY.value:
        if argv[1:]:
            raise InputError(f"`source` must be left out with --verify. Received: {' '.join(argv[1:])}.")
        existing_manifest(Path(_OUTPUT.value).expanduser())
        return
    check_conversion(_FORMAT.value, _OUTPUT.value, _SHARDS.value)
    config = check_config(recipes.with_source(_CONFIG.value, argv[1:]))
    check_data(config)


def main(argv: list[str]) -> None:
    """Write or verify the files."""
    if _VERIFY.value:
        manifest = verify_conversion(_OUTPUT.value)
        say(f"verified: {_OUTPUT.value}: {len(manifest.shards)} files are as they were written")
        return
    config = recipes.with_source(_CONFIG.value, argv[1:])
    tfl.convert_data(config, _OUTPUT.value, _FORMAT.value, _SHARDS.value)


def run() -> None:
    """Run the command with the words of `sys.argv`."""
    cli.run(main, check=check, translate=recipes.with_recipe, takes_files=True)
