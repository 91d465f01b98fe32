"""Train, evaluate, predict and export a tiny network, with or without what only POSIX has; see test_without_posix.py.

python without_posix_program.py FOLDER [blocked]
"""

import sys
from pathlib import Path

if sys.argv[2:] == ["blocked"]:
    import without_posix  # noqa: F401 - before all others

import warnings

from option_runs import make_config, tiny_networks

import tfl
from tfl.export import runner

OPTIONS = {"data.batch_size": 8, "finetune.epochs": 1, "finetune.unfreeze": "all", "report.gallery": 4}
BLOCKED_RUNNER = """
import runpy, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import without_posix
names = runpy.run_path({runner!r})
names["main"].__globals__["STATUS"] = Path("/no such file")
names["main"](names["json"].loads(Path(sys.argv[1]).read_text("utf-8")))
"""


def main(folder: Path, *, blocked: bool) -> None:
    """Do it; what is written is in the folder."""
    warnings.filterwarnings("error", category=EncodingWarning, module=r"tfl\.")
    config = make_config(folder.parent / "photos", folder / "store", OPTIONS)
    run = folder / "run"
    with tiny_networks():
        tfl.transfer(config, run)
        tfl.evaluate_workdir(run)
        tfl.predict_files(run, [str(folder.parent / "photos" / "class_1")], str(folder / "predicted.csv"))
        if blocked:
            names = {"tests": str(Path(__file__).parent), "runner": runner.__file__}
            (folder / "runner.py").write_text(BLOCKED_RUNNER.format(**names), "utf-8")
            runner.__file__ = str(folder / "runner.py")
        tfl.export_workdir(run, tfl.ExportOptions(formats=["keras", "saved_model"], max_images=8))


if __name__ == "__main__":
    main(Path(sys.argv[1]), blocked=len(sys.argv) > 2)
