"""Write report.html and MODEL_CARD.md of a finished run again.

tfl report runs/photos
tfl report runs/photos --gallery=24
"""

from absl import flags

from tfl import cli
from tfl.commands import places
from tfl.files.reading import read_json
from tfl.files.schemas import EVALUATION
from tfl.runs.checks import METRICS, MODEL

_WORKDIR = flags.DEFINE_string("workdir", None, "The folder of a finished run; it may also stand without --workdir=.")
_GALLERY = flags.DEFINE_integer(
    "gallery", None, "Images of each kind; 0: none; not given: as in the config of the run.", lower_bound=0
)


def check(argv: list[str]) -> None:
    """Refuse what is no finished run, before TensorFlow is imported."""
    run = places.finished_run(argv[1:], _WORKDIR.value, METRICS, MODEL)
    if (run / "evaluation.json").exists():  # older runs have none
        read_json(run / "evaluation.json", EVALUATION)


def main(argv: list[str]) -> None:
    """Write the report."""
    from tfl.progress import say
    from tfl.report import remake_report

    workdir = places.the_one(argv[1:], _WORKDIR.value, "workdir")
    remake_report(workdir, _GALLERY.value)
    say(f"written: {workdir}/report.html and MODEL_CARD.md")


def run() -> None:
    """Run the command with the words of `sys.argv`."""
    cli.run(main, check=check, takes_files=True)
